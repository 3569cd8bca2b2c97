"""The packs of concepts: what each adds, that it takes nothing away, and that a site may leave it out."""

from __future__ import annotations

from pathlib import Path

import pytest
from stdnum import luhn

from app.definitions.served import Definitions
from mappings.concepts.catalogue import PREFIX_SYSTEMS, SYSTEMS, Catalogue, load_catalogue
from mappings.concepts.vocabulary import CHOICE, OUR_CONCEPTS, PACKS, pack_folders
from mappings.values.units import canonical_unit
from mappings.yaml_files import DefinitionError


@pytest.fixture(scope="module")
def whole() -> Catalogue:
    return load_catalogue((OUR_CONCEPTS, *pack_folders(None)))


def test_a_pack_takes_no_code_away_from_a_concept(catalogue: Catalogue, whole: Catalogue) -> None:
    codes = {(system, code) for system, code in (*catalogue.by_code, *catalogue.by_prefix) if system in SYSTEMS}
    for name in set(whole.concepts) - set(catalogue.concepts):
        codes |= {
            (system, code.rstrip("*") + ("9" if code.endswith("*") else ""))
            for system, own in whole.concepts[name].codes.items()
            for code in own
        }
    assert any(system in PREFIX_SYSTEMS for system, _ in codes)
    for system, code in codes:
        address = SYSTEMS[system][0]
        assert set(catalogue.find(address, code)) <= set(whole.find(address, code)), (system, code)


def test_every_concept_of_a_pack_has_a_source_and_codes_with_their_check_digits(
    catalogue: Catalogue, whole: Catalogue
) -> None:
    for name in set(whole.concepts) - set(catalogue.concepts):
        concept = whole.concepts[name]
        assert concept.source, name
        assert all(luhn.is_valid(code.replace("-", "")) for code in concept.codes.get("loinc", {})), name
        assert concept.unit is None or canonical_unit(concept.unit) == concept.unit, name
        assert concept.kind == "result" or concept.partly_coded, name


def test_a_tumour_of_a_pack_is_still_a_malignancy(whole: Catalogue) -> None:
    assert whole.find("http://hl7.org/fhir/sid/icd-10-cm", "C50.911") == ("breast-cancer", "malignancy")
    assert "dementia" in whole.find("http://hl7.org/fhir/sid/icd-10-cm", "G30.9")


def test_a_site_leaves_packs_out(tmp_path: Path) -> None:
    assert [folder.name for folder in pack_folders(None)] == [
        "autoimmune", "heart-kidney-diabetes", "infection-neurology", "oncology",
    ]  # fmt: skip
    assert "hba1c" in Definitions(tmp_path).now.catalogue.concepts
    (tmp_path / CHOICE).write_text("oncology  # the only one\n")
    concepts = Definitions(tmp_path).now.catalogue.concepts
    assert "ecog-performance-status" in concepts
    assert "hba1c" not in concepts
    (tmp_path / CHOICE).write_text("")
    assert pack_folders(tmp_path) == ()


def test_a_pack_that_does_not_exist_is_named(tmp_path: Path) -> None:
    (tmp_path / CHOICE).write_text("onkology\n")
    with pytest.raises(DefinitionError, match=r'packs\.txt  "onkology" is no pack; there are autoimmune, heart'):
        pack_folders(tmp_path)
    served = Definitions(tmp_path).now
    assert any("onkology" in problem for problem in served.problems)


def test_every_pack_is_described() -> None:
    text = (PACKS / "README.md").read_text("utf-8")
    assert all(f"`{folder.name}`" in text for folder in pack_folders(None))

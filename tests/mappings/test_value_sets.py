"""A site's FHIR ValueSets beside its concept files: their codes are found, and what is not understood is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from app.definitions.served import OUR_CONCEPTS, Definitions
from cds_hooks.fhir.fhir_terms import value_set_of
from mappings.concepts.catalogue import OUR_SYSTEM, Catalogue, load_catalogue
from mappings.yaml_files import DefinitionError

LOINC = "http://loinc.org"
HOUSE = "urn:oid:1.2.276.0.76.3.1.999"


def a_value_set(concept: str | None = "platelets", **parts: Any) -> dict[str, Any]:
    identifier = [{"system": OUR_SYSTEM, "value": concept}] if concept else []
    return {"resourceType": "ValueSet", "status": "active", "identifier": identifier, **parts}


def codes(system: str, *listed: str) -> dict[str, Any]:
    return {"include": [{"system": system, "concept": [{"code": code} for code in listed]}]}


def catalogue_with(folder: Path, *value_sets: object) -> Catalogue:
    for number, value_set in enumerate(value_sets):
        (folder / f"set-{number}.json").write_text(json.dumps(value_set))
    return load_catalogue([OUR_CONCEPTS, folder])


def problems_with(folder: Path, value_set: object) -> str:
    with pytest.raises(DefinitionError) as caught:
        catalogue_with(folder, value_set)
    return str(caught.value)


def test_codes_that_a_value_set_lists_stand_for_its_concept(tmp_path: Path) -> None:
    given = a_value_set(compose=codes(HOUSE, "PLT-1", "PLT-2"))
    assert catalogue_with(tmp_path, given).find(HOUSE, "PLT-2") == ("platelets",)


def test_an_expansion_counts_instead_of_what_the_set_is_composed_of(tmp_path: Path) -> None:
    expansion = {"contains": [{"abstract": True, "contains": [{"system": HOUSE, "code": "PLT-1"}]}]}
    catalogue = catalogue_with(tmp_path, a_value_set(compose=codes(HOUSE, "OTHER"), expansion=expansion))
    assert catalogue.find(HOUSE, "PLT-1") == ("platelets",)
    assert catalogue.find(HOUSE, "OTHER") == ()


def test_codes_of_known_systems_are_matched_as_ours_are(tmp_path: Path) -> None:
    given = a_value_set("lupus-nephritis", compose=codes("http://hl7.org/fhir/sid/icd-10", "Z99.98"))
    found = catalogue_with(tmp_path, given).find("http://hl7.org/fhir/sid/icd-10-gm", "Z9998")
    assert "systemic-lupus-erythematosus" in found


def test_the_codes_that_were_there_stay(tmp_path: Path) -> None:
    assert catalogue_with(tmp_path, a_value_set(compose=codes(HOUSE, "PLT"))).find(LOINC, "777-3")[0] == "platelets"


def test_a_value_set_changes_the_version_that_every_report_names(tmp_path: Path) -> None:
    before = load_catalogue([OUR_CONCEPTS]).hash
    assert catalogue_with(tmp_path, a_value_set(compose=codes(HOUSE, "PLT"))).hash != before


def test_an_asterisk_of_double_coding_is_no_pattern(tmp_path: Path) -> None:
    given = a_value_set("lupus-nephritis", compose=codes("http://hl7.org/fhir/sid/icd-10", "Z99.9*"))
    assert catalogue_with(tmp_path, given).find("http://hl7.org/fhir/sid/icd-10", "Z99.98") == ()


@pytest.mark.parametrize("concept", ["platelets", "systemic-lupus-erythematosus", "glucocorticoid", "malignancy"])
def test_our_own_value_sets_read_back_change_no_answer(concept: str, tmp_path: Path) -> None:
    ours = load_catalogue([OUR_CONCEPTS])
    exported = value_set_of(concept, ours)
    exported["compose"].pop("exclude", None)
    again = catalogue_with(tmp_path, exported)
    assert (again.by_code, again.by_prefix) == (ours.by_code, ours.by_prefix)


@pytest.mark.parametrize(
    ("value_set", "place"),
    [
        (a_value_set(None, compose=codes(HOUSE, "A")), "identifier"),
        (a_value_set("plaatelets", compose=codes(HOUSE, "A")), "names no concept"),
        (a_value_set(), "needs an expansion"),
        (a_value_set(compose=codes(HOUSE, "A") | {"exclude": [{"system": HOUSE}]}), "compose.exclude"),
        (a_value_set(compose={"include": [{"system": LOINC}]}), "whole code system"),
        (a_value_set(compose={"include": [{"valueSet": ["urn:other"]}]}), "compose.include.0.valueSet"),
        (
            a_value_set(
                compose={
                    "include": [{"system": LOINC, "filter": [{"property": "concept", "op": "is-a", "value": "LP1"}]}]
                }
            ),
            "compose.include.0.filter",
        ),
        (a_value_set(expansion={"contains": [{"code": "A"}]}), "expansion.contains.0"),
        ({"resourceType": "Patient"}, "resourceType"),
        ([], "resourceType"),
    ],
)
def test_a_value_set_that_cannot_be_used_whole_is_refused_with_its_place(
    value_set: object, place: str, tmp_path: Path
) -> None:
    found = problems_with(tmp_path, value_set)
    assert "set-0.json" in found
    assert place in found


def test_a_code_that_stands_for_another_concept_is_refused(tmp_path: Path) -> None:
    assert "platelets" in problems_with(tmp_path, a_value_set("hemoglobin", compose=codes(LOINC, "777-3")))


async def test_a_changed_value_set_is_read_again(tmp_path: Path) -> None:
    definitions = Definitions(site_concepts=tmp_path)
    assert definitions.now.catalogue.find(HOUSE, "PLT") == ()
    (tmp_path / "platelets.json").write_text(json.dumps(a_value_set(compose=codes(HOUSE, "PLT"))))
    assert await definitions.reload_if_changed()
    assert definitions.now.catalogue.find(HOUSE, "PLT") == ("platelets",)


def test_an_overlay_says_what_the_site_orders(tmp_path: Path) -> None:
    (tmp_path / "orders.yaml").write_text(
        'platelets:\n  order: {how: blood-test, title: House count, loinc: "26515-7"}\n'
    )
    order = load_catalogue([OUR_CONCEPTS, tmp_path]).concepts["platelets"].order
    assert order is not None
    assert (order.title, order.loinc) == ("House count", "26515-7")

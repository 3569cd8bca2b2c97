"""Loading the catalogue: overlays, the lookup of codes, and every objection in words."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from mappings.concepts.catalogue import SYSTEMS, Catalogue, load_catalogue
from mappings.yaml_files import DefinitionError

OURS = Path(__file__).parents[2] / "mappings" / "concepts"
ICD10 = SYSTEMS["icd10"][0]


def folder_of(tmp_path: Path, **files: str) -> Path:
    """A folder of concept files: name without ending -> text."""
    folder = tmp_path / "concepts"
    folder.mkdir()
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return folder


def objections(folder: Path) -> str:
    with pytest.raises(DefinitionError) as refused:
        load_catalogue([folder])
    return str(refused.value)


GOUT = "gout:\n  title: Gout\n  kind: diagnosis\n"


# Finding


def gout_with(tmp_path: Path, codes: str) -> Catalogue:
    return load_catalogue([folder_of(tmp_path, a=f"{GOUT}  codes:\n{codes}")])


@pytest.mark.parametrize("code", ["M10.9", "M109", "m10.9", " M10.9 ", "M10.9†", "M10.012"])
def test_icd_10_is_found_with_and_without_dot_and_marks(tmp_path: Path, code: str) -> None:
    catalogue = gout_with(tmp_path, '    icd10: {"M10*": gout}\n')
    assert catalogue.find(ICD10, code) == ("gout",)


@pytest.mark.parametrize("code", ["M11.0", "M1", "", "XM10.9"])
def test_icd_10_outside_the_pattern_is_not_found(tmp_path: Path, code: str) -> None:
    catalogue = gout_with(tmp_path, '    icd10: {"M10*": gout}\n')
    assert catalogue.find(ICD10, code) == ()


def test_an_icd_10_code_without_star_stands_for_itself_only(tmp_path: Path) -> None:
    catalogue = gout_with(tmp_path, '    icd10: {"M10": gout}\n')
    assert catalogue.find(ICD10, "M10") == ("gout",)
    assert catalogue.find(ICD10, "M10.9") == ()


def test_the_longest_pattern_wins(tmp_path: Path) -> None:
    narrow = 'tophus:\n  title: Tophus\n  kind: diagnosis\n  codes:\n    icd10: {"M10.4*": tophus}\n'
    catalogue = load_catalogue([folder_of(tmp_path, a=f'{GOUT}  codes:\n    icd10: {{"M10*": gout}}\n{narrow}')])
    assert catalogue.find(ICD10, "M10.41") == ("tophus",)
    assert catalogue.find(ICD10, "M10.11") == ("gout",)


@pytest.mark.parametrize(
    "system",
    [
        "http://snomed.info/sct",
        "http://snomed.info/sct/",
        "https://snomed.info/sct",
        "http://www.snomed.info/sct",
        "http://snomed.info/sct|http://snomed.info/sct/731000124108",
        "http://snomed.info/sct/731000124108/version/20240901",
        "urn:oid:2.16.840.1.113883.6.96",
    ],
)
def test_a_code_system_is_known_by_each_of_its_addresses(tmp_path: Path, system: str) -> None:
    catalogue = gout_with(tmp_path, '    snomed: {"90560007": gout}\n')
    assert catalogue.find(system, "90560007") == ("gout",)


def test_the_same_code_of_another_system_is_another_code(tmp_path: Path) -> None:
    catalogue = gout_with(tmp_path, '    snomed: {"90560007": gout}\n')
    assert catalogue.find("http://loinc.org", "90560007") == ()
    assert catalogue.find("", "90560007") == ()


def test_a_parent_is_found_after_its_child(tmp_path: Path) -> None:
    parent = "arthritis:\n  title: Arthritis\n  kind: diagnosis\n  includes: [gout]\n"
    catalogue = load_catalogue([folder_of(tmp_path, a=f'{GOUT}  codes:\n    icd10: {{"M10*": gout}}\n{parent}')])
    assert catalogue.find(ICD10, "M10.9") == ("gout", "arthritis")


def test_a_parent_is_looked_for_wherever_its_children_are(tmp_path: Path) -> None:
    text = (
        GOUT
        + "joint-washout:\n  title: Washout\n  kind: treatment\n  recorded_in: [Procedure]\n"
        + "joint-trouble:\n  title: Trouble\n  kind: diagnosis\n  includes: [gout, joint-washout]\n"
    )
    catalogue = load_catalogue([folder_of(tmp_path, a=text)])
    assert catalogue.where("joint-trouble") == ("Condition", "Procedure")


# Overlays


def overlay(tmp_path: Path, text: str) -> Catalogue:
    return load_catalogue([OURS, folder_of(tmp_path, site=text)])


def test_a_site_adds_its_local_code(tmp_path: Path) -> None:
    text = "sledai-2k:\n  local_codes:\n    - {system: urn:oid:1.2.3.4, code: RHEUM-SLEDAI}\n"
    catalogue = overlay(tmp_path, text)
    assert catalogue.find("urn:oid:1.2.3.4", "RHEUM-SLEDAI") == ("sledai-2k",)
    assert catalogue.find("urn:oid:1.2.3.5", "RHEUM-SLEDAI") == ()


def test_a_site_sets_its_upper_limit_of_normal_and_keeps_everything_else(tmp_path: Path) -> None:
    ours = load_catalogue([OURS]).concepts["alt"]
    alt = overlay(tmp_path, "alt:\n  uln: 45\n").concepts["alt"]
    assert alt.uln == Decimal(45)
    assert alt.codes == ours.codes


def test_a_site_adds_a_standard_code_beside_ours(tmp_path: Path) -> None:
    text = "creatinine:\n  codes:\n    loinc: {11041-1: after dialysis}\n"
    assert {"11041-1", "2160-0"} <= set(overlay(tmp_path, text).concepts["creatinine"].codes["loinc"])


def test_a_site_replaces_a_period_and_a_plausible_range(tmp_path: Path) -> None:
    alt = overlay(tmp_path, "alt:\n  current_for: 30 d\n  plausible: [0, 9000]\n").concepts["alt"]
    assert (alt.current_for, alt.plausible) == ("30 d", (Decimal(0), Decimal(9000)))


def test_a_site_adds_a_concept_to_a_class(tmp_path: Path) -> None:
    text = (
        "zuberitamab:\n  title: Zuberitamab\n  kind: treatment\n"
        "  local_codes: [{system: urn:oid:1.2.3.4, code: ZUB}]\n"
        "b-cell-depleting-therapy:\n  includes: [zuberitamab]\n"
    )
    catalogue = overlay(tmp_path, text)
    assert catalogue.find("urn:oid:1.2.3.4", "ZUB") == ("zuberitamab", "b-cell-depleting-therapy")
    assert "b-cell-depleting-therapy" in catalogue.find(SYSTEMS["rxnorm"][0], "121191")


def test_the_hash_changes_with_every_file_that_was_read(tmp_path: Path) -> None:
    assert load_catalogue([OURS]).hash != overlay(tmp_path, "alt:\n  uln: 45\n").hash
    assert load_catalogue([OURS]).hash == load_catalogue([OURS]).hash


# Objections


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("gout: [", "line 1, column 8  is not readable YAML"),
        ("- gout", "must be a mapping of names"),
        ("gout: yes", "gout  a concept is a mapping"),
        ("Gout:\n  title: Gout\n  kind: diagnosis", "Gout  a concept id is lower-case words joined by hyphens"),
        (GOUT + GOUT, 'line 4, column 1  is not readable YAML: "gout" stands here twice'),
        (GOUT + "  colour: red", "gout.colour  is not a word of this language"),
        ("gout:\n  kind: diagnosis", "gout.title  is required"),
        ("gout:\n  title: Gout\n  kind: disease", "gout.kind  Input should be 'patient', 'result', 'diagnosis' or"),
        (GOUT + "  codes: {icd8: {'274': gout}}", "gout.codes.icd8.[key]  Input should be 'loinc', 'snomed'"),
        (GOUT + "  current_for: 3 moons", "gout.current_for  a length of time is a whole number and one of h, d, wk"),
        (GOUT + "  tolerance: a little", 'gout.tolerance  a tolerance is "10 %" of the limit, an amount with its unit'),
        (GOUT + "  plausible: [9, 1]", "gout  plausible: the lower end comes first"),
        (GOUT + "  includes: [tophus]", 'gout.includes  "tophus" is not a concept'),
        (GOUT + "  includes: [gout]", "gout.includes  leads back to this concept"),
        (GOUT + "  local_codes: [{system: '', code: x}]", "gout.local_codes.0.system  String should have at least 1"),
    ],
)
def test_an_objection_names_the_place_and_what_would_be_accepted(tmp_path: Path, text: str, said: str) -> None:
    folder = folder_of(tmp_path, a=text)
    assert objections(folder).startswith(f"{folder / 'a.yaml'}  {said}")


def test_two_concepts_that_include_each_other_are_refused(tmp_path: Path) -> None:
    other = "tophus:\n  title: Tophus\n  kind: diagnosis\n  includes: [gout]\n"
    said = objections(folder_of(tmp_path, a=f"{GOUT}  includes: [tophus]\n{other}"))
    assert "gout.includes  leads back to this concept" in said
    assert "tophus.includes  leads back to this concept" in said


def test_a_code_under_two_concepts_is_refused(tmp_path: Path) -> None:
    other = 'tophus:\n  title: Tophus\n  kind: diagnosis\n  codes:\n    icd10: {"M10*": tophus}\n'
    folder = folder_of(tmp_path, a=f'{GOUT}  codes:\n    icd10: {{"M10*": gout}}\n', b=other)
    assert objections(folder) == f"{folder / 'a.yaml'}  gout.codes  icd10 M10* is under tophus too (b.yaml)"


def test_a_code_under_a_concept_and_its_parent_is_accepted(tmp_path: Path) -> None:
    parent = 'arthritis:\n  title: A\n  kind: diagnosis\n  includes: [gout]\n  codes:\n    icd10: {"M10*": gout}\n'
    catalogue = load_catalogue([folder_of(tmp_path, a=f'{GOUT}  codes:\n    icd10: {{"M10*": gout}}\n{parent}')])
    assert catalogue.find(ICD10, "M10.9") == ("gout", "arthritis")


def test_a_concept_has_one_place_in_a_folder(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, a=GOUT, b=GOUT)
    assert objections(folder).endswith("gout  is in a.yaml too; in one folder a concept has one place")


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    assert objections(tmp_path / "nowhere") == f"{tmp_path / 'nowhere'}  there is no such folder"


def test_a_file_that_is_not_utf_8_is_named_with_the_place(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    (folder / "a.yaml").write_bytes(b"gout: \xff")
    assert objections(folder) == f"{folder / 'a.yaml'}  is not UTF-8 (byte 6)"


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    (folder / "a.yaml").mkdir()
    assert objections(folder) == f"{folder / 'a.yaml'}  cannot be read: Is a directory"


def test_every_problem_of_every_file_is_reported_at_once(tmp_path: Path) -> None:
    said = objections(folder_of(tmp_path, a="gout: yes", b="tophus:\n  kind: diagnosis", c="- x"))
    assert [name in said for name in ("a.yaml", "b.yaml", "c.yaml")] == [True, True, True]

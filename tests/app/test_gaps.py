"""`trialcards gaps`: what was not understood, the words it hides, and the overlay that explains it."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterable
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from app.cli import cli
from mappings.chart.chart import ChartBuilder
from mappings.concepts.catalogue import load_catalogue
from mappings.patient_facts import PatientFacts, facts_of
from mappings.yaml_files import DefinitionError
from tests.conftest import ROOT
from tests.mappings.charts import AS_OF, a_bundle

Json = dict[str, Any]
CONCEPTS = ROOT / "mappings/concepts"
NATIONAL = "urn:oid:1.2.3.4"


def a_diagnosis(patient: str, code: Json, name: str) -> Json:
    return {
        "resourceType": "Condition", "id": f"c-{patient}-{name}", "subject": {"reference": f"Patient/{patient}"},
        "code": code,
    }  # fmt: skip


def coded(code: str, display: str | None = None, system: str = NATIONAL) -> Json:
    return {"coding": [{"system": system, "code": code} | ({"display": display} if display else {})]}


def an_export(folder: Path, conditions: Iterable[Json], patients: int) -> Path:
    folder.mkdir(exist_ok=True)
    people = [{"resourceType": "Patient", "id": f"p{n}", "birthDate": "1980-01-01"} for n in range(patients)]
    for name, resources in (("Patient", people), ("Condition", list(conditions))):
        (folder / f"{name}.ndjson").write_text("".join(json.dumps(each) + "\n" for each in resources))
    return folder


def gaps(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["gaps", *map(str, arguments)], env={"COLUMNS": "200"})


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """Six patients with one foreign code, one with a text of her own, one with a code that is understood."""
    common = [a_diagnosis(f"p{n}", coded("K1", "Choroba serca"), "a") for n in range(6)]
    own = a_diagnosis("p0", {"text": "Nemoc paní\u2028 Novákové"}, "b")
    understood = a_diagnosis("p1", coded("J45.9", system="http://hl7.org/fhir/sid/icd-10"), "b")
    return an_export(tmp_path / "export", [*common, own, understood], 6)


def test_codes_and_words_are_listed_with_patients_and_criteria_the_most_harmful_first(export: Path) -> None:
    said = gaps(export)
    rows = [line.split() for line in said.output.splitlines() if line.startswith(" Condition")]
    assert rows[0][:3] == ["Condition", NATIONAL, "K1"]
    assert rows[0][-2] == "6"
    assert int(rows[0][-1]) > 10  # the gates, and every exclusion of a diagnosis that is presumed absent
    assert len(rows) == 2
    assert "J45" not in said.output
    assert "2 codes and texts were not understood in the records of 6 patients." in said.output


def test_words_of_fewer_than_five_patients_are_hidden_unless_asked_for(export: Path, tmp_path: Path) -> None:
    overlay = tmp_path / "overlay.yaml"
    hidden = gaps(export, "--out", overlay)
    assert "Choroba serca" in hidden.output
    assert "Nov" not in hidden.output + overlay.read_text()
    assert "(words of fewer than 5 patients)" in hidden.output
    shown = gaps(export, "--out", overlay, "--words")
    assert "Nemoc paní Novákové" in shown.output
    assert "Nov" in overlay.read_text()


def test_the_words_beside_a_code_of_few_patients_are_hidden_and_the_code_is_not(tmp_path: Path) -> None:
    records = [a_diagnosis("p0", coded("K1", "Choroba paní Novákové"), "a")]
    said = gaps(an_export(tmp_path / "export", records, 1)).output
    assert "K1" in said
    assert "Nov" not in said


def test_the_file_is_marked_as_patient_data_and_is_its_owners_alone(export: Path, tmp_path: Path) -> None:
    overlay = tmp_path / "overlay.yaml"
    overlay.touch(0o644)
    gaps(export, "--out", overlay)
    assert overlay.read_text().startswith("# PATIENT DATA")
    assert stat.S_IMODE(overlay.stat().st_mode) == 0o600


def test_the_overlay_is_usable_as_written_and_changes_nothing(export: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mappings"
    folder.mkdir()
    before = gaps(export, "--out", folder / "overlay.yaml").output
    assert gaps(export, "--mappings", folder).output.splitlines() == before.splitlines()[:-1]


@pytest.mark.parametrize(
    ("take_away", "left"),
    [
        (f'#  "{NATIONAL}": other', "Nemoc"),
        (f'#  - {{system: "{NATIONAL}", code: "K1"}}', "Nemoc"),
        ('#  - "Nemoc', "K1"),
    ],
)
def test_what_is_decided_in_the_overlay_is_no_longer_a_gap(
    export: Path, tmp_path: Path, take_away: str, left: str
) -> None:
    folder = tmp_path / "mappings"
    folder.mkdir()
    overlay = folder / "overlay.yaml"
    gaps(export, "--out", overlay, "--words")
    text = overlay.read_text()
    assert take_away in text
    overlay.write_text(text.replace(take_away, take_away[1:]))
    said = gaps(export, "--mappings", folder, "--words").output
    assert "1 codes and texts" in said
    assert left in said


def test_charts_are_read_as_an_export_is(export: Path, tmp_path: Path) -> None:
    lines = [json.loads(line) for path in export.glob("*.ndjson") for line in path.read_text().splitlines()]
    charts = tmp_path / "charts"
    charts.mkdir()
    for person in (line for line in lines if line["resourceType"] == "Patient"):
        own = [each for each in lines if each.get("subject", {}).get("reference") == f"Patient/{person['id']}"]
        (charts / f"{person['id']}.json").write_text(json.dumps(a_bundle(person, *own)))
    assert gaps(charts).output == gaps(export).output
    assert gaps(*sorted(charts.glob("*.json"))).output == gaps(export).output


def test_a_drug_that_a_medication_names_is_found_by_its_code(tmp_path: Path) -> None:
    export = an_export(
        tmp_path / "export", [a_diagnosis("p0", coded("J45.9", system="http://hl7.org/fhir/sid/icd-10"), "a")], 1
    )
    use = {
        "resourceType": "MedicationStatement", "id": "m", "status": "active",
        "subject": {"reference": "Patient/p0"}, "medicationReference": {"reference": "Medication/d"},
    }  # fmt: skip
    drug = {"resourceType": "Medication", "id": "d", "code": coded("0815", system="http://hl7.org/fhir/sid/ndc")}
    (export / "drugs.ndjson").write_text(json.dumps(use) + "\n" + json.dumps(drug) + "\n")
    assert "0815" in gaps(export).output


def test_a_later_version_and_a_deletion_of_a_delta_count(export: Path, tmp_path: Path) -> None:
    known = coded("J45.9", system="http://hl7.org/fhir/sid/icd-10")
    delta = an_export(tmp_path / "delta", [a_diagnosis("p0", known, "b")], 6)
    gone = {"resourceType": "Bundle", "type": "transaction", "entry": [
        {"request": {"method": "DELETE", "url": f"Condition/c-p{n}-a"}} for n in range(6)
    ]}  # fmt: skip
    (delta / "zdeleted.ndjson").write_text(json.dumps(gone) + "\n")
    assert "0 codes and texts" in gaps(export, delta).output


def test_what_cannot_be_read_is_counted(export: Path) -> None:
    (export / "Procedure.ndjson").write_text('{"resourceType":"Procedure"\n')
    assert "Charts or lines that could not be read: 1" in gaps(export).output


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nowhere"], "nowhere: there is no such file or folder"),
        (["{export}", "{export}/Patient.ndjson"], "give either charts or the folders of one export, not both"),
        (["{export}", "--out", "nowhere/overlay.yaml"], "--out: nowhere/overlay.yaml: there is no such file"),
    ],
)
def test_an_argument_that_is_not_usable_is_named(export: Path, arguments: list[str], says: str) -> None:
    said = gaps(*(each.format(export=export) for each in arguments))
    assert said.exit_code == 2
    assert says in said.output


def _with_overlay(folder: Path, text: str, *records: Json) -> PatientFacts:
    (folder / "site.yaml").write_text(text)
    builder = ChartBuilder(None)
    person = {"resourceType": "Patient", "id": "p0", "birthDate": "1980-01-01"}
    builder.add(json.dumps(a_bundle(person, *records)).encode(), None)
    builder.whole_chart()
    return facts_of(builder.build(), load_catalogue([CONCEPTS, folder]), AS_OF, UTC)


def test_a_system_that_the_overlay_names_is_read_as_that_system(tmp_path: Path) -> None:
    lupus = a_diagnosis("p0", coded("M32.1"), "a")
    asthma = a_diagnosis("p0", coded("J45.9"), "b")
    facts = _with_overlay(tmp_path, f'systems:\n  "{NATIONAL}": icd10\n', lupus, asthma)
    assert facts.episodes("systemic-lupus-erythematosus")
    assert list(facts.not_understood) == []


def test_a_listed_code_of_a_system_that_is_otherwise_something_else_counts(tmp_path: Path) -> None:
    text = (
        f'systems:\n  "{NATIONAL}": other\nsystemic-lupus-erythematosus:\n'
        f'  local_codes:\n    - {{system: "{NATIONAL}", code: "L1"}}\n'
    )
    facts = _with_overlay(tmp_path, text, a_diagnosis("p0", coded("L1"), "a"), a_diagnosis("p0", coded("L2"), "b"))
    assert [each.source for each in facts.episodes("systemic-lupus-erythematosus")] == ["Condition/c-p0-a"]
    assert list(facts.not_understood) == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("systems: [icd10]", "systems  is a mapping: the address of a code system -> its name, or other"),
        ('systems: {"urn:oid:1.2": icd8}', "systems.urn:oid:1.2  is one of atc, cvx,"),
        ('systems: {"http://loinc.org": other}', "is an address of loinc; this cannot be changed"),
        ("other_codes: {system: X1}", "other_codes  is a list; each is an entry like"),
        ("other_codes: [X1]", "other_codes.0  is an entry like"),
        ("other_names: [[X1]]", "other_names  is a list of texts"),
    ],
)
def test_a_statement_of_an_overlay_that_is_not_usable_is_named(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "site.yaml").write_text(text + "\n")
    with pytest.raises(DefinitionError) as raised:
        load_catalogue([CONCEPTS, tmp_path])
    assert says in str(raised.value)


def test_words_and_codes_of_a_chart_cannot_drive_the_terminal(tmp_path: Path) -> None:
    hostile = "\x1b[2J[red]Nemoc[/red][/]\u202e\x07"
    found = [a_diagnosis(f"p{n}", coded("K\x1b1", hostile), "a") for n in range(6)]
    shown = gaps(an_export(tmp_path / "export", found, 6)).output
    assert all(line.isprintable() for line in shown.splitlines())
    assert "[red]Nemoc[/red][/]" in shown


HOSTILE = (
    '"}\nother_codes:\n  - {system: x, code: y}\n#', "x\u2028systems:\u2029 a: other", "\x85systems: {a: other}",
    "!!python/object/apply:os.system [id]", "*alias &anchor", "\\", "'", "{{7*7}}",
    "# no comment\r\nother_names: [Nemoc]",
)  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_no_word_of_a_chart_becomes_a_statement_of_the_overlay(tmp_path: Path, text: str) -> None:
    found = [a_diagnosis(f"p{n}", coded(text, text, f"urn:x:{text}"), "a") for n in range(6)]
    found += [a_diagnosis(f"p{n}", {"text": text}, "b") for n in range(6)]
    overlay = tmp_path / "overlay.yaml"
    assert gaps(an_export(tmp_path / "export", found, 6), "--out", overlay).exit_code == 0
    lines = overlay.read_text("utf-8").splitlines()
    stated = [line for line in lines if line.strip() and not line.startswith("#")]
    assert all(line in ("systems:", "other_codes:", "other_names:") for line in stated), stated
    assert len(lines) > 10

"""A cohort screen: a hook call's answers, whatever the form of the export, and however often it is stopped."""

from __future__ import annotations

import csv
import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC
from pathlib import Path
from typing import Any, TypeVar

import pytest

pytest.importorskip("duckdb", reason="the screen needs DuckDB: pip install 'trialcards[batch]'")

from typer.testing import CliRunner

from app.cli import cli
from app.commands.screen import warnings_of
from app.screen.engines import LocalEngine
from app.screen.export import ExportError, open_export
from app.screen.order import ScreenError, moment_of_same
from app.screen.run import screen
from app.screen.work import Work
from benchmarks.synthetic_export import write_export as write_synthetic
from cds_hooks.report import report_of
from mappings.chart.chart import ChartBuilder
from mappings.concepts.catalogue import Catalogue
from tests.conftest import ROOT
from tests.exports import AS_OF, Json, a_patient, an_order, rows_of, verdicts_of, write_export
from trial_defs.definition.expressions import Trial
from trial_defs.engine.evaluation import match

P = TypeVar("P")
T = TypeVar("T")
LUPUS: Json = {"systemic-lupus-erythematosus": {}}
LABEL = ("http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "R")


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A synthetic export of 30 patients of whom half have an open gate."""
    folder = tmp_path_factory.mktemp("cohort")
    write_synthetic(folder, 30, indicated=0.5, seed=2)
    return folder


@pytest.fixture(scope="module")
def plain(
    cohort: Path, tmp_path_factory: pytest.TempPathFactory, trials: Mapping[str, Trial], catalogue: Catalogue
) -> Path:
    """What a screen of it says, run in one piece."""
    out = tmp_path_factory.mktemp("plain")
    screen(an_order(cohort, out, trials.values(), catalogue))
    return out


def everything_in(out: Path) -> tuple[Any, ...]:
    return rows_of(out, "matches"), rows_of(out, "criteria"), (out / "candidates.csv").read_text()


def resources_of(export: Path) -> list[Json]:
    return [json.loads(line) for path in sorted(export.glob("*.ndjson")) for line in path.read_text().splitlines()]


def csv_rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


# The same answers


def test_a_screen_says_of_each_patient_what_a_hook_call_would(
    cohort: Path, plain: Path, trials: Mapping[str, Trial], catalogue: Catalogue
) -> None:
    expected = []
    resources = resources_of(cohort)
    for patient in [each["id"] for each in resources if each["resourceType"] == "Patient"]:
        own = [
            r for r in resources if r["id"] == patient or r.get("subject", {}).get("reference") == f"Patient/{patient}"
        ]
        builder = ChartBuilder(None)
        builder.add(json.dumps({"resourceType": "Bundle", "entry": [{"resource": r} for r in own]}).encode(), None)
        builder.whole_chart()
        report = report_of(match(trials.values(), builder.build(), catalogue, AS_OF, UTC), "", catalogue)
        expected += [
            (report["patient"], trial["trial"], cohort["cohort"], found["id"], found["outcome"], found["explanation"])
            for trial in report["trials"]
            for cohort in trial["cohorts"]
            if cohort["verdict"] != "not-indicated"
            for found in cohort["criteria"]
        ]
    found = [(row[0], row[1], row[2], row[4], row[6], row[9]) for row in rows_of(plain)]
    assert len({row[0] for row in found}) > 5
    assert sorted(found) == sorted(expected)


def test_patients_whose_gates_are_closed_need_no_evaluation(
    cohort: Path, plain: Path, tmp_path: Path, trials: Mapping[str, Trial], catalogue: Catalogue
) -> None:
    report = screen(an_order(cohort, tmp_path, trials.values(), catalogue, prefilter=False))
    assert report["patients"]["not-indicated"] > 10
    assert everything_in(tmp_path) == everything_in(plain)


def test_neither_order_nor_compression_nor_size_of_pieces_changes_an_answer(
    cohort: Path, plain: Path, tmp_path: Path, trials: Mapping[str, Trial], catalogue: Catalogue
) -> None:
    resources = resources_of(cohort)
    random.Random(1).shuffle(resources)
    half = len(resources) // 2
    write_export(tmp_path / "export", resources[:half], compressed=True)
    write_export(tmp_path / "export", resources[half:])
    screen(an_order(tmp_path / "export", tmp_path / "out", trials.values(), catalogue, chunk=50_000))
    assert everything_in(tmp_path / "out") == everything_in(plain)


def test_a_file_may_hold_several_types_under_any_name(
    cohort: Path, plain: Path, tmp_path: Path, trials: Mapping[str, Trial], catalogue: Catalogue
) -> None:
    """Diagnoses that stand behind other lines are found on the second pass, and their patients on the third."""
    resources = resources_of(cohort)
    conditions = [each for each in resources if each["resourceType"] == "Condition"]
    (tmp_path / "1.ndjson").write_text(json.dumps(conditions[0]) + "\n")
    rest = [json.dumps(each) for each in resources if each is not conditions[0]]
    (tmp_path / "2.ndjson").write_text("\n".join(reversed(rest)) + "\n")
    (tmp_path / "3.ndjson").write_text(rest[-1] + "\n")
    order = an_order(_with_patient_file(tmp_path, resources), tmp_path / "out", trials.values(), catalogue)
    screen(order)
    assert everything_in(tmp_path / "out") == everything_in(plain)


def _with_patient_file(folder: Path, resources: Iterable[Json]) -> Path:
    patient = next(each for each in resources if each["resourceType"] == "Patient")
    (folder / "4.ndjson").write_text(json.dumps(patient) + "\n")
    return folder


def test_an_observation_that_states_a_disease_opens_its_gate(
    tmp_path: Path, trials: Mapping[str, Trial], catalogue: Catalogue
) -> None:
    resources = a_patient("p1", catalogue, conditions={"hypertension": {}}) + a_patient("p2", catalogue)
    resources += a_patient("p3", catalogue, results={"systemic-lupus-erythematosus": "positive"})
    export = write_export(tmp_path / "export", resources)
    screen(an_order(export, tmp_path / "a", trials.values(), catalogue))
    screen(an_order(export, tmp_path / "b", trials.values(), catalogue, prefilter=False))
    assert {patient for patient, *_ in verdicts_of(tmp_path / "a")} == {"Patient/p3"}
    assert everything_in(tmp_path / "a") == everything_in(tmp_path / "b")


def _diagnosed(name: str, catalogue: Catalogue, code: Json | None, **spec: Any) -> list[Json]:
    """A patient whose one diagnosis has this code."""
    found = a_patient(name, catalogue, conditions={"asthma": {}}, **spec)
    for each in found:
        if each["resourceType"] == "Condition":
            each.pop("code")
            each |= {"code": code} if code else {}
    return found


MASKED: Json = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/data-absent-reason", "code": "masked"}]}


@pytest.mark.parametrize(
    ("code", "fates"),
    [
        (MASKED, {"not-understood": 1}),
        (None, {"not-understood": 1}),
        ({"text": "Choroba"}, {"not-understood": 1}),
        ({"coding": [{"system": "urn:oid:1.2", "code": "K1"}]}, {"not-understood": 1}),
        ({"text": "Acute bronchitis"}, {}),
        ({"coding": [{"system": "http://hl7.org/fhir/sid/icd-10", "code": "J20.9"}]}, {}),
    ],
)
def test_whose_gate_only_a_diagnosis_that_is_not_understood_may_open_is_counted_without_a_row(
    trials: Mapping[str, Trial], catalogue: Catalogue, tmp_path: Path, code: Json | None, fates: dict[str, int]
) -> None:
    export = write_export(tmp_path / "export", _diagnosed("a", catalogue, code))
    report = screen(an_order(export, tmp_path / "out", trials.values(), catalogue))
    assert report["patients"] == fates
    assert rows_of(tmp_path / "out", "matches") == []


def test_records_that_were_not_understood_are_counted_by_type_and_system_and_shown(
    trials: Mapping[str, Trial], catalogue: Catalogue, tmp_path: Path
) -> None:
    local = {"coding": [{"system": "urn:oid:1.2", "code": "K1"}]}
    patients = [
        *_diagnosed("a", catalogue, local),
        *_diagnosed("b", catalogue, local),
        *_diagnosed("c", catalogue, MASKED),
    ]
    order = an_order(write_export(tmp_path / "export", patients), tmp_path / "out", trials.values(), catalogue)
    report = screen(order)
    assert report["notUnderstood"] == [
        {"resourceType": "Condition", "system": None, "count": 1},
        {"resourceType": "Condition", "system": "urn:oid:1.2", "count": 2},
    ]
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Condition: 2 records of urn:oid:1.2" in page
    assert "3 could not be evaluated: only a diagnosis that was not understood may be that of a trial" in page
    assert [line for line in warnings_of(report, tmp_path) if "see trialcards gaps" in line] == [
        "3 patients not evaluated: only a diagnosis that was not understood may be a trial's; see trialcards gaps."
    ]


def test_the_next_screen_takes_over_who_was_not_understood(
    trials: Mapping[str, Trial], catalogue: Catalogue, tmp_path: Path
) -> None:
    export = write_export(tmp_path / "export", _diagnosed("a", catalogue, MASKED))
    first = screen(an_order(export, tmp_path / "first", trials.values(), catalogue))
    again = screen(an_order(export, tmp_path / "again", trials.values(), catalogue, since=tmp_path / "first"))
    assert again["evaluated"] == 0
    assert [again[key] for key in ("patients", "notUnderstood")] == [
        first[key] for key in ("patients", "notUnderstood")
    ]


def test_no_row_is_written_for_a_cohort_that_is_not_indicated(
    tmp_path: Path, trials: Mapping[str, Trial], catalogue: Catalogue
) -> None:
    dead = {"born": "1990-01-01", "sex": "female", "died": "2026-01-01"}
    resources = a_patient("p1", catalogue, conditions=LUPUS)
    resources += a_patient("p2", catalogue, conditions={"hypertension": {}}, patient=dead)
    screen(
        an_order(write_export(tmp_path / "export", resources), tmp_path, trials.values(), catalogue, prefilter=False)
    )
    cohorts = {(patient, cohort) for patient, _, cohort in verdicts_of(tmp_path)}
    assert cohorts == {("Patient/p1", "sle")}


def test_a_spark_cluster_gives_the_same_tables(cohort: Path, plain: Path, tmp_path: Path) -> None:
    """The documented job, on two executors that are processes of their own."""
    pytest.importorskip("pyspark", reason="the Spark engine needs PySpark: pip install 'trialcards[spark]'")
    if shutil.which("java") is None:
        pytest.skip("the Spark engine needs Java")
    submit = [str(Path(sys.executable).parent / "spark-submit"), "--master", "local-cluster[2,1,1024]"]
    job = [str(ROOT / "app" / "commands" / "screen_job.py"), str(cohort), "--out", str(tmp_path), "--engine", "spark"]
    python = {"PYSPARK_PYTHON": sys.executable, "PYSPARK_DRIVER_PYTHON": sys.executable}
    done = subprocess.run(
        [*submit, *job, "--as-of", "2026-11-01", "--complete"],
        env=os.environ | python,
        capture_output=True,
        timeout=400,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert everything_in(tmp_path) == everything_in(plain)


# Stopped and started again


class Stopped(Exception):
    """The machine went down."""


class StoppingEngine(LocalEngine):
    """Stops after so many tasks, in the middle of what a task writes if `torn`."""

    def __init__(self, after: int) -> None:
        super().__init__(1)
        self.left = after
        self.done: list[object] = []

    def each(self, work: Work, task: Callable[[P], T], todo: Iterable[P]) -> Iterator[tuple[P, T]]:
        for piece in todo:
            if self.left == 0:
                raise Stopped
            self.left -= 1
            yield from super().each(work, task, [piece])
            self.done.append((task.__name__, getattr(piece, "number", piece)))


@pytest.mark.parametrize("step", [1, 2, 5])
def test_a_screen_that_is_stopped_again_and_again_does_nothing_twice_and_loses_nothing(
    step: int, cohort: Path, plain: Path, tmp_path: Path, trials: Mapping[str, Trial], catalogue: Catalogue
) -> None:
    done: list[object] = []
    starts = 0
    while True:
        engine = StoppingEngine(step)
        order = an_order(cohort, tmp_path, trials.values(), catalogue, engine=engine, chunk=400_000)
        starts += 1
        try:
            screen(order)
        except Stopped:
            done += engine.done
            continue
        finally:
            done += engine.done if engine.left else []
        break
    assert starts > 2
    sorted_once = [str(each) for each in done if each[0] != "find_gates"]  # type: ignore[index]
    assert len(sorted_once) == len(set(sorted_once))
    assert everything_in(tmp_path) == everything_in(plain)


def test_what_was_half_written_is_written_again(
    cohort: Path, plain: Path, tmp_path: Path, trials: Mapping[str, Trial], catalogue: Catalogue
) -> None:
    order = an_order(cohort, tmp_path, trials.values(), catalogue, engine=StoppingEngine(4), chunk=400_000)
    with pytest.raises(Stopped):
        screen(order)
    lines = sorted((tmp_path / "unfinished" / "lines").glob("*.lines"))
    lines[-1].write_bytes(lines[-1].read_bytes()[:100])
    lines[-1].with_suffix(".json").unlink()
    screen(an_order(cohort, tmp_path, trials.values(), catalogue, chunk=999))
    assert everything_in(tmp_path) == everything_in(plain)
    assert not (tmp_path / "unfinished").exists()


def test_an_unfinished_screen_of_something_else_is_not_mixed_in(
    cohort: Path, tmp_path: Path, trials: Mapping[str, Trial], catalogue: Catalogue
) -> None:
    with pytest.raises(Stopped):
        screen(an_order(cohort, tmp_path, trials.values(), catalogue, engine=StoppingEngine(3)))
    other = write_export(tmp_path / "other", a_patient("p1", catalogue, conditions=LUPUS))
    with pytest.raises(ScreenError, match="unfinished screen of something else \\(other export\\)"):
        screen(an_order(other, tmp_path, trials.values(), catalogue))


def test_a_killed_command_leaves_no_process_behind_and_goes_on(cohort: Path, plain: Path, tmp_path: Path) -> None:
    command = [str(Path(sys.executable).parent / "trialcards"), "screen", str(cohort), "--out", str(tmp_path)]
    command += ["--as-of", "2026-11-01", "--complete", "--workers", "2"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    begun = tmp_path / "unfinished" / "lines"
    while process.poll() is None and not list(begun.glob("*.lines")):
        time.sleep(0.002)
    children = [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
    process.kill()
    process.wait()
    assert children
    _wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in children))
    again = subprocess.run(command, capture_output=True)
    assert again.returncode == 0, again.stderr
    assert everything_in(tmp_path) == everything_in(plain)


def _wait_until(holds: Callable[[], bool]) -> None:
    for _ in range(200):
        if holds():
            return
        time.sleep(0.05)
    raise AssertionError("it never came about")


# What could not be read


def test_what_could_not_be_read_is_told_by_place_and_is_not_silence(
    tmp_path: Path, trials: Mapping[str, Trial], catalogue: Catalogue
) -> None:
    resources = a_patient("p1", catalogue, conditions=LUPUS) + a_patient(
        "p2", catalogue, conditions={"hypertension": {}}
    )
    export = write_export(tmp_path / "export", resources)
    whole = screen(an_order(export, tmp_path / "whole", trials.values(), catalogue))
    with (export / "Condition.ndjson").open("a") as file:
        file.write('{"resourceType":"Condition","canary":\n')
    report = screen(an_order(export, tmp_path / "out", trials.values(), catalogue))
    told = csv_rows(tmp_path / "out" / "unread.csv")
    assert [(row["file"], row["resource_type"], row["problem"]) for row in told] == [
        ("Condition.ndjson", "Condition", "is not JSON")
    ]
    assert "canary" not in (tmp_path / "out" / "unread.csv").read_text()
    assert report["incompleteTypes"] == ["Condition"]
    assert report["verdicts"].keys() == whole["verdicts"].keys()
    assert {patient for patient, *_ in verdicts_of(tmp_path / "out")} == {"Patient/p1"}
    presumed = {row[4] for row in rows_of(tmp_path / "whole") if row[7] == "presumed"}
    unknown = {row[4] for row in rows_of(tmp_path / "out") if row[8] == "not-readable"}
    assert presumed & unknown


def test_a_truncated_file_leaves_its_type_incomplete(
    tmp_path: Path, trials: Mapping[str, Trial], catalogue: Catalogue
) -> None:
    resources = a_patient("p1", catalogue, conditions=LUPUS, results={"platelets": ["100 10*9/L"] * 40})
    export = write_export(tmp_path / "export", resources, compressed=True)
    cut = export / "Observation.ndjson.gz"
    cut.write_bytes(cut.read_bytes()[:-30])
    report = screen(an_order(export, tmp_path / "out", trials.values(), catalogue))
    assert report["incompleteTypes"] == ["Observation"]
    assert "the file ends in the middle" in (tmp_path / "out" / "unread.csv").read_text()


def test_one_patients_unreadable_record_leaves_only_that_chart_incomplete(
    tmp_path: Path, trials: Mapping[str, Trial], catalogue: Catalogue
) -> None:
    resources = a_patient("p1", catalogue, conditions=LUPUS) + a_patient("p2", catalogue, conditions=LUPUS)
    resources.append({"resourceType": "Procedure", "id": "x", "subject": {"reference": "Patient/p1"}, "code": [7, 8]})
    report = screen(an_order(write_export(tmp_path / "export", resources), tmp_path, trials.values(), catalogue))
    unknown = {row[0] for row in rows_of(tmp_path) if row[8] == "not-readable"}
    assert report["incompleteTypes"] == []
    assert unknown == {"Patient/p1"}


def test_an_error_that_the_server_put_into_the_export_counts(
    tmp_path: Path, trials: Mapping[str, Trial], catalogue: Catalogue
) -> None:
    issue = {"severity": "error", "code": "exception", "expression": ["Procedure"]}
    warning = {"severity": "information", "code": "informational", "expression": ["Condition"]}
    resources = a_patient("p1", catalogue, conditions=LUPUS)
    resources += [{"resourceType": "OperationOutcome", "issue": [each]} for each in (issue, warning)]
    report = screen(an_order(write_export(tmp_path / "export", resources), tmp_path, trials.values(), catalogue))
    assert report["incompleteTypes"] == ["Procedure"]


def test_a_type_without_a_file_was_not_asked_for_unless_the_manifest_says_so(
    tmp_path: Path, trials: Mapping[str, Trial], catalogue: Catalogue
) -> None:
    export = write_export(tmp_path / "export", a_patient("p1", catalogue, conditions=LUPUS))
    screen(an_order(export, tmp_path / "a", trials.values(), catalogue, everything=False))
    manifest = {"request": "https://ehr.example/fhir/Group/1/$export?_type=Patient,Condition,Procedure"}
    (export / "manifest.json").write_text(json.dumps(manifest))
    screen(an_order(export, tmp_path / "b", trials.values(), catalogue, everything=False))
    surgery = [
        {(row[6], row[7], row[8]) for row in rows_of(tmp_path / out) if "major-surgery" in row[4]} for out in ("a", "b")
    ]
    assert surgery == [{("unknown", None, "not-readable")}, {("met", "presumed", None)}]
    assert open_export([export]).base_url == "https://ehr.example/fhir"


def test_references_count_on_the_servers_own_address_only(
    tmp_path: Path, trials: Mapping[str, Trial], catalogue: Catalogue
) -> None:
    text = json.dumps(a_patient("p1", catalogue, conditions=LUPUS) + a_patient("p2", catalogue, conditions=LUPUS))
    text = text.replace('"Patient/p1"', '"https://ehr.example/fhir/Patient/p1/_history/3"')
    text = text.replace('"Patient/p2"', '"https://other.example/fhir/Patient/p2"')
    export = write_export(tmp_path / "export", json.loads(text))
    order = an_order(export, tmp_path, trials.values(), catalogue, base_url="https://ehr.example/fhir")
    report = screen(order)
    assert {patient for patient, *_ in verdicts_of(tmp_path)} == {"Patient/p1"}
    assert report["linesNotRead"] == {"Condition": 1}
    assert report["incompleteTypes"] == ["Condition"]
    assert "see --base-url" in (order.out / "unread.csv").read_text()


def test_an_export_of_which_no_record_names_a_patient_is_an_error_that_names_the_option(
    tmp_path: Path, trials: Mapping[str, Trial], catalogue: Catalogue
) -> None:
    text = json.dumps(a_patient("p1", catalogue, conditions=LUPUS))
    text = text.replace('"Patient/p1"', '"https://ehr.example:443/fhir/Patient/p1"')
    export = write_export(tmp_path / "export", json.loads(text))
    with pytest.raises(ScreenError, match=r"none of the \d records can be assigned to a patient; --base-url"):
        screen(an_order(export, tmp_path / "a", trials.values(), catalogue))
    screen(an_order(export, tmp_path / "b", trials.values(), catalogue, base_url="https://EHR.example/fhir/"))
    assert {patient for patient, *_ in verdicts_of(tmp_path / "b")} == {"Patient/p1"}
    (empty := tmp_path / "empty").mkdir()
    patient = [each for each in json.loads(text) if each["resourceType"] == "Patient"]
    conditions = [a_device_record()]
    report = screen(an_order(write_export(empty / "export", patient + conditions), empty, trials.values(), catalogue))
    assert report["linesOfNoPatient"] == {"Condition": 1}


def a_device_record() -> dict[str, object]:
    return {"resourceType": "Condition", "id": "d", "subject": {"reference": "Device/1"}}


def test_records_without_a_patient_resource_are_counted(
    tmp_path: Path, trials: Mapping[str, Trial], catalogue: Catalogue
) -> None:
    resources = a_patient("p1", catalogue, conditions=LUPUS) + a_patient("p2", catalogue, conditions=LUPUS)
    resources = [each for each in resources if each["id"] != "p2"]
    report = screen(an_order(write_export(tmp_path / "export", resources), tmp_path, trials.values(), catalogue))
    assert report["patients"] == {"indicated": 1, "no-patient": 1}


def test_drugs_are_found_through_the_medications_they_refer_to(
    tmp_path: Path, trials: Mapping[str, Trial], catalogue: Catalogue
) -> None:
    rituximab = {"coding": [{"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "121191"}]}
    use = {"resourceType": "MedicationRequest", "id": "m1", "status": "active", "intent": "order",
           "subject": {"reference": "Patient/p1"}, "medicationReference": {"reference": "Medication/rtx"},
           "authoredOn": "2026-10-01"}  # fmt: skip
    resources = [*a_patient("p1", catalogue, conditions=LUPUS), use]
    resources.append({"resourceType": "Medication", "id": "rtx", "code": rituximab})
    screen(an_order(write_export(tmp_path / "export", resources), tmp_path, trials.values(), catalogue))
    assert any("MedicationRequest/m1" in str(row[14]) for row in rows_of(tmp_path))


def test_what_a_delta_says_is_deleted_no_longer_counts(
    tmp_path: Path, trials: Mapping[str, Trial], catalogue: Catalogue
) -> None:
    resources = a_patient("p1", catalogue, conditions=LUPUS) + a_patient("p2", catalogue, conditions=LUPUS)
    export = write_export(tmp_path / "export", resources)
    gone = {"request": {"method": "DELETE", "url": "Condition/p1-systemic-lupus-erythematosus-0"}}
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [gone]}
    (export / "deleted.00000.ndjson").write_text(json.dumps(bundle) + "\n")
    screen(an_order(export, tmp_path, trials.values(), catalogue))
    assert {patient for patient, *_ in verdicts_of(tmp_path)} == {"Patient/p2"}


def test_a_newer_version_in_a_delta_replaces_the_older(
    tmp_path: Path, trials: Mapping[str, Trial], catalogue: Catalogue
) -> None:
    resources = a_patient("p1", catalogue, conditions=LUPUS)
    for resource in resources:
        resource["meta"] = {"versionId": "1"}
    changed = [{**resources[1], "meta": {"versionId": "2"}, "verificationStatus": {"coding": [{"code": "refuted"}]}}]
    write_export(tmp_path / "full", resources)
    write_export(tmp_path / "delta", changed)
    order = an_order(tmp_path / "full", tmp_path / "out", trials.values(), catalogue)
    files = open_export([tmp_path / "full", tmp_path / "delta"], everything=True)
    report = screen(replace(order, export=files))
    assert report["patients"] == {"not-indicated": 1}


# Who may be listed


def test_nobody_is_listed_who_is_not_to_be_approached(
    tmp_path: Path, trials: Mapping[str, Trial], catalogue: Catalogue
) -> None:
    flag = {"resourceType": "Flag", "id": "f", "status": "active", "code": {"text": "Declined research"},
            "subject": {"reference": "Patient/p1"}}  # fmt: skip
    resources = [*a_patient("p1", catalogue, conditions=LUPUS), *a_patient("p2", catalogue, conditions=LUPUS), flag]
    report = screen(an_order(write_export(tmp_path / "export", resources), tmp_path, trials.values(), catalogue))
    assert {patient for patient, *_ in verdicts_of(tmp_path)} == {"Patient/p2"}
    assert report["patients"] == {"indicated": 1, "not-to-be-approached": 1}


def test_no_row_rests_on_a_record_whose_label_is_restricted(
    tmp_path: Path, trials: Mapping[str, Trial], catalogue: Catalogue
) -> None:
    resources = a_patient("p1", catalogue, conditions=LUPUS) + a_patient("p2", catalogue, conditions=LUPUS)
    for resource in resources:
        if resource["id"].startswith("p1-"):
            resource["meta"] = {"security": [{"system": LABEL[0], "code": LABEL[1]}]}
    export = write_export(tmp_path / "export", resources)
    screen(an_order(export, tmp_path, trials.values(), catalogue, labels=frozenset({LABEL})))
    assert {patient for patient, *_ in verdicts_of(tmp_path)} == {"Patient/p2"}


# Again


def test_the_next_screen_says_who_is_new_who_is_gone_and_why(
    tmp_path: Path, trials: Mapping[str, Trial], catalogue: Catalogue
) -> None:
    good, bad = {"platelets": "180 10*9/L"}, {"platelets": "2 10*9/L"}
    then = a_patient("p1", catalogue, conditions=LUPUS, results=good) + a_patient(
        "p2", catalogue, conditions={"hypertension": {}}
    )
    now = a_patient("p1", catalogue, conditions=LUPUS, results=bad) + a_patient("p2", catalogue, conditions=LUPUS)
    chosen = [trials["NCT06711146"]]
    screen(an_order(write_export(tmp_path / "then", then), tmp_path / "a", chosen, catalogue))
    report = screen(
        an_order(write_export(tmp_path / "now", now), tmp_path / "b", chosen, catalogue, since=tmp_path / "a")
    )
    changes = {row["patient"]: row for row in csv_rows(tmp_path / "b" / "changes.csv")}
    assert report["changes"] == {"new": 1, "gone": 1, "other": 0}
    assert (changes["Patient/p2"]["change"], changes["Patient/p2"]["was"]) == ("new", "not-indicated")
    assert changes["Patient/p1"]["change"] == "gone"
    assert "platelets: met -> not-met" in changes["Patient/p1"]["why"]


def test_a_changed_definition_is_tried_without_evaluating_the_others_again(
    cohort: Path, plain: Path, tmp_path: Path, trials: Mapping[str, Trial], catalogue: Catalogue
) -> None:
    changed = [_amended(trial) if name == "NCT06711146" else trial for name, trial in trials.items()]
    engine = StoppingEngine(10**6)
    order = an_order(cohort, tmp_path, changed, catalogue, since=plain, engine=engine)
    report = screen(order)
    assert report["evaluated"] > 0
    same = [row for row in rows_of(plain) if row[1] != "NCT06711146"]
    assert [row for row in rows_of(tmp_path) if row[1] != "NCT06711146"] == same
    assert {row[-1] for row in rows_of(tmp_path, "matches") if row[1] == "NCT06711146"} == {"sha256:amended"}


def _amended(trial: Trial) -> Trial:
    return replace(trial, hash="sha256:amended", version=trial.version + 1)


def test_an_amendment_is_tried_at_the_moment_of_the_screen_it_is_held_against(
    cohort: Path, tmp_path: Path, trials: Mapping[str, Trial], catalogue: Catalogue
) -> None:
    order = an_order(cohort, tmp_path, trials.values(), catalogue)
    screen(order)
    assert moment_of_same(tmp_path, order.export, order.question) == AS_OF
    other = an_order(
        write_export(tmp_path / "other", a_patient("p", catalogue, conditions=LUPUS)), tmp_path, [], catalogue
    )
    assert moment_of_same(tmp_path, other.export, other.question) is None


def test_the_earlier_screen_is_not_overwritten(
    cohort: Path, tmp_path: Path, trials: Mapping[str, Trial], catalogue: Catalogue
) -> None:
    with pytest.raises(ScreenError, match="is the folder of --out"):
        screen(an_order(cohort, tmp_path, trials.values(), catalogue, since=tmp_path))


def test_a_cell_that_would_be_a_formula_is_text(
    tmp_path: Path, trials: Mapping[str, Trial], catalogue: Catalogue
) -> None:
    resources = a_patient("p1", catalogue, conditions=LUPUS)
    trial = replace(trials["NCT06711146"], id="=NCT06711146")
    screen(an_order(write_export(tmp_path / "export", resources), tmp_path, [trial], catalogue))
    assert [row["trial"] for row in csv_rows(tmp_path / "candidates.csv")] == ["'=NCT06711146"]


# As a user calls it


def test_the_command_writes_its_files_and_says_where(cohort: Path, tmp_path: Path) -> None:
    arguments = ["screen", str(cohort), "--out", str(tmp_path / "out"), "--as-of", "2026-11-01", "--workers", "1"]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 0, result.output
    files = {path.name for path in (tmp_path / "out").iterdir()}
    tables = {"patients.parquet", "matches.parquet", "criteria.parquet"}
    lists = {"candidates.csv", "candidates.xlsx"}
    assert files == tables | lists | {"report.html", "report.json", "unread.csv"}
    assert "candidates.csv" in result.output


UNUSABLE = [
    (["none"], "there is no such folder"),
    (["EXPORT", "--trial", "canary"], "--trial: canary is not served; there are "),
    (["EXPORT", "--as-of", "canary"], "--as-of: is a date"),
    (["EXPORT", "--timezone", "canary"], "--timezone: is not a time zone"),
    (["EXPORT", "--since", "canary"], "--since: canary: there is no such folder"),
    (["EXPORT", "--since", "."], "--since: is not the folder of a finished screen"),
    (["EXPORT", "--restricted-labels", "canary"], "write each label as system|code"),
]


@pytest.mark.parametrize(("arguments", "message"), UNUSABLE)
def test_an_argument_that_is_not_usable_is_named(
    arguments: list[str], message: str, cohort: Path, tmp_path: Path
) -> None:
    given = [str(cohort) if each == "EXPORT" else each for each in arguments]
    result = CliRunner().invoke(cli, ["screen", *given, "--out", str(tmp_path), "--workers", "1"])
    assert result.exit_code == 2
    assert message in result.output.replace("\n", " ")


@pytest.mark.parametrize("missing", ["Patient", "Condition"])
def test_an_export_without_patients_or_diagnoses_is_refused(missing: str, tmp_path: Path, catalogue: Catalogue) -> None:
    resources = [r for r in a_patient("p1", catalogue, conditions=LUPUS) if r["resourceType"] != missing]
    with pytest.raises(ExportError, match=f"holds no file of {missing} resources"):
        open_export([write_export(tmp_path, resources)])


def test_a_newer_version_whose_subject_is_not_known_leaves_the_first_patient(
    tmp_path: Path, trials: Mapping[str, Trial], catalogue: Catalogue
) -> None:
    resources = a_patient("p1", catalogue, conditions=LUPUS) + a_patient("p2", catalogue, conditions=LUPUS)
    export = write_export(tmp_path / "export", resources)
    refiled = [
        each | {"subject": {"reference": "Group/1"}} for each in resources if each["resourceType"] == "Condition"
    ]
    delta = write_export(tmp_path / "delta", refiled[:1])
    report = screen(
        replace(an_order(export, tmp_path, trials.values(), catalogue), export=open_export([export, delta]))
    )
    assert {patient for patient, *_ in verdicts_of(tmp_path)} == {"Patient/p2"}
    assert report["incompleteTypes"] == ["Condition"]


def test_who_has_died_is_not_eligible_in_a_screen_as_in_a_match(
    tmp_path: Path, trials: Mapping[str, Trial], catalogue: Catalogue
) -> None:
    ill, well = a_patient("p1", catalogue, conditions=LUPUS), a_patient("p2", catalogue, conditions={})
    charts = [
        [each | ({"deceasedBoolean": True} if each["resourceType"] == "Patient" else {}) for each in chart]
        for chart in (ill, well)
    ]
    screen(an_order(write_export(tmp_path / "export", charts[0] + charts[1]), tmp_path, trials.values(), catalogue))
    screened = {(trial, cohort): verdict for (_, trial, cohort), verdict in verdicts_of(tmp_path).items()}
    builder = ChartBuilder(None)
    builder.add(
        json.dumps({"resourceType": "Bundle", "entry": [{"resource": each} for each in charts[0]]}).encode(), None
    )
    builder.whole_chart()
    found = match(trials.values(), builder.build(), catalogue, AS_OF, UTC)
    matched = {(m.trial.id, c.cohort.id): c.verdict.value for m in found.trials for c in m.cohorts}
    assert screened
    assert {patient for patient, *_ in verdicts_of(tmp_path)} == {"Patient/p1"}
    assert set(screened.values()) == {"not-eligible"}
    assert {key: matched[key] for key in screened} == screened

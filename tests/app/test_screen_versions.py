"""Records that an export and its deltas hold in several versions: the newest counts, whoever it names."""

from __future__ import annotations

import copy
import csv
import gzip
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

pytest.importorskip("duckdb", reason="the screen needs DuckDB: pip install 'trialcards[batch]'")

from app.screen.engines import LocalEngine
from app.screen.export import Chunk, open_export
from app.screen.merges import Linked, links_in, merged_patients
from app.screen.order import Order
from app.screen.run import screen
from app.screen.versions import Ledger, find_repeated, key_of, key_segments
from mappings.concepts.catalogue import Catalogue
from tests.conftest import SHARED
from tests.exports import Json, a_patient, an_order, rows_of, verdicts_of, write_export
from trial_defs.definition.expressions import Trial

TRIAL = "NCT06711146"
OLD, NEW = {"lastUpdated": "2026-10-30T12:00:00Z"}, {"lastUpdated": "2026-10-31T12:00:00Z"}
Change = Callable[[dict[str, Json]], list[Json]]


def deleted(*references: str) -> Json:
    entries = [{"request": {"method": "DELETE", "url": each}} for each in references]
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def died(chart: dict[str, Json]) -> list[Json]:
    return [chart["patient"] | {"deceasedDateTime": "2026-10-31"}]


def entered_in_error(chart: dict[str, Json]) -> list[Json]:
    return [chart["platelets"] | {"status": "entered-in-error"}]


# name -> (meta in the full export, what the delta holds of the chart, the verdict of the lupus trial afterwards)
CHANGES: Mapping[str, tuple[Json | None, Change, str | None]] = {
    "stays": (None, lambda chart: [], "possibly-eligible"),
    "died": (None, died, "not-eligible"),
    "died-versioned": ({"versionId": "3"}, died, "not-eligible"),  # the delta says nothing of its version
    "died-older": (NEW, lambda chart: [died(chart)[0] | {"meta": OLD}], "possibly-eligible"),
    "died-offset": (
        {"lastUpdated": "2026-10-31T01:00:00+09:00"},
        lambda chart: [died(chart)[0] | {"meta": {"lastUpdated": "2026-10-30T20:00:00Z"}}],
        "not-eligible",
    ),
    "died-same-instant": (OLD, lambda chart: [died(chart)[0] | {"meta": OLD}], "not-eligible"),
    "died-no-number": (
        {"versionId": "z"}, lambda chart: [died(chart)[0] | {"meta": {"versionId": "a"}}], "not-eligible"
    ),
    "inactive": (None, lambda chart: [chart["patient"] | {"active": False}], None),
    "refused": (None, lambda chart: [_flag(chart["patient"]["id"])], None),
    "merged": (
        None,
        lambda chart: [
            chart["patient"] | {"link": [{"type": "replaced-by", "other": {"reference": "Patient/survivor"}}]}
        ],
        None,
    ),
    "corrected": (
        None, lambda chart: [_with_value(chart["platelets"], 2)], "not-eligible"
    ),
    "refuted": (
        None, lambda chart: [chart["lupus"] | {"verificationStatus": {"coding": [{"code": "refuted"}]}}], None
    ),
    "error": (None, entered_in_error, "possibly-eligible"),
    "moved": (OLD, lambda chart: [_moved(chart["lupus"]) | {"meta": NEW}], None),
    "moved-unversioned": (None, lambda chart: [_moved(chart["lupus"])], None),
    "deleted": (NEW, lambda chart: [deleted(f"Condition/{chart['lupus']['id']}")], None),
}  # fmt: skip


def _flag(patient: str) -> Json:
    return {"resourceType": "Flag", "id": f"{patient}-flag", "status": "active", "code": {"text": "Declined research"},
            "subject": {"reference": f"Patient/{patient}"}}  # fmt: skip


def _moved(record: Json) -> Json:
    return record | {"subject": {"reference": "Patient/other"}}


def _with_value(record: Json, value: float) -> Json:
    changed = copy.deepcopy(record)
    changed["valueQuantity"]["value"] = value
    return changed


def chart_of(name: str, catalogue: Catalogue) -> dict[str, Json]:
    lupus: Json = {"systemic-lupus-erythematosus": {}}
    found = a_patient(name, catalogue, conditions=lupus, results={"platelets": "180 10*9/L"})
    kinds = {"Patient": "patient", "Condition": "lupus", "Observation": "platelets"}
    return {kinds[each["resourceType"]]: each for each in found}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory, catalogue: Catalogue) -> tuple[Path, Path]:
    """A full export and its delta."""
    root = tmp_path_factory.mktemp("versions")
    charts = {name: chart_of(name, catalogue) for name in CHANGES}
    full: list[Json] = []
    delta: list[Json] = []
    for name, (meta, change, _) in CHANGES.items():
        delta += change(charts[name])
        full += [each | {"meta": meta} if meta else each for each in charts[name].values()]
    other = {"resourceType": "Patient", "id": "other", "gender": "male", "birthDate": "1980-01-01"}
    survivor = other | {"id": "survivor"}
    return write_export(root / "full", [*full, other, survivor]), write_export(root / "delta", delta)


def the_order(folders: tuple[Path, ...], out: Path, trials: Mapping[str, Trial], catalogue: Catalogue) -> Order:
    return replace(an_order(folders[0], out, trials.values(), catalogue), export=open_export(folders, everything=True))


def lupus_verdicts(out: Path) -> dict[str, str]:
    found = verdicts_of(out)
    return {
        patient.removeprefix("Patient/"): verdict for (patient, trial, _), verdict in found.items() if trial == TRIAL
    }


def tables_of(out: Path) -> tuple[object, ...]:
    return rows_of(out, "matches"), rows_of(out, "criteria"), (out / "candidates.csv").read_text()


@pytest.fixture(scope="module")
def night(
    folders: tuple[Path, Path],
    tmp_path_factory: pytest.TempPathFactory,
    trials: Mapping[str, Trial],
    catalogue: Catalogue,
) -> Path:
    out = tmp_path_factory.mktemp("night")
    screen(the_order(folders, out, trials, catalogue))
    return out


@pytest.mark.parametrize("name", CHANGES)
def test_what_a_delta_changes_takes_effect(name: str, night: Path) -> None:
    assert lupus_verdicts(night).get(name) == CHANGES[name][2]


def test_a_record_that_was_refiled_opens_the_gate_of_its_new_patient(night: Path) -> None:
    assert "other" in lupus_verdicts(night)


def test_the_records_of_a_merged_patient_count_for_the_one_who_stays(night: Path) -> None:
    assert lupus_verdicts(night)["survivor"] == "possibly-eligible"
    platelets = [
        row for row in rows_of(night) if row[0] == "Patient/survivor" and "Observation/merged-" in str(row[14])
    ]
    assert platelets


MERGES: Mapping[str, tuple[list[Json], list[Json], dict[str, str]]] = {
    "replaced-by": ([{"a": [("replaced-by", "b")]}], [], {"a": "b"}),
    "replaces": ([{"b": [("replaces", "a")]}], [], {"a": "b"}),
    "chain": ([{"a": [("replaced-by", "b")], "b": [("replaced-by", "c")]}], [], {"a": "c", "b": "c"}),
    "circle": ([{"a": [("replaced-by", "b")], "b": [("replaced-by", "a")]}], [], {}),
    "see also": ([{"a": [("seealso", "b"), ("refer", "b")]}], [], {}),
    "undone": ([{"a": [("replaced-by", "b")]}], [{"a": []}], {}),
    "redirected": ([{"a": [("replaced-by", "b")]}], [{"a": [("replaced-by", "c")]}], {"a": "c"}),
}  # fmt: skip


@pytest.mark.parametrize("name", MERGES)
def test_merges_follow_the_newest_links(name: str, tmp_path: Path) -> None:
    first, then, expected = MERGES[name]
    found: list[Linked] = []
    for known in (None, frozenset("abc")):
        found = []
        for folder, patients in enumerate((*first, *then)):
            path = tmp_path / f"{folder}.ndjson"
            path.write_text("".join(json.dumps(_linked(who, links)) + "\n" for who, links in patients.items()))
            found += links_in(Chunk(folder, path, 0, path.stat().st_size, "Patient", folder), None, known)
    assert merged_patients(found) == expected


def _linked(patient: str, links: list[tuple[str, str]]) -> Json:
    listed = [{"type": kind, "other": {"reference": f"Patient/{other}"}} for kind, other in links]
    return {"resourceType": "Patient", "id": patient} | ({"link": listed} if listed else {})


def test_a_record_that_names_no_patient_any_more_is_not_taken_for_absent(
    tmp_path: Path, trials: Mapping[str, Trial], catalogue: Catalogue
) -> None:
    chart = chart_of("p1", catalogue)
    full = write_export(tmp_path / "full", chart.values())
    delta = write_export(tmp_path / "delta", [{k: v for k, v in chart["lupus"].items() if k != "subject"}])
    screen(the_order((full,), tmp_path / "first", trials, catalogue))
    screen(replace(the_order((full, delta), tmp_path / "out", trials, catalogue), since=tmp_path / "first"))
    assert [row[1] for row in rows_of(tmp_path / "out", "patients")] == ["could-not-evaluate"]
    assert "the conditions could not be read completely" in (tmp_path / "out" / "changes.csv").read_text()


def test_a_result_that_was_withdrawn_is_missing(night: Path) -> None:
    outcomes = {
        row[6]
        for row in rows_of(night)
        if row[0] == "Patient/error" and row[1] == TRIAL and row[4].endswith(".platelets")
    }
    assert outcomes == {"unknown"}


@pytest.mark.parametrize("how", ["workers", "pieces", "compressed", "since", "unfiltered"])
def test_the_same_counts_however_the_export_is_read(
    how: str,
    folders: tuple[Path, Path],
    night: Path,
    tmp_path: Path,
    trials: Mapping[str, Trial],
    catalogue: Catalogue,
) -> None:
    order = the_order(folders, tmp_path / "out", trials, catalogue)
    if how == "workers":
        order = replace(order, workers=2, engine=LocalEngine(2))
    elif how == "pieces":
        order = replace(order, chunk=700)
    elif how == "compressed":
        copies = tuple(compressed(folder, tmp_path / folder.name) for folder in folders)
        order = the_order(copies, tmp_path / "out", trials, catalogue)
    elif how == "since":
        screen(the_order(folders[:1], tmp_path / "full", trials, catalogue))
        order = replace(order, since=tmp_path / "full")
    else:
        order = replace(order, prefilter=False)
    report = screen(order)
    order.engine.close()
    assert tables_of(tmp_path / "out") == tables_of(night)
    assert report["recordsInDoubt"] == 0


CAUSES = {
    "died": "the patient has died",
    "inactive": "the patient record is no longer in use (active: false)",
    "merged": "the patient record was merged into another one",
    "refused": "the patient is not to be approached for research: a Consent or a Flag says so",
    "refuted": "the diagnosis that opens the cohort is no longer on record",
    "deleted": "the diagnosis that opens the cohort is no longer on record",
    "corrected": "I9.platelets: met -> not-met (Platelets 2 × 10⁹/L on ",
    "other": "the diagnosis that opens the cohort is now on record",
}


@pytest.mark.parametrize("taken_over", [True, False])
def test_changes_name_the_cause(
    taken_over: bool,
    folders: tuple[Path, Path],
    tmp_path: Path,
    trials: Mapping[str, Trial],
    catalogue: Catalogue,
) -> None:
    screen(the_order(folders[:1], tmp_path / "full", trials, catalogue))
    order = replace(the_order(folders, tmp_path / "out", trials, catalogue), since=tmp_path / "full")
    if not taken_over:  # as after an upgrade: no row of the earlier screen still stands
        then = tmp_path / "full" / "report.json"
        then.write_text(then.read_text().replace('"wayOfReading": "sha256:', '"wayOfReading": "sha256:0'))
    report = screen(order)
    assert (report["evaluated"] < sum(report["patients"].values())) is taken_over
    with (tmp_path / "out" / "changes.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["trial"] == TRIAL]
    causes = {row["patient"].removeprefix("Patient/"): row["why"] for row in rows}
    assert {name: cause for name, cause in CAUSES.items() if not causes[name].startswith(cause)} == {}
    assert "stays" not in causes
    assert {row["change"] for row in rows if row["patient"] not in ("Patient/other", "Patient/survivor")} <= {
        "gone",
        "other",
    }


def test_a_patient_who_is_missing_from_the_next_export_is_gone_from_it(
    tmp_path: Path, trials: Mapping[str, Trial], catalogue: Catalogue
) -> None:
    both = [*chart_of("p1", catalogue).values(), *chart_of("p2", catalogue).values()]
    then, now = write_export(tmp_path / "then", both), write_export(tmp_path / "now", both[:3])
    screen(the_order((then,), tmp_path / "first", trials, catalogue))
    screen(replace(the_order((now,), tmp_path / "out", trials, catalogue), since=tmp_path / "first"))
    text = (tmp_path / "out" / "changes.csv").read_text()
    assert "no diagnosis of a trial is on record any more, or the patient is no longer in the export" in text
    assert "Patient/p1" not in text


def compressed(folder: Path, to: Path) -> Path:
    to.mkdir()
    for path in folder.glob("*.ndjson"):
        (to / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
    return to


def test_a_record_that_comes_back_after_its_deletion_counts(
    tmp_path: Path, trials: Mapping[str, Trial], catalogue: Catalogue
) -> None:
    chart = chart_of("p1", catalogue)
    full = write_export(tmp_path / "0", chart.values())
    gone = write_export(tmp_path / "1", [deleted(f"Condition/{chart['lupus']['id']}")])
    back = write_export(tmp_path / "2", [chart["lupus"]])
    screen(the_order((full, gone), tmp_path / "gone", trials, catalogue))
    screen(the_order((full, gone, back), tmp_path / "back", trials, catalogue))
    assert lupus_verdicts(tmp_path / "gone") == {}
    assert lupus_verdicts(tmp_path / "back") == {"p1": "possibly-eligible"}


def test_two_versions_in_one_folder_of_which_none_is_the_newer_leave_the_type_incomplete(
    tmp_path: Path, trials: Mapping[str, Trial], catalogue: Catalogue
) -> None:
    """One record of two patients, and one patient's result with two values; a copy of a record is no other version."""
    chart, other = chart_of("p1", catalogue), chart_of("p2", catalogue)
    records = [*chart.values(), other["patient"], chart["lupus"] | {"subject": {"reference": "Patient/p2"}}]
    records += [chart["platelets"], chart["patient"]]
    export = write_export(tmp_path / "export", records)
    report = screen(an_order(export, tmp_path / "out", trials.values(), catalogue))
    assert report["recordsInDoubt"] == 1
    assert set(lupus_verdicts(tmp_path / "out")) == {"p1", "p2"}
    epilepsy = [row for row in rows_of(tmp_path / "out") if row[0] == "Patient/p1" and "epilepsy" in row[13]]
    assert {(row[6], row[8]) for row in epilepsy} == {("unknown", "not-readable")}


def test_keys_that_occur_once_are_not_looked_up(tmp_path: Path) -> None:
    starts = {}
    for piece in range(2):
        ledger = Ledger(3)
        for number in range(piece * 100, piece * 100 + 150):
            ledger.note(f"Observation/{number}", number)
        keys, starts[piece] = ledger.content()
        (tmp_path / f"{piece:06}.keys").write_bytes(keys)
    found: dict[int, list[int]] = {0: [], 1: []}
    for partition in range(3):
        for piece, places in find_repeated(key_segments(tmp_path, starts, partition)).items():
            found[piece] += [int.from_bytes(places[at : at + 8], "little") for at in range(0, len(places), 8)]
    assert sorted(found[0]) == sorted(found[1]) == list(range(100, 150))
    assert len({key_of(f"Observation/{number}") for number in range(10_000)}) == 10_000


@pytest.mark.skipif(not SHARED.exists(), reason="the shared cases are not here")
@pytest.mark.parametrize(
    ("full", "delta", "patient", "expected"),
    [("16-full", "16-delta-died", "pt", {"not-eligible"}), ("17-full", "17-delta-moved", "pt", set())],
)
def test_cases_of_others(
    full: str, delta: str, patient: str, expected: set[str], tmp_path: Path, trials: Mapping[str, Trial],
    catalogue: Catalogue,
) -> None:  # fmt: skip
    folders = (SHARED / "cases" / full, SHARED / "cases" / delta)
    order = the_order(folders, tmp_path, trials, catalogue)
    screen(replace(order, question=replace(order.question, as_of=datetime(2026, 11, 4, tzinfo=UTC))))
    found = verdicts_of(tmp_path)
    assert {verdict for (who, *_), verdict in found.items() if who == f"Patient/{patient}"} == expected
    assert full != "17-full" or any(who == "Patient/p2" for who, *_ in found)

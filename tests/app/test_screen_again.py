"""A screen after another: it evaluates only what can have changed, and its tables are those of a whole screen."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("duckdb", reason="the screen needs DuckDB: pip install 'trialcards[batch]'")

from typer.testing import CliRunner

from app.cli import cli
from app.screen.export import open_export
from app.screen.order import Order, ScreenError, plan_of, unfinished
from app.screen.run import screen
from benchmarks.synthetic_export import write_export as write_synthetic
from mappings.concepts.catalogue import Catalogue
from tests.exports import AS_OF, Json, a_patient, an_order, rows_of, write_export
from trial_defs.definition.expressions import Trial

LUPUS: Json = {"systemic-lupus-erythematosus": {}}
MORNING = AS_OF + timedelta(days=1, hours=6)


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory, catalogue: Catalogue) -> Path:
    """A synthetic export of 14 patients, most of whom have an open gate; two more have drugs, one by reference."""
    folder = tmp_path_factory.mktemp("full")
    write_synthetic(folder, 14, indicated=0.8, seed=3)
    resources = a_patient("steroid", catalogue, conditions=LUPUS, treatments={"prednisone": {"dose": "5 mg"}})
    resources += [*a_patient("referring", catalogue, conditions=LUPUS), an_order_of("Medication/1", "referring")]
    resources.append(a_medication("8640"))
    write_export(folder / "more", resources)
    for path in (folder / "more").iterdir():
        with (folder / path.name).open("ab") as file:
            file.write(path.read_bytes())
    return folder


def an_order_of(medication: str, patient: str) -> Json:
    return {"resourceType": "MedicationRequest", "id": f"{patient}-by-reference", "status": "active", "intent": "order",
            "subject": {"reference": f"Patient/{patient}"}, "medicationReference": {"reference": medication},
            "authoredOn": "2026-10-01"}  # fmt: skip


def a_medication(code: str, version: str = "1") -> Json:
    coding = {"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": code}
    return {
        "resourceType": "Medication",
        "id": "1",
        "meta": {"versionId": version, "lastUpdated": f"2026-10-0{version}T00:00:00Z"},
        "code": {"coding": [coding]},
    }


def the_order(full: Path, out: Path, trials: Mapping[str, Trial], catalogue: Catalogue, *deltas: Path) -> Order:
    order = an_order(full, out, trials.values(), catalogue)
    return replace(order, export=open_export([full, *deltas], everything=True))


def later(order: Order, moment: timedelta, **changes: Any) -> Order:
    return replace(order, question=replace(order.question, as_of=MORNING + moment), **changes)


def tables_of(out: Path) -> tuple[Any, ...]:
    candidates = (out / "candidates.csv").read_text()
    return rows_of(out, "matches"), rows_of(out, "criteria"), rows_of(out, "patients"), candidates


def both(order: Order, since: Path, tmp_path: Path) -> Json:
    """Screen with and without the earlier screen; the tables must be the same. What the first says."""
    report = screen(replace(order, out=tmp_path / "again", since=since))
    whole = screen(replace(order, out=tmp_path / "whole"))
    assert tables_of(tmp_path / "again")[:2] == tables_of(tmp_path / "whole")[:2]
    assert tables_of(tmp_path / "again")[3] == tables_of(tmp_path / "whole")[3]
    assert (report["patients"], report["verdicts"]) == (whole["patients"], whole["verdicts"])
    assert report["evaluated"] <= whole["evaluated"] == sum(whole["patients"].values())
    return report


@pytest.fixture(scope="module")
def evening(
    full: Path, tmp_path_factory: pytest.TempPathFactory, trials: Mapping[str, Trial], catalogue: Catalogue
) -> Path:
    """A screen of the full export."""
    out = tmp_path_factory.mktemp("evening")
    screen(later(the_order(full, out, trials, catalogue), timedelta()))
    return out


def changes_of(out: Path, patient: str) -> list[dict[str, str]]:
    rows = csv.DictReader((out / "changes.csv").read_text().splitlines())
    return [row for row in rows if row["patient"] == f"Patient/{patient}"]


def test_a_screen_of_the_same_moment_evaluates_nobody(
    full: Path, evening: Path, tmp_path: Path, trials: Mapping[str, Trial], catalogue: Catalogue
) -> None:
    order = later(the_order(full, tmp_path, trials, catalogue), timedelta())
    report = both(order, evening, tmp_path)
    assert report["evaluated"] == 0
    assert tables_of(tmp_path / "again") == tables_of(evening)
    assert report["changes"] == {"new": 0, "gone": 0, "other": 0}


@pytest.mark.parametrize("days", [1, 20])
def test_with_the_days_only_those_are_evaluated_whom_time_can_change(
    days: int, full: Path, evening: Path, tmp_path: Path, trials: Mapping[str, Trial], catalogue: Catalogue
) -> None:
    report = both(later(the_order(full, tmp_path, trials, catalogue), timedelta(days)), evening, tmp_path)
    assert report["evaluated"] < sum(report["patients"].values()) * (0.3 if days == 1 else 1)


def test_night_after_night_says_what_whole_screens_say(
    full: Path, evening: Path, tmp_path: Path, trials: Mapping[str, Trial], catalogue: Catalogue
) -> None:
    since, evaluated, length = evening, 0, len((evening / "report.json").read_bytes())
    for night in range(1, 4):
        folder = tmp_path / str(night)
        order = later(the_order(full, folder, trials, catalogue), timedelta(days=6 * night, minutes=night))
        evaluated += both(order, since, folder)["evaluated"]
        since = folder / "again"
    assert len((since / "report.json").read_bytes()) < 1.5 * length  # no night carries all that came before it
    assert 0 < evaluated < 3 * 14


def test_a_row_that_names_the_day_of_the_screen_names_the_new_day(
    full: Path, evening: Path, tmp_path: Path, trials: Mapping[str, Trial], catalogue: Catalogue
) -> None:
    report = both(later(the_order(full, tmp_path, trials, catalogue), timedelta(1)), evening, tmp_path)
    texts = {row[9] for row in rows_of(tmp_path / "again") if row[0] == "Patient/steroid"}
    assert any("2026-11-03" in text for text in texts)
    assert not any("2026-11-02" in text for text in texts)
    assert report["evaluated"] < 5


def test_a_delta_has_only_its_patients_evaluated(
    full: Path, evening: Path, tmp_path: Path, trials: Mapping[str, Trial], catalogue: Catalogue
) -> None:
    """One has a new result, one is new, of one a diagnosis is deleted, of one the drug that it refers to changed."""
    new = a_patient("new", catalogue, conditions=LUPUS)
    result = a_patient("steroid", catalogue, results={"platelets": "2 10*9/L"})[1:]
    gone = {"request": {"method": "DELETE", "url": f"Condition/{_a_gate(full, evening)}"}}
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [gone]}
    delta = write_export(tmp_path / "delta", [*new, *result, a_medication("121191", "2"), bundle])
    order = later(the_order(full, tmp_path, trials, catalogue, delta), timedelta())
    report = both(order, evening, tmp_path)
    assert report["evaluated"] == 4
    assert {(row["change"], row["was"]) for row in changes_of(tmp_path / "again", "new")} == {("new", "not-indicated")}
    assert any("platelets: unknown -> not-met" in row["why"] for row in changes_of(tmp_path / "again", "steroid"))


def _a_gate(full: Path, evening: Path) -> str:
    """The diagnosis that lists a patient of the synthetic export."""
    patient = next(row[0] for row in rows_of(evening, "matches") if row[0].startswith("Patient/p"))
    for line in (full / "Condition.ndjson").read_text().splitlines():
        resource = json.loads(line)
        if resource["subject"]["reference"] == patient and resource["code"]["coding"][0]["code"].startswith("M3"):
            return str(resource["id"])
    raise AssertionError("no such diagnosis")


def test_of_a_changed_definition_only_that_trial_is_evaluated(
    full: Path, evening: Path, tmp_path: Path, trials: Mapping[str, Trial], catalogue: Catalogue
) -> None:
    name = "NCT06711146"
    changed = dict(trials) | {name: _without_platelets(trials[name])}
    order = later(the_order(full, tmp_path, changed, catalogue), timedelta(1))
    report = both(order, evening, tmp_path)
    assert report["evaluated"] < sum(report["patients"].values())  # of whom it is not indicated in
    assert {row[15] for row in rows_of(tmp_path / "again", "matches") if row[1] == name} == {"sha256:amended"}
    # The next night rests on both: what was taken over, and what was found anew.
    then = tmp_path / "then"
    next_night = later(the_order(full, then, changed, catalogue), timedelta(2))
    assert both(next_night, tmp_path / "again", then)["evaluated"] < sum(report["patients"].values()) / 2


def _without_platelets(trial: Trial) -> Trial:
    cohorts = tuple(
        replace(cohort, criteria=tuple(each for each in cohort.criteria if "platelets" not in each.concepts))
        for cohort in trial.cohorts
    )
    return replace(trial, hash="sha256:amended", version=trial.version + 1, cohorts=cohorts)


def test_a_trial_that_is_gone_leaves_no_row_and_one_that_is_new_has_its_own(
    full: Path, evening: Path, tmp_path: Path, trials: Mapping[str, Trial], catalogue: Catalogue
) -> None:
    first, *rest = trials
    fewer = {name: trials[name] for name in rest}
    order = later(the_order(full, tmp_path, fewer, catalogue), timedelta())
    assert both(order, evening, tmp_path)["evaluated"] == 0
    assert first not in {row[1] for row in rows_of(tmp_path / "again")}
    again = later(the_order(full, tmp_path / "then", trials, catalogue), timedelta())
    assert both(again, tmp_path / "again", tmp_path / "then")["evaluated"] > 0


def test_what_cannot_be_read_any_more_has_everyone_evaluated(
    full: Path, evening: Path, tmp_path: Path, trials: Mapping[str, Trial], catalogue: Catalogue
) -> None:
    delta = tmp_path / "delta"
    delta.mkdir()
    (delta / "Procedure.ndjson").write_text('{"resourceType":"Procedure",\n')
    order = later(the_order(full, tmp_path, trials, catalogue, delta), timedelta())
    report = both(order, evening, tmp_path)
    assert report["evaluated"] == sum(report["patients"].values())


def test_an_earlier_moment_takes_nothing_over(
    full: Path, evening: Path, tmp_path: Path, trials: Mapping[str, Trial], catalogue: Catalogue
) -> None:
    order = later(the_order(full, tmp_path, trials, catalogue), -timedelta(hours=1))
    report = both(order, evening, tmp_path)
    assert report["evaluated"] == sum(report["patients"].values())


def test_a_chart_that_holds_the_mark_of_the_day_is_evaluated_every_time(
    tmp_path: Path, trials: Mapping[str, Trial], catalogue: Catalogue
) -> None:
    steroid = {"prednisone": {"dose": "5 mg"}}
    resources = a_patient("p1", catalogue, conditions=LUPUS, treatments=steroid)
    resources += a_patient("p2", catalogue, conditions=LUPUS, treatments=steroid)
    marked = next(each for each in resources if each["id"].startswith("p1-") and each["resourceType"] != "Condition")
    marked["note"] = [{"text": "\ue000" * 10}]
    export = write_export(tmp_path / "export", resources)
    screen(later(the_order(export, tmp_path / "then", trials, catalogue), timedelta()))
    report = both(later(the_order(export, tmp_path, trials, catalogue), timedelta(1)), tmp_path / "then", tmp_path)
    assert report["evaluated"] == 1


def test_the_command_says_how_many_had_to_be_evaluated(full: Path, tmp_path: Path) -> None:
    def call(*options: str) -> str:
        result = CliRunner().invoke(cli, ["screen", str(full), "--workers", "1", *options])
        assert result.exit_code == 0, result.output
        return result.output

    call("--out", str(tmp_path / "then"), "--as-of", "2026-11-02")
    again = call("--out", str(tmp_path / "now"), "--since", str(tmp_path / "then"))
    assert "0 of 11 patients had to be evaluated" in again


def test_a_screen_that_goes_on_stands_on_the_same_earlier_screen(
    full: Path, evening: Path, tmp_path: Path, trials: Mapping[str, Trial], catalogue: Catalogue
) -> None:
    order = later(the_order(full, tmp_path / "out", trials, catalogue), timedelta(1))
    other = tmp_path / "other"
    screen(later(the_order(full, other, trials, catalogue), timedelta(hours=1)))
    (tmp_path / "out").mkdir()
    unfinished(replace(order, since=evening), plan_of(replace(order, since=evening)))
    with pytest.raises(ScreenError, match=r"unfinished screen of something else \(other since\)"):
        screen(replace(order, since=other))

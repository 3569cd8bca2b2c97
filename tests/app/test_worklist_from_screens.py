"""From a screen of the hospital onto the worklist: the same rows as of hooks, however often it is told."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

pytest.importorskip("duckdb", reason="the screen needs DuckDB: pip install 'trialcards[batch]'")


from typer.testing import CliRunner, Result

from app.cli import cli
from app.commands.audit import answers_of, opened, worklist_of
from app.definitions.screened_criteria import Counted, counted, words_of
from app.people import Person
from app.screen.run import screen
from app.settings import Settings
from app.storage.records import Shown
from app.worklist.candidates import Reading, reading_of
from app.worklist.records import Detail, Filter, Row
from app.worklist.screened import finished_screen
from benchmarks.synthetic_export import write_export as write_synthetic
from cds_hooks.cards.dismissals import says_the_same
from cds_hooks.words.wording import titles_of
from mappings.chart.chart import ChartBuilder
from mappings.concepts.catalogue import Catalogue
from tests.app.conftest import demo_settings
from tests.exports import AS_OF, Json, a_patient, an_order, write_export
from tests.hospital import SECRET
from tests.support.worklist import a_candidate
from trial_defs.definition.expressions import Trial
from trial_defs.engine.attestation import Attestation, content_of
from trial_defs.engine.evaluation import match
from trial_defs.engine.findings import Match

LUPUS: Json = {"systemic-lupus-erythematosus": {}}
TRIAL = "NCT06711146"
FLAG: Json = {"resourceType": "Flag", "id": "f", "status": "active", "code": {"text": "Declined research"},
              "subject": {"reference": "Patient/p1"}}  # fmt: skip


def screened(folder: Path, resources: list[Json], trials: Mapping[str, Trial], catalogue: Catalogue) -> Path:
    screen(an_order(write_export(folder / "export", resources), folder / "out", trials.values(), catalogue))
    return folder / "out"


def add(folder: Path, out: Path, *more: str, ehr: str = "demo", **given: str) -> Result:
    settings = {"TRIALCARDS_DATABASE_URL": f"sqlite:///{folder}/records.db", "TRIALCARDS_SECRET_KEY": SECRET}
    settings |= {f"TRIALCARDS_{name}": value for name, value in given.items()}
    return CliRunner().invoke(cli, ["worklist", "add", str(out), "--ehr", ehr, "--demo", *more], env=settings)


def settings_in(folder: Path) -> Settings:
    return demo_settings(folder, secret_key=(SECRET,))


def on_list(folder: Path, listed: str = "open") -> list[Row]:
    async def read() -> list[Row]:
        settings = settings_in(folder)
        async with opened(settings) as records:
            return list(await worklist_of(records, settings).every(Filter(listed=listed)))

    return asyncio.run(read())


def detail_of(folder: Path, row: Row) -> Detail:
    async def read() -> Detail | None:
        settings = settings_in(folder)
        async with opened(settings) as records:
            return await worklist_of(records, settings).detail(row.id)

    found = asyncio.run(read())
    assert found
    return found


def test_a_screen_says_of_each_patient_what_an_opened_chart_says(
    tmp_path: Path, trials: Mapping[str, Trial], catalogue: Catalogue
) -> None:
    export = tmp_path / "export"
    write_synthetic(export, 40, indicated=0.7, seed=5)
    screen(an_order(export, tmp_path / "out", trials.values(), catalogue))
    resources = [json.loads(line) for path in sorted(export.glob("*.ndjson")) for line in path.read_text().splitlines()]
    compared = 0
    for patient, reading in finished_screen(tmp_path / "out").readings(trials):
        found = _matched(patient, resources, trials, catalogue)
        hook = reading_of(found, (), titles_of(catalogue))
        by_trial = {each.trial.id: each for each in found.trials}
        assert all(says_the_same(each.said, by_trial[each.trial]) for each in reading.candidates)
        assert _without_said(reading) == _without_said(hook)
        assert reading.gone == hook.gone
        compared += len(reading.candidates)
    assert compared > 10


def _without_said(reading: Reading) -> dict[str, object]:
    return {each.trial: replace(each, said="") for each in reading.candidates}


def _matched(patient: str, resources: list[Json], trials: Mapping[str, Trial], catalogue: Catalogue) -> Match:
    own = [r for r in resources if r["id"] == patient or r.get("subject", {}).get("reference") == f"Patient/{patient}"]
    builder = ChartBuilder(None)
    builder.add(json.dumps({"resourceType": "Bundle", "entry": [{"resource": r} for r in own]}).encode(), None)
    builder.whole_chart()
    return match(trials.values(), builder.build(), catalogue, AS_OF, UTC)


def test_candidates_of_a_screen_come_onto_the_list_and_the_same_again_changes_nothing(
    tmp_path: Path, trials: Mapping[str, Trial], catalogue: Catalogue
) -> None:
    resources = a_patient("p1", catalogue, conditions=LUPUS, results={"platelets": "180 10*9/L"})
    out = screened(tmp_path, resources, trials, catalogue)
    first = add(tmp_path, out)
    assert (first.exit_code, first.stdout) == (0, "1 patient on the list, 0 rows no longer in the screen\n")
    rows = on_list(tmp_path)
    assert TRIAL in {row.trial for row in rows}
    assert {(row.patient_id, row.source, row.last_seen) for row in rows} == {("p1", "screen", AS_OF)}
    detail = detail_of(tmp_path, rows[0])
    assert detail.findings
    assert detail.findings[0]["criteria"][0]["text"]
    assert add(tmp_path, out).exit_code == 0
    assert on_list(tmp_path) == rows
    assert detail_of(tmp_path, rows[0]) == detail


def test_a_screen_that_knew_other_restricted_labels_than_the_worklist_is_not_taken(
    tmp_path: Path, trials: Mapping[str, Trial], catalogue: Catalogue
) -> None:
    """What the list may not show would be in a screen that was not told so."""
    label = ("http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "R")
    export = write_export(tmp_path / "export", a_patient("p1", catalogue, conditions=LUPUS))
    order = an_order(export, tmp_path / "out", trials.values(), catalogue)
    screen(
        order,
    )
    refused = add(tmp_path, tmp_path / "out", RESTRICTED_LABELS="|".join(label))
    assert refused.exit_code == 2
    assert "TRIALCARDS_RESTRICTED_LABELS" in refused.stderr
    assert not on_list(tmp_path, "all")
    told = replace(order, out=tmp_path / "told", question=replace(order.question, labels=frozenset({label})))
    screen(told)
    assert add(tmp_path, tmp_path / "told").exit_code == 2
    assert add(tmp_path, tmp_path / "told", RESTRICTED_LABELS="|".join(label)).exit_code == 0
    assert on_list(tmp_path)


def test_what_a_coordinator_did_outlives_every_screen(
    tmp_path: Path, trials: Mapping[str, Trial], catalogue: Catalogue
) -> None:
    out = screened(tmp_path, a_patient("p1", catalogue, conditions=LUPUS), trials, catalogue)
    add(tmp_path, out)
    (row,) = [row for row in on_list(tmp_path) if row.trial == TRIAL]

    async def work() -> None:
        settings = settings_in(tmp_path)
        async with opened(settings) as records:
            worklist = worklist_of(records, settings)
            await worklist.set_status(row, "contacted", Person("N. N.", "1"), AS_OF + timedelta(1))

    asyncio.run(work())
    add(tmp_path, out)
    assert [each.status for each in on_list(tmp_path) if each.trial == TRIAL] == ["contacted"]


def answer(folder: Path, criterion: str, trial: Trial, catalogue: Catalogue, *, is_met: bool, days: int) -> None:
    """What somebody answered on the worklist, which holds until so many days from today."""
    (asked,) = {each for cohort in trial.cohorts for each in cohort.criteria if each.id == criterion}
    now = datetime.now(UTC)
    until = now.date() + timedelta(days)
    given = Attestation(
        trial.id, criterion, content_of(asked, catalogue), is_met, "N. N.", "Seen.", now, now.date(), until
    )

    async def give() -> None:
        settings = settings_in(folder)
        async with opened(settings) as records:
            await answers_of(records, settings).give(Shown("demo", "", "p1", ""), given, Person("N. N.", "1"))

    asyncio.run(give())


def to_judge(folder: Path) -> list[str]:
    (row,) = [row for row in on_list(folder) if row.trial == TRIAL]
    findings = detail_of(folder, row).findings or ()
    return [each["id"] for cohort in findings for each in cohort["criteria"] if each["outcome"] == "needs-human"]


def test_a_row_that_a_person_ruled_out_comes_back_with_no_screen(
    tmp_path: Path, trials: Mapping[str, Trial], catalogue: Catalogue
) -> None:
    out = screened(tmp_path, a_patient("p1", catalogue, conditions=LUPUS), trials, catalogue)
    add(tmp_path, out)
    asked = to_judge(tmp_path)
    (before,) = [row.needs_human for row in on_list(tmp_path) if row.trial == TRIAL]
    answer(tmp_path, asked[0], trials[TRIAL], catalogue, is_met=True, days=30)
    add(tmp_path, out)
    assert [row.needs_human for row in on_list(tmp_path) if row.trial == TRIAL] == [before - 1]
    answer(tmp_path, asked[1], trials[TRIAL], catalogue, is_met=False, days=30)
    for _ in range(2):
        assert add(tmp_path, out).exit_code == 0
        assert TRIAL not in {row.trial for row in on_list(tmp_path)}
        (row,) = [row for row in on_list(tmp_path, "left") if row.trial == TRIAL]
        assert row.left == "ruled-out"
    assert [event.said for event in detail_of(tmp_path, row).events if event.kind == "list"] == ["ruled-out"]
    assert {row.trial for row in on_list(tmp_path)}  # other trials stay


def test_an_answer_whose_time_is_over_rules_nobody_out(
    tmp_path: Path, trials: Mapping[str, Trial], catalogue: Catalogue
) -> None:
    out = screened(tmp_path, a_patient("p1", catalogue, conditions=LUPUS), trials, catalogue)
    add(tmp_path, out)
    answer(tmp_path, to_judge(tmp_path)[0], trials[TRIAL], catalogue, is_met=False, days=-2)
    add(tmp_path, out)
    assert TRIAL in {row.trial for row in on_list(tmp_path)}


@pytest.mark.parametrize("how", ["flag", "healthy", "gone"])
def test_who_has_no_row_in_the_screen_leaves_every_list(
    tmp_path: Path, trials: Mapping[str, Trial], catalogue: Catalogue, how: str
) -> None:
    add(tmp_path, screened(tmp_path / "then", a_patient("p1", catalogue, conditions=LUPUS), trials, catalogue))
    assert on_list(tmp_path)
    now = {
        "flag": [*a_patient("p1", catalogue, conditions=LUPUS), FLAG],
        "healthy": a_patient("p1", catalogue, conditions={"hypertension": {}}),
        "gone": a_patient("p2", catalogue, conditions={"hypertension": {}}),
    }[how]
    out = screened(tmp_path / "now", now, trials, catalogue)
    kept = add(tmp_path, out, "--partial")
    assert kept.exit_code == 0
    assert on_list(tmp_path)
    add(tmp_path, out)
    assert on_list(tmp_path, "all") == []


def test_a_trial_that_was_not_screened_stays(tmp_path: Path, trials: Mapping[str, Trial], catalogue: Catalogue) -> None:
    lupus = a_patient("p1", catalogue, conditions=LUPUS)
    add(tmp_path, screened(tmp_path / "then", lupus, trials, catalogue))
    before = {row.trial for row in on_list(tmp_path)}
    assert len(before) > 1
    healthy = a_patient("p1", catalogue, conditions={"hypertension": {}})
    add(tmp_path, screened(tmp_path / "now", healthy, {TRIAL: trials[TRIAL]}, catalogue))
    assert {row.trial for row in on_list(tmp_path)} == before - {TRIAL}


def test_a_chart_opened_after_the_screen_counts_more(
    tmp_path: Path, trials: Mapping[str, Trial], catalogue: Catalogue
) -> None:
    async def opened_later() -> None:
        settings = settings_in(tmp_path)
        async with opened(settings) as records:
            worklist = worklist_of(records, settings)
            newer = [(Shown("demo", "", name, ""), Reading([a_candidate(unknown=99)])) for name in ("p1", "p2")]
            await worklist.take(newer, "hook", AS_OF + timedelta(hours=1))

    asyncio.run(opened_later())
    add(tmp_path, screened(tmp_path, a_patient("p1", catalogue, conditions=LUPUS), trials, catalogue))
    rows = [row for row in on_list(tmp_path) if row.trial == TRIAL]
    assert {(row.patient_id, row.unknown) for row in rows} == {("p1", 99), ("p2", 99)}


def test_what_is_no_screen_or_no_ehr_is_told(tmp_path: Path, trials: Mapping[str, Trial], catalogue: Catalogue) -> None:
    nothing = add(tmp_path, tmp_path)
    assert (
        nothing.exit_code,
        nothing.stderr.startswith(f"SCREEN: {tmp_path}: is not the folder of a finished screen"),
    ) == (2, True)
    out = screened(tmp_path, a_patient("p1", catalogue, conditions=LUPUS), trials, catalogue)
    unknown = add(tmp_path, out, ehr="another")
    assert (unknown.exit_code, unknown.stderr) == (
        2,
        "--ehr: another is not in the file of trusted EHRs; there are demo\n",
    )
    assert on_list(tmp_path, "all") == []


def digest(folder: Path, since: str) -> Result:
    settings = {"TRIALCARDS_DATABASE_URL": f"sqlite:///{folder}/records.db", "TRIALCARDS_SECRET_KEY": SECRET}
    return CliRunner().invoke(cli, ["worklist", "digest", "--since", since, "--demo"], env=settings)


def test_a_digest_lists_what_is_new_since_a_day(
    tmp_path: Path, trials: Mapping[str, Trial], catalogue: Catalogue
) -> None:
    add(tmp_path, screened(tmp_path, a_patient("p1", catalogue, conditions=LUPUS), trials, catalogue))
    new = digest(tmp_path, AS_OF.date().isoformat())
    assert new.exit_code == 0, new.output
    head, *lines = new.stdout.splitlines()
    assert re.fullmatch(rf"New since {AS_OF.date()}: \d+ rows, 1 patient\.", head)
    assert f"{trials[TRIAL].short_title} ({TRIAL}): 1" in lines
    assert any(line.startswith("  p1, ") and "female, " in line and ": possibly eligible. " in line for line in lines)
    later = digest(tmp_path, (AS_OF.date() + timedelta(1)).isoformat())
    assert later.stdout == f"New since {AS_OF.date() + timedelta(1)}: 0 rows, 0 patients.\n"


def test_a_digest_since_what_is_no_day_is_refused(tmp_path: Path) -> None:
    refused = digest(tmp_path, "yesterday")
    assert refused.exit_code == 2
    assert "--since" in refused.stderr


def test_the_counts_of_each_criterion_are_kept_for_its_reviewers(
    tmp_path: Path, trials: Mapping[str, Trial], catalogue: Catalogue
) -> None:
    counts = {"90 10*9/L": 6, "10 10*9/L": 5, "none": 7}
    people = [value for value, count in counts.items() for _ in range(count)]
    resources = [
        each
        for number, value in enumerate(people)
        for each in a_patient(
            f"p{number}", catalogue, conditions=LUPUS, results={} if value == "none" else {"platelets": value}
        )
    ]
    out = screened(tmp_path, resources, trials, catalogue)
    assert add(tmp_path, out).exit_code == 0
    assert add(tmp_path, out, "--partial").exit_code == 0

    async def read() -> Mapping[str, Counted]:
        async with opened(settings_in(tmp_path)) as records:
            return await counted(records, TRIAL)

    found = asyncio.run(read())
    platelets = next(each for name, each in found.items() if "platelets" in name)
    assert (platelets.met, platelets.not_met, platelets.open) == ("6", "5", "7")
    assert platelets.definition_hash == trials[TRIAL].hash


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ((5, 0, 120), ("5", "0", "120")),
        ((4, 30, 120), ("fewer than 5", "5 or more", "5 or more")),
        ((0, 1, 120), ("0", "fewer than 5", "5 or more")),
        ((1, 1, 1), ("fewer than 5", "fewer than 5", "fewer than 5")),
        ((0, 0, 0), ("0", "0", "0")),
    ],
)
def test_a_small_count_and_what_would_give_it_away_are_hidden(
    counts: tuple[int, int, int], said: tuple[str, str, str]
) -> None:
    assert words_of(*counts) == said


def test_a_screen_brings_no_row_of_a_trial_that_the_site_does_not_offer(
    tmp_path: Path, trials: Mapping[str, Trial], catalogue: Catalogue
) -> None:
    out = screened(tmp_path, a_patient("p1", catalogue, conditions=LUPUS), trials, catalogue)
    profile = tmp_path / "site.toml"
    profile.write_text(f'[[trial]]\nid = "{TRIAL}"\n')
    assert add(tmp_path, out).exit_code == 0
    assert len({row.trial for row in on_list(tmp_path)}) > 1
    assert add(tmp_path, out, SITE=str(profile)).exit_code == 0
    assert {row.trial for row in on_list(tmp_path)} == {TRIAL}

"""The explanation page as values, made from reports of real charts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec
import pytest

from app.demo.charts import demo_patients
from cds_hooks.explanation.explained import (
    ExplainedCohort,
    ExplainedTrial,
    Row,
    Source,
    explained,
    group_of,
    need_words,
    not_indicated,
    side_by_side,
)
from cds_hooks.report import report_of
from cds_hooks.words.texts import texts_of
from mappings.chart.chart import ChartBuilder
from mappings.concepts.catalogue import Catalogue
from mappings.patient_facts import facts_of
from trial_defs.definition.expressions import Trial
from trial_defs.engine.evaluation import match

DAY = date(2026, 11, 1)
NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
LUPUS = "NCT06711146"


def source_of(patient: str, trials: Mapping[str, Trial], catalogue: Catalogue, *without: str) -> Source:
    """The page's source for a demo patient, `without` the results under these keys."""
    resources = next(p.resources for p in demo_patients(DAY) if p.id == patient)
    left = [r for r in resources if r["id"] not in {f"{patient}-{name}" for name in without}]
    builder = ChartBuilder(None)
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": r} for r in left]}
    builder.add(msgspec.json.encode(bundle), None)
    builder.whole_chart()
    chart = builder.build()
    found = match(trials.values(), chart, catalogue, NOW, UTC)
    return Source(report_of(found, "r1", catalogue), trials, catalogue, found, facts_of(chart, catalogue, NOW, UTC))


@pytest.fixture(scope="session")
def near_miss(trials: Mapping[str, Trial], catalogue: Catalogue) -> Source:
    return source_of("demo-lupus-near-miss", trials, catalogue)


def one(source: Source, trial: str = LUPUS) -> ExplainedTrial:
    return next(each for each in explained(source) if each.id == trial)


def rows(cohort: ExplainedCohort, group: str) -> list[Row]:
    return [row for each in cohort.groups if each.id == group for row in each.rows]


def test_trials_come_best_first_and_those_not_indicated_apart(near_miss: Source) -> None:
    shown = explained(near_miss)
    assert [trial.verdict for trial in shown] == sorted(
        (t.verdict for t in shown), key=["possibly-eligible", "near-miss"].index
    )
    assert not_indicated(near_miss) == ["NCT06464679"]


def test_what_stands_in_the_way_comes_first_with_distance_trend_and_rule(near_miss: Source) -> None:
    (cohort,) = one(near_miss).cohorts
    assert cohort.groups[0].id == "in-the-way"
    (row,) = rows(cohort, "in-the-way")
    assert row.said["id"] == "I9.platelets"
    assert row.distance == "1 × 10⁹/L beyond the limit (4 %)"
    assert row.gauge == -4
    assert row.how
    assert row.how.flat() == (
        "Platelets at least 25 × 10⁹/L, newest result, at most 90 days old, "
        "not taken within 7 days after Transfusion or Hematopoietic growth factor"
    )
    assert row.near == "up to 10 % beside the limit"
    assert row.trend
    assert [point.label.split(" ×")[0] for point in row.trend.points] == ["72", "58", "46", "31", "24"]


def test_every_criterion_stands_in_one_group(near_miss: Source) -> None:
    for trial in explained(near_miss):
        for cohort in trial.cohorts:
            shown = [row.said["id"] for group in cohort.groups for row in group.rows]
            assert len(shown) == len(set(shown)) == sum(cohort.counts.values())


@pytest.mark.parametrize(
    ("outcome", "basis", "group"),
    [
        ("met", "recorded", "met"),
        ("met", "presumed", "confirm"),
        ("not-met", "recorded", "in-the-way"),
        ("unknown", None, "missing"),
        ("needs-human", None, "judge"),
        ("not-applicable", None, "not-applicable"),
    ],
)
def test_a_criterion_is_grouped_by_what_it_asks_of_the_reader(outcome: str, basis: str | None, group: str) -> None:
    assert group_of({"outcome": outcome, "basis": basis}) == group


def test_every_presumed_absence_is_listed_for_confirmation(near_miss: Source) -> None:
    for trial in explained(near_miss):
        entry = next(each for each in near_miss.report["trials"] if each["trial"] == trial.id)
        for cohort, said in zip(trial.cohorts, (c for c in entry["cohorts"] if c["criteria"]), strict=True):
            presumed = [each["id"] for each in said["criteria"] if each["basis"] == "presumed"]
            assert presumed
            listed = rows(cohort, "confirm")
            assert {row.said["id"] for row in listed} == set(presumed)
            assert len(listed) == len(presumed)


def test_what_is_taken_as_absent_is_listed_by_what_it_is_about(near_miss: Source) -> None:
    (cohort,) = one(near_miss).cohorts
    (group,) = (each for each in cohort.groups if each.id == "confirm")
    assert not group.is_open
    names = [name for name, _ in group.parts]
    assert names[0] == "brain and mind"
    assert len(names) == len(set(names)) > 4
    assert [len(found) for _, found in group.parts] == sorted((len(found) for _, found in group.parts), reverse=True)


def test_an_exclusion_is_worded_as_its_absence_where_it_is_met(near_miss: Source) -> None:
    (cohort,) = one(near_miss).cohorts
    asked = {row.said["id"]: row.asked for group in cohort.groups for row in group.rows}
    said = {row.said["id"]: row.said for group in cohort.groups for row in group.rows}
    for name, words in asked.items():
        entry = said[name]
        if entry["kind"] != "exclusion":
            assert words == entry["text"]
        elif entry["outcome"] == "met":
            assert words == ("No record of: " if entry["basis"] == "presumed" else "Ruled out: ") + entry["text"]
        else:
            assert words == f"Excluded if: {entry['text']}"


def test_a_missing_test_is_what_to_order_next(trials: Mapping[str, Trial], catalogue: Catalogue) -> None:
    trial = one(source_of("demo-lupus-near-miss", trials, catalogue, "lvef", "lipase"))
    wanted = {need.order.title: need_words(need, LUPUS, texts_of()) for need in trial.needs}
    assert wanted["Echocardiography"].startswith("settles 1 open criterion here")
    assert any("ipase" in title for title in wanted)


def test_the_calendar_has_the_day_on_which_results_become_too_old(near_miss: Source) -> None:
    calendar = one(near_miss).calendar
    assert [entry.day for entry in calendar] == sorted(entry.day for entry in calendar)
    aging = {text: entry.day for entry in calendar if "too old" in entry.said for text in entry.about}
    # Taken 12 days ago, and current for 90.
    assert aging["Hemoglobin at least 70 g/L"] == DAY - timedelta(12) + timedelta(91)


def test_the_calendar_has_the_day_on_which_a_washout_ends(trials: Mapping[str, Trial], catalogue: Catalogue) -> None:
    shown = explained(source_of("demo-dermatomyositis", trials, catalogue))
    checks = [(entry, t) for t in shown for entry in t.calendar if entry.said.startswith("Check again")]
    assert checks
    for entry, trial in checks:
        assert entry.day.isoformat() in {cohort.recheck_on for cohort in trial.cohorts}


def test_cohorts_stand_side_by_side_where_they_differ(trials: Mapping[str, Trial], catalogue: Catalogue) -> None:
    trial = one(source_of("demo-lupus-two-cohorts", trials, catalogue), "CNCT19-AID")
    assert [cohort.id for cohort in trial.cohorts] == ["sle-ln", "sle-itp"]
    lines = {line.text: line.outcomes for line in side_by_side(trial.cohorts, texts_of())}
    assert lines["Excluded if: Breast-feeding"] == ("unknown", "unknown")
    assert ("needs-human", None) in lines.values()  # the class of the nephritis, which one cohort asks for
    assert ("met", "met") not in lines.values()
    assert ("needs-human", "needs-human") not in lines.values()


def test_a_changed_definition_leaves_what_was_said_and_adds_nothing(near_miss: Source) -> None:
    changed = {name: replace(trial, hash="sha256:other") for name, trial in near_miss.trials.items()}
    trial = one(replace(near_miss, trials=changed))
    assert not trial.is_current
    assert (trial.needs, trial.missing) == ((), ())
    (row,) = rows(trial.cohorts[0], "in-the-way")
    assert row.said["explanation"].startswith("Platelets 24")
    assert (row.how, row.trend, row.reading) == (None, None, None)


def test_without_a_kept_chart_there_are_no_trends(near_miss: Source) -> None:
    trial = one(replace(near_miss, match=None, facts=None))
    assert trial.is_current
    assert all(row.trend is None for cohort in trial.cohorts for group in cohort.groups for row in group.rows)


def test_a_distance_of_nothing_is_said_in_words(near_miss: Source) -> None:
    report: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(near_miss.report))
    for entry in report["trials"]:
        for cohort in entry["cohorts"]:
            for criterion in cohort["criteria"]:
                if criterion["id"] == "I9.platelets":
                    criterion["margin"] = {"value": 0, "unit": "10*9/L", "percent": 0}
    (row,) = rows(one(replace(near_miss, report=report)).cohorts[0], "in-the-way")
    assert row.distance == "exactly at the limit"

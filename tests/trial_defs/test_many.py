"""Many trials are matched by their gates and share what they ask; whoever reads the answer must not be able to tell."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from benchmarks.hook_body import PATIENT as BENCH_PATIENT
from benchmarks.hook_body import hook_body
from benchmarks.many_trials import write_trials
from cds_hooks.cards.trial_cards import cards_for
from cds_hooks.report import report_of
from mappings.chart.chart import Chart, ChartBuilder
from mappings.concepts.catalogue import Catalogue
from mappings.facts import Polarity
from mappings.lazily import Lazily
from mappings.patient_facts import facts_of
from mappings.resource_types import RESOURCE_TYPES
from tests.builders import PATIENT, body_of
from tests.case_files import all_cases
from tests.support.silence import charts
from trial_defs.definition import expressions as x
from trial_defs.definition.loader import load_trials
from trial_defs.definition.packed import one_of_each
from trial_defs.engine.attestation import NO_ATTESTATIONS, Attestation, Attestations, content_of
from trial_defs.engine.evaluation import is_indicated, match, match_many
from trial_defs.engine.findings import Match, Outcome, Verdict
from trial_defs.engine.gates import Gates
from trial_defs.engine.silence import Silences

TODAY = date(2026, 11, 1)


def moment(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def said(found: Match, catalogue: Catalogue) -> bytes:
    """Everything that leaves the service of the trials that are indicated: cards, and the report."""
    indicated = tuple(trial for trial in found.trials if trial.verdict is not Verdict.NOT_INDICATED)
    found, numbers = replace(found, trials=indicated), itertools.count()
    cards = cards_for(found, catalogue, new_uuid=lambda: str(next(numbers)), most=50)
    return msgspec.json.encode([[card.body for card in cards], report_of(found, "report", catalogue)])


def plainly(
    gates: Gates, chart: Chart, day: date, catalogue: Catalogue, given: Attestations = NO_ATTESTATIONS
) -> Match:
    return match(gates.trials, chart, catalogue, moment(day), UTC, attestations=given)


def by_gates(
    gates: Gates,
    chart: Chart,
    day: date,
    catalogue: Catalogue,
    silences: Silences | None = None,
    given: Attestations = NO_ATTESTATIONS,
) -> Match:
    return match_many(gates, chart, facts_of(chart, catalogue, moment(day), UTC), silences, given)


@pytest.fixture(scope="module")
def ours(trials: Mapping[str, x.Trial]) -> Gates:
    return Gates(tuple(trials.values()))


@pytest.fixture(scope="module")
def invented(tmp_path_factory: pytest.TempPathFactory, catalogue: Catalogue) -> Gates:
    """Half of them for lupus, with equal parts made one as a served set has them."""
    folder: Path = tmp_path_factory.mktemp("many")
    write_trials(folder, range(0, 12_000, 50))
    loaded = load_trials([folder], catalogue)
    assert not loaded.problems
    _, shared = one_of_each({trial.hash: trial for trial in loaded.trials.values()}, catalogue.hash)
    return Gates(tuple(shared.values()))


def bench_chart(day: date, unread: Sequence[str] = (), observations: int = 200) -> Chart:
    prefetch = msgspec.json.decode(hook_body(observations, day))["prefetch"]
    builder = ChartBuilder(BENCH_PATIENT)
    for key, value in prefetch.items():
        builder.add(msgspec.json.encode(value), "Patient" if key == "patient" else None)
    builder.whole_chart()
    for resource_type in unread:
        builder.fail(resource_type, "incomplete")
    return builder.build()


# -- the same answers


def test_every_case_is_answered_the_same_to_the_byte(ours: Gates, catalogue: Catalogue) -> None:
    silences = Silences()
    for _, chart, day in itertools.islice(charts(catalogue), 0, None, 2):
        found = by_gates(ours, chart, day, catalogue, silences)
        assert said(found, catalogue) == said(plainly(ours, chart, day, catalogue), catalogue)


def test_so_are_cases_against_hundreds_of_trials(invented: Gates, catalogue: Catalogue) -> None:
    silences = Silences()
    lupus = ((trial, chart, day) for trial, chart, day in charts(catalogue) if trial == "NCT06711146")
    for _, chart, day in itertools.islice(lupus, 6):
        found = by_gates(invented, chart, day, catalogue, silences)
        assert said(found, catalogue) == said(plainly(invented, chart, day, catalogue), catalogue)


UNREAD: tuple[tuple[str, ...], ...] = (
    (), ("Condition",), ("Observation",), ("MedicationRequest", "Procedure"), ("Patient",), tuple(RESOURCE_TYPES),
)  # fmt: skip


@pytest.mark.parametrize("unread", UNREAD, ids=lambda names: "+".join(names) or "all read")
def test_sources_that_were_not_read_change_nothing_of_that(
    invented: Gates, catalogue: Catalogue, unread: tuple[str, ...]
) -> None:
    chart, silences = bench_chart(TODAY, unread), Silences()
    plain = plainly(invented, chart, TODAY, catalogue)
    for _ in range(2):  # the second time much is known already
        found = by_gates(invented, chart, TODAY, catalogue, silences)
        assert said(found, catalogue) == said(plain, catalogue)
    assert len({trial.verdict for trial in plain.trials}) > 1


def test_a_patient_who_died_is_eligible_for_none(invented: Gates, catalogue: Catalogue) -> None:
    builder = ChartBuilder(PATIENT)
    builder.add(msgspec.json.encode({"resourceType": "Patient", "id": PATIENT, "deceasedBoolean": True}), "Patient")
    builder.whole_chart()
    found = by_gates(invented, chart := builder.build(), TODAY, catalogue)
    assert found.trials == plainly(invented, chart, TODAY, catalogue).trials
    assert {trial.verdict for trial in found.trials} == {Verdict.NOT_ELIGIBLE}


def test_a_day_on_which_the_verdict_turns_is_the_same(invented: Gates, catalogue: Catalogue) -> None:
    """An age that is not reached yet is a near miss until the birthday."""
    age = x.Age(x.Bound(">=", Decimal(41), "a", Decimal(41)))
    trials = []
    for trial in invented.trials:
        cohort = trial.cohorts[0]
        criteria = tuple(replace(c, asks=age) if isinstance(c.asks, x.Age) else c for c in cohort.criteria)
        trials.append(replace(trial, cohorts=(replace(cohort, criteria=criteria),)))
    gates, chart = Gates(trials), bench_chart(TODAY)
    found, plain = by_gates(gates, chart, TODAY, catalogue), plainly(gates, chart, TODAY, catalogue)
    days = {cohort.recheck_on for trial in found.trials for cohort in trial.cohorts}
    assert date(2027, 4, 12) in days
    assert said(found, catalogue) == said(plain, catalogue)


def test_an_answer_to_one_trial_answers_no_other_that_asks_the_same(invented: Gates, catalogue: Catalogue) -> None:
    chart = bench_chart(TODAY)
    asked = [
        (trial, criterion)
        for trial in invented.trials
        for criterion in trial.cohorts[0].criteria
        if isinstance(criterion.asks, x.Judgement) and "lupus" in trial.title
    ]
    trial, criterion = asked[0]
    answer = Attestation(
        trial.id, criterion.id, content_of(criterion, catalogue), True, "A. Coordinator", "asked", moment(TODAY),
        TODAY, TODAY + timedelta(30),
    )  # fmt: skip
    given = {(trial.id, criterion.id): answer}
    found = by_gates(invented, chart, TODAY, catalogue, Silences(), given)
    attested = [f for t in found.trials for c in t.cohorts for f in c.findings if f.attested]
    assert [finding.criterion for finding in attested] == [criterion]
    assert said(found, catalogue) == said(plainly(invented, chart, TODAY, catalogue, given), catalogue)


# -- what is not done


def test_trials_whose_gate_is_closed_are_left_out(invented: Gates, catalogue: Catalogue) -> None:
    chart = bench_chart(TODAY)
    opened = invented.open_for(facts_of(chart, catalogue, moment(TODAY), UTC))
    assert 0 < len(opened) <= len(invented.trials) // 2
    assert all("lupus" in trial.title for trial in opened)


def test_a_trial_that_is_out_of_the_question_is_worked_out_when_it_is_looked_at(
    invented: Gates, catalogue: Catalogue
) -> None:
    found = by_gates(invented, bench_chart(TODAY), TODAY, catalogue)
    late = [c for t in found.trials for c in t.cohorts if isinstance(c.findings, Lazily)]
    assert {cohort.verdict for cohort in late} == {Verdict.NOT_ELIGIBLE, Verdict.CLOSED}
    assert all(len(cohort.findings) == len(cohort.cohort.criteria) for cohort in late)
    assert any(f.outcome is Outcome.NOT_MET for cohort in late for f in cohort.findings)


# -- gates

SLE = x.Condition("systemic-lupus-erythematosus", "active")
RITUXIMAB = x.Treatment(("rituximab",), "ever")
LOW = x.Value("platelets", x.Bound("<", Decimal(50), "10*9/L", Decimal(50)))
PRESUMED = x.Value("anti-sm", Polarity.NEGATIVE, absent="presume")
ADULT = x.Age(x.Bound(">=", Decimal(18), "a", Decimal(18)))
GATES: Sequence[x.Expression] = (
    SLE, RITUXIMAB, LOW, PRESUMED, ADULT, x.Not(SLE), x.All((SLE, LOW)), x.AnyOf((SLE, LOW)), x.All((ADULT, SLE)),
    x.AnyOf((SLE, RITUXIMAB)), x.All((SLE, RITUXIMAB)), x.AtLeast(1, (SLE, RITUXIMAB)), x.AtLeast(2, (SLE, LOW)),
    x.All((x.Not(RITUXIMAB), LOW)), x.All(()), x.AtLeast(1, (x.All((SLE, LOW)), RITUXIMAB)),
    x.Condition("systemic-lupus-erythematosus", "ever", absent="presume"),
    x.Treatment(("rituximab", "belimumab"), "ever", absent="presume"),
)  # fmt: skip
CHARTS: Sequence[Mapping[str, object]] = (
    {}, {"conditions": {"systemic-lupus-erythematosus": None}}, {"treatments": {"rituximab": {"start": "-2 mo"}}},
    {"results": {"platelets": "30 10*9/L @ -1 d"}}, {"results": {"platelets": "30 furlongs @ -1 d"}},
)  # fmt: skip


def gate_charts(catalogue: Catalogue) -> Iterator[Chart]:
    base = all_cases()[0].chart
    for spec, unread in itertools.product(CHARTS, (*((name,) for name in RESOURCE_TYPES), ())):
        chart = {"patient": base["patient"]} | {
            name: spec.get(name, {}) for name in ("conditions", "treatments", "results")
        }
        builder = ChartBuilder(PATIENT)
        builder.add(body_of(chart, TODAY, catalogue), None)
        builder.whole_chart()
        for name in unread:
            builder.fail(name, "incomplete")
        yield builder.build()


def test_no_gate_that_may_be_on_record_is_passed_over(trials: Mapping[str, x.Trial], catalogue: Catalogue) -> None:
    trial = next(iter(trials.values()))
    cohort = trial.cohorts[0]
    ours = [replace(trial, id=f"T{n}", cohorts=(replace(cohort, gate=gate),)) for n, gate in enumerate(GATES)]
    gates, passed = Gates(ours), 0
    for chart in gate_charts(catalogue):
        facts = facts_of(chart, catalogue, moment(TODAY), UTC)
        opened = {each.id for each in gates.open_for(facts)}
        for each in ours:
            assert each.id in opened or not is_indicated(each.cohorts[0], facts), each.cohorts[0].gate
        passed += len(ours) - len(opened)
    assert passed > 100


def test_the_same_question_may_let_in_or_shut_out(trials: Mapping[str, x.Trial], catalogue: Catalogue) -> None:
    """Include, exclude and a guard share what they ask, and neither id nor outcome."""
    trial = next(trial for trial in trials.values() if trial.id == "NCT06711146")
    cohort = trial.cohorts[0]
    asked = next(criterion for criterion in cohort.criteria if criterion.asks == cohort.gate)
    others = (
        asked, replace(asked, id="again"), replace(asked, id="out", kind="exclusion"),
        replace(asked, id="guarded", kind="exclusion", only_if=x.SexIs("male")),
        replace(asked, id="shown", shows=("alt",)),
    )  # fmt: skip
    ours = [replace(trial, id=f"T{n}", cohorts=(replace(cohort, criteria=(each,)),)) for n, each in enumerate(others)]
    gates, chart = Gates(ours), bench_chart(TODAY)
    found = by_gates(gates, chart, TODAY, catalogue)
    assert said(found, catalogue) == said(plainly(gates, chart, TODAY, catalogue), catalogue)
    outcomes = [each.cohorts[0].findings[0].outcome.value for each in found.trials]
    assert outcomes == ["met", "met", "not-met", "not-applicable", "met"]

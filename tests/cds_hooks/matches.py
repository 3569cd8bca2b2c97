"""Matches as the evaluation would give them, made by hand: a trial's own criteria with the outcomes a test asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from mappings.concepts.catalogue import Catalogue
from mappings.facts import Episode, Interval, Polarity, Reason, Result, SourceReport, SourceState
from mappings.time.times import parse_moment
from trial_defs.definition import expressions as x
from trial_defs.engine.findings import (
    Basis,
    CohortMatch,
    Finding,
    Margin,
    Match,
    Open,
    Outcome,
    PersonFact,
    TrialMatch,
    Verdict,
    best_of,
)

AS_OF = datetime(2026, 11, 1, tzinfo=UTC)
PATIENT = "Patient/p1"


def a_result(
    concept: str, value: str | Decimal | Polarity | None, unit: str = "", taken: str = "2026-10-20", **more: Any
) -> Result:
    """A final result; `value` a number or a polarity."""
    numeric = Interval.exactly(Decimal(value)) if value is not None and not isinstance(value, Polarity) else None
    return Result(
        concept=concept,
        source=f"Observation/{concept}",
        taken=parse_moment(taken, UTC),
        value=numeric,
        unit=unit,
        recorded=more.pop("recorded", f"{value} {unit}".strip()),
        polarity=value if isinstance(value, Polarity) else None,
        **more,
    )


def a_diagnosis(concept: str, start: str | None = "2020-03-01", **more: Any) -> Episode:
    moment = parse_moment(start, UTC) if start else None
    return Episode(
        concept, f"Condition/{concept}", "diagnosis", more.pop("label", concept), moment, ongoing=True, **more
    )


def met(criterion: x.Criterion, catalogue: Catalogue) -> Finding:
    """A criterion met on recorded evidence; what only a person can judge is left to a person."""
    leaves = list(x.leaves_of(criterion.asks))
    for leaf in leaves:
        match leaf:
            case x.Judgement() | x.Consent():
                return judged(criterion)
            case _:
                pass
    leaf = leaves[0]
    match leaf:
        case x.Value(test=x.Bound() as bound):
            return with_value(criterion, leaf, str(bound.canonical + 7), catalogue)
        case x.Value() | x.Change():
            found = a_result(leaf.concept, Polarity.NEGATIVE)
            return Finding(criterion, Outcome.MET, Basis.RECORDED, evidence=(found,), decided_by=(leaf,))
        case x.Condition() if criterion.kind == "inclusion":
            diagnosis = a_diagnosis(leaf.concept)
            return Finding(criterion, Outcome.MET, Basis.RECORDED, evidence=(diagnosis,), decided_by=(leaf,))
        case x.Age():
            age = PersonFact("age", PATIENT, Decimal(36), "a", "1990-05-01")
            return Finding(criterion, Outcome.MET, Basis.RECORDED, evidence=(age,), decided_by=(leaf,))
        case _:
            return Finding(criterion, Outcome.MET, Basis.PRESUMED, decided_by=(leaf,))


def with_value(criterion: x.Criterion, leaf: x.Value, value: str, catalogue: Catalogue, near: bool = False) -> Finding:
    """A numeric criterion decided by one recorded value; the margin follows from the limit."""
    assert isinstance(leaf.test, x.Bound)
    limit, unit = leaf.test.canonical, catalogue.concepts[leaf.concept].unit or ""
    distance = Decimal(value) - limit if leaf.test.comparator in (">", ">=") else limit - Decimal(value)
    if criterion.kind == "exclusion":
        distance = -distance
    margin = Margin(distance, unit, None if not limit else distance / limit * 100, limit, near)
    outcome = Outcome.MET if distance >= 0 else Outcome.NOT_MET
    found = a_result(leaf.concept, value, unit)
    return Finding(criterion, outcome, Basis.RECORDED, evidence=(found,), margin=margin, decided_by=(leaf,), near=near)


def judged(criterion: x.Criterion) -> Finding:
    leaves = [leaf for leaf in x.leaves_of(criterion.asks) if isinstance(leaf, x.Judgement | x.Consent)]
    pieces = tuple(Open(leaf, None) for leaf in leaves)
    return Finding(criterion, Outcome.NEEDS_HUMAN, still_open=pieces)


def unknown(
    criterion: x.Criterion, reason: Reason = Reason.MISSING, *evidence: Result, note: str | None = None
) -> Finding:
    leaves = [leaf for leaf in x.leaves_of(criterion.asks) if not isinstance(leaf, x.Judgement | x.Consent)]
    pieces = tuple(Open(leaf, reason, evidence=evidence, note=note) for leaf in leaves)
    return Finding(criterion, Outcome.UNKNOWN, reason=reason, evidence=evidence, still_open=pieces)


def missed(value: str, catalogue: Catalogue, near: bool = True) -> Callable[[x.Criterion], Finding]:
    """A numeric criterion that this value misses."""

    def make(criterion: x.Criterion) -> Finding:
        leaf = next(leaf for leaf in x.leaves_of(criterion.asks) if isinstance(leaf, x.Value))
        return with_value(criterion, leaf, value, catalogue, near)

    return make


Findings = Mapping[str, Callable[[x.Criterion], Finding]]


def a_cohort(
    cohort: x.Cohort,
    catalogue: Catalogue,
    verdict: Verdict = Verdict.LIKELY_ELIGIBLE,
    but: Findings | None = None,
    recheck_on: date | None = None,
) -> CohortMatch:
    """A cohort with every criterion met or left to a person, but for those named in `but`."""
    if verdict is Verdict.NOT_INDICATED:
        return CohortMatch(cohort, verdict)
    but = but or {}
    findings = tuple(but[c.id](c) if c.id in but else met(c, catalogue) for c in cohort.criteria)
    return CohortMatch(cohort, verdict, findings, recheck_on)


def a_trial(trial: x.Trial, *cohorts: CohortMatch) -> TrialMatch:
    return TrialMatch(trial, best_of(c.verdict for c in cohorts), cohorts)


def a_match(*trials: TrialMatch, unread: Mapping[str, SourceState] | None = None, as_of: datetime = AS_OF) -> Match:
    types = ("Patient", "Condition", "Observation", "MedicationRequest")
    states = dict.fromkeys(types, "complete") | dict(unread or {})
    sources = tuple(SourceReport(name, state, 3) for name, state in states.items())  # type: ignore[arg-type]
    return Match(PATIENT, as_of, "sha256:c0ffee", sources, trials)


def numbered() -> Callable[[], str]:
    """uuids that count up, so that two runs can be compared."""
    count = iter(range(1, 100_000))
    return lambda: f"00000000-0000-4000-8000-{next(count):012d}"

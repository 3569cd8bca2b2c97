"""A row's counts and verdict with what people have answered: at once, without another look into the chart.

An answer counts here as it does when a chart is opened: only for a criterion that everything still open in it is for a
person, while it holds, and while the definition asks what was answered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

import msgspec

from app.worklist.candidates import Candidate, Left, Reading
from mappings.concepts.catalogue import Catalogue
from trial_defs.definition.expressions import Trial
from trial_defs.engine.attestation import Attestations
from trial_defs.engine.findings import Outcome, Verdict

Settled = Mapping[str, bool]  # criterion -> whether a person calls it met
_WORTH = frozenset(verdict.value for verdict in Verdict if verdict.is_candidate)


@dataclass(frozen=True, slots=True)
class Recount:
    """What a row shows of its best cohort."""

    verdict: Verdict
    cohort: str
    not_met: int
    unknown: int
    needs_human: int
    recheck_on: date | None


def settled_by_people(
    trial: Trial | None, given: Attestations, catalogue: Catalogue, now: datetime, today: date
) -> Settled:
    """The criteria of a trial that an answer decides at this moment. A trial that is not served has none."""
    criteria = {criterion.id: criterion for cohort in trial.cohorts for criterion in cohort.criteria} if trial else {}
    return {
        name: answer.is_met
        for (asked, name), answer in given.items()
        if trial and asked == trial.id and name in criteria
        if answer.holds(now, today) and answer.answers(criteria[name], catalogue)
    }


def recount(findings: Sequence[Mapping[str, Any]], settled: Settled) -> Recount | None:
    """The best cohort with these answers; None where they rule every cohort out. `findings`: see candidates.py."""
    counted = [_count(cohort, settled) for cohort in findings if cohort["verdict"] in _WORTH]
    left = [each for each in counted if each]
    return min(left, key=lambda each: (each.verdict.rank, each.not_met, each.unknown, each.needs_human), default=None)


def _count(cohort: Mapping[str, Any], settled: Settled) -> Recount | None:
    outcomes = {each["id"]: each["outcome"] for each in cohort["criteria"]}
    to_judge = [name for name, outcome in outcomes.items() if outcome == Outcome.NEEDS_HUMAN.value]
    if any(settled.get(name) is False for name in to_judge):
        return None
    found = list(outcomes.values())
    recheck = cohort["recheckOn"]
    return Recount(
        Verdict(cohort["verdict"]),
        cohort["cohort"],
        found.count(Outcome.NOT_MET.value),
        found.count(Outcome.UNKNOWN.value),
        sum(name not in settled for name in to_judge),
        date.fromisoformat(recheck) if recheck else None,
    )


def marked(findings: Sequence[Mapping[str, Any]], settled: Settled) -> list[dict[str, Any]]:
    """The findings, with `answered` at each criterion that people have decided."""
    return [
        {**cohort, "criteria": [{**each, "answered": each["id"] in settled} for each in cohort["criteria"]]}
        for cohort in findings
    ]


def with_answers(reading: Reading, settled: Mapping[str, Settled]) -> Reading:
    """A reading of a chart by which nobody's answers were known, with them. `settled`: by trial."""
    candidates: list[Candidate] = []
    gone = dict(reading.gone)
    for each in reading.candidates:
        answers = settled.get(each.trial)
        if not answers:
            candidates.append(each)
        elif found := recount(findings := msgspec.json.decode(each.findings), answers):
            candidates.append(_recount(each, found, msgspec.json.encode(marked(findings, answers))))
        else:
            gone[each.trial] = Left.RULED_OUT
    return replace(reading, candidates=candidates, gone=gone)


def _recount(candidate: Candidate, found: Recount, findings: bytes) -> Candidate:
    return replace(
        candidate,
        verdict=found.verdict,
        cohort=found.cohort,
        not_met=found.not_met,
        unknown=found.unknown,
        needs_human=found.needs_human,
        recheck_on=found.recheck_on,
        findings=findings,
    )

"""What is missing, and the one test that would settle it: grouped by test, counted over all trials and cohorts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from mappings.catalogue import Catalogue, Orderable
from mappings.facts import Reason
from trial_defs import expressions as x
from trial_defs.findings import CohortMatch, Finding, Open, Outcome, TrialMatch, Verdict

How = Literal["ask", "examination", "blood-test", "urine-test", "ecg", "imaging", "lung-function", "procedure"]

# What it costs to settle one open item, in units of a question asked in the room.
EFFORT: Mapping[str, int] = {
    "ask": 1, "examination": 2, "urine-test": 3, "blood-test": 3, "ecg": 4, "lung-function": 5, "imaging": 6,
    "procedure": 10,
}  # fmt: skip
WORTH_A_CARD = (Verdict.LIKELY_ELIGIBLE, Verdict.POSSIBLY_ELIGIBLE, Verdict.NEAR_MISS)

# A new result settles these. A pending result, one that the EHR withholds and one without unit or range are not
# ordered again: they are there, and somebody has to be asked.
_A_TEST_HELPS = (Reason.MISSING, Reason.STALE, Reason.IMPLAUSIBLE, Reason.CONFLICTING, Reason.IMPRECISE)


@dataclass(slots=True)
class Need:
    """One test, what it measures, and the criteria (trial, cohort, criterion) that wait for it."""

    order: Orderable
    concepts: dict[str, None] = field(default_factory=dict)  # in the order of the text
    settles: set[tuple[str, str, str]] = field(default_factory=set)

    @property
    def can_be_ordered(self) -> bool:
        coded = self.order.loinc is not None or self.order.snomed is not None
        return coded and self.order.how not in ("ask", "examination")


def concepts_of_open(piece: Open) -> tuple[str, ...]:
    """The results that a new test would bring; none for a question about history or for a judgement."""
    match piece.leaf:
        case x.Value() | x.Change() if piece.reason in _A_TEST_HELPS:
            return (piece.leaf.concept,)
        case _:
            return ()


def orderable(concept: str, catalogue: Catalogue) -> Orderable | None:
    entry = catalogue.concepts.get(concept)
    return entry.order if entry else None


def needs_of(trials: Iterable[TrialMatch], catalogue: Catalogue) -> tuple[Need, ...]:
    """Every test that some card-worthy cohort waits for; the one that settles the most criteria first."""
    needs: dict[tuple[str, str | None, str | None], Need] = {}
    for trial in trials:
        for cohort in worth_a_card(trial):
            for finding in cohort.findings:
                if finding.outcome is Outcome.UNKNOWN:
                    _collect(needs, (trial.trial.id, cohort.cohort.id, finding.criterion.id), finding, catalogue)
    return tuple(sorted(needs.values(), key=_most_settled_first))


def _collect(
    needs: dict[tuple[str, str | None, str | None], Need],
    place: tuple[str, str, str],
    finding: Finding,
    catalogue: Catalogue,
) -> None:
    for piece in finding.still_open:
        for concept in concepts_of_open(piece):
            order = orderable(concept, catalogue)
            if order is None:
                continue
            need = needs.setdefault((order.title, order.loinc, order.snomed), Need(order))
            need.concepts[concept] = None
            need.settles.add(place)


def _most_settled_first(need: Need) -> tuple[int, int, str]:
    return (-len(need.settles), EFFORT[need.order.how], need.order.title)


def worth_a_card(trial: TrialMatch) -> list[CohortMatch]:
    """The cohorts of a trial that a card may speak of."""
    return [cohort for cohort in trial.cohorts if cohort.verdict in WORTH_A_CARD]


def effort_of(cohort: CohortMatch, catalogue: Catalogue) -> int:
    """What it costs to settle everything open in a cohort: each test once, each question once."""
    total = 0
    tests: dict[str, int] = {}
    for finding in cohort.findings:
        if finding.outcome is Outcome.NEEDS_HUMAN:
            total += EFFORT["ask"]
        elif finding.outcome is Outcome.UNKNOWN:
            orders = [orderable(c, catalogue) for piece in finding.still_open for c in concepts_of_open(piece)]
            known = [order for order in orders if order]
            tests |= {order.title: EFFORT[order.how] for order in known}
            total += 0 if known else EFFORT["ask"]
    return total + sum(tests.values())

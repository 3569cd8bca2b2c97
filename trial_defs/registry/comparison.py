"""A draft held against the definition that a person made of the same text: what it had, and what it got wrong.

The unit is one thing asked: a limit with its sign, number and unit; a positive or negative; a diagnosis; a treatment
with its window; an age. It counts on its side (what must be so, what must not) and once for each trial, since a draft
does not know which cohort a point belongs to. Questions for people are not counted: a draft has those for everything.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mappings.facts import Polarity
from trial_defs.definition import expressions as x

Piece = tuple[str, ...]  # side, kind, concept, and for a limit what it asks


@dataclass(frozen=True, slots=True)
class Comparison:
    """`by_hand` and `drafted` are the pieces of both; limits are those in which a number stands, windows included."""

    by_hand: frozenset[Piece]
    drafted: frozenset[Piece]

    @property
    def had(self) -> frozenset[Piece]:
        return self.by_hand & self.drafted

    @property
    def share(self) -> float:
        return len(self.had) / len(self.by_hand) if self.by_hand else 1.0

    @property
    def limits(self) -> frozenset[Piece]:
        return frozenset(piece for piece in self.drafted if is_limit(piece))

    @property
    def wrong_limits(self) -> frozenset[Piece]:
        """Drafted limits that the person's definition does not have on that side."""
        return self.limits - self.by_hand


def is_limit(piece: Piece) -> bool:
    """Whether a number is in it."""
    return piece[1] in ("value", "age", "treatment within", "condition within")


def compare(draft: x.Trial, by_hand: x.Trial) -> Comparison:
    return Comparison(frozenset(_pieces(by_hand)), frozenset(_pieces(draft)))


def _pieces(trial: x.Trial) -> Iterator[Piece]:
    for cohort in trial.cohorts:
        for criterion in cohort.criteria:
            yield from _of(criterion.asks, criterion.kind == "inclusion")


def _of(expression: x.Expression, wanted: bool) -> Iterator[Piece]:
    side = "must" if wanted else "must not"
    match expression:
        case x.Not(part=part):
            yield from _of(part, not wanted)
        case x.All(parts=parts) | x.AnyOf(parts=parts) | x.AtLeast(parts=parts):
            for part in parts:
                yield from _of(part, wanted)
        case x.Age(test=test):
            yield side, "age", "age", _limit(test)
        case x.Value(concept=concept, test=test):
            kind = "polarity" if isinstance(test, Polarity) else "value"
            yield side, kind, concept, _limit(test)
        case x.Condition(concept=concept):
            yield side, "condition", concept
            if window := expression.within or expression.began_within:
                yield side, "condition within", concept, str(window)
        case x.Treatment(concepts=concepts, within=within):
            for concept in concepts:
                yield (side, "treatment within", concept, str(within)) if within else (side, "treatment", concept)
        case _:
            return


def _limit(test: x.Test) -> str:
    """The limit in canonical units, so that 8 g/dL and 80 g/L are one."""
    match test:
        case x.Between():
            return f"{test.low.canonical.normalize():f}..{test.high.canonical.normalize():f}"
        case x.Bound():
            return f"{test.comparator} {test.canonical.normalize():f} {test.times or ''} {test.plus.normalize():f}"
        case _:
            return test.value

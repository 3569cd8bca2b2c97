"""A drafted definition beside the text it was read from: each criterion with its words and the cases of its limit.

Read only: a person corrects the definition's file, and signs it there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise

import yaml

from mappings.concepts.catalogue import Catalogue
from mappings.facts import Interval
from trial_defs.definition import expressions as x
from trial_defs.definition.language import CriterionWords, TrialWords
from trial_defs.definition.rendering import words_of
from trial_defs.engine.values import compare


@dataclass(frozen=True, slots=True)
class Reviewed:
    """One criterion: where the text says it, what it asks in the language, its question, and cases of its limits."""

    id: str
    source: str
    side: str
    text: str
    asks: str
    question: str | None
    words: str
    cases: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of the text, and the criteria that were read from it."""

    text: str
    criteria: tuple[str, ...]


def reviewed(trial: x.Trial, words: TrialWords, catalogue: Catalogue) -> list[Reviewed]:
    """Every criterion once: those that ask first, then diagnoses and treatments, which are wrong most often."""
    compiled = {criterion.id: criterion for cohort in trial.cohorts for criterion in cohort.criteria}
    found = [_one(each, compiled[each.id], catalogue) for each in _criteria(words) if each.id in compiled]
    order = {each.id: _rank(compiled[each.id]) for each in found}
    return sorted(found, key=lambda each: (each.question is None, order[each.id]))


def _criteria(words: TrialWords) -> Iterator[CriterionWords]:
    own = (c for cohort in words.cohorts.values() for c in (*cohort.criteria, *cohort.closing))
    yield from {each.id: each for each in (*words.before, *own, *words.after)}.values()


def _rank(criterion: x.Criterion) -> int:
    leaves = x.leaves_of(criterion.asks)
    if any(isinstance(leaf, x.Condition) for leaf in leaves):
        return 0
    if any(isinstance(leaf, x.Treatment) for leaf in leaves):
        return 1
    return 2 if any(isinstance(leaf, x.Value | x.Age) for leaf in leaves) else 3


def _one(words: CriterionWords, criterion: x.Criterion, catalogue: Catalogue) -> Reviewed:
    drafted = words.drafted
    said = (drafted.sentence or drafted.words) if drafted else ""
    return Reviewed(
        words.id,
        words.source,
        criterion.kind,
        words.text,
        yaml.safe_dump(
            words_of(criterion.asks, catalogue), default_flow_style=True, allow_unicode=True, width=100
        ).strip(),
        words.question,
        said,
        tuple(cases_of(criterion, catalogue)),
    )


def _flowing(asks: object) -> str:
    return str(yaml.safe_dump(asks, default_flow_style=True, allow_unicode=True, width=100)).strip()


def cases_of(criterion: x.Criterion, catalogue: Catalogue) -> Iterator[str]:
    """What the engine makes of the limit itself, one step beside it, and no result: "74 → not met, 75 → met, …"."""
    for leaf in x.leaves_of(criterion.asks):
        if isinstance(leaf, x.Value) and isinstance(leaf.test, x.Bound) and leaf.test.times is None:
            yield f"{catalogue.title(leaf.concept)}: {_around(leaf.test, criterion.kind)}, no result → unknown"
        if isinstance(leaf, x.Age) and isinstance(leaf.test, x.Bound):
            yield f"Age: {_around(leaf.test, criterion.kind)}"


def _around(bound: x.Bound, kind: str) -> str:
    exponent = bound.number.as_tuple().exponent
    step = Decimal(1).scaleb(exponent if isinstance(exponent, int) and exponent < 0 else 0)
    numbers = [bound.number - step, bound.number, bound.number + step]
    numbers = numbers[:2] if bound.comparator in (">=", "<") else numbers[1:]
    return ", ".join(f"{number} {bound.unit} → {_outcome(number, bound, kind)}" for number in numbers)


def _outcome(number: Decimal, bound: x.Bound, kind: str) -> str:
    holds = compare(Interval.exactly(number), bound, bound.number)
    return "met" if bool(holds) == (kind == "inclusion") else "not met"


def pieces(text: str, criteria: Sequence[CriterionWords]) -> list[Piece]:
    """The text cut wherever a criterion's words begin or end."""
    spans = []
    for each in criteria:
        if each.drafted is not None:
            start, _, end = each.drafted.span.partition("..")
            spans.append((int(start), int(end), each.id))
    edges = sorted({0, len(text), *(edge for start, end, _ in spans for edge in (start, end) if edge <= len(text))})
    return [
        Piece(text[first:last], tuple(name for start, end, name in spans if start <= first and last <= end))
        for first, last in pairwise(edges)
    ]


def review_values(trial: x.Trial, words: TrialWords, text: str, catalogue: Catalogue) -> dict[str, object]:
    """What the page shows."""
    return {
        "title": words.title,
        "trial_id": words.id,
        "missing": list(words.missing),
        "gates": [(cohort.title, cohort.question) for cohort in words.cohorts.values() if cohort.question],
        "criteria": reviewed(trial, words, catalogue),
        "pieces": pieces(text, list(_criteria(words))),
    }

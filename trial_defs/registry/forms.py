"""The forms that drafted criteria have, and how often a reader found a draft of each form wrong.

A reviewer reads first what is wrong most often. `form_errors.tsv` is written by `python -m docs.drafts`.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from mappings.facts import Polarity
from trial_defs.definition import expressions as x

TABLE = Path(__file__).with_name("form_errors.tsv")
PERSON = "question for a person"


@dataclass(frozen=True, slots=True)
class FormError:
    """Of `drafts` drafts of a form, so many a reader found `wrong`."""

    wrong: int
    drafts: int

    @property
    def rate(self) -> float:
        """The share to expect of the next draft: a form that was hardly ever read is not taken for a good one."""
        return (self.wrong + 1) / (self.drafts + 2)


def form_of(asks: x.Expression, *, has_question: bool) -> str:
    """The form of a draft: what it asks of the record, and whether a question or a judgement is beside it."""
    leaves = [leaf for leaf in x.leaves_of(asks) if not isinstance(leaf, x.Judgement | x.Consent)]
    if not leaves:
        return PERSON
    asks_too = has_question or len(leaves) < len(list(x.leaves_of(asks)))
    return _kind(asks, leaves) + (", with a question" if asks_too else "")


def _kind(asks: x.Expression, leaves: Sequence[x.Expression]) -> str:
    if len(leaves) > 1 and _has_choice(asks):
        return "one of several"
    if any(isinstance(leaf, x.Condition) for leaf in leaves):
        return "diagnosis"
    if any(isinstance(leaf, x.Treatment) for leaf in leaves):
        return "treatment"
    if any(isinstance(leaf, x.Value) and isinstance(leaf.test, Polarity) for leaf in leaves):
        return "positive or negative"
    if any(isinstance(leaf, x.Value | x.Change) for leaf in leaves):
        return "limit"
    return "age or sex"


def _has_choice(asks: x.Expression) -> bool:
    return isinstance(asks, x.AnyOf | x.AtLeast) or any(_has_choice(part) for part in x.parts_of(asks))


@cache
def form_errors() -> Mapping[str, FormError]:
    """What was counted, by form."""
    with TABLE.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    return {row["form"]: FormError(int(row["wrong"]), int(row["drafts"])) for row in rows}


def error_of(form: str) -> FormError:
    """What was counted of this form; nothing for one that was never read."""
    return form_errors().get(form, FormError(0, 0))

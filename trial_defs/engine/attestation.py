"""A person's answer to a criterion that no data decide: what it is, when it holds, what a finding becomes by it.

It never speaks against data: it counts only where everything still open is for a person. It lapses by itself, at the
end of its last day, and when the definition asks something else than was answered.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime

from mappings.concepts.catalogue import Catalogue
from trial_defs.definition import expressions as x
from trial_defs.definition.rendering import criterion_words

_DECIDES = ("id", "include", "exclude", "only_if", "near")  # of a definition's words; the rest may be reworded


@dataclass(frozen=True, slots=True)
class Attestation:
    """`by` is the person's name as it is shown; `on` the day, in the patient's zone, on which the answer was given.

    It holds from `at` to the end of `until`. `asked` is `content_of` the criterion that was answered.
    """

    trial: str
    criterion: str
    asked: str
    is_met: bool  # said from the patient's side of enrolment, as outcomes are: of an exclusion, that it does not hold
    by: str
    words: str
    at: datetime
    on: date
    until: date

    def holds(self, as_of: datetime, today: date) -> bool:
        """Whether it counts at that moment, whose calendar day is `today`."""
        return self.at <= as_of and today <= self.until

    def answers(self, criterion: x.Criterion, catalogue: Catalogue) -> bool:
        """Whether this is what the criterion asks; a new limit, window or question is not answered by an old answer."""
        return self.asked == content_of(criterion, catalogue)


Attestations = Mapping[tuple[str, str], Attestation]  # by trial and criterion
NO_ATTESTATIONS: Attestations = {}


def usual_days(criterion: x.Criterion) -> int:
    """For how long an answer usually holds: a consent or a confirmed entry a year, the state of a disease 90 days."""
    changing = (x.Judgement, x.Value, x.Change)
    return 90 if any(isinstance(leaf, changing) for leaf in x.leaves_of(criterion.asks)) else 365


def newest(attestations: Iterable[Attestation]) -> Attestations:
    """The last word on each criterion."""
    ordered = sorted(attestations, key=lambda each: each.at)
    return {(each.trial, each.criterion): each for each in ordered}


def content_of(criterion: x.Criterion, catalogue: Catalogue) -> str:
    """The hash of what a criterion asks: its id, expression, guard and tolerance, as the definition has them."""
    words = criterion_words(criterion, catalogue)
    told = {key: words[key] for key in _DECIDES if key in words}
    text = json.dumps(told, sort_keys=True, ensure_ascii=False)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()

"""The worklist in figures: how far candidates came, and what clinicians said to the cards. Bars are of 100."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.worklist.words import STATUS_WORDS
from cds_hooks.protocol.override_reasons import SHORT_WORDS

WIDTH = 100.0  # of a whole bar
_WAY = ("new", "contacted", "consented", "enrolled", "declined", "screen-failure")  # on, and then out


@dataclass(frozen=True, slots=True)
class Bar:
    """One line of a chart: `start` and `width` are of 100."""

    label: str
    count: int
    width: float
    start: float = 0.0


@dataclass(frozen=True, slots=True)
class Funnel:
    """One trial: how many of its rows are where, those that went on in the order in which they go."""

    trial: str
    total: int
    bars: Sequence[Bar]


@dataclass(frozen=True, slots=True)
class Answers:
    """One trial: how many of its cards were accepted and overridden, and with which reasons."""

    trial: str
    accepted: int
    overridden: int
    split: Sequence[Bar]
    reasons: Sequence[Bar]

    @property
    def percent(self) -> int:
        return round(100 * self.accepted / max(self.accepted + self.overridden, 1))


def funnels(counted: Iterable[tuple[str, str, int]]) -> list[Funnel]:
    """From (trial, status, count)."""
    by_trial: dict[str, Counter[str]] = {}
    for trial, status, count in counted:
        by_trial.setdefault(trial, Counter())[status] += count
    return [_funnel(trial, found) for trial, found in sorted(by_trial.items())]


def _funnel(trial: str, found: Mapping[str, int]) -> Funnel:
    total = sum(found.values())
    bars = [Bar(STATUS_WORDS[status], found.get(status, 0), _width(found.get(status, 0), total)) for status in _WAY]
    return Funnel(trial, total, bars)


def answers(feedback: Iterable[Mapping[str, Any]]) -> list[Answers]:
    """From the `feedback` of the summary; what belongs to no trial of ours is left out."""
    by_trial: dict[str, Counter[tuple[str, str]]] = {}
    for row in feedback:
        if row["trial"]:
            by_trial.setdefault(row["trial"], Counter())[row["outcome"], row["reason"] or ""] += row["count"]
    return [_answers(trial, found) for trial, found in sorted(by_trial.items())]


def _answers(trial: str, found: Mapping[tuple[str, str], int]) -> Answers:
    accepted = sum(count for (outcome, _), count in found.items() if outcome == "accepted")
    reasons = {reason: count for (outcome, reason), count in found.items() if outcome == "overridden"}
    overridden = sum(reasons.values())
    share = _width(accepted, accepted + overridden)
    return Answers(
        trial,
        accepted,
        overridden,
        (Bar("accepted", accepted, share), Bar("overridden", overridden, WIDTH - share, share)),
        [
            Bar(SHORT_WORDS.get(reason, reason), count, _width(count, overridden))
            for reason, count in sorted(reasons.items(), key=lambda each: (-each[1], each[0]))
        ],
    )


def _width(count: int, total: int) -> float:
    return round(WIDTH * count / max(total, 1), 2)

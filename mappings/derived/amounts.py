"""How much of a drug in all, and in how many cycles: what the records prove, and what they leave open above it.

A chart holds what happened here; what was given elsewhere may be missing. So the least is certain, and whether the
most is the most is for the definition to say (`absent: presume`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise

from mappings.concepts.catalogue import Catalogue
from mappings.derived.doses import DailyDose, covers, is_administration, is_dated, sum_on
from mappings.facts import Certainty, Episode

_DAY = timedelta(days=1)
_ONE_CYCLE = timedelta(days=14)  # days 1 and 8, days 1 and 15, and weekly infusions may be one cycle


def cumulative_dose(
    episodes: Sequence[Episode], catalogue: Catalogue, today: date, unread: frozenset[str] = frozenset()
) -> DailyDose:
    """All mg up to today. What was given and what was ordered may be the same, so the larger of both is certain."""
    dated = [episode for episode in episodes if is_dated(episode)]
    given = [episode for episode in dated if is_administration(episode)]
    ordered = [episode for episode in dated if not is_administration(episode)]
    whole = _summed(dated, episodes, catalogue, today)
    low = max(_summed(part, episodes, catalogue, today).low for part in (given, ordered))
    note = whole.note
    if len(dated) < len(episodes):
        note = "not every course has its dates on record"
    if unread:
        note = "not every drug entry could be read"
    is_open = unread or len(dated) < len(episodes)
    return DailyDose(low, None if is_open else whole.high, tuple(episodes), note)


def _summed(episodes: Sequence[Episode], every: Sequence[Episode], catalogue: Catalogue, today: date) -> DailyDose:
    """The doses of all days on which one of the episodes lasted."""
    low, high, note = Decimal(0), Decimal(0), None
    is_open = False
    for first, after in pairwise((*_edges(episodes, today), today + _DAY)):
        current = [episode for episode in episodes if covers(episode, first)]
        if not current:
            continue
        dose = sum_on(first, current, every, catalogue)
        days = (after - first).days
        low += dose.low * days
        high += (dose.high or Decimal(0)) * days
        is_open = is_open or dose.high is None
        note = note or dose.note
    return DailyDose(low, None if is_open else high, (), note)


def _edges(episodes: Iterable[Episode], today: date) -> list[date]:
    """The days on which the sum may change, up to today."""
    edges: set[date] = set()
    for episode in episodes:
        if episode.start:
            edges.add(episode.start.first_day)
        if episode.end and episode.ongoing is False:
            edges.add(episode.end.last_day + _DAY)
        for step in episode.steps:
            edges |= {step.first} if step.first else set()
            edges |= {step.last + _DAY} if step.last else set()
    return sorted(edge for edge in edges if edge <= today)


def cycles(episodes: Sequence[Episode], today: date, unread: frozenset[str] = frozenset()) -> DailyDose:
    """The number of cycles: days on which it was given, of which those at most 14 days apart may be one cycle.

    An order or a statement proves no more than one cycle, and does not say how many there were.
    """
    sure = [episode for episode in episodes if episode.certainty is Certainty.CONFIRMED]
    days = sorted({e.start.first_day for e in sure if is_administration(e) and e.start and e.start.is_one_day})
    apart = sum(later - earlier > _ONE_CYCLE for earlier, later in pairwise(days)) + bool(days)
    is_taken = any(episode.ongoing or (episode.ongoing is False and episode.start) for episode in sure)
    is_open = unread or any(not is_administration(e) or not is_dated(e) or e not in sure for e in episodes)
    note = None
    if is_open:
        note = "orders and statements do not say how many cycles were given"
    elif apart < len(days):
        note = "days at most 14 days apart may be one cycle"
    low = Decimal(max(apart, int(is_taken)))
    return DailyDose(low, None if is_open else Decimal(len(days)), tuple(episodes), note)

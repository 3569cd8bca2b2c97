"""Records that contradict themselves: an end before a begin, a begin to come that was written down as one that was, or
an active status beside an end that is past.

Such a record is kept, and what it contradicts is open: neither of its dates can be told to be the right one.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from mappings.chart import fhir
from mappings.facts import Episode
from mappings.time.clock import Clock
from mappings.time.times import Moment


def is_reversed(period: fhir.Span | None, clock: Clock) -> bool:
    """Whether the whole of its end lies before the whole of its start."""
    if period is None or not period.start or not period.end:
        return False
    return _is_before(clock.moment(period.end), clock.moment(period.start))


def begins_after_it_was_written(begin: str | None, written: str | None, clock: Clock) -> bool:
    """Whether something that was written down in the past begins in the future: one of the two dates is wrong."""
    return clock.is_future(begin) and clock.moment(written) is not None and not clock.is_future(written)


def _is_before(end: Moment | None, start: Moment | None) -> bool:
    return end is not None and start is not None and end.latest < start.earliest


def with_contradictions(
    episode: Episode,
    clock: Clock,
    periods: Iterable[fhir.Span | None] = (),
    *,
    goes_on_by_status: bool = False,
    begin: str | None = None,
    written: str | None = None,
) -> Episode:
    """The episode without the dates that contradict each other, or its status, and with a note that names them.

    `begin`: the first day that the record names; `written`: when it was written down, where a record of that type says
    what was and not what is planned.
    """
    wrong = next((period for period in periods if period and is_reversed(period, clock)), None)
    start, end = (wrong.start, wrong.end) if wrong else (None, None)
    if wrong is None and _is_before(episode.end, episode.start) and episode.start and episode.end:
        start, end = episode.start.text, episode.end.text
    if start and end:
        note = f"it ends on {fhir.clean(end)}, before it begins on {fhir.clean(start)}"
        return replace(episode, start=None, end=None, ongoing=None, steps=(), contradiction=note)
    if begin and written and begins_after_it_was_written(begin, written, clock):
        note = f"it begins on {fhir.clean(begin)}, after it was written down on {fhir.clean(written)}"
        return replace(episode, start=None, end=None, ongoing=None, steps=(), contradiction=note)
    if goes_on_by_status and episode.end and clock.is_over(episode.end):
        note = f"by its status it goes on, and it ended on {episode.end.text}"
        return replace(episode, end=None, ongoing=None, contradiction=note)
    return episode

"""Windows tied to an event: before the result in use, around the onset of a disease, after a treatment began.

Days are ranges where the record leaves them open. Of a range and a window two things are asked: whether they surely
meet, and whether they may.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date

from msgspec import Struct
from msgspec.structs import replace

from mappings.concepts.catalogue import current_for
from mappings.facts import Certainty, Episode, Reason, Result
from mappings.patient_facts import PatientFacts
from mappings.time.times import Moment, Period
from trial_defs.definition.expressions import Anchor, Side, Value
from trial_defs.engine.findings import Basis, Evidence, Open
from trial_defs.engine.logic import Answer
from trial_defs.engine.values import in_window, newest


class Event(Struct, frozen=True, gc=False):
    """When the event was, from the first to the last day that is possible, and the result that it is.

    `result` None: no result is in use, so that one would be taken today; or the event is an onset.
    """

    first: date
    last: date
    result: Result | None = None
    is_today: bool = False


Events = tuple[Event, ...] | Reason  # one for each result in use; or why there is none to count from


def events_of(anchor: Anchor, facts: PatientFacts) -> Events:
    """The events from which a window is counted; a reason where the chart does not give them."""
    if anchor.kind == "result":
        events = [_result_in_use(concept, facts) for concept in anchor.concepts]
        known = tuple(event for event in events if isinstance(event, Event))
        return known if len(known) == len(events) else next(each for each in events if isinstance(each, Reason))
    return _onset(anchor.concepts, facts)


def _result_in_use(concept: str, facts: PatientFacts) -> Event | Reason:
    """The newest result while it is current; today, when a new one is needed; a reason where it is not known."""
    if facts.undated_results(concept):
        return Reason.IMPRECISE  # it may be the newest
    group = [r for r in newest(facts.usable_results(concept)) if not r.problem and r.taken]
    if not all(facts.is_newest(result) for result in group) or (not group and facts.unread(concept)):
        return Reason.NOT_READABLE
    limit = current_for(facts.catalogue.concepts[concept])
    current = [(r, r.taken) for r in group if r.taken and in_window(r.taken, limit, facts.today) is not False]
    if not current:
        return Event(facts.today, facts.today, is_today=True)
    first = min(taken.first_day for _, taken in current)
    return Event(first, max(taken.last_day for _, taken in current), current[0][0])


def _onset(concepts: Iterable[str], facts: PatientFacts) -> Events:
    """The earliest onset on record of any of the diagnoses. An entry without onset began before it was written down."""
    names = tuple(concepts)
    if not all(map(facts.readable, names)):
        return Reason.NOT_READABLE  # an earlier one may be missing
    episodes = [e for name in names for e in facts.episodes(name) if e.certainty is Certainty.CONFIRMED]
    if not episodes:
        return Reason.MISSING
    ranges = [day_range(episode.start, episode.recorded, facts.today) for episode in episodes]
    return (Event(min(first for first, _ in ranges), min(last for _, last in ranges)),)


def day_range(start: Moment | None, recorded: Moment | None, today: date) -> tuple[date, date]:
    """The first and the last day on which something may have begun."""
    if start is not None:
        return start.first_day, start.last_day
    return date.min, recorded.last_day if recorded else today


def lies_in(episode: Episode, within: Period, side: Side, event: Event, today: date) -> bool | None:
    """Whether the episode, from start to end, meets the window of that length on that side of the event."""
    begin = day_range(episode.start, episode.recorded, today)
    if episode.end:
        end = episode.end.first_day, episode.end.last_day
    else:
        end = (today, today) if episode.ongoing else (begin[1], today)
    sure = _window(within, side, event.last, event.first)
    possible = _window(within, side, event.first, event.last)
    if max(begin[0], possible[0]) > min(end[1], possible[1]):
        return False
    if side == "before" and begin[0] >= event.first:
        return _came_before(episode.start, event)
    return True if max(begin[1], sure[0]) <= min(end[0], sure[1]) else None


def began_in(episode: Episode, within: Period, side: Side, event: Event, today: date) -> bool | None:
    """Whether the episode began in the window of that length on that side of the event."""
    first, last = day_range(episode.start, episode.recorded, today)
    sure = _window(within, side, event.last, event.first)
    possible = _window(within, side, event.first, event.last)
    if last < possible[0] or first > possible[1]:
        return False
    return True if sure[0] <= first and last <= sure[1] else None


def _window(within: Period, side: Side, low: date, high: date) -> tuple[date, date]:
    """The window's days: the most of them with the event from `low` to `high`, the surest with the two turned round."""
    first = low if side == "after" else within.before(low)
    last = high if side == "before" else within.after(high)
    return first, last


def _came_before(start: Moment | None, event: Event) -> bool | None:
    """Of something on the very day of a result: whether it came first; None where the times of day do not say."""
    taken = event.result.taken if event.result else None
    if start is None or taken is None:
        return None if start is None or event.result else True
    if start.earliest > taken.latest:
        return False
    return True if start.latest <= taken.earliest else None


def taken_under(
    result: Result, anchor: Anchor, distance: Period, facts: PatientFacts
) -> tuple[bool | None, Episode | None]:
    """Whether the result was taken at least that long after a course began (or a disease), while it went on."""
    taken = result.taken
    if taken is None:
        return None, None
    unsure: Episode | None = None
    for episode in _courses(anchor.concepts, facts):
        first, last = day_range(episode.start, episode.recorded, facts.today)
        over = episode.end is not None and episode.end.last_day < taken.first_day
        if over or distance.after(first) > taken.last_day:
            continue
        goes_on = episode.ongoing is True if episode.end is None else episode.end.first_day >= taken.last_day
        if first > date.min and distance.after(last) <= taken.first_day and goes_on:
            return True, episode
        unsure = unsure or episode
    return (None, unsure) if unsure else (False, None)


def _courses(concepts: Sequence[str], facts: PatientFacts) -> list[Episode]:
    found = dict.fromkeys(e for name in concepts for e in facts.episodes(name))
    return [episode for episode in found if episode.certainty is Certainty.CONFIRMED]


def supported_by(result: Result, concepts: Sequence[str], length: Period, facts: PatientFacts) -> Episode | None:
    """A treatment that was given, or may have been, within that length before the result was taken."""
    if result.taken is None:
        return None
    event = Event(result.taken.first_day, result.taken.last_day, result)
    for name in concepts:
        for episode in facts.episodes(name):
            if lies_in(episode, length, "before", event, facts.today) is not False:
                return episode
    return None


def in_its_circumstances(leaf: Value, facts: PatientFacts, answer: Answer) -> Answer:
    """A value that passes, and was taken as the text asks: clear of what would raise it, or under a treatment.

    A result that may be under such a treatment shows nothing; a new one is needed. One that fails, fails anyway.
    """
    if answer.truth is not True or not (leaf.clear_of or leaf.anchor):
        return answer
    result = next(each for each in answer.evidence if isinstance(each, Result))
    if leaf.clear_of and leaf.clear_for:
        treatment = supported_by(result, leaf.clear_of, leaf.clear_for, facts)
        if treatment is not None:
            note = f"taken within {leaf.clear_for} after a treatment that may have raised it"
            return _open(leaf, Reason.MISSING, (result, treatment), note)
        if not all(map(facts.readable, leaf.clear_of)):
            return _open(leaf, Reason.NOT_READABLE, (result,), None)
    if leaf.anchor and leaf.distance:
        truth, episode = taken_under(result, leaf.anchor, leaf.distance, facts)
        if truth:
            return replace(answer, evidence=(*answer.evidence, *([episode] if episode else [])), basis=Basis.DERIVED)
        if episode is not None:
            return _open(leaf, Reason.IMPRECISE, (result, episode), "how long it had lasted by then is not recorded")
        if not all(map(facts.readable, leaf.anchor.concepts)):
            return _open(leaf, Reason.NOT_READABLE, (result,), None)
        if leaf.absent == "presume":
            return Answer(False, answer.evidence, Basis.PRESUMED, decided_by=(leaf,))
        return _open(leaf, Reason.MISSING, (result,), "no such treatment at that time is on record")
    return answer


def _open(leaf: Value, reason: Reason, evidence: tuple[Evidence, ...], note: str | None) -> Answer:
    return Answer(None, evidence, still_open=(Open(leaf, reason, None, evidence, note),))

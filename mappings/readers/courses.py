"""The course that dosage instructions describe: its first and last day, and the dose of each step of a taper."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, timedelta

from msgspec import Struct

from mappings.chart import fhir
from mappings.time.clock import Clock
from mappings.time.times import Moment, Period
from mappings.values.timing import Length, length_of

_DAY = timedelta(days=1)


class Step(Struct, frozen=True, gc=False):
    """Instructions that apply together, from the first day on which they may apply to the last (None: open)."""

    dosages: tuple[fhir.Dosage, ...]
    first: date | None
    last: date | None


class Course(Struct, frozen=True, gc=False):
    """`end` is None where nothing ends the course, or where its end is not known; then `ends` says that there is one.

    `steps` is empty where the same instructions apply from the first day to the last.
    """

    end: Moment | None = None
    ends: bool = False
    steps: tuple[Step, ...] = ()


def first_text(dosages: Iterable[fhir.Dosage]) -> str | None:
    """The earliest day that the instructions themselves name as a first one."""
    starts = [start for dosage in dosages if (start := _absolute(dosage)[0])]
    return min(starts, default=None)


def last_text(dosage: fhir.Dosage) -> str | None:
    """The last day that the instruction itself names."""
    return _absolute(dosage)[1]


def _absolute(dosage: fhir.Dosage) -> tuple[str | None, str | None]:
    """First and last day by `boundsPeriod`, or by events, of which one alone only begins what is repeated."""
    timing = dosage.timing
    if timing is None:
        return None, None
    bounds = timing.repeat.bounds_period if timing.repeat else None
    if bounds and (bounds.start or bounds.end):
        return bounds.start, bounds.end
    if not timing.event:
        return None, None
    is_all = len(timing.event) > 1 or timing.repeat is None
    return min(timing.event), max(timing.event) if is_all else None


def course_of(dosages: Sequence[fhir.Dosage], start: Moment | None, clock: Clock) -> Course:
    """The course of instructions that begin at `start`."""
    if not dosages or not any(dosage.timing for dosage in dosages):
        return Course()
    if len(dosages) == 1:
        return _together(dosages, start, clock)
    groups = _in_order(dosages)
    if len(groups) > 1:
        return _one_after_another(groups, start, clock)
    if all(any(_absolute(dosage)) for dosage in dosages):
        return _by_dates(dosages, clock)
    return _together(dosages, start, clock)


def _in_order(dosages: Sequence[fhir.Dosage]) -> list[tuple[fhir.Dosage, ...]]:
    """Instructions by their sequence; those of one number, or without any, apply together."""
    groups: dict[object, list[fhir.Dosage]] = {}
    for dosage in dosages:
        groups.setdefault(dosage.sequence or 0, []).append(dosage)
    return [tuple(groups[number]) for number in sorted(groups)]  # type: ignore[type-var]


def _together(dosages: Sequence[fhir.Dosage], start: Moment | None, clock: Clock) -> Course:
    """The longest of instructions that apply at once; one that has no end leaves the course without one."""
    ends = [_end(dosage, start, clock) for dosage in dosages]
    known = [end for end, _ in ends if end]
    if len(known) == len(ends):
        return Course(max(known, key=lambda end: end.latest), True)
    return Course(None, all(has_end for _, has_end in ends))


def _end(dosage: fhir.Dosage, start: Moment | None, clock: Clock) -> tuple[Moment | None, bool]:
    """The last day of one instruction, and whether there is one."""
    if text := last_text(dosage):
        return clock.moment(text), True
    length = length_of(dosage.timing, is_as_needed=_is_as_needed(dosage))
    if length is None:
        return None, False
    begin = clock.moment(_absolute(dosage)[0]) or start
    if begin is None or length.most is None:
        return None, True
    if length.least == length.most:
        return clock.after(begin, Period(length.most, "d")), True
    first = Period(length.least, "d").after(begin.first_day)
    return clock.days(first, Period(length.most, "d").after(begin.last_day), begin.text), True


def _is_as_needed(dosage: fhir.Dosage) -> bool:
    return bool(dosage.as_needed_boolean or dosage.as_needed or dosage.as_needed_codeable_concept)


# Steps


def _by_dates(dosages: Sequence[fhir.Dosage], clock: Clock) -> Course:
    """Instructions with days of their own: on each day those that cover it apply together."""
    spans = []
    for dosage in dosages:
        begin, end = (clock.moment(text) for text in _absolute(dosage))
        spans.append((begin.first_day if begin else date.min, end.last_day if end else None, dosage, end))
    edges = {first for first, _, _, _ in spans} | {last + _DAY for _, last, _, _ in spans if last}
    edges_in_order = sorted(edges)
    lasts = [*(edge - _DAY for edge in edges_in_order[1:]), None]
    steps = []
    for first, last in zip(edges_in_order, lasts, strict=True):
        there = tuple(dosage for begin, end, dosage, _ in spans if begin <= first and (end is None or end >= first))
        if there:
            steps.append(Step(there, first, last))
    ends = [end for _, _, _, end in spans if end]
    is_ended = len(ends) == len(spans)
    return Course(max(ends, key=lambda end: end.latest) if is_ended else None, is_ended, tuple(steps))


def _one_after_another(groups: Sequence[tuple[fhir.Dosage, ...]], start: Moment | None, clock: Clock) -> Course:
    """Steps that begin when the one before them has ended, as far as the length of each is known."""
    steps: list[Step] = []
    earliest, latest = (start.first_day, start.last_day) if start else (None, None)
    end: Moment | None = None
    for place, group in enumerate(groups):
        named = clock.moment(first_text(group))
        if named:
            earliest, latest = named.first_day, named.last_day
        last_named = [clock.moment(last_text(dosage)) for dosage in group]
        length = _longest(group)
        if all(last_named):
            end = max((each for each in last_named if each), key=lambda each: each.latest)
            ended = (end.first_day, end.last_day)
        elif length and earliest is not None and latest is not None and length.most is not None:
            less = 0 if length.to_last else 1
            ended = (earliest + timedelta(length.least - less), latest + timedelta(length.most - less))
            end = clock.days(ended[0] + timedelta(less), ended[1] + timedelta(less), start.text if start else "")
        else:
            end = None
            steps.append(Step(group, earliest, None))
            # Whatever follows may have begun on any day since.
            latest = None if place + 1 < len(groups) else latest
            continue
        steps.append(Step(group, earliest, ended[1]))
        earliest, latest = ended[0] + _DAY, ended[1] + _DAY
    return Course(end, end is not None or _longest(groups[-1]) is not None, tuple(steps))


def _longest(group: Sequence[fhir.Dosage]) -> Length | None:
    lengths = [length_of(dosage.timing, is_as_needed=_is_as_needed(dosage)) for dosage in group]
    known = [length for length in lengths if length]
    if len(known) < len(lengths):
        return None
    most = [length.most for length in known if length.most is not None]
    return Length(
        max(length.least for length in known),
        max(most) if len(most) == len(known) else None,
        to_last=all(length.to_last for length in known),
    )

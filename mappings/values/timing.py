"""FHIR's Timing: how often a day, and for how many days a course of it lasts, or why that is left open.

The meaning of the members is that of R4 (datatypes, `Timing`): `timeOfDay` and `when` name occasions of every day that
`dayOfWeek` lets through, `frequency` and `period` count occasions, `count` is the number of occasions of the whole
course. A form is read only where all of its members agree.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from itertools import pairwise

from msgspec import Struct

from mappings.chart import fhir
from mappings.values.units import convert

PER_DAY: Mapping[str, Decimal] = {
    "BID": Decimal(2),
    "TID": Decimal(3),
    "QID": Decimal(4),
    "QD": Decimal(1),
    "QOD": Decimal(1) / 2,
    "AM": Decimal(1),
    "PM": Decimal(1),
    "BED": Decimal(1),
    "WK": Decimal(1) / 7,
    "MO": Decimal(1) / 30,
    "Q1H": Decimal(24),
    "Q2H": Decimal(12),
    "Q3H": Decimal(8),
    "Q4H": Decimal(6),
    "Q6H": Decimal(4),
    "Q8H": Decimal(3),
}  # v3 GTSAbbreviation
DAYS: Mapping[str, Decimal] = {
    "s": Decimal(1) / 86400,
    "min": Decimal(1) / 1440,
    "h": Decimal(1) / 24,
    "d": Decimal(1),
    "wk": Decimal(7),
    "mo": Decimal(30),
    "a": Decimal(365),
}
_WEEK = frozenset({"mon", "tue", "wed", "thu", "fri", "sat", "sun"})
_ONCE_A_DAY = frozenset(
    {
        "MORN", "MORN.EARLY", "MORN.LATE", "NOON", "AFT", "AFT.EARLY", "AFT.LATE", "EVE", "EVE.EARLY", "EVE.LATE",
        "NIGHT", "HS", "WAKE", "CM", "CD", "CV", "ACM", "ACD", "ACV", "PCM", "PCD", "PCV",
    }
)  # fmt: skip
_EVERY_MEAL = frozenset({"C", "AC", "PC"})  # how many meals a day is not said
_AFTER_AN_EVENT = frozenset({"PHS", "IMD"})
_TIME = re.compile(r"^([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d+)?)?$", re.ASCII)
_LONGEST = 36500  # days; a longer course is a slip of the pen


class Span(Struct, frozen=True, gc=False):
    """A number between two ends; None: that end is not known."""

    low: Decimal | None
    high: Decimal | None

    def times(self, other: Span) -> Span:
        low = self.low * other.low if self.low is not None and other.low is not None else None
        high = self.high * other.high if self.high is not None and other.high is not None else None
        return Span(low, high)


UNKNOWN = Span(None, None)


def exactly(number: Decimal) -> Span:
    return Span(number, number)


class Often(Struct, frozen=True, gc=False):
    """Occasions a day; where they cannot be known, why: "a and b contradict each other"."""

    a_day: Span = UNKNOWN
    open_because: str | None = None


class Length(Struct, frozen=True, gc=False):
    """How many days a course lasts, from `least` to `most`; `most` None: it has no end that is known.

    `to_last`: counted to the day of the last occasion, as for three doses on three days, and not to the day after.
    """

    least: int
    most: int | None
    to_last: bool = False


_Ends = tuple[Decimal, Decimal]  # least and most


class _Open(Exception):
    """Why a form is not read."""


def times_a_day(timing: fhir.Timing | None) -> Often:
    """How often a day, as far as every member agrees."""
    if timing is None:
        return Often()
    try:
        return Often(_agreed(timing))
    except _Open as reason:
        return Often(UNKNOWN, str(reason))


def _agreed(timing: fhir.Timing) -> Span:
    coded = _coded(timing.code)
    repeated = _repeated(timing.repeat) if timing.repeat else UNKNOWN
    if UNKNOWN not in (coded, repeated) and not _is_same(coded, repeated):
        raise _Open("code and repeat contradict each other")
    found = repeated if repeated != UNKNOWN else coded
    if len(timing.event) < 2 and found != UNKNOWN:
        return found  # one event is the begin of what is repeated
    events = _by_events(timing.event)
    if UNKNOWN not in (found, events) and not _is_same(found, events):
        raise _Open("event and repeat contradict each other")
    return events if found == UNKNOWN else found


def _is_same(one: Span, other: Span) -> bool:
    """Alike to a thousandth: 1/30 a day is once a month however it is written."""
    ends = ((one.low, other.low), (one.high, other.high))
    return all(a == b if a is None or b is None else abs(a - b) * 1000 <= max(a, b) for a, b in ends)


def _coded(code: fhir.CodeableConcept | None) -> Span:
    for each in fhir.codes_of(code):
        if (times := PER_DAY.get(each.upper())) is not None:
            return exactly(times)
    return words_a_day(fhir.clean(code.text or "")) if code else UNKNOWN


# The repeat


def _repeated(repeat: fhir.TimingRepeat) -> Span:
    """Occasions a day by frequency and period, by the times of a day, and by days of the week, if they agree."""
    times, days = _times_of_day(repeat), _days_of_week(repeat)
    is_counted = repeat.frequency is not None or repeat.frequency_max is not None
    if not is_counted and (times is not None or days is not None) and _has_period_of_a_day(repeat):
        # "Every day at 8 and 20": the times say how often.
        return _on_days(times if times is not None else exactly(Decimal(1)), days)
    if repeat.period is not None or repeat.period_unit is not None or repeat.period_max is not None:
        return _count(repeat, times, days)
    if is_counted and (times is None or times == UNKNOWN or Span(*_frequency(repeat)) != times):
        raise _Open("frequency without a period")
    if times is not None:
        return _on_days(times, days)
    if days is not None:
        return exactly(Decimal(days) / 7)
    return exactly(Decimal(1)) if repeat.count == 1 and repeat.count_max in (None, 1) else UNKNOWN


def _has_period_of_a_day(repeat: fhir.TimingRepeat) -> bool:
    unit = fhir.clean(repeat.period_unit or "").lower()
    return repeat.period_max is None and (
        (repeat.period == 1 and unit == "d") or (repeat.period is None and repeat.period_unit is None)
    )


def _on_days(times: Span, days: int | None) -> Span:
    if times == UNKNOWN:
        raise _Open("the number of meals a day is not stated")
    return times if days is None else times.times(exactly(Decimal(days) / 7))


def _times_of_day(repeat: fhir.TimingRepeat) -> Span | None:
    """The occasions of one day; UNKNOWN for "with meals"; None where none is named."""
    if repeat.time_of_day and repeat.when:
        raise _Open("timeOfDay and when exclude each other")
    if repeat.time_of_day:
        clocks = {fhir.clean(text) for text in repeat.time_of_day}
        if not all(_TIME.match(text) for text in clocks):
            raise _Open("a time of day that cannot be read")
        return exactly(Decimal(len({text[:5] for text in clocks})))
    if not repeat.when:
        return None
    codes = {fhir.clean(text).upper() for text in repeat.when}
    if not codes <= _ONCE_A_DAY | _EVERY_MEAL | _AFTER_AN_EVENT:
        raise _Open("a time of day (when) that is not known")
    return exactly(Decimal(len(codes))) if codes <= _ONCE_A_DAY else UNKNOWN


def _days_of_week(repeat: fhir.TimingRepeat) -> int | None:
    days = {fhir.clean(text).lower() for text in repeat.day_of_week}
    if not days <= _WEEK:
        raise _Open("a day of the week that is not known")
    return len(days) or None


def _frequency(repeat: fhir.TimingRepeat) -> _Ends:
    """A frequency is one where only the period is given; a range that has no lower end begins at none."""
    low, high = repeat.frequency, repeat.frequency_max
    if any(number is not None and (not number.is_finite() or number <= 0) for number in (low, high)):
        raise _Open("frequency is not a positive number")
    if low is None:
        return (Decimal(1), Decimal(1)) if high is None else (Decimal(0), high)
    if high is not None and high < low:
        raise _Open("frequencyMax is below frequency")
    return low, high if high is not None else low


def _period(repeat: fhir.TimingRepeat) -> _Ends:
    """The period's length in days."""
    unit = DAYS.get(fhir.clean(repeat.period_unit or "").lower())
    if repeat.period is None or unit is None:
        raise _Open("period without a number or a unit")
    longest = repeat.period if repeat.period_max is None else repeat.period_max
    if not (repeat.period.is_finite() and longest.is_finite() and repeat.period > 0):
        raise _Open("period is not a positive number")
    if longest < repeat.period:
        raise _Open("periodMax is below period")
    return repeat.period * unit, longest * unit


def _count(repeat: fhir.TimingRepeat, times: Span | None, days: int | None) -> Span:
    """Frequency by period, where times of day and days of the week leave room for exactly that."""
    often, period = _frequency(repeat), _period(repeat)
    if times is not None and repeat.frequency is None and repeat.frequency_max is None:
        raise _Open("times of a day with a period that is no day")
    a_day = Span(often[0] / period[1], often[1] / period[0])
    if times is not None and times.low is not None and not _can_fall_on(times.low, often, period):
        raise _Open("frequency and the times of a day contradict each other")
    if days is None:
        return a_day
    if period[1] <= 1:
        return a_day.times(exactly(Decimal(days) / 7))
    if period[0] < 7 or period[0] != period[1]:
        raise _Open("dayOfWeek and period contradict each other")
    # "Once a week, on Monday and Thursday" says two things; "twice a week, on Monday" is read as written.
    if any(number % days for number in often):
        raise _Open("frequency and dayOfWeek contradict each other")
    return a_day


def _can_fall_on(named: Decimal, often: _Ends, period: _Ends) -> bool:
    """Whether so many occasions in that period can fall on so many named times of a day."""
    if period[1] < 1:
        return often[0] / period[1] <= named <= often[1] / period[0]
    if often[0] != often[1]:
        return often[0] <= named * period[1] and named <= often[1]
    return often[0] >= named and often[0] % named == 0 and often[0] <= named * period[1]


# Single events


def _by_events(events: Sequence[str]) -> Span:
    """Evenly spaced events as often a day; UNKNOWN where there is none; uneven ones leave open which day is asked."""
    if not events:
        return UNKNOWN
    by_day = Counter(fhir.clean(text)[:10] for text in events)
    try:
        days = sorted(map(date.fromisoformat, by_day))
    except ValueError as error:
        raise _Open("an event without a day") from error
    counts = set(by_day.values())
    gaps = {(later - earlier).days for earlier, later in pairwise(days)} or {1}
    if len(counts) == len(gaps) == 1:
        return exactly(Decimal(counts.pop()) / gaps.pop())
    return Span(Decimal(0), Decimal(max(by_day.values())))


# How long


def length_of(timing: fhir.Timing | None, *, is_as_needed: bool = False) -> Length | None:
    """How long a course is that begins on a day that the Timing does not name; None where nothing ends it.

    Bounds and a count that disagree leave the end open between them. A count of what is taken as needed, or at an
    unknown rate, ends some day.
    """
    repeat = timing.repeat if timing else None
    if timing is None or repeat is None:
        return None
    bounds, count = _bounds(repeat), _length_of_count(timing, repeat, is_as_needed)
    if bounds is None or count is None:
        return bounds or count
    if bounds.most is not None and count.most is not None:
        return Length(min(bounds.least, count.least), max(bounds.most, count.most), to_last=count.to_last)
    return Length(min(bounds.least, count.least), bounds.most)


_NOT_KNOWN = Length(0, None)
_ROUNDING = Decimal("0.001")  # three times 1/7 of a week is 21 days


def _bounds(repeat: fhir.TimingRepeat) -> Length | None:
    """By a duration or a range of durations; one that cannot be read is an end that is not known."""
    if repeat.bounds_duration and repeat.bounds_duration.value is not None:
        days = _in_days(repeat.bounds_duration)
        return Length(days, days) if days is not None else _NOT_KNOWN
    if repeat.bounds_range and (repeat.bounds_range.low or repeat.bounds_range.high):
        low, high = repeat.bounds_range.low, repeat.bounds_range.high
        least, most = _in_days(low) if low else 0, _in_days(high) if high else None
        if least is None or (most is not None and most < least):
            return _NOT_KNOWN
        return Length(least, most)
    return None


def _in_days(duration: fhir.Quantity) -> int | None:
    if duration.value is None or duration.comparator or not duration.value.is_finite():
        return None
    unit = fhir.clean(duration.code or duration.unit or "")
    days = convert(duration.value, unit, "d")
    return max(int(days), 1) if days is not None and 0 < days < _LONGEST else None


def _length_of_count(timing: fhir.Timing, repeat: fhir.TimingRepeat, is_as_needed: bool) -> Length | None:
    """From the first to the last of so many occasions; the first is on the first day."""
    if repeat.count is None and repeat.count_max is None:
        return None
    least = repeat.count if repeat.count is not None else Decimal(1)
    most = repeat.count_max if repeat.count_max is not None else least
    if not (least.is_finite() and most.is_finite() and 0 < least <= most):
        return Length(0, None, to_last=True)
    if most == 1 and not is_as_needed:
        return Length(0, 0, to_last=True)
    a_day = times_a_day(timing).a_day
    if not a_day.low or not a_day.high:
        return Length(0, None, to_last=True)
    first, last = (int(days + _ROUNDING) for days in ((least - 1) / a_day.high, (most - 1) / a_day.low))
    return Length(first, last if last < _LONGEST and not is_as_needed else None, to_last=True)


# Plain words

_SPACES = re.compile(r"\s+")
_IN_WORDS: tuple[tuple[str, Decimal], ...] = (
    (
        r"(?:twice|two times|2 times|2x|2 x) (?:daily|a day|per day|täglich|tgl)|zweimal täglich|bid|b\.i\.d\.|bd|"
        r"every 12 hours|q12h",
        Decimal(2),
    ),
    (
        r"(?:three times|3 times|3x|3 x) (?:daily|a day|per day|täglich|tgl)|dreimal täglich|tid|t\.i\.d\.|"
        r"tds|every 8 hours|q8h",
        Decimal(3),
    ),
    (r"(?:four times|4 times|4x|4 x) (?:daily|a day|per day)|qid|q\.i\.d\.|every 6 hours|q6h", Decimal(4)),
    (
        r"every other day|every 2 days|every second day|qod|q\.o\.d\.|alle (?:2|zwei) tage|jeden (?:2\.|zweiten) tag",
        Decimal(1) / 2,
    ),
    (r"(?:once )?(?:weekly|a week|per week|every week)|every 7 days", Decimal(1) / 7),
    (
        r"(?:once |one time |1 time |1x )?(?:daily|a day|per day|every day|each day|/ ?d(?:ay)?)|once|qd|q\.d\.|q24h|"
        r"every 24 hours|(?:every|each|in the|once every|once in the) (?:morning|evening)|qam|qpm|(?:at|every) bedtime|"
        r"nightly|every night|q ?day|o\.?d\.?|mane|nocte|(?:einmal |1 ?x )?(?:täglich|tgl)|morgens|abends|am morgen|"
        r"(?:1|einmal) (?:morgens|abends)",
        Decimal(1),
    ),
)
_FREQUENCIES = tuple((re.compile(words), times) for words, times in _IN_WORDS)
_FILLER = re.compile(
    r"\b(?:by mouth|orally|per os|po|p\.o\.|with (?:food|a meal|meals|breakfast|water)|in the morning)", re.I
)


def words_a_day(text: str) -> Span:
    """ "twice a day": how often a day; UNKNOWN where anything else is said."""
    plain = _SPACES.sub(" ", text.strip(" .,;").lower())
    for candidate in (plain, _SPACES.sub(" ", _FILLER.sub("", plain)).strip(" .,;")):
        for pattern, times in _FREQUENCIES:
            if pattern.fullmatch(candidate):
                return exactly(times)
    return UNKNOWN

"""FHIR dates as the ranges they are, and calendar arithmetic in days, weeks, months and years.

FHIR lets a date be known to the year, month, day or instant (R4 datatypes, `dateTime`). A date is kept as the range it
leaves open; nothing here makes it more exact than it was recorded.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Literal

from msgspec import Struct

from mappings.time.watched_day import WatchedDay, moved

_INSTANT = timedelta(microseconds=1)
_DATE = re.compile(r"^(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?$", re.ASCII)
_INSTANT_AS_USUAL = re.compile(r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:Z|[+-]\d{2}:\d{2})\Z", re.ASCII)
_CLOCK = re.compile(
    r"^(\d{4}-\d{2}-\d{2})[Tt ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d+))?)?(?:([Zz])|([+-])(\d{2}):?(\d{2}))?$", re.ASCII
)


class Moment(Struct, frozen=True, gc=False):
    """When something was: the first and last instant it may have been (UTC), and the local calendar days of both.

    For an instant the two are equal; for "2026-10" they are the ends of October. `text` is the date as recorded.
    """

    earliest: datetime
    latest: datetime
    first_day: date
    last_day: date
    text: str

    @property
    def is_one_day(self) -> bool:
        return self.first_day == self.last_day


def parse_moment(text: str, zone: tzinfo) -> Moment | None:
    """The range that a FHIR date, dateTime or instant leaves open; None when it is not a date.

    Tolerated, because their meaning is clear: no seconds, a space for the `T`, no zone (then `zone`), `:60`, `24:00`.
    """
    text = text.strip()
    if _INSTANT_AS_USUAL.match(text) and (usual := _usual_instant(text, zone)):
        return usual
    if whole := _DATE.match(text):
        return _parse_date(text, whole, zone)
    if clock := _CLOCK.match(text):
        return _parse_clock(text, clock, zone)
    return None


def can_be_now(moment: datetime) -> bool:
    """Whether a chart can be read at that moment: every window counted from it stays inside the calendar."""
    return 1900 <= moment.year < 2200


def _parse_date(text: str, match: re.Match[str], zone: tzinfo) -> Moment | None:
    year, month, day = int(match[1]), match[2] and int(match[2]), match[3] and int(match[3])
    try:
        first = date(year, month or 1, day or 1)
        last = first if day else date(year, month or 12, calendar.monthrange(year, month or 12)[1])
        return Moment(start_of_day(first, zone), start_of_day(last + timedelta(1), zone) - _INSTANT, first, last, text)
    except (ValueError, OverflowError):
        return None


def _usual_instant(text: str, zone: tzinfo) -> Moment | None:
    """The form that nearly every system sends, which Python reads at once; None where no such second exists."""
    try:
        at = datetime.fromisoformat(text).astimezone(UTC)
        local = at.astimezone(zone).date()
    except (ValueError, OverflowError):
        return None
    return Moment(at, at, local, local, text)


def _parse_clock(text: str, match: re.Match[str], zone: tzinfo) -> Moment | None:
    try:
        day = date.fromisoformat(match[1])
        offset = zone
        if match[6]:
            offset = UTC
        elif match[7]:
            minutes = int(match[8]) * 60 + int(match[9])
            offset = _fixed(minutes if match[7] == "+" else -minutes)
        micro = int((match[5] or "0")[:6].ljust(6, "0"))
        clock = timedelta(hours=int(match[2]), minutes=int(match[3]), seconds=int(match[4] or 0), microseconds=micro)
        if int(match[3]) > 59 or int(match[4] or 0) > 60 or clock > timedelta(days=1, seconds=1):
            return None
        at = (datetime.combine(day, time(), offset) + clock).astimezone(UTC)
        local = at.astimezone(zone).date()
        latest = at + timedelta(minutes=1) - _INSTANT if match[4] is None else at
        return Moment(at, latest, local, local, text)
    except (ValueError, OverflowError):
        return None


@lru_cache(maxsize=128)
def _fixed(minutes: int) -> tzinfo:
    return timezone(timedelta(minutes=minutes))


def start_of_day(day: date, zone: tzinfo) -> datetime:
    """00:00 of that day in that zone, as UTC."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


def at_instant(instant: datetime, zone: tzinfo) -> Moment:
    """A moment known exactly."""
    utc = instant.astimezone(UTC)
    day = utc.astimezone(zone).date()
    return Moment(utc, utc, day, day, utc.isoformat().replace("+00:00", "Z"))


Unit = Literal["h", "d", "wk", "mo", "a"]


@dataclass(frozen=True, slots=True)
class Period:
    """A length of time in UCUM units: `h`, `d`, `wk`, `mo`, `a`. Months and years are calendar months and years."""

    count: int
    unit: Unit

    def __str__(self) -> str:
        return f"{self.count} {self.unit}"

    def before(self, day: date) -> date:
        """The day that lies this long before; 29 February and 31st clamp to the end of the shorter month."""
        return moved(day, lambda each: self._shift(each, -1))

    def after(self, day: date) -> date:
        """The first day on which at least this long has passed: a month from 31 January has passed on 28 February."""
        return moved(day, lambda each: self._shift(each, 1))

    def _shift(self, day: date, sign: int) -> date:
        try:
            match self.unit:
                case "h":
                    return day + timedelta(days=sign * -(-self.count // 24))
                case "d":
                    return day + timedelta(days=sign * self.count)
                case "wk":
                    return day + timedelta(weeks=sign * self.count)
                case "mo":
                    return add_months(day, sign * self.count)
                case "a":
                    return add_months(day, sign * 12 * self.count)
        except (OverflowError, ValueError):
            return date.min if sign < 0 else date.max


def parse_period(text: str) -> Period:
    """`"6 mo"` -> Period(6, "mo"). ValueError with what would be accepted otherwise."""
    match = re.match(r"^(\d{1,5}) ?(h|d|wk|mo|a)$", text.strip(), re.ASCII)
    if not match:
        raise ValueError('a length of time is a whole number and one of h, d, wk, mo, a: "6 mo"')
    unit: Unit = match[2]  # type: ignore[assignment]
    return Period(int(match[1]), unit)


def add_months(day: date, months: int) -> date:
    """The same day of another month; the month's last day where it has no such day."""
    index = day.year * 12 + day.month - 1 + months
    year, month = divmod(index, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def whole_years(born: date, day: date) -> int:
    """Completed years of age; a birthday counts from its first minute, 29 February on 1 March of common years."""
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))


def first_day_when(turns: Callable[[date], bool], start: date, limit: date) -> date | None:
    """The first day after `start`, up to `limit`, on which `turns` is true; it must stay true from then on."""
    if isinstance(start, WatchedDay):
        return _watched_first_day(turns, start, limit)
    low, high = start.toordinal() + 1, limit.toordinal()
    if low > high or not turns(limit):
        return None
    while low < high:
        middle = (low + high) // 2
        if turns(date.fromordinal(middle)):
            high = middle
        else:
            low = middle + 1
    return date.fromordinal(low)


def _watched_first_day(turns: Callable[[date], bool], start: WatchedDay, limit: date) -> date | None:
    """The same of a day that notes what it was asked: the answer is another one when that day has come."""
    if isinstance(limit, WatchedDay):
        start.pin()
        limit = limit.plain
    found = first_day_when(turns, start.plain, limit)
    if found is not None:
        start.watch.note(found)
    return found

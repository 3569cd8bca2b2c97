"""The moment at which a chart is read, and the dates of its records seen from there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, tzinfo
from functools import cached_property

from mappings.clean_text import clean
from mappings.time.times import Moment, Period, add_months, at_instant, parse_moment, start_of_day
from mappings.time.watched_day import HORIZON, SHOWN, Watch, WatchedDay, WatchedInstant

_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True)
class Clock:
    """`as_of` (aware) in the time zone in which days are counted. Nothing dated later exists."""

    as_of: datetime
    zone: tzinfo
    _cutoff: str = field(init=False, repr=False)
    _read: dict[str, Moment | None] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        # Two days cover every time zone; a text that sorts before this day needs no parsing to be in the past.
        object.__setattr__(self, "_cutoff", (self.as_of - timedelta(days=2)).date().isoformat())

    @property
    def today(self) -> date:
        return self.as_of.astimezone(self.zone).date()

    @property
    def now(self) -> Moment:
        """`as_of` as the date of something."""
        return at_instant(self.as_of, self.zone)

    def moment(self, text: str | None) -> Moment | None:
        """When it was; None where there is no date, or none that can be read."""
        if not text:
            return None
        if text not in self._read:
            self._read[text] = parse_moment(clean(text), self.zone)
        return self._read[text]

    def first(self, *texts: str | None) -> Moment | None:
        """The first of these that is there."""
        return self.moment(next((text for text in texts if text), None))

    def is_future(self, text: str | None) -> bool:
        """Whether it begins after the moment of reading; a day begins at 00:00 of that day."""
        if not text or text[:10] < self._cutoff:
            return False
        moment = self.moment(text)
        return moment is not None and moment.earliest > self.as_of

    def any_future(self, texts: Iterable[str | None]) -> bool:
        return any(map(self.is_future, texts))

    def is_over(self, end: Moment) -> bool:
        """Whether all that the date leaves open has passed."""
        return end.latest <= self.as_of

    def is_to_come(self, end: Moment) -> bool:
        return end.earliest > self.as_of

    def day(self, day: date) -> Moment:
        """Some time of that day."""
        return self.days(day, day, day.isoformat())

    def days(self, first: date, last: date, text: str) -> Moment:
        """A moment somewhere in these days."""
        return Moment(
            start_of_day(first, self.zone), start_of_day(last + timedelta(1), self.zone) - _INSTANT, first, last, text
        )

    def after(self, start: Moment, length: Period) -> Moment:
        """The moment that lies this long after."""
        return self.days(length.after(start.first_day), length.after(start.last_day), start.text)

    def at_age(self, born: tuple[date, date] | None, youngest: int, oldest: int) -> Moment | None:
        """When the patient was that old, in completed years, as far as the day of birth is known."""
        if born is None or not 0 <= youngest <= oldest <= 150:
            return None
        first, last = add_months(born[0], 12 * youngest), add_months(born[1], 12 * (oldest + 1)) - timedelta(1)
        return self.days(first, last, f"at the age of {youngest}" + (f" to {oldest}" if oldest > youngest else ""))


class WatchedClock(Clock):
    """A clock that notes until when everything that it was asked stays the same."""

    @cached_property
    def watch(self) -> Watch:
        today = super().today
        return Watch(today, today + timedelta(HORIZON))

    @property
    def until(self) -> datetime:
        """The first moment at which an answer may be different."""
        day = start_of_day(self.watch.until, self.zone)
        return min(day, self.watch.moment) if self.watch.moment else day

    @property
    def today(self) -> date:
        return WatchedDay.of(self.watch)

    @property
    def now(self) -> Moment:
        moment, today = WatchedInstant.of(self.as_of, self.watch), self.today
        return Moment(moment, moment, today, today, SHOWN)

    def is_future(self, text: str | None) -> bool:
        is_future = super().is_future(text)
        if is_future and (moment := self.moment(text)):
            self.watch.note_moment(moment.earliest)
        return is_future

    def is_over(self, end: Moment) -> bool:
        is_over = super().is_over(end)
        if not is_over:
            self.watch.note_moment(end.latest)
        return is_over

    def is_to_come(self, end: Moment) -> bool:
        is_to_come = super().is_to_come(end)
        if is_to_come:
            self.watch.note_moment(end.earliest)
        return is_to_come

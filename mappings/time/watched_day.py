"""A day that notes until when everything that it was asked stays the same.

What a chart says at one moment depends on that moment only through the questions that are asked of it: is this date
past, does it lie in the window. Until the first day on which one of them has another answer, the whole reading stays
the same to the letter. So the day itself is asked, and nobody who writes a new question has to remember to tell.

Sound by default: what is not understood here (a year, a number of days) counts as another answer tomorrow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Self, TypeVar

T = TypeVar("T")
HORIZON = 92  # days; beyond, nothing is promised, which keeps every search short


@dataclass
class Watch:
    """What was asked of `today`; `until` is the first day, `moment` the moment at which an answer may be different."""

    today: date
    until: date
    moment: datetime | None = None

    def note_moment(self, moment: datetime) -> None:
        """At that moment an answer may be different."""
        self.moment = moment if self.moment is None else min(self.moment, moment)

    def note(self, day: date) -> None:
        """From that day on an answer may be different."""
        self.until = max(min(self.until, day), self.today + timedelta(1))

    def note_first(self, differs: Callable[[date], bool], *, for_good: bool) -> None:
        """Note the first day on which it differs from today. `for_good`: once different, it stays so."""
        low, high = self.today.toordinal() + 1, self.until.toordinal()  # what begins at `until` changes nothing
        if not for_good:
            self.until = next((d for day in range(low, high) if differs(d := date.fromordinal(day))), self.until)
            return
        if low >= high or not differs(date.fromordinal(high - 1)):
            return
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if differs(date.fromordinal(middle)) else (middle + 1, high)
        self.until = date.fromordinal(low)


class WatchedDay(date):
    """Today, or a day that lies a fixed length before or after it (`moved`, which never turns back)."""

    watch: Watch
    move: Callable[[date], date] | None

    @staticmethod
    def of(watch: Watch, move: Callable[[date], date] | None = None) -> WatchedDay:
        plain = move(watch.today) if move else watch.today
        found = WatchedDay(plain.year, plain.month, plain.day)
        found.watch, found.move = watch, move
        return found

    @property
    def plain(self) -> date:
        """The same day without the watch; whoever takes it answers for what is done with it."""
        return date.fromordinal(date.toordinal(self))

    def moved(self, move: Callable[[date], date]) -> WatchedDay:
        """A day at a fixed length from this one; `move` keeps the order of days."""
        before = self.move
        return WatchedDay.of(self.watch, (lambda day: move(before(day))) if before else move)

    def on(self, today: date) -> date:
        """What this day will be when it is `today`."""
        return self.move(today) if self.move else today

    def pin(self) -> None:
        """Something was read that may be different tomorrow."""
        self.watch.note(self.watch.today + timedelta(1))

    # Comparisons: each notes the first day on which it comes out otherwise

    def _asked(self, holds: Callable[[date, date], bool], other: object, *, for_good: bool = True) -> bool:
        if not isinstance(other, date):
            raise TypeError("a day is compared with days")
        if other is self:
            return holds(self.plain, self.plain)
        if isinstance(other, WatchedDay):
            mine, theirs = self.on, other.on
            now = holds(self.plain, other.plain)
            self.watch.note_first(lambda day: holds(mine(day), theirs(day)) is not now, for_good=False)
            return now
        now = holds(self.plain, other)
        if self.move is None:
            # Today reaches that day, and then leaves it behind.
            for reached in (other, other + timedelta(1)) if other < date.max else (other,):
                if reached > self.plain and holds(reached, other) is not now:
                    self.watch.note(reached)
                    break
        else:
            self.watch.note_first(lambda day: holds(self.on(day), other) is not now, for_good=for_good)
        return now

    def __lt__(self, other: date) -> bool:
        return self._asked(date.__lt__, other)

    def __le__(self, other: date) -> bool:
        return self._asked(date.__le__, other)

    def __gt__(self, other: date) -> bool:
        return self._asked(date.__gt__, other)

    def __ge__(self, other: date) -> bool:
        return self._asked(date.__ge__, other)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, date) and self._asked(date.__eq__, other, for_good=False)

    def __ne__(self, other: object) -> bool:
        return not self == other

    # Only what is worked out for today is dated with it, and is never one with what the chart holds.
    __hash__ = date.__hash__

    # Fixed lengths

    def __add__(self, length: timedelta) -> Self:
        return self.moved(lambda day: day + length)  # type: ignore[return-value]

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        if isinstance(other, timedelta):
            return self.moved(lambda day: day - other)
        self.pin()
        return self.plain - (other.plain if isinstance(other, WatchedDay) else other)

    def __rsub__(self, other: date) -> timedelta:
        self.pin()
        return other - self.plain

    # Written out, or taken apart

    def isoformat(self) -> str:
        """Today as SHOWN, for anybody who knows which day that is; any other day as it is."""
        if self.move is None:
            return SHOWN
        self.pin()
        return date.isoformat(self)

    __str__ = isoformat

    def __format__(self, form: str) -> str:
        return format(self.isoformat(), form) if not form else self._pinned(lambda day: format(day, form))

    def __repr__(self) -> str:
        return f"WatchedDay({date.isoformat(self)})"

    def _pinned(self, of: Callable[[date], T]) -> T:
        self.pin()
        return of(self.plain)

    def toordinal(self) -> int:
        return self._pinned(date.toordinal)

    def timetuple(self) -> Any:
        return self._pinned(date.timetuple)

    def weekday(self) -> int:
        return self._pinned(date.weekday)

    def isocalendar(self) -> Any:
        return self._pinned(date.isocalendar)

    def strftime(self, form: str) -> str:
        return self._pinned(lambda day: day.strftime(form))

    def replace(self, *given: Any, **named: Any) -> Any:
        return self._pinned(lambda day: day.replace(*given, **named))

    @property
    def year(self) -> int:
        return self._pinned(lambda day: day.year)

    @property
    def month(self) -> int:
        return self._pinned(lambda day: day.month)

    @property
    def day(self) -> int:
        return self._pinned(lambda day: day.day)


class WatchedInstant(datetime):
    """The moment of reading itself: later than what has passed, for good; what has not may have in a moment."""

    watch: Watch
    plain: datetime

    @staticmethod
    def of(moment: datetime, watch: Watch) -> WatchedInstant:
        found = WatchedInstant.combine(moment.date(), moment.timetz())
        found.watch, found.plain = watch, moment
        return found

    def _asked(self, holds: Callable[[datetime, datetime], bool], other: object) -> bool:
        if not isinstance(other, datetime):
            raise TypeError("a moment is compared with moments")
        if not isinstance(other, WatchedInstant) and other >= self.plain:
            self.watch.note_moment(self.plain + timedelta(microseconds=1))
        return holds(self.plain, other.plain if isinstance(other, WatchedInstant) else other)

    def __lt__(self, other: datetime) -> bool:  # type: ignore[override]
        return self._asked(datetime.__lt__, other)

    def __le__(self, other: datetime) -> bool:  # type: ignore[override]
        return self._asked(datetime.__le__, other)

    def __gt__(self, other: datetime) -> bool:  # type: ignore[override]
        return self._asked(datetime.__gt__, other)

    def __ge__(self, other: datetime) -> bool:  # type: ignore[override]
        return self._asked(datetime.__ge__, other)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, datetime) and self._asked(datetime.__eq__, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = datetime.__hash__


SHOWN = "\ue000" * 10  # as long as a day is when it is written; of Unicode's private use, so of no text


def asked_of(today: date, question: Callable[[date], T], *, for_good: bool = True) -> T:
    """`question(today)`, where the answer is not a comparison. `for_good`: once it is another, it never comes back."""
    if not isinstance(today, WatchedDay):
        return question(today)
    now = question(today.plain)
    today.watch.note_first(lambda day: question(today.on(day)) != now, for_good=for_good)
    return now


def moved(day: date, move: Callable[[date], date]) -> date:
    """`move(day)`, a day at a fixed length, which is watched as `day` is."""
    return day.moved(move) if isinstance(day, WatchedDay) else move(day)

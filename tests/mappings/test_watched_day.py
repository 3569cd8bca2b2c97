"""A watched day answers as a plain one does, and names the first day on which an answer would be another."""

from __future__ import annotations

import operator
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappings.time.clock import Clock, WatchedClock
from mappings.time.times import Moment, Period, Unit, first_day_when, whole_years
from mappings.time.watched_day import HORIZON, SHOWN, Watch, WatchedDay, WatchedInstant, asked_of

TODAY = date(2026, 1, 30)
END = TODAY + timedelta(HORIZON)
DAYS = st.dates(date(2023, 1, 1), date(2027, 12, 31))
UNITS: tuple[Unit, ...] = ("h", "d", "wk", "mo", "a")
PERIODS = st.builds(Period, st.integers(0, 60), st.sampled_from(UNITS))
COMPARISONS = (operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne)


def watched(today: date = TODAY) -> WatchedDay:
    return WatchedDay.of(Watch(today, today + timedelta(HORIZON)))


def first_other(question: Callable[[date], object], today: date) -> date:
    """The first day on which a plain day is told something else, looked for day by day."""
    days = (today + timedelta(days) for days in range(1, HORIZON))
    return next((day for day in days if question(day) != question(today)), today + timedelta(HORIZON))


@given(DAYS, DAYS, st.sampled_from(COMPARISONS), st.booleans())
def test_a_comparison_holds_until_it_comes_out_otherwise(
    today: date, other: date, compare: Callable[[date, date], bool], is_right: bool
) -> None:
    def question(day: date) -> bool:
        return compare(other, day) if is_right else compare(day, other)

    day = watched(today)
    assert question(day) is question(today)
    assert day.watch.until == first_other(question, today)


@given(DAYS, DAYS, PERIODS, st.sampled_from(COMPARISONS), st.booleans())
def test_so_does_one_with_the_edge_of_a_window(
    today: date, other: date, period: Period, compare: Callable[[date, date], bool], is_before: bool
) -> None:
    def question(day: date) -> bool:
        return compare(period.before(day) if is_before else period.after(day), other)

    day = watched(today)
    assert question(day) is question(today)
    assert day.watch.until == first_other(question, today)


@given(DAYS, PERIODS, PERIODS, st.sampled_from(COMPARISONS))
def test_and_one_of_two_days_that_both_move(
    today: date, one: Period, other: Period, compare: Callable[[date, date], bool]
) -> None:
    def question(day: date) -> bool:
        return compare(one.before(day), other.before(day))

    day = watched(today)
    assert question(day) is question(today)
    assert day.watch.until == first_other(question, today)


def test_an_age_holds_until_the_next_birthday() -> None:
    day = watched()
    assert asked_of(day, lambda each: whole_years(date(1990, 2, 14), each)) == 35
    assert day.watch.until == date(2026, 2, 14)


def test_a_day_that_is_found_holds_until_it_has_come() -> None:
    day = watched()
    assert first_day_when(lambda each: each >= date(2026, 3, 1), day, date(2026, 12, 31)) == date(2026, 3, 1)
    assert day.watch.until == date(2026, 3, 1)
    day = watched()
    assert first_day_when(lambda each: False, day, day) is None
    assert day.watch.until == TODAY + timedelta(1)  # what is looked through moves with the day


READ: list[Callable[[WatchedDay], object]] = [
    lambda day: day.year,
    lambda day: day.month,
    lambda day: day.day,
    lambda day: day.toordinal(),
    lambda day: (day - date(2020, 1, 1)).days,
    lambda day: (date(2030, 1, 1) - day).days,
    lambda day: (day - timedelta(1)).isoformat(),
    lambda day: f"{day:%d.%m.}",
    lambda day: day.replace(day=1),
    lambda day: day.weekday(),
    lambda day: day.isocalendar(),
    lambda day: day.strftime("%d"),
    lambda day: day.timetuple(),
]


@pytest.mark.parametrize("of", READ)
def test_what_is_read_off_a_day_is_another_tomorrow(of: Callable[[WatchedDay], object]) -> None:
    day = watched()
    assert of(day) == of(TODAY)  # type: ignore[arg-type]
    assert day.watch.until == TODAY + timedelta(1)


def test_today_is_written_as_a_mark_that_the_day_is_put_in_for() -> None:
    day = watched()
    assert {day.isoformat(), str(day), f"{day}"} == {SHOWN}
    assert len(SHOWN) == len(TODAY.isoformat())
    assert day.watch.until == END


# The clock

NOON = datetime(2026, 1, 30, 12, tzinfo=UTC)


def at(hours: int) -> Moment:
    moment = NOON + timedelta(hours=hours)
    return Moment(moment, moment, moment.date(), moment.date(), moment.isoformat())


QUESTIONS: list[Callable[[Clock, Moment], bool]] = [
    lambda clock, moment: clock.is_future(moment.text),
    lambda clock, moment: clock.is_over(moment),
    lambda clock, moment: clock.is_to_come(moment),
]


@pytest.mark.parametrize("ask", QUESTIONS)
@pytest.mark.parametrize("hours", [-30, -1, 0, 1, 30])
def test_what_is_to_come_holds_until_it_comes(ask: Callable[[Clock, Moment], bool], hours: int) -> None:
    clock, moment = WatchedClock(NOON, UTC), at(hours)
    said = ask(clock, moment)
    assert said is ask(Clock(NOON, UTC), moment)
    if clock.until == datetime(2026, 5, 2, tzinfo=UTC):
        assert ask(Clock(NOON + timedelta(days=90), UTC), moment) is said
    else:
        just_before = Clock(clock.until - timedelta(microseconds=1), UTC)
        assert (ask(just_before, moment), ask(Clock(clock.until, UTC), moment)) == (said, not said)


def test_the_moment_of_reading_is_later_than_what_has_passed_for_good() -> None:
    clock = WatchedClock(NOON, UTC)
    now = clock.now.earliest
    assert isinstance(now, WatchedInstant)
    assert now > at(-1).earliest
    assert clock.watch.moment is None
    assert now == NOON
    assert clock.until == NOON + timedelta(microseconds=1)

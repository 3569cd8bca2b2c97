"""Every form of a Timing: the daily dose and the last day that it comes to, or why it is open (docs/timing.md)."""

from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from mappings.facts import Episode
from tests.mappings.charts import a_dosage, a_request, episode_from, facts_from, quantity

Json = dict[str, Any]
TABLE = (Path(__file__).parents[2] / "docs" / "timing.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `(.+)` \| (.+?) \|(.*)\|$", TABLE, re.M)
AMOUNTS = re.findall(r"^\| `(.+)` \| ([^|]+) \|$", TABLE, re.M)
FOR_TWO_HOURS = {"frequency": 1, "period": 1, "periodUnit": "d", "duration": 2, "durationUnit": "h"}


def order(*dosages: Json, **more: Any) -> Episode:
    return episode_from("prednisone", a_request(dosageInstruction=list(dosages), **more))


def amount(number: Decimal | None) -> str:
    return f"{number.quantize(Decimal('0.001')).normalize():f}" if number is not None else "?"


@pytest.mark.parametrize(("form", "read_as"), AMOUNTS)
def test_an_amount_is_read_as_the_table_says(form: str, read_as: str) -> None:
    dose = order({"timing": {"repeat": FOR_TWO_HOURS}, "doseAndRate": [json.loads(form)]}).dose
    assert dose is not None
    ends = dict.fromkeys((amount(dose.low), amount(dose.high)))
    assert (dose.note or " to ".join(ends)) == read_as


@pytest.mark.parametrize(
    "duration",
    [
        {},
        {"duration": 2},
        {"duration": 0, "durationUnit": "h"},
        {"duration": 2, "durationMax": 1, "durationUnit": "h"},
    ],
)
def test_a_rate_without_a_length_of_time_is_open(duration: Json) -> None:
    repeat = {"frequency": 1, "period": 1, "periodUnit": "d"} | duration
    rate = [{"rateQuantity": quantity(50, "mg/h")}]
    dose = order({"timing": {"repeat": repeat}, "doseAndRate": rate}).dose
    assert dose is not None
    assert (dose.low, dose.high) == (None, None)


def test_a_rate_for_one_or_two_hours_is_a_range() -> None:
    repeat = FOR_TWO_HOURS | {"duration": 1, "durationMax": 2}
    dose = order({"timing": {"repeat": repeat}, "doseAndRate": [{"rateQuantity": quantity(50, "mg/h")}]}).dose
    assert dose is not None
    assert (dose.low, dose.high) == (Decimal(50), Decimal(100))


@pytest.mark.parametrize(("form", "read_as", "last_day"), ROWS)
def test_a_form_of_timing_is_read_as_the_table_says(form: str, read_as: str, last_day: str) -> None:
    episode = order({"timing": json.loads(form), "doseAndRate": [{"doseQuantity": quantity(10, "mg")}]})
    dose = episode.dose
    assert dose is not None
    if dose.note:
        assert dose.note == f"its timing is open: {read_as}"
        assert (dose.low, dose.high) == (None, None)
    else:
        ends = dict.fromkeys((amount(dose.low), amount(dose.high)))
        assert " to ".join(ends) == read_as
    if last_day.strip() == "open":
        assert (episode.end, episode.ongoing) == (None, None)
    else:
        days = dict.fromkeys((episode.end.first_day, episode.end.last_day)) if episode.end else {}
        assert " to ".join(day.isoformat() for day in days) == last_day.strip()
        assert episode.ongoing is not bool(days)


def test_the_table_has_every_member_of_a_repeat() -> None:
    assert len(ROWS) > 50
    for member in ("boundsPeriod", "boundsDuration", "boundsRange", "count", "countMax", "frequency", "frequencyMax",
                   "period", "periodMax", "periodUnit", "dayOfWeek", "timeOfDay", "when", "event", "code"):  # fmt: skip
        assert f'"{member}"' in TABLE


def test_a_count_of_what_is_taken_as_needed_has_no_last_day() -> None:
    timing = {"repeat": {"count": 20, "frequency": 1, "period": 1, "periodUnit": "d"}}
    episode = order(a_dosage(10, asNeededBoolean=True, timing=timing))
    assert (episode.end, episode.ongoing) == (None, None)
    assert episode.dose
    assert (episode.dose.low, episode.dose.high) == (Decimal(0), Decimal(10))


# Steps of a taper


def step(mg: int, days: int | None, **more: Any) -> Json:
    repeat: Json = {"frequency": 1, "period": 1, "periodUnit": "d"}
    if days:
        repeat["boundsDuration"] = quantity(days, "d")
    return a_dosage(mg, timing={"repeat": repeat}, **more)


TAPER = (step(80, 5, sequence=1), step(40, 5, sequence=2), step(20, 5, sequence=3))


def dose_on(day: str, *dosages: Json, authored: str = "2026-10-01") -> tuple[object, object]:
    """Low and high of the daily glucocorticoid dose that is calculated for that day."""
    at = datetime.fromisoformat(day).replace(hour=12, tzinfo=UTC)
    facts = facts_from(a_request(dosageInstruction=list(dosages), authoredOn=authored), as_of=at)
    value = facts.results("glucocorticoid-dose")[0].value
    assert value is not None
    return value.low, value.high


@pytest.mark.parametrize(
    ("day", "mg"),
    [("2026-10-01", 80), ("2026-10-05", 80), ("2026-10-06", 40), ("2026-10-08", 40), ("2026-10-11", 20),
     ("2026-10-20", 0)],
)  # fmt: skip
def test_the_dose_of_a_taper_is_that_of_todays_step(day: str, mg: int) -> None:
    assert dose_on(day, *TAPER) == (mg, mg)
    assert dose_on(day, *reversed(TAPER)) == (mg, mg)


def test_the_last_step_of_a_taper_may_have_no_end() -> None:
    assert dose_on("2026-12-01", *TAPER[:2], step(7, None, sequence=3)) == (7, 7)


def test_a_step_of_unknown_length_leaves_open_when_the_next_begins() -> None:
    assert dose_on("2026-10-20", step(40, None, sequence=1), step(10, None, sequence=2)) == (10, 40)


def test_steps_of_a_start_known_to_the_month_leave_open_which_one_applies() -> None:
    assert dose_on("2026-11-03", *TAPER, authored="2026-10") == (0, 80)  # it may be over
    assert dose_on("2026-11-03", *TAPER[:2], step(7, None, sequence=3), authored="2026-10") == (7, 80)


def test_steps_counted_in_doses_follow_each_other() -> None:
    def counted(mg: int, count: int, sequence: int) -> Json:
        repeat = {"frequency": 1, "period": 1, "periodUnit": "d", "count": count}
        return a_dosage(mg, timing={"repeat": repeat}, sequence=sequence)

    pulse = (counted(1000, 3, 1), step(60, 14, sequence=2))
    assert dose_on("2026-10-03", *pulse) == (1000, 1000)
    assert dose_on("2026-10-04", *pulse) == (60, 60)


def between(mg: int, start: str, end: str) -> Json:
    repeat = {"frequency": 1, "period": 1, "periodUnit": "d", "boundsPeriod": {"start": start, "end": end}}
    return a_dosage(mg, timing={"repeat": repeat})


def test_instructions_for_periods_apply_on_the_days_of_their_periods() -> None:
    taper = (between(40, "2026-10-01", "2026-10-10"), between(10, "2026-10-11", "2026-12-31"))
    assert dose_on("2026-10-10", *taper) == (40, 40)
    assert dose_on("2026-10-11", *taper) == (10, 10)
    at_once = (between(10, "2026-10-01", "2026-12-31"), between(5, "2026-11-01", "2026-12-31"))
    assert dose_on("2026-10-20", *at_once) == (10, 10)
    assert dose_on("2026-11-20", *at_once) == (15, 15)


def test_short_instructions_without_an_order_are_a_range_from_one_to_all() -> None:
    assert dose_on("2026-10-03", step(40, 5), step(20, 5)) == (20, 60)


def test_a_past_step_is_found_on_its_days() -> None:
    """A pulse inside a taper counts in the days around it."""
    at = datetime(2026, 10, 12, 12, tzinfo=UTC)
    facts = facts_from(a_request(dosageInstruction=list(TAPER), authoredOn="2026-10-01"), as_of=at)
    doses = {r.taken.first_day: r.value.exact for r in facts.results("glucocorticoid-dose") if r.taken and r.value}
    assert doses == {date(2026, 10, 12): 20, date(2026, 10, 10): 40, date(2026, 10, 5): 80}
    assert facts.dose_changed_since("glucocorticoid-dose", date(2026, 10, 10)) is True
    assert facts.dose_changed_since("glucocorticoid-dose", date(2026, 10, 11)) is False

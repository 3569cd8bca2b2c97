"""When something was: stale, future, undated and partial dates, corrections and conflicts, birthdays, time zones."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.edges.asking import PLATELETS, Asked, a_result, condition, treatment, value
from tests.mappings.charts import SUBJECT, a_condition, a_patient, an_administration, code

AT_LEAST_100 = value("platelets", ">= 100 10*9/L")
ADULT = {"age": {"is": ">= 18 a"}}
TOKYO = ZoneInfo("Asia/Tokyo")


def platelets(number: object, taken: str | None = "2026-10-20", name: str = "o1", **more: Any) -> dict[str, Any]:
    return a_result(PLATELETS, number, more.pop("unit", "10*9/L"), id=name, effectiveDateTime=taken, **more)


@pytest.mark.parametrize(
    ("taken", "says"),
    [
        ("2026-11-01", "met"),  # today counts from its start
        ("2026-08-03", "met"),  # 90 days
        ("2026-08-02", "unknown: stale"),
        ("2026-11-02", "unknown: missing"),  # not yet
        ("2026-11-01T12:00:00Z", "unknown: missing"),
        (None, "unknown: imprecise"),
        ("2026-10", "met"),
        ("2026-08", "unknown: imprecise"),  # the 90 days begin inside
        ("2026", "unknown: imprecise"),
        ("2025", "unknown: stale"),
    ],
)
def test_a_result_speaks_for_today_for_ninety_days(ask: Asked, taken: str | None, says: str) -> None:
    assert ask(AT_LEAST_100, platelets(150, taken)).says == says


def test_a_partial_date_that_decides_is_named(ask: Asked) -> None:
    assert "dated only 2026-08" in ask(AT_LEAST_100, platelets(150, "2026-08")).explanation
    assert "no date" in ask(AT_LEAST_100, platelets(150, None)).explanation


def test_a_result_without_a_date_of_its_own_is_dated_by_when_it_was_issued(ask: Asked) -> None:
    assert ask(AT_LEAST_100, platelets(150, None, issued="2026-10-20T10:00:00Z")).says == "met"


@pytest.mark.parametrize(
    ("dated", "undated", "says"),
    [
        (150, 50, "unknown: conflicting"),
        (50, 150, "unknown: conflicting"),
        (150, 160, "met"),
        (50, 60, "not-met"),
    ],
)
def test_an_undated_result_may_be_newer_than_a_dated_one_that_it_contradicts(
    ask: Asked, dated: int, undated: int, says: str
) -> None:
    answered = ask(AT_LEAST_100, platelets(dated), platelets(undated, None, "o2"))
    assert answered.says == says


def test_an_undated_result_that_cannot_be_read_leaves_a_dated_one_open(ask: Asked) -> None:
    unread = platelets(50, None, "o2", valueQuantity={"value": 50, "unit": "mg/dL"})
    assert ask(AT_LEAST_100, platelets(150), unread).says.startswith("unknown: ")


def test_the_same_result_twice_is_one(ask: Asked) -> None:
    assert ask(AT_LEAST_100, platelets(150), platelets(150)).says == "met"
    assert ask(AT_LEAST_100, platelets(150), platelets(150, name="o2")).says == "met"


def test_of_two_versions_the_newer_one_is_the_result(ask: Asked) -> None:
    first = platelets(150, meta={"versionId": "1"})
    corrected = platelets(50, status="corrected", meta={"versionId": "2"})
    assert ask(AT_LEAST_100, corrected, first).says == "not-met"


def test_results_of_one_day_that_fall_on_both_sides_of_the_limit_are_a_conflict(ask: Asked) -> None:
    answered = ask(AT_LEAST_100, platelets(150), platelets(50, name="o2"))
    assert answered.says == "unknown: conflicting"
    assert len(answered.criterion["evidence"]) == 2
    assert ask(AT_LEAST_100, platelets(150), platelets(160, name="o2")).says == "met"


def test_of_two_clock_times_on_one_day_the_later_speaks(ask: Asked) -> None:
    morning, noon = platelets(150, "2026-10-20T08:00:00Z"), platelets(50, "2026-10-20T12:00:00+02:00", "o2")
    assert ask(AT_LEAST_100, morning, noon).says == "not-met"


def test_a_month_that_may_be_newer_than_a_day_conflicts_with_it(ask: Asked) -> None:
    answered = ask(AT_LEAST_100, platelets(150, "2026-10-15"), platelets(50, "2026-10", "o2"))
    assert answered.says == "unknown: conflicting"


def test_an_older_result_never_steps_in_for_a_newer_one_that_cannot_be_used(ask: Asked) -> None:
    older = platelets(150, "2026-10-01")
    assert ask(AT_LEAST_100, older, platelets(50, name="o2", unit="%")).says == "unknown: unit-unconvertible"
    assert ask(AT_LEAST_100, older, platelets(180000, name="o2")).says == "unknown: implausible"


def test_a_newer_result_that_is_not_final_and_would_answer_otherwise_is_told_beside_the_final_one(ask: Asked) -> None:
    final = platelets(150, "2026-10-10")
    lower = ask(AT_LEAST_100, final, platelets(10, "2026-10-20", "o2", status="preliminary"))
    assert lower.says == "met"
    assert "Platelets 10 × 10⁹/L on 2026-10-20, not final yet" in lower.explanation
    assert [each["value"] for each in lower.criterion["evidence"]] == [150, 10]
    higher = ask(AT_LEAST_100, final, platelets(160, "2026-10-20", "o2", status="preliminary"))
    older = ask(AT_LEAST_100, final, platelets(10, "2026-10-01", "o2", status="preliminary"))
    assert "not final" not in higher.explanation + older.explanation


@pytest.mark.parametrize("status", ["entered-in-error", "cancelled", "preliminary", "registered"])
def test_what_is_not_final_takes_nothing_away_from_what_is(ask: Asked, status: str) -> None:
    assert ask(AT_LEAST_100, platelets(150, "2026-10-01"), platelets(50, name="o2", status=status)).says == "met"


@pytest.mark.parametrize(
    ("status", "says"), [("preliminary", "unknown: not-final"), ("entered-in-error", "unknown: missing")]
)
def test_alone_it_says_why_it_does_not_count(ask: Asked, status: str, says: str) -> None:
    assert ask(AT_LEAST_100, platelets(150, status=status)).says == says


def test_a_day_begins_where_the_hospital_is(ask: Asked) -> None:
    evening_in_utc = datetime(2026, 10, 31, 16, tzinfo=UTC)  # 01:00 of 1 November in Tokyo
    assert ask(AT_LEAST_100, platelets(150, "2026-11-01"), as_of=evening_in_utc, zone=TOKYO).says == "met"
    assert ask(AT_LEAST_100, platelets(150, "2026-11-01"), as_of=evening_in_utc).says == "unknown: missing"


# -- age


@pytest.mark.parametrize(
    ("born", "says"),
    [("2008-11-01", "met"), ("2008-11-02", "not-met"), ("2008-11", "unknown: imprecise"), ("2007", "met")],
)
def test_age_changes_at_the_start_of_the_birthday(ask: Asked, born: str, says: str) -> None:
    assert ask(ADULT, a_patient(birthDate=born)).says == says


def test_a_year_of_birth_leaves_open_whether_the_limit_is_reached(ask: Asked) -> None:
    assert ask(ADULT, a_patient(birthDate="2008")).says == "unknown: imprecise"


@pytest.mark.parametrize(("day", "says"), [(datetime(2026, 2, 28), "not-met"), (datetime(2026, 3, 1), "met")])  # noqa: DTZ001
def test_born_on_29_february_one_is_older_on_1_march(ask: Asked, day: datetime, says: str) -> None:
    assert ask(ADULT, a_patient(birthDate="2008-02-29"), as_of=day.replace(tzinfo=UTC)).says == says


def test_a_birthday_begins_where_the_hospital_is(ask: Asked) -> None:
    afternoon_in_utc = datetime(2026, 10, 31, 15, tzinfo=UTC)
    patient = a_patient(birthDate="2008-11-01")
    assert ask(ADULT, patient, as_of=afternoon_in_utc, zone=TOKYO).says == "met"
    assert ask(ADULT, patient, as_of=afternoon_in_utc).says == "not-met"


@pytest.mark.parametrize(("born", "says"), [("1955-11-02", "met"), ("1955-11-01", "not-met")])
def test_the_last_year_of_an_age_range_counts_to_its_end(ask: Asked, born: str, says: str) -> None:
    assert ask({"age": {"is": "18..70 a"}}, a_patient(birthDate=born)).says == says


# -- how long, how long ago


HALF_A_YEAR = condition("lupus-nephritis", lasting="6 mo")
NO_RECENT_INFARCTION = condition("myocardial-infarction", when="ever", began_within="6 mo", absent="presume")


@pytest.mark.parametrize(
    ("onset", "says"),
    [
        ("2026-05-01", "met"),
        ("2026-05-02", "not-met"),
        ("2026-04", "met"),
        ("2026-05", "unknown: imprecise"),
        ("2026", "unknown: imprecise"),
        ("2025", "met"),
    ],
)
def test_six_months_of_disease_are_calendar_months(ask: Asked, onset: str, says: str) -> None:
    assert ask(HALF_A_YEAR, a_condition("M32.14", id="ln", onsetDateTime=onset)).says == says


def test_a_disease_written_down_long_ago_has_lasted_at_least_since_then(ask: Asked) -> None:
    assert ask(HALF_A_YEAR, a_condition("M32.14", id="ln", recordedDate="2026-04-01")).says == "met"
    late = ask(HALF_A_YEAR, a_condition("M32.14", id="ln", recordedDate="2026-10-01"))
    assert late.says == "unknown: imprecise"


@pytest.mark.parametrize(
    ("onset", "says"),
    [("2026-05-01", "not-met"), ("2026-04-30", "met"), ("2026-05", "not-met"), ("2025-06", "met")],
)
def test_an_event_within_six_months_excludes_to_the_day(ask: Asked, onset: str, says: str) -> None:
    event = a_condition("I21.9", id="mi", onsetDateTime=onset)
    assert ask(NO_RECENT_INFARCTION, event, kind="exclude").says == says


@pytest.mark.parametrize("icd", ["I21.9", "I25.2"])
def test_an_event_without_a_date_is_asked_about(ask: Asked, icd: str) -> None:
    answered = ask(NO_RECENT_INFARCTION, a_condition(icd, id="mi"), kind="exclude")
    assert answered.says == "unknown: imprecise"
    assert "onset is not recorded" in answered.explanation


# -- the day on which time turns the verdict


def _infusion(day: str) -> dict[str, Any]:
    return an_administration(effectiveDateTime=day)


NO_RITUXIMAB = treatment("rituximab", when="within 6 mo", absent="presume")
CLOCKS = {
    "age": (ADULT, "include", a_patient(birthDate="2008-12-24")),
    "age on 29 February": (ADULT, "include", a_patient(birthDate="2012-02-29")),
    "duration": (HALF_A_YEAR, "include", a_condition("M32.14", id="ln", onsetDateTime="2026-08-31")),
    "washout": (NO_RITUXIMAB, "exclude", _infusion("2026-08-31")),
    "washout with a clock time": (NO_RITUXIMAB, "exclude", _infusion("2026-10-30T23:59:59Z")),
    "event": (NO_RECENT_INFARCTION, "exclude", a_condition("I21.9", id="mi", onsetDateTime="2026-06-30")),
    "weeks": (treatment("transfusion", when="within 2 wk", absent="presume"), "exclude",
              {"resourceType": "Procedure", "id": "t", "status": "completed", "subject": SUBJECT,
               "code": code("https://trialcards.org/fhir/CodeSystem/concept", "transfusion"),
               "performedDateTime": "2026-10-25"}),
}  # fmt: skip


@pytest.mark.parametrize("clock", CLOCKS)
@pytest.mark.parametrize("zone", [UTC, TOKYO, ZoneInfo("America/Los_Angeles")])
def test_on_the_recheck_day_the_verdict_turns_and_not_on_the_day_before(ask: Asked, clock: str, zone: Any) -> None:
    asks, kind, resource = CLOCKS[clock]
    today = datetime(2026, 11, 1, tzinfo=zone)
    first = ask(asks, resource, kind=kind, as_of=today, zone=zone)
    assert (first.says, first.cohort["verdict"]) == ("not-met", "near-miss")
    recheck = datetime.fromisoformat(first.cohort["recheckOn"]).replace(tzinfo=zone)
    assert f"passes with time on {recheck:%Y-%m-%d}" in first.explanation
    then = ask(asks, resource, kind=kind, as_of=recheck, zone=zone)
    assert (then.says, then.cohort["verdict"]) == ("met", "likely-eligible")
    eve = datetime.fromordinal(recheck.toordinal() - 1).replace(tzinfo=zone)
    assert ask(asks, resource, kind=kind, as_of=eve, zone=zone).says == "not-met"


PARTIAL = {
    "washout": (NO_RITUXIMAB, "exclude", _infusion("2026-08"), "2027-02-02"),
    "duration": (HALF_A_YEAR, "include", a_condition("M32.14", id="ln", onsetDateTime="2026-08"), "2027-02-01"),
    "age": (ADULT, "include", a_patient(birthDate="2010"), "2028-01-01"),
}


@pytest.mark.parametrize("clock", PARTIAL)
def test_from_a_partial_date_the_recheck_day_is_the_first_that_may_turn_the_verdict(ask: Asked, clock: str) -> None:
    asks, kind, resource, day = PARTIAL[clock]
    first = ask(asks, resource, kind=kind)
    assert (first.cohort["verdict"], first.cohort["recheckOn"]) == ("near-miss", day)
    recheck = datetime.fromisoformat(day).replace(tzinfo=UTC)
    then = ask(asks, resource, kind=kind, as_of=recheck)
    assert (then.says, then.cohort["verdict"]) == ("unknown: imprecise", "possibly-eligible")
    eve = datetime.fromordinal(recheck.toordinal() - 1).replace(tzinfo=UTC)
    assert ask(asks, resource, kind=kind, as_of=eve).says == "not-met"


@pytest.mark.parametrize("clock", ["washout", "duration"])
def test_of_a_partial_date_it_is_said_that_it_may_pass(ask: Asked, clock: str) -> None:
    asks, kind, resource, day = PARTIAL[clock]
    assert f"; may pass with time on {day}" in ask(asks, resource, kind=kind).explanation


def test_a_value_within_its_tolerance_has_no_recheck_day_and_the_advice_to_repeat_it(ask: Asked) -> None:
    answered = ask(AT_LEAST_100, platelets(91))
    assert (answered.cohort["verdict"], answered.cohort["recheckOn"]) == ("near-miss", None)
    assert answered.explanation.endswith("within the site's tolerance of 10 % (the protocol has none): repeat it")
    beyond = ask(AT_LEAST_100, platelets(89))
    assert (beyond.cohort["verdict"], "tolerance" in beyond.explanation) == ("not-eligible", False)


def test_a_met_result_says_until_when_it_is_current(ask: Asked) -> None:
    answered = ask(AT_LEAST_100, platelets(150, "2026-10-20"))
    assert answered.explanation.endswith("; current until 2027-01-18")
    assert ask(AT_LEAST_100, platelets(150), as_of=datetime(2027, 1, 18, tzinfo=UTC)).says == "met"
    assert ask(AT_LEAST_100, platelets(150), as_of=datetime(2027, 1, 19, tzinfo=UTC)).says == "unknown: stale"


def test_an_age_limit_says_from_when_it_is_passed(ask: Asked) -> None:
    answered = ask({"age": {"is": "18..70 a"}}, a_patient(birthDate="1955-11-02"))
    assert answered.explanation.endswith("; no longer met from 2026-11-02")


def test_a_lasting_exposure_that_goes_on_has_no_day_on_which_it_passes(ask: Asked) -> None:
    going_on = _infusion("2026-08-31") | {"resourceType": "MedicationRequest", "status": "active", "intent": "order"}
    answered = ask(NO_RITUXIMAB, going_on, kind="exclude")
    assert (answered.says, answered.cohort["verdict"], answered.cohort["recheckOn"]) == (
        "not-met",
        "not-eligible",
        None,
    )


FALLEN = {"change": {"of": "fvc-percent-predicted", "is": "<= -10 %", "over": "6 mo"}}


def fvc(number: object, unit: str, taken: str, **more: Any) -> dict[str, Any]:
    return a_result("19872-1", number, unit, id=taken, effectiveDateTime=taken, **more)


def test_a_change_is_that_of_the_newest_result_and_no_older_one_steps_in(ask: Asked) -> None:
    earlier = fvc(50, "%", "2026-09-20"), fvc(70, "%", "2026-06-20")
    assert ask(FALLEN, *earlier).says == "met"
    assert ask(FALLEN, *earlier, fvc(2.1, "L", "2026-10-20")).says == "unknown: unit-unconvertible"
    assert ask(FALLEN, *earlier, fvc(69, "%", "2026-10-20", status="preliminary")).says == "met"

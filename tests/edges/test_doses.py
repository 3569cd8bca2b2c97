"""A high dose that has come and gone: infusions as an administration record has them, and orders that are over."""

from __future__ import annotations

from typing import Any

import pytest

from tests.edges.asking import Asked
from tests.mappings.charts import RXNORM, SUBJECT, a_dosage, a_request, code, quantity

Json = dict[str, Any]
DOSE = "glucocorticoid-dose"
GIVEN = {"of": DOSE, "is": ">= 500 mg/d", "within": "2 wk", "pick": "any", "absent": "presume"}
STEADY = {"of": DOSE, "is": "< 500 mg/d", "stable_for": "2 wk", "absent": "presume"}
ASKED = {"judgement": {"ask": "Was a pulse given?"}}
PULSE: Json = {"any": [{"value": GIVEN}, {"all": [{"not": {"value": STEADY}}, ASKED]}]}
METHYLPREDNISOLONE, PREDNISONE = "6902", "8640"


def an_infusion(day: str, number: object, unit: str = "mg", **more: object) -> Json:
    """Methylprednisolone as given: the dose of that one time, without a timing."""
    return {
        "resourceType": "MedicationAdministration",
        "id": f"given{day}",
        "status": "completed",
        "subject": SUBJECT,
        "medicationCodeableConcept": code(RXNORM, METHYLPREDNISOLONE),
        "effectiveDateTime": day,
        "dosage": {"dose": quantity(number, unit)},
    } | more


def a_course(first: str, last: str, mg: int) -> Json:
    """An order for some days, carried out."""
    bounds = {"start": first, "end": last}
    timing = {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d", "boundsPeriod": bounds}}
    dosage = [a_dosage(mg) | {"timing": timing}]
    return a_request(METHYLPREDNISOLONE, id="course", status="completed", authoredOn=first, dosageInstruction=dosage)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (an_infusion("2026-10-18", 1000), "not-met"),  # two weeks ago to the day
        (an_infusion("2026-10-17", 1000), "met"),  # a day longer
        (an_infusion("2026-10-20", 392), "not-met"),  # 490 mg as prednisone, and the tablets: 500
        (an_infusion("2026-10-20", 0.4, "g"), "not-met"),
        (an_infusion("2026-10-20", 391), "needs-human"),
        (an_infusion("2026-10-20", 1000, status="not-done"), "met"),
        (an_infusion("2026-10-20T09:00:00Z", 1000, effectiveDateTime="2026-10-20T09:00:00Z"), "not-met"),
        (a_course("2026-10-12", "2026-10-18", 1000), "not-met"),  # it ended two weeks ago to the day
        (a_course("2026-10-12", "2026-10-17", 1000), "met"),
        (a_course("2026-10-20", "2026-10-22", 100), "needs-human"),
    ],
)
def test_a_pulse_that_was_given_lately_is_one_although_the_dose_of_today_is_small(
    ask: Asked, given: Json, says: str
) -> None:
    tablets = a_request(PREDNISONE, authoredOn="2026-01-01", dosageInstruction=[a_dosage(10)])
    assert ask(PULSE, given, tablets, kind="exclude").says == says


def test_a_pulse_is_told_with_its_dose_and_its_day(ask: Asked) -> None:
    answered = ask(PULSE, an_infusion("2026-10-20", 1000), kind="exclude")
    assert "as prednisone 1250 mg/day on 2026-10-20" in answered.explanation
    assert "Glucocorticoid dose today" not in answered.explanation


@pytest.mark.parametrize(
    ("one", "other", "says"),
    [
        ("2026-10-20T08:00:00Z", "2026-10-20T20:00:00Z", "not-met"),
        ("2026-10-20T08:00:00Z", "2026-10-20T08:00:00Z", "needs-human"),  # one infusion under two ids: 312.5 mg
        ("2026-10-20", "2026-10-20", "unknown: imprecise"),  # two, or one that is told twice
    ],
)
def test_two_infusions_of_one_day_add_up_and_one_told_twice_does_not(
    ask: Asked, one: str, other: str, says: str
) -> None:
    twice = an_infusion(one, 250, id="a"), an_infusion(other, 250, id="b")
    assert ask(PULSE, *twice, kind="exclude").says == says


def test_what_was_given_counts_although_the_order_has_no_dose(ask: Asked) -> None:
    order = a_course("2026-10-20", "2026-10-20", 1) | {"dosageInstruction": [{"text": "as directed"}]}
    assert ask(PULSE, an_infusion("2026-10-20", 1000), order, kind="exclude").says == "not-met"


def test_an_infusion_whose_dose_is_not_recorded_is_no_proof(ask: Asked) -> None:
    given = an_infusion("2026-10-20", 1000)
    del given["dosage"]
    answered = ask(PULSE, given, kind="exclude")
    assert answered.says == "unknown: imprecise"
    assert "not exact enough to decide, not every dose of that time is on record – ask for" in answered.explanation


def test_a_pulse_resolves_with_time(ask: Asked) -> None:
    answered = ask(PULSE, an_infusion("2026-10-20", 1000), kind="exclude")
    assert (answered.cohort["verdict"], answered.cohort["recheckOn"]) == ("near-miss", "2026-11-04")

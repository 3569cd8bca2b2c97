"""What can be calculated where it was not recorded, and what is said where it cannot."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from mappings.derived.formulas import ckd_epi_2021, cockcroft_gault, qtc_bazett
from mappings.facts import Reason, Result
from tests.mappings.charts import (
    RXNORM,
    SUBJECT,
    a_dispense,
    a_dosage,
    a_patient,
    a_request,
    an_observation,
    code,
    facts_from,
    quantity,
    result_from,
)

Json = dict[str, Any]
DOSE = ("https://trialcards.org/fhir/CodeSystem/concept", "glucocorticoid-dose")


def creatinine(mg_dl: object = 1, unit: str = "mg/dL", **more: object) -> Json:
    return an_observation("2160-0", {"valueQuantity": quantity(mg_dl, unit)}, id="crea", **more)


def weight(kg: object = 60, **more: object) -> Json:
    return an_observation("29463-7", {"valueQuantity": quantity(kg, "kg")}, **({"id": "weight"} | more))


def recorded(loinc: str, value: object, unit: str, **more: object) -> Json:
    return an_observation(loinc, {"valueQuantity": quantity(value, unit)}, **({"id": f"r{loinc}"} | more))


def number(result: Result) -> float:
    assert result.value
    assert result.value.exact is not None
    return float(result.value.exact)


def test_clearance_is_calculated_from_creatinine_weight_age_and_sex() -> None:
    result = result_from("creatinine-clearance", creatinine(), weight())
    expected = cockcroft_gault(46, "female", Decimal(60), Decimal(1))
    assert number(result) == pytest.approx(float(expected), abs=0.001)
    assert (result.formula, result.unit) == ("Cockcroft-Gault", "mL/min")
    assert [item.source for item in result.inputs] == ["Observation/crea", "Observation/weight"]
    assert result.taken
    assert result.taken.first_day == date(2026, 10, 20)


def test_creatinine_by_amount_gives_the_same_clearance() -> None:
    by_mass = number(result_from("creatinine-clearance", creatinine(1), weight()))
    by_amount = number(result_from("creatinine-clearance", creatinine("88.402", "umol/L"), weight()))
    assert by_amount == pytest.approx(by_mass, rel=0.001)


def test_the_weight_nearest_in_time_is_used_and_none_older_than_half_a_year() -> None:
    near, far = weight(60, effectiveDateTime="2026-09-01"), weight(90, id="w2", effectiveDateTime="2026-05-01")
    assert result_from("creatinine-clearance", creatinine(), far, near).inputs[1].source == "Observation/weight"
    old = result_from("creatinine-clearance", creatinine(), weight(effectiveDateTime="2026-04-01"))
    note = "a body weight near the date of the creatinine is missing"
    assert (old.problem, old.note) == (Reason.MISSING, note)


@pytest.mark.parametrize(
    ("days", "nearest"),  # of the creatinine: 20 October
    [
        (("2026-10-25", "2026-10-10"), "2026-10-25"),
        (("2026-10-30", "2026-10-17"), "2026-10-17"),
        (("2026-10-22", "2026-10-18"), "2026-10-22"),
        (("2026-10-31", "2026-10-20", "2026-10-19"), "2026-10-20"),
        (("2026-10-30", "2026-10-12", "2026-10-11"), "2026-10-12"),
    ],
)
def test_the_nearest_weight_may_be_older_or_newer_and_of_two_the_newer(days: tuple[str, ...], nearest: str) -> None:
    weights = [weight(id=f"of-{day}", effectiveDateTime=day) for day in days]
    undecided = weight(id="not-final", effectiveDateTime="2026-10-20T08:00:00Z", status="preliminary")
    found = result_from("creatinine-clearance", creatinine(), undecided, *weights)
    assert found.inputs[1].source == f"Observation/of-{nearest}"


@pytest.mark.parametrize(
    ("resources", "note"),
    [
        ([weight()], "creatinine is missing"),
        ([creatinine()], "body weight is missing"),
        ([creatinine(), weight(), a_patient(birthDate=None)], "date of birth is missing"),
        ([creatinine(), weight(), a_patient(gender="other")], "sex is not recorded as female or male"),
        ([creatinine(), weight(), a_patient(birthDate="2012-01-01")], "the formula is for adults"),
    ],
)
def test_where_it_cannot_be_calculated_the_missing_input_is_named(resources: list[Json], note: str) -> None:
    result = result_from("creatinine-clearance", *resources)
    assert (result.value, result.problem, result.note) == (None, Reason.MISSING, note)


def test_a_creatinine_that_cannot_be_used_passes_its_reason_on() -> None:
    result = result_from("creatinine-clearance", creatinine(status="preliminary"), weight())
    assert result.problem is Reason.NOT_FINAL


def test_what_age_or_a_comparator_leaves_open_stays_open() -> None:
    year_only = result_from("creatinine-clearance", a_patient(birthDate="1980"), creatinine(), weight()).value
    assert year_only
    assert year_only.low is not None
    assert year_only.high is not None
    assert year_only.low < year_only.high
    below = creatinine()
    below["valueQuantity"]["comparator"] = "<"
    censored = result_from("creatinine-clearance", below, weight()).value
    assert censored
    assert (censored.high, censored.low_open) == (None, True)


def test_egfr_is_calculated_by_ckd_epi() -> None:
    result = result_from("egfr", creatinine("1.2"))
    assert number(result) == pytest.approx(float(ckd_epi_2021(46, "female", Decimal("1.2"))), abs=0.001)
    assert result.formula == "CKD-EPI 2021 (creatinine)"


@pytest.mark.parametrize(
    ("day", "first"), [("2026-10-20", "recorded"), ("2026-10-25", "recorded"), ("2026-10-10", "calculated")]
)
def test_a_recorded_value_wins_on_the_same_day_and_later(day: str, first: str) -> None:
    own = recorded("98979-8", 71, "mL/min/{1.73_m2}", effectiveDateTime=day)
    results = facts_from(creatinine(), own).results("egfr")
    assert len(results) == 2
    assert ("calculated" if results[0].formula else "recorded") == first


def test_a_recorded_value_without_creatinine_stands_alone() -> None:
    results = facts_from(recorded("98979-8", 71, "mL/min/{1.73_m2}")).results("egfr")
    assert [number(result) for result in results] == [71]


def test_qtc_is_calculated_from_qt_and_rate_of_one_day() -> None:
    qt, rate = recorded("8634-8", 400, "ms"), recorded("8867-4", 75, "/min")
    result = result_from("qtc", qt, rate)
    assert number(result) == pytest.approx(float(qtc_bazett(Decimal(400), Decimal(75))), abs=0.001)
    other_day = result_from("qtc", qt, recorded("8867-4", 75, "/min", effectiveDateTime="2026-10-19"))
    assert (other_day.problem, other_day.note) == (Reason.MISSING, "a heart rate of the same day is missing")
    assert facts_from().results("qtc") == ()


# Glucocorticoids


def order(mg: object = 10, rxnorm: str = "8640", **more: Any) -> Json:
    return a_request(rxnorm, **({"dosageInstruction": [a_dosage(mg)]} | more))


def statement(mg: object) -> Json:
    return {
        "resourceType": "MedicationStatement",
        "id": "s1",
        "status": "active",
        "subject": SUBJECT,
        "medicationCodeableConcept": code(RXNORM, "8640"),
        "effectivePeriod": {"start": "2026-01-01"},
        "dosage": [a_dosage(mg)],
    }


def dose_span(*resources: Json) -> tuple[float | None, float | None]:
    value = result_from("glucocorticoid-dose", *resources).value
    assert value
    return tuple(None if end is None else float(end) for end in (value.low, value.high))  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ([order(10)], (10, 10)),
        ([order(4, "6902")], (5, 5)),
        ([order(10), order(4, "6902", id="m2")], (15, 15)),
        ([order(10), order(5, id="m2")], (10, 15)),  # one replaces the other, or comes on top
        ([order(10), order(10, id="m2")], (10, 20)),  # written twice, or one in the morning and one at night
        ([order(10), order(10, id="m2", authoredOn="2026-10-10")], (10, 10)),  # renewed
        ([order(10), order(10, id="m2"), order(10, id="m3", authoredOn="2026-10-10")], (10, 20)),
        ([order(10), order(5, id="m2", authoredOn="2026-10-10")], (10, 15)),
        ([order(10), order(5, id="m2", priorPrescription={"reference": "MedicationRequest/m1"})], (5, 5)),
        ([order(10), order(5, id="m2", basedOn=[{"reference": "https://x/fhir/MedicationRequest/m1/_history/2"}])],
         (5, 5)),
        ([order(10), order(5, id="m2", basedOn=[{"reference": "urn:uuid:m1"}])], (5, 5)),
        ([order(10), order(4, "6902", id="m2", priorPrescription={"reference": "MedicationRequest/m1"})], (5, 5)),
        ([order(10), order(5, id="m2", status="stopped", priorPrescription={"reference": "MedicationRequest/m1"})],
         (0, 10)),
        ([order(10), order(5, id="m2", priorPrescription={"reference": "MedicationRequest/other"})], (10, 15)),
        ([order(10), *(order(10, id=f"i{day}", authoredOn=f"2026-10-2{day}", intent="instance-order",
                             basedOn=[{"reference": "MedicationRequest/m1"}]) for day in range(5))], (10, 10)),
        ([order(10), order(5, id="m2", priorPrescription={"reference": "MedicationRequest/m1"}),
          order("2.5", id="m3", priorPrescription={"reference": "MedicationRequest/m2"})], (2.5, 2.5)),
        ([order(10, priorPrescription={"reference": "MedicationRequest/m2"}),
          order(5, id="m2", priorPrescription={"reference": "MedicationRequest/m1"})], (10, 15)),
        ([order(10), statement(10)], (10, 10)),
        ([order(10), statement(20)], (10, 20)),
        ([a_dispense(dosageInstruction=[a_dosage(10)])], (10, 10)),
        ([a_dispense(dosageInstruction=[a_dosage(10)], whenHandedOver="2026-09-15")], (0, 10)),  # a refill may come
        ([order(10), a_dispense(dosageInstruction=[a_dosage(10)])], (10, 10)),
        ([order(10), a_dispense(dosageInstruction=[a_dosage(20)])], (10, 20)),
        ([order(10, authoredOn="2026-10-20"), a_dispense(dosageInstruction=[a_dosage(20)])], (10, 10)),  # changed since
        ([statement(10), statement(10) | {"id": "s2"}], (10, 10)),  # one list, taken twice
        ([order(10, status="stopped")], (0, 0)),
        ([order(10, status="unknown")], (0, 10)),
        ([order(10, dosageInstruction=[a_dosage(10, asNeededBoolean=True)])], (0, 10)),
        ([order(10, dosageInstruction=[{"text": "taper as directed"}])], (0, None)),
        ([a_request(medicationCodeableConcept={"text": "prednisone"}, dosageInstruction=[a_dosage(10)])], (0, 10)),
    ],
)  # fmt: skip
def test_the_dose_is_the_sum_of_what_is_current(resources: list[Json], expected: tuple[float, float | None]) -> None:
    assert dose_span(*resources) == expected


def test_two_orders_of_one_drug_say_why_the_dose_is_a_range() -> None:
    result = result_from("glucocorticoid-dose", order(10), order(5, id="m2"))
    assert result.note == "2 orders of prednisone; whether one replaces the other is not recorded"


def test_glucocorticoids_that_are_all_over_are_a_dose_of_zero_that_says_so() -> None:
    result = result_from("glucocorticoid-dose", order(10, status="stopped"))
    assert (result.formula, result.problem) == ("no current glucocorticoid", None)


def test_no_record_of_a_glucocorticoid_is_silence_and_not_zero() -> None:
    assert facts_from().results("glucocorticoid-dose") == ()


def test_zero_is_never_read_from_medications_that_were_not_read_completely() -> None:
    unknown = a_request(medicationCodeableConcept=None, medicationReference={"reference": "Medication/x"})
    result = result_from("glucocorticoid-dose", unknown)
    assert (result.value, result.problem) == (None, Reason.NOT_READABLE)


def test_doses_given_lately_without_an_order_leave_the_dose_open() -> None:
    given = {
        "resourceType": "MedicationAdministration",
        "id": "a1",
        "status": "completed",
        "subject": SUBJECT,
        "medicationCodeableConcept": code(RXNORM, "6902"),
        "effectiveDateTime": "2026-10-30",
    }
    assert dose_span(given) == (0, None)
    assert dose_span(given | {"effectiveDateTime": "2026-09-30"}) == (0, 0)


def test_a_recorded_dose_wins_over_older_orders_only() -> None:
    said = an_observation(value={"valueQuantity": quantity("7.5", "mg/d")}, code=code(*DOSE))
    assert dose_span(said) == (7.5, 7.5)
    assert dose_span(said, order(10)) == (7.5, 7.5)
    assert dose_span(said, order(10, authoredOn="2026-10-25")) == (10, 10)
    stopped = order(10, status="stopped")
    assert dose_span(said, stopped) == (7.5, 7.5)
    assert dose_span(said | {"effectiveDateTime": "2026-06-01"}, stopped) == (0, 0)


def until(last: str, **more: Any) -> Json:
    bounds = {"start": "2026-01-01", "end": last}
    timing = {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d", "boundsPeriod": bounds}}
    dosage = a_dosage(10) | {"timing": timing}
    return order(10, status="completed", dosageInstruction=[dosage], id="old", **more)


@pytest.mark.parametrize(
    ("resources", "changed"),
    [
        ([], False),
        ([order(10)], False),
        ([order(10, authoredOn="2026-10-10")], True),
        ([until("2026-10-09"), order(10, authoredOn="2026-10-10")], False),
        ([until("2026-10-09"), order(5, authoredOn="2026-10-10")], True),
        ([order(10), order(10, id="m2", authoredOn="2026-10-10")], False),  # renewed
        ([order(10), order(5, id="m2", authoredOn="2026-10-10")], None),
        ([order(10), order(5, id="m2", authoredOn="2026-10-10",
                           priorPrescription={"reference": "MedicationRequest/m1"})], True),
        ([order(10, status="stopped")], None),
        ([order(10, authoredOn=None)], None),
        ([order(10, dosageInstruction=[{"text": "as directed"}])], None),
    ],
)  # fmt: skip
def test_a_dose_is_stable_when_no_day_since_differs(resources: list[Json], changed: bool | None) -> None:
    assert facts_from(*resources).dose_changed_since("glucocorticoid-dose", date(2026, 10, 4)) is changed

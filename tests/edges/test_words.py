"""Whether a sentence about a chart is true of that chart."""

from __future__ import annotations

from tests.edges.asking import BILIRUBIN, PLATELETS, Asked, a_result, condition, value
from tests.mappings.charts import a_condition


def test_of_two_counts_the_one_that_misses_is_measured_against_the_limit(ask: Asked) -> None:
    low, higher = a_result(PLATELETS, 49, "10*9/L"), a_result(PLATELETS, 60, "10*9/L", id="o2")
    higher |= {"effectiveDateTime": "2026-10-10"}
    answered = ask(value("platelets", "< 50 10*9/L", runs=2), low, higher)
    assert answered.says == "not-met"
    assert answered.explanation == (
        "Platelets 60 × 10⁹/L on 2026-10-10, needs < 50 (10 above); Platelets 49 × 10⁹/L on 2026-10-20"
    )


def test_absence_beside_an_excepted_diagnosis_says_what_it_does_not_count(ask: Asked) -> None:
    asks = condition("arrhythmia", excepting=["atrial-fibrillation"], absent="presume")
    answered = ask(asks, a_condition("I48.0", id="c2"), kind="exclude")
    assert answered.says == "met"
    assert answered.explanation == "Arrhythmia, not counting Atrial fibrillation or flutter: no record, taken as absent"


def test_a_value_that_misses_two_limits_is_shown_with_both(ask: Asked) -> None:
    asks = {
        "any": [
            value("bilirubin-total", "<= 2 ULN"),
            {"all": [condition("gilbert-syndrome", when="ever"), value("bilirubin-total", "<= 3 ULN")]},
        ]
    }
    high = a_result(BILIRUBIN, 3.7, "mg/dL", referenceRange=[{"high": {"value": 1.2, "unit": "mg/dL"}}])
    answered = ask(asks, high, a_condition("E80.4", id="c2"))
    assert answered.says == "not-met"
    assert (
        "3.7 mg/dL on 2026-10-20 (needs ≤ 2.4 = 2 × upper limit of normal, or ≤ 3.6 = 3 × upper limit of normal)"
        in (answered.explanation)
    )

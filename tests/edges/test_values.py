"""A number against a limit: every way of writing the unit, comparators, and numbers that are no such number."""

from __future__ import annotations

import sys
from collections import Counter
from datetime import UTC
from types import FrameType
from typing import Any

import pytest

from mappings.concepts.catalogue import Catalogue
from mappings.patient_facts import facts_of
from mappings.readers.observations import ResultReader
from tests.edges.asking import ALT, AS_OF, BILIRUBIN, CREATININE, HEMOGLOBIN, PLATELETS, Asked, a_result, value
from tests.mappings.charts import LOINC, SNOMED, a_chart, code

AT_LEAST_100 = value("platelets", ">= 100 10*9/L")
INTERPRETATION = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"
RATIO = value("urine-protein-creatinine-ratio", "<= 1 g/g")

# analyte, limit, then number and unit that are exactly the limit, and the smallest step beyond it
AT_THE_LIMIT = [
    (PLATELETS, AT_LEAST_100, 100, 99.9, ["10*9/L", "10*3/uL", "K/uL", "x10E3/uL", "10^9/L", "G/L", "Tsd/µl"]),
    (PLATELETS, AT_LEAST_100, 100000, 99999, ["/uL", "/mm3", "cells/uL", "{cells}/uL", "cells/mcL"]),
    (HEMOGLOBIN, value("hemoglobin", ">= 80 g/L"), 8, 7.99, ["g/dL", "G/DL", "gm/dl", "g%"]),
    (HEMOGLOBIN, value("hemoglobin", ">= 80 g/L"), 80, 79.9, ["g/L"]),
    (CREATININE, value("creatinine", "<= 1.5 mg/dL"), 1.5, 1.51, ["mg/dL", "MG/DL"]),
    (CREATININE, value("creatinine", "<= 1.5 mg/dL"), 15, 15.1, ["mg/L"]),
    (CREATININE, value("creatinine", "<= 1.5 mg/dL"), 132.6, 132.7, ["umol/L", "µmol/L", "μmol/l", "mcmol/L"]),
    (CREATININE, value("creatinine", "<= 221 umol/L"), 221, 222, ["umol/L"]),
    ("2890-2", RATIO, 1, 1.01, ["g/g", "mg/mg", "{ratio}", "mg/mg creat"]),
    ("2890-2", RATIO, 1000, 1001, ["mg/g", "mg/g{creat}", "mg/g creat", "ug/mg"]),
    ("34366-5", RATIO, 113.12, 113.2, ["mg/mmol", "g/mol"]),
    ("2889-4", value("urine-protein-24h", "> 6 g/(24.h)"), 6.01, 6, ["g/(24.h)", "g/d", "g/24h"]),
    ("2889-4", value("urine-protein-24h", "> 6 g/(24.h)"), 6001, 6000, ["mg/(24.h)", "mg/24h", "mg/d"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("loinc", "asks", "at", "beyond", "unit"),
    [(loinc, asks, at, beyond, unit) for loinc, asks, at, beyond, units in AT_THE_LIMIT for unit in units],
)
def test_the_limit_itself_passes_and_one_step_beyond_does_not_in_every_unit(
    ask: Asked, loinc: str, asks: dict[str, object], at: float, beyond: float, unit: str
) -> None:
    assert ask(asks, a_result(loinc, at, unit)).says == "met"
    assert ask(asks, a_result(loinc, beyond, unit)).says == "not-met"


@pytest.mark.parametrize("unit", ["%", "fL", "g/L", "crore/cumm", "mmol/L", None])
def test_a_unit_that_is_not_the_analytes_decides_nothing(ask: Asked, unit: str | None) -> None:
    assert ask(AT_LEAST_100, a_result(PLATELETS, 100, unit)).says == "unknown: unit-unconvertible"


def test_a_number_without_a_unit_beside_its_range_is_normal_or_not_but_meets_no_limit(ask: Asked) -> None:
    bare = a_result(PLATELETS, 180, referenceRange=[{"low": {"value": 150}, "high": {"value": 400}}])
    assert ask(AT_LEAST_100, bare).says == "unknown: unit-unconvertible"


def test_a_value_is_told_in_the_unit_of_its_limit(ask: Asked) -> None:
    answered = ask(value("iga", ">= 10 mg/dL"), a_result("2458-8", 0.05, "g/L"))
    assert (
        "Immunoglobulin A 0.05 g/L (5 mg/dL) on 2026-10-20, needs ≥ 0.1 g/L = 10 mg/dL (0.05 below)"
        in answered.explanation
    )
    assert answered.criterion["evidence"][0]["recorded"] == "0.05 g/L"


def test_a_percentage_of_leukocytes_is_no_count_whatever_its_code_says(ask: Asked) -> None:
    asks = value("neutrophils", ">= 1 10*9/L")
    assert ask(asks, a_result("751-8", 65, "%")).says == "unknown: unit-unconvertible"
    assert ask(asks, a_result("770-8", 65, "%")).says == "unknown: missing"


def test_bilirubin_by_mass_and_by_amount_are_one(ask: Asked) -> None:
    asks = value("bilirubin-total", "<= 2 mg/dL")
    assert ask(asks, a_result(BILIRUBIN, 34.2, "umol/L")).says == "met"
    assert ask(asks, a_result(BILIRUBIN, 34.3, "umol/L")).says == "not-met"


def test_a_number_a_thousand_times_too_large_is_implausible_not_very_good(ask: Asked) -> None:
    answered = ask(AT_LEAST_100, a_result(PLATELETS, 180000, "10*3/uL"))
    assert answered.says == "unknown: implausible"
    assert "check the entry" in answered.explanation


@pytest.mark.parametrize(
    ("number", "unit", "says"),
    [
        (180, "/uL", "unknown: implausible"),  # 180 × 10⁹/L, with the unit of another column
        (1, "10*9/L", "not-met"),
        (1000, "/uL", "not-met"),
    ],
)
def test_a_count_a_thousand_times_too_small_is_implausible_not_very_low(
    ask: Asked, number: int, unit: str, says: str
) -> None:
    assert ask(value("platelets", ">= 100 10*9/L"), a_result(PLATELETS, number, unit)).says == says


def test_a_count_below_what_can_be_counted_is_low(ask: Asked) -> None:
    few = a_result(PLATELETS, valueQuantity={"value": 5, "unit": "10*9/L", "comparator": "<"})
    assert ask(value("platelets", ">= 100 10*9/L"), few).says == "not-met"


@pytest.mark.parametrize(
    ("comparator", "number", "says"),
    [
        ("<", 100, "not-met"),  # at most 99.9…
        ("<=", 100, "unknown: imprecise"),
        ("<", 101, "unknown: imprecise"),
        (">", 99, "unknown: imprecise"),
        (">", 100, "met"),
        (">=", 100, "met"),
        ("ad", 100, "unknown: imprecise"),
    ],
)
def test_a_comparator_decides_only_what_it_leaves_no_doubt_about(
    ask: Asked, comparator: str, number: int, says: str
) -> None:
    quantity = {"value": number, "unit": "10*9/L", "comparator": comparator}
    assert ask(AT_LEAST_100, a_result(PLATELETS, valueQuantity=quantity)).says == says


@pytest.mark.parametrize(("number", "verdict"), [("< 100", "not-eligible"), ("95", "near-miss")])
def test_below_the_limit_by_an_unknown_amount_is_no_near_miss(ask: Asked, number: str, verdict: str) -> None:
    answered = ask(AT_LEAST_100, a_result(PLATELETS, valueString=f"{number} K/uL"))
    assert (answered.says, answered.cohort["verdict"]) == ("not-met", verdict)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("180 K/uL", "met"),
        ("180 x 10^9/L", "met"),
        ("180 10*9/L", "met"),
        ("180 k/ul H", "met"),
        ("180,000 /uL", "met"),
        (">100 K/uL", "met"),
        ("99,9 G/L", "not-met"),
        ("<100 K/uL", "not-met"),
        ("180", "unknown: unit-unconvertible"),
        ("about 180", "unknown: imprecise"),
        ("clumped, see comment", "unknown: imprecise"),
        ("pending", "unknown: imprecise"),
    ],
)
def test_a_number_in_a_text_counts_where_the_whole_text_is_understood(ask: Asked, text: str, says: str) -> None:
    assert ask(AT_LEAST_100, a_result(PLATELETS, valueString=text)).says == says


def test_a_number_sent_as_a_json_string_is_read_or_refused_but_never_guessed(ask: Asked) -> None:
    answered = ask(AT_LEAST_100, a_result(PLATELETS, valueQuantity={"value": "180", "unit": "K/uL"}))
    assert answered.says in ("met", "unknown: not-readable")


def test_any_of_several_codings_names_the_analyte(ask: Asked) -> None:
    codings = [
        {"system": "urn:example:lab", "code": "PLT"},
        {"system": SNOMED, "code": "61928009"},
        {"system": LOINC, "code": PLATELETS},
    ]
    assert ask(AT_LEAST_100, a_result(PLATELETS, 180, "K/uL", code={"coding": codings})).says == "met"


@pytest.mark.parametrize("named", [{"coding": [{"code": PLATELETS}]}, {"text": "Platelets"}, code("urn:x", PLATELETS)])
def test_a_code_without_its_system_and_a_name_alone_name_nothing(ask: Asked, named: dict[str, object]) -> None:
    assert ask(AT_LEAST_100, a_result(PLATELETS, 180, "K/uL", code=named)).says == "unknown: missing"


# -- reference ranges


THREE_TIMES = value("alt", "<= 3 ULN")
OURS = {"coding": [{"system": SNOMED, "code": "248152002"}]}  # female, as the patient is
THEIRS = {"coding": [{"system": SNOMED, "code": "248153007"}]}


def _high(number: float, **more: object) -> dict[str, object]:
    return {"high": {"value": number}} | more


@pytest.mark.parametrize(
    "ranges",
    [
        [{"low": {"value": 0}, "high": {"value": 40}}],
        [_high(40)],
        [_high(40), _high(40)],
        [{"text": "0-40"}],
        [{"text": "<= 40 U/L"}],
        [{"text": "10–40"}],
        [{"text": "up to 40"}],
        [_high(40, appliesTo=[OURS]), _high(60, appliesTo=[THEIRS])],
        [_high(40, appliesTo=[{"text": "Female"}]), _high(60, appliesTo=[{"text": "Male"}])],
        [{"text": "Female: 0-40"}, {"text": "Male: 0-60"}],
        [_high(60), _high(40, appliesTo=[OURS])],
        [_high(40, age={"low": {"value": 18, "unit": "a"}}), _high(60, age={"high": {"value": 17, "unit": "a"}})],
        [_high(40), _high(1000, type={"coding": [{"code": "critical"}]})],
    ],
)
def test_the_upper_limit_of_normal_is_the_results_own(ask: Asked, ranges: list[object]) -> None:
    assert ask(THREE_TIMES, a_result(ALT, 120, "U/L", referenceRange=ranges)).says == "met"
    assert ask(THREE_TIMES, a_result(ALT, 120.1, "U/L", referenceRange=ranges)).says == "not-met"


@pytest.mark.parametrize(
    "ranges",
    [
        [],
        [{"low": {"value": 5}}],
        [_high(40), _high(60)],
        [{"text": "F: 0-40; M: 0-60"}],
        [{"text": "see comment"}],
        [_high(40, type={"coding": [{"code": "therapeutic"}]})],
        [_high(40, appliesTo=[THEIRS])],
        [_high(40, age={"high": {"value": 17, "unit": "a"}})],
        [{"low": {"value": 40}, "high": {"value": 7}}],
        [{"low": {"value": 0}, "high": {"value": 0}}],
    ],
)
def test_without_one_range_that_is_this_patients_a_multiple_of_it_is_unknown(ask: Asked, ranges: list[object]) -> None:
    answered = ask(THREE_TIMES, a_result(ALT, 120, "U/L", referenceRange=ranges))
    assert answered.says == "unknown: no-reference-range"
    assert "ask the laboratory" in answered.explanation


def test_seconds_above_the_upper_limit_of_normal_are_counted_from_the_results_own(ask: Asked) -> None:
    asks = value("prothrombin-time", "<= ULN + 4 s")
    assert ask(asks, a_result("5902-2", 17, "s", referenceRange=[_high(13)])).says == "met"
    assert ask(asks, a_result("5902-2", 17.1, "s", referenceRange=[_high(13)])).says == "not-met"


# -- positive and negative


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("NONREACTIVE", "met"),
        ("Non-Reactive", "met"),
        ("not detected", "met"),
        ("Undetected", "met"),
        ("no evidence of infection", "met"),
        ("Nonreactive (see comment)", "met"),
        ("Reactive", "not-met"),
        ("repeatedly reactive", "not-met"),
        ("Not negative", "unknown: imprecise"),
        ("Positive/Negative", "unknown: imprecise"),
        ("previously positive, now negative", "unknown: imprecise"),
        ("Indeterminate", "unknown: imprecise"),
        ("Not performed", "unknown: imprecise"),
    ],
)
def test_negative_words_that_hold_positive_ones_are_negative_and_doubtful_ones_decide_nothing(
    ask: Asked, text: str, says: str
) -> None:
    assert ask(value("hbsag", "positive"), a_result("5196-1", valueString=text), kind="exclude").says == says


def test_a_value_and_an_interpretation_that_disagree_are_a_conflict(ask: Asked) -> None:
    result = a_result("5196-1", valueString="Negative", interpretation=[code(INTERPRETATION, "POS")])
    assert ask(value("hbsag", "positive"), result, kind="exclude").says == "unknown: conflicting"


@pytest.mark.parametrize(
    ("concept", "result"),
    [
        ("hbv-dna", a_result("42595-9", 50000, "[IU]/mL", interpretation=[code(INTERPRETATION, "NEG")])),
        ("hbv-dna", a_result("42595-9", 0, "[IU]/mL", interpretation=[code(INTERPRETATION, "POS")])),
        ("ana", a_result("5048-4", valueString="Positive 1:40")),
        ("ana", a_result("5048-4", 640, "{titer}", interpretation=[code(INTERPRETATION, "NEG")])),
        ("hcg", a_result("21198-7", 2, "m[IU]/mL", interpretation=[code(INTERPRETATION, "POS")])),
        (
            "anti-dsdna",
            a_result(
                "5130-0",
                120,
                "[IU]/mL",
                referenceRange=[{"high": {"value": 30}}],
                interpretation=[code(INTERPRETATION, "NEG")],
            ),
        ),
    ],
)
def test_a_number_and_a_word_that_disagree_are_a_conflict(ask: Asked, concept: str, result: dict[str, Any]) -> None:
    assert ask(value(concept, "positive"), result).says == "unknown: conflicting"


def test_a_word_decides_what_a_number_leaves_open(ask: Asked) -> None:
    below = {"value": 20, "comparator": "<", "unit": "IU/mL"}
    found = a_result("42595-9", valueQuantity=below, interpretation=[code(INTERPRETATION, "DET")])
    assert ask(value("hbv-dna", "positive"), found).says == "met"


@pytest.mark.parametrize("text", ["NYHA class III", "New York Heart Association Class 3", "Stadium III", "Grade III"])
def test_a_rank_is_read_behind_the_name_of_its_scale(ask: Asked, text: str) -> None:
    assert ask(value("nyha-class", "<= 2 {class}"), a_result("88020-3", valueString=text)).says == "not-met"


def test_a_rank_between_two_is_none(ask: Asked) -> None:
    asks = value("nyha-class", "<= 2 {class}")
    assert ask(asks, a_result("88020-3", valueString="NYHA II-III")).says == "unknown: imprecise"


def test_a_value_and_its_distance_are_told_to_the_same_digit(ask: Asked) -> None:
    found = ask(value("platelets", ">= 60 10*9/L"), a_result(PLATELETS, 57.946, "10*9/L"))
    assert "Platelets 57.946 × 10⁹/L on 2026-10-20, needs ≥ 60.0 (2.05 below)" in found.explanation
    assert found.criterion["margin"]["value"] == -2.054


def test_a_value_just_beside_its_limit_is_told_with_the_digits_that_tell_them_apart(ask: Asked) -> None:
    found = ask(value("platelets", ">= 60 10*9/L"), a_result(PLATELETS, 59.9996, "10*9/L"))
    assert "Platelets 59.9996 × 10⁹/L on 2026-10-20, needs ≥ 60.0 (0.0004 below)" in found.explanation


@pytest.mark.parametrize(
    ("taken", "litres", "says"),
    [("2026-10-20", 2, "unknown: imprecise"), ("2026-10-20", 0, "met"), ("2026-10-19", 2, "met")],
)
def test_a_flow_of_oxygen_that_stands_for_itself_speaks_for_its_time(
    ask: Asked, taken: str, litres: int, says: str
) -> None:
    flow = a_result("3151-8", litres, "L/min", id="flow", effectiveDateTime=taken)
    saturation = a_result("59408-5", 97, "%")
    assert ask(value("oxygen-saturation", ">= 92 %"), saturation, flow).says == says


def test_flows_of_oxygen_are_read_once_however_many_saturations_there_are(catalogue: Catalogue) -> None:
    """An intensive care unit sends thousands of each."""
    flows = [a_result("3151-8", 2, "L/min", id=f"flow{i}", effectiveDateTime="2026-01-01") for i in range(20)]
    saturations = [a_result("59408-5", 97, "%", id=f"saturation{i}") for i in range(20)]
    facts = facts_of(a_chart(*flows, *saturations), catalogue, AS_OF, UTC)
    read = Counter[str]()

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code is ResultReader.result_of.__code__:
            read[frame.f_locals["name"]] += 1

    sys.setprofile(note)
    try:
        assert len(facts.results("oxygen-saturation")) == 20
    finally:
        sys.setprofile(None)
    assert read == {"oxygen-saturation": 20, "oxygen-flow": 20}


@pytest.mark.parametrize(
    "positive",
    [
        {"valueString": "positive"},
        {"valueQuantity": {"value": 12, "unit": "U/mL"}, "referenceRange": [{"high": {"value": 7}}]},
    ],
)
def test_an_antibody_that_is_positive_without_a_titer_asks_for_the_titer(ask: Asked, positive: dict[str, Any]) -> None:
    answered = ask(value("ana", ">= 80 {titer}"), a_result("8061-4", **positive))
    assert answered.says.startswith("unknown")
    assert "ask the laboratory for the titer" in answered.explanation

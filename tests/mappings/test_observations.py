"""How results are read: status, value, unit, polarity, limits of normal, date."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappings.chart.chart import ChartBuilder
from mappings.concepts.catalogue import Catalogue
from mappings.facts import Interval, Polarity, Range, Reason
from mappings.patient_facts import facts_of
from tests.mappings.charts import (
    AS_OF,
    LOINC,
    SNOMED,
    SUBJECT,
    UCUM,
    V3_INTERPRETATION,
    Json,
    a_bundle,
    a_chart,
    a_patient,
    an_observation,
    code,
    facts_from,
    quantity,
    result_from,
    small_catalogue,
    source_of,
)


def exactly(number: str) -> Interval:
    return Interval.exactly(Decimal(number))


def test_a_final_result_has_its_value_unit_date_and_source() -> None:
    result = result_from("platelets", an_observation())
    assert result.value == exactly("180")
    assert result.unit == "10*9/L"
    assert result.recorded == "180 10*9/L"
    assert result.taken
    assert result.taken.first_day == date(2026, 10, 20)
    assert result.source == "Observation/o1"
    assert result.problem is None


@pytest.mark.parametrize("status", ["final", "amended", "corrected", " Final ", "FINAL", "final\u200b"])
def test_final_results_count_however_their_status_is_spelled(status: str) -> None:
    assert result_from("platelets", an_observation(status=status)).problem is None


def test_a_result_of_a_period_that_ends_before_it_begins_is_open_and_hides_no_older_one() -> None:
    period = {"start": "2026-10-19", "end": "2026-10-09"}
    backwards = an_observation(id="o2", effectiveDateTime=None, effectivePeriod=period, issued="2026-10-19T10:00:00Z")
    result = result_from("platelets", backwards)
    assert (result.taken, result.problem) == (None, Reason.CONFLICTING)
    assert [r.source for r in facts_from(an_observation(), backwards).undated_results("platelets")] == [
        "Observation/o2"
    ]
    to_the_month = an_observation(effectiveDateTime=None, effectivePeriod={"start": "2026-10-19", "end": "2026-10"})
    assert result_from("platelets", to_the_month).problem is None


@pytest.mark.parametrize("status", ["preliminary", "registered", "unknown", "something-new", None])
def test_a_result_that_is_not_final_says_so(status: str | None) -> None:
    assert result_from("platelets", an_observation(status=status)).problem is Reason.NOT_FINAL


@pytest.mark.parametrize("status", ["entered-in-error", "entered-in-error ", "cancelled"])
def test_a_result_entered_in_error_or_cancelled_does_not_exist_but_is_counted(status: str) -> None:
    facts = facts_from(an_observation(status=status))
    assert facts.results("platelets") == ()
    assert source_of(facts, "Observation").excluded == ((status.strip(), 1),)


def test_numbers_keep_the_digits_that_were_written() -> None:
    result = result_from("creatinine", an_observation("2160-0", {"valueQuantity": quantity(1.10, "mg/dL")}))
    assert result.value == exactly("1.10")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (quantity(180000, "/uL"), "180"),
        (quantity(180, "K/uL"), "180"),
        ({"value": 180, "unit": "10^9/L"}, "180"),
        ({"value": 180, "unit": "giga per litre", "code": "10*9/L", "system": UCUM}, "180"),
        ({"value": 180, "unit": "10*9/L", "code": "local", "system": "urn:lab"}, "180"),
        ({"value": "180", "unit": "10*9/L"}, "180"),
    ],
)
def test_the_unit_is_found_where_it_stands(value: dict[str, Any], expected: str) -> None:
    result = result_from("platelets", an_observation(value={"valueQuantity": value}))
    assert result.value == exactly(expected)
    assert result.problem is None


@pytest.mark.parametrize(
    "value",
    [
        {"value": 180},
        quantity(60, "%"),
        {"value": 180, "unit": "furlongs"},
        {"value": 1, "unit": "/uL", "code": "10*9/L"},
    ],
)
def test_without_a_unit_that_converts_safely_there_is_no_value(value: dict[str, Any]) -> None:
    result = result_from("platelets", an_observation(value={"valueQuantity": value | {"system": UCUM}}))
    assert result.value is None
    assert result.problem is Reason.UNIT_UNCONVERTIBLE


def test_a_score_needs_no_unit() -> None:
    score = an_observation(value={"valueInteger": 12}, code=code(*ours("sledai-2k")))
    assert result_from("sledai-2k", score).value == exactly("12")
    score["valueQuantity"] = {"value": 8, "unit": "points"}
    assert result_from("sledai-2k", score).value == exactly("8")


def ours(concept: str) -> tuple[str, str]:
    return "https://trialcards.org/fhir/CodeSystem/concept", concept


@pytest.mark.parametrize(
    ("comparator", "expected"),
    [
        ("<", Interval(None, Decimal(90), high_open=True)),
        ("<=", Interval(None, Decimal(90))),
        (">", Interval(Decimal(90), None, low_open=True)),
        (">=", Interval(Decimal(90), None)),
        ("ad", Interval(None, None)),
        ("~", Interval(None, None)),
    ],
)
def test_a_comparator_leaves_one_side_open(comparator: str, expected: Interval) -> None:
    value = {"valueQuantity": quantity(90, "10*9/L", comparator=comparator)}
    assert result_from("platelets", an_observation(value=value)).value == expected


def test_a_range_is_the_interval_between_its_ends() -> None:
    value = {"valueRange": {"low": quantity(100, "10*9/L"), "high": quantity(150, "10*9/L")}}
    assert result_from("platelets", an_observation(value=value)).value == Interval(Decimal(100), Decimal(150))


def test_a_titer_is_a_ratio_of_bare_numbers() -> None:
    value = {"valueRatio": {"numerator": {"value": 1}, "denominator": {"value": 160}}}
    result = result_from("ana", an_observation("8061-4", value))
    assert (result.value, result.recorded, result.polarity) == (exactly("160"), "1:160", Polarity.POSITIVE)


@pytest.mark.parametrize(
    ("text", "value", "polarity"),
    [
        ("1:40", exactly("40"), Polarity.NEGATIVE),
        ("1:320", exactly("320"), Polarity.POSITIVE),
        ("Negative", None, Polarity.NEGATIVE),
    ],
)
def test_a_text_result_is_read_as_number_or_as_words(text: str, value: Interval | None, polarity: Polarity) -> None:
    result = result_from("ana", an_observation("8061-4", {"valueString": text}))
    assert (result.value, result.polarity, result.problem) == (value, polarity, None)


def test_a_number_in_a_text_with_its_unit_is_converted() -> None:
    result = result_from("creatinine", an_observation("2160-0", {"valueString": "<0.5 mg/dL"}))
    assert result.value == Interval(None, Decimal("0.5"), high_open=True)


def test_a_text_that_is_not_understood_decides_nothing() -> None:
    result = result_from("ana", an_observation("8061-4", {"valueString": "see comment"}))
    assert (result.value, result.polarity, result.problem) == (None, None, Reason.IMPRECISE)


@pytest.mark.parametrize(
    ("answer", "polarity"),
    [
        (code(SNOMED, "10828004"), Polarity.POSITIVE),
        (code(SNOMED, "260385009"), Polarity.NEGATIVE),
        ({"text": "NONREACTIVE"}, Polarity.NEGATIVE),
        ({"coding": [{"system": "urn:lab", "code": "X1", "display": "Reactive"}]}, Polarity.POSITIVE),
    ],
)
def test_a_coded_answer_is_read_by_its_code_and_else_by_its_words(answer: dict[str, Any], polarity: Polarity) -> None:
    assert result_from("anti-hcv", an_observation("16128-1", {"valueCodeableConcept": answer})).polarity is polarity


def test_an_answer_that_is_the_concept_itself_is_positive() -> None:
    status = an_observation("82810-3", {"valueCodeableConcept": code(SNOMED, "77386006", "Pregnant")})
    assert result_from("pregnancy", status).polarity is Polarity.POSITIVE


@pytest.mark.parametrize(("flag", "polarity"), [(True, Polarity.POSITIVE), (False, Polarity.NEGATIVE)])
def test_yes_and_no_are_positive_and_negative(flag: bool, polarity: Polarity) -> None:
    assert result_from("anti-hcv", an_observation("16128-1", {"valueBoolean": flag})).polarity is polarity


def interpreted(letter: str) -> dict[str, Any]:
    return {"interpretation": [code(V3_INTERPRETATION, letter)]}


def test_an_interpretation_alone_says_positive_or_negative() -> None:
    assert result_from("anti-hcv", an_observation("16128-1", interpreted("POS"))).polarity is Polarity.POSITIVE
    assert result_from("anti-hcv", an_observation("16128-1", interpreted("NEG"))).polarity is Polarity.NEGATIVE


def test_a_value_and_an_interpretation_that_contradict_each_other_decide_nothing() -> None:
    value = {"valueString": "negative"} | interpreted("POS")
    assert result_from("anti-hcv", an_observation("16128-1", value)).problem is Reason.CONFLICTING


def test_an_ordinal_answer_is_its_number() -> None:
    coded = {"valueCodeableConcept": code(SNOMED, "420300004", "NYHA Class II")}
    assert result_from("nyha-class", an_observation("88020-3", coded)).value == exactly("2")
    assert result_from("nyha-class", an_observation("88020-3", {"valueString": "iii"})).value == exactly("3")


@pytest.mark.parametrize(
    ("value", "polarity"),
    [
        ({"valueQuantity": quantity(12, "[IU]/mL")}, Polarity.POSITIVE),
        ({"valueQuantity": quantity(0, "[IU]/mL")}, Polarity.NEGATIVE),
        ({"valueQuantity": quantity(20, "[IU]/mL", comparator="<")}, Polarity.INDETERMINATE),
        ({"valueQuantity": quantity(20, "[IU]/mL", comparator="<")} | interpreted("NEG"), Polarity.NEGATIVE),
        ({"valueString": "Not detected"}, Polarity.NEGATIVE),
    ],
)
def test_any_viral_load_is_positive_and_less_than_says_nothing(value: dict[str, Any], polarity: Polarity) -> None:
    assert result_from("hbv-dna", an_observation("42595-9", value)).polarity is polarity


@pytest.mark.parametrize(
    ("number", "polarity"), [(30, Polarity.POSITIVE), (4, Polarity.NEGATIVE), (10, Polarity.INDETERMINATE)]
)
def test_between_negative_and_positive_a_count_is_neither(number: int, polarity: Polarity) -> None:
    hcg = an_observation("2118-8", {"valueQuantity": quantity(number, "m[IU]/mL")})
    assert result_from("hcg", hcg).polarity is polarity


@pytest.mark.parametrize(("number", "polarity"), [(31, Polarity.POSITIVE), (30, Polarity.NEGATIVE)])
def test_an_antibody_is_held_against_its_own_range(number: int, polarity: Polarity) -> None:
    value = {"valueQuantity": quantity(number, "[IU]/mL"), "referenceRange": [{"high": {"value": 30}}]}
    assert result_from("anti-dsdna", an_observation("5130-0", value)).polarity is polarity


def test_an_antibody_in_units_of_its_own_is_still_held_against_its_own_range() -> None:
    value = {
        "valueQuantity": {"value": 3.1, "unit": "S/CO"},
        "referenceRange": [{"high": {"value": 1, "unit": "S/CO"}}],
    }
    result = result_from("anti-hcv", an_observation("16128-1", value))
    assert (result.polarity, result.problem) == (Polarity.POSITIVE, None)


def test_a_value_beyond_life_is_kept_as_evidence_and_decides_nothing() -> None:
    result = result_from("platelets", an_observation(value={"valueQuantity": quantity(-5, "10*9/L")}))
    assert (result.problem, result.recorded) == (Reason.IMPLAUSIBLE, "-5 10*9/L")


def test_a_number_of_absurd_size_is_implausible_and_not_computed_with() -> None:
    huge = an_observation(value={"valueQuantity": {"value": "1e5000", "unit": "10*9/L"}})
    assert result_from("platelets", huge).problem is Reason.IMPLAUSIBLE


# Dates


def test_a_result_without_a_date_is_listed_last_and_decides_nothing() -> None:
    undated = an_observation(id="undated", effectiveDateTime=None)
    results = facts_from(undated, an_observation()).results("platelets")
    assert [result.source for result in results] == ["Observation/o1", "Observation/undated"]
    assert results[1].taken is None
    assert results[1].problem is Reason.IMPRECISE


@pytest.mark.parametrize(
    ("when", "day"),
    [
        ({"effectivePeriod": {"start": "2026-10-18", "end": "2026-10-19"}}, date(2026, 10, 19)),
        ({"effectivePeriod": {"start": "2026-10-18"}}, date(2026, 10, 18)),
        ({"effectiveInstant": "2026-10-17T10:00:00Z"}, date(2026, 10, 17)),
        ({"effectiveTiming": {"event": ["2026-10-15", "2026-10-16"]}}, date(2026, 10, 16)),
        ({"issued": "2026-10-14T10:00:00Z"}, date(2026, 10, 14)),
    ],
)
def test_the_date_is_found_wherever_it_stands(when: dict[str, Any], day: date) -> None:
    result = result_from("platelets", an_observation(effectiveDateTime=None, **when))
    assert result.taken
    assert result.taken.last_day == day


def test_a_partial_date_stays_a_range() -> None:
    taken = result_from("platelets", an_observation(effectiveDateTime="2026-09")).taken
    assert taken
    assert (taken.first_day, taken.last_day) == (date(2026, 9, 1), date(2026, 9, 30))


def test_what_is_dated_after_the_moment_of_reading_does_not_exist_yet() -> None:
    facts = facts_from(an_observation(effectiveDateTime="2026-11-01T00:00:01Z"))
    assert facts.results("platelets") == ()
    assert source_of(facts, "Observation").excluded == (("future", 1),)


def test_a_result_of_today_counts_from_the_start_of_its_day_in_the_local_zone() -> None:
    zone = ZoneInfo("Pacific/Auckland")
    start = datetime(2026, 11, 1, tzinfo=zone)
    today = an_observation(effectiveDateTime="2026-11-01")
    assert facts_from(today, as_of=start, zone=zone).results("platelets")
    assert not facts_from(today, as_of=start, zone=UTC).results("platelets")


def test_the_newest_result_comes_first_and_of_one_moment_the_later_issued() -> None:
    early = an_observation(id="early", effectiveDateTime="2026-01-05")
    first = an_observation(id="first", issued="2026-10-20T08:00:00Z")
    second = an_observation(id="second", issued="2026-10-20T09:00:00Z")
    expected = ["Observation/second", "Observation/first", "Observation/early"]
    for order in ([early, first, second], [second, early, first]):
        assert [result.source for result in facts_from(*order).results("platelets")] == expected


# Where a result stands


def test_components_are_results_of_their_own() -> None:
    pressure = an_observation(
        "85354-9",
        {
            "component": [
                {"code": code(LOINC, "8480-6"), "valueQuantity": quantity(128, "mm[Hg]")},
                {"code": code(LOINC, "8462-4"), "valueQuantity": quantity(79, "mm[Hg]")},
            ]
        },
    )
    facts = facts_from(pressure)
    assert facts.results("systolic-blood-pressure")[0].value == exactly("128")
    assert facts.results("diastolic-blood-pressure")[0].value == exactly("79")


def test_any_of_several_codings_may_be_the_one_that_is_known() -> None:
    local = {"system": "urn:lab", "code": "PLT"}
    coded = {"coding": [local, {"system": LOINC, "code": "777-3"}, {"system": LOINC, "code": "8716-3"}]}
    assert result_from("platelets", an_observation(code=coded)).value == exactly("180")


@pytest.mark.parametrize(
    "coding",
    [
        {"system": "urn:lab", "code": "777-3"},
        {"code": "777-3"},
        {"display": "Platelets [#/volume] in Blood"},
        {"system": LOINC, "code": "32623-1", "display": "Platelets"},
    ],
)
def test_only_system_and_code_together_mean_a_concept(coding: dict[str, str]) -> None:
    assert facts_from(an_observation(code={"coding": [coding], "text": "Platelets"})).results("platelets") == ()


def test_invisible_characters_around_a_code_do_not_hide_it() -> None:
    coded = {"coding": [{"system": f" {LOINC}\u200b", "code": "\ufeff777-3 "}]}
    assert result_from("platelets", an_observation(code=coded)).value == exactly("180")


def test_an_absent_value_is_no_result_and_is_counted() -> None:
    absent = {"dataAbsentReason": code("http://terminology.hl7.org/CodeSystem/data-absent-reason", "masked")}
    facts = facts_from(an_observation(value=absent), an_observation(id="o2", value={}))
    assert facts.results("platelets") == ()
    assert source_of(facts, "Observation").excluded == (("no-value", 2),)


@pytest.mark.parametrize("empty", [b"[ ]", b"[\n]", b"[ null, null ]", b"null"])
def test_an_empty_list_is_no_value_however_it_is_written(empty: bytes) -> None:
    sent = msgspec.json.encode(a_bundle(a_patient(), an_observation(value={"interpretation": "HERE"})))
    builder = ChartBuilder(None)
    builder.add(sent.replace(b'"HERE"', empty), None)
    facts = facts_of(builder.build(), small_catalogue(), AS_OF, UTC)
    assert facts.results("platelets") == ()
    assert source_of(facts, "Observation").excluded == (("no-value", 1),)


def test_a_code_in_a_list_of_one_is_read() -> None:
    assert result_from("platelets", an_observation(code=[code(LOINC, "777-3")])).value == exactly("180")


def test_a_modifier_that_is_not_understood_makes_that_result_unreadable() -> None:
    facts = facts_from(an_observation(modifierExtension=[{"url": "urn:not", "valueBoolean": True}]))
    assert [(result.problem, result.value) for result in facts.results("platelets")] == [(Reason.NOT_READABLE, None)]
    assert source_of(facts, "Observation").state == "complete"
    assert source_of(facts, "Observation").excluded == (("modifier-extension", 1),)


# Limits of normal


MEANING = "http://terminology.hl7.org/CodeSystem/referencerange-meaning"


def ranged(*ranges: dict[str, Any], **more: object) -> dict[str, Any]:
    return an_observation("1742-6", {"valueQuantity": quantity(50, "U/L"), "referenceRange": list(ranges)}, **more)


@pytest.mark.parametrize(
    ("item", "low", "high"),
    [
        ({"low": quantity(5, "U/L"), "high": quantity(40, "U/L")}, 5, 40),
        ({"high": {"value": 40}}, None, 40),
        ({"text": "0-40"}, 0, 40),
        ({"text": "<100"}, None, 100),
        ({"high": {"value": "40"}}, None, 40),
        ({"high": {"value": 40}, "type": code(MEANING, "normal")}, None, 40),
        ({"high": {"value": 40}, "appliesTo": [code(SNOMED, "248152002")]}, None, 40),
        ({"high": {"value": 40}, "appliesTo": [{"text": "Female"}]}, None, 40),
        ({"high": {"value": 40}, "age": {"low": quantity(18, "a"), "high": quantity(65, "a")}}, None, 40),
    ],
)  # fmt: skip
def test_the_limits_of_normal_are_the_results_own(item: dict[str, Any], low: int | None, high: int | None) -> None:
    ends = [None if end is None else Decimal(end) for end in (low, high)]
    expected = Range(ends[0], ends[1], "own")
    assert result_from("alt", ranged(item)).range == expected


@pytest.mark.parametrize(
    "item",
    [
        {"high": {"value": 40}, "type": code("urn:x", "therapeutic")},
        {"high": {"value": 40}, "appliesTo": [code(SNOMED, "248153007")]},
        {"high": {"value": 40}, "appliesTo": [{"text": "third trimester"}]},
        {"high": {"value": 40}, "age": {"high": quantity(17, "a")}},
        {"high": quantity(40, "mg/dL")},
        {"text": "NR"},
    ],
)
def test_limits_that_are_not_for_this_patient_or_not_readable_are_not_used(item: dict[str, Any]) -> None:
    assert result_from("alt", ranged(item)).range is None


def test_of_ranges_by_sex_the_patients_own_applies() -> None:
    women = {"high": {"value": 35}, "appliesTo": [code(SNOMED, "248152002")]}
    men = {"high": {"value": 50}, "appliesTo": [code(SNOMED, "248153007")]}
    result = result_from("alt", ranged(women, men))
    assert result.range == Range(None, Decimal(35), "own")
    unknown = result_from("alt", a_patient(gender="unknown"), ranged(women, men))
    assert unknown.range is None


def test_several_ranges_that_differ_are_none() -> None:
    assert result_from("alt", ranged({"high": {"value": 35}}, {"high": {"value": 50}})).range is None
    assert result_from("alt", ranged({"high": {"value": 35}}, {"high": {"value": 35}})).range is not None


def test_limits_are_converted_like_the_value() -> None:
    value = {
        "valueQuantity": quantity(88.4, "umol/L"),
        "referenceRange": [{"high": quantity(1.3, "mg/dL"), "low": {"value": 44.2}}],
    }
    result = result_from("creatinine", an_observation("2160-0", value))
    assert result.range
    assert result.range.high == Decimal("1.3")
    assert result.range.low
    assert Decimal("0.49") < result.range.low < Decimal("0.51")


def test_a_site_may_have_a_limit_where_the_result_has_none() -> None:
    ast = an_observation("1920-8", {"valueQuantity": quantity(50, "U/L")})
    assert result_from("ast", ast).range == Range(None, Decimal(40), "site")
    ast["referenceRange"] = [{"high": {"value": 35}}]
    assert result_from("ast", ast).range == Range(None, Decimal(35), "own")


# What a reader must know


def test_a_saturation_under_oxygen_says_so_and_decides_nothing() -> None:
    flow = {"code": code(LOINC, "3151-8"), "valueQuantity": quantity(2, "L/min")}
    value = {"valueQuantity": quantity(95, "%")}
    on_oxygen = result_from("oxygen-saturation", an_observation("59408-5", value, component=[flow]))
    assert (on_oxygen.note, on_oxygen.problem) == ("on oxygen", Reason.IMPRECISE)
    flow["valueQuantity"] = quantity(0, "L/min")
    assert result_from("oxygen-saturation", an_observation("59408-5", value, component=[flow])).problem is None


@pytest.mark.parametrize(
    ("text", "on_oxygen"),
    [
        ("2 L nasal cannula", True),
        ("on 2L NC", True),
        ("3 L/min O2", True),
        ("0 L/min O2", False),
        ("room air", False),
        ("not on oxygen", False),
    ],
)
def test_a_note_may_say_that_oxygen_was_given(text: str, on_oxygen: bool) -> None:
    value = {"valueQuantity": quantity(95, "%"), "note": [{"text": text}]}
    result = result_from("oxygen-saturation", an_observation("59408-5", value))
    assert (result.problem is Reason.IMPRECISE) is on_oxygen


def oxygen_from(start: str, end: str | None = None, **more: object) -> Json:
    period = {"start": start} | ({"end": end} if end else {})
    return {
        "resourceType": "Procedure",
        "id": "oxygen",
        "status": "completed",
        "code": code(SNOMED, "57485005"),
        "subject": SUBJECT,
        "performedPeriod": period,
    } | more


@pytest.mark.parametrize(
    ("oxygen", "problem"),
    [
        (oxygen_from("2026-10-18", "2026-10-21"), Reason.IMPRECISE),
        (oxygen_from("2026-10-18", "2026-10-19"), None),
        (oxygen_from("2026-10-21", "2026-10-25"), None),
        (oxygen_from("2026-10-18", status="in-progress"), Reason.IMPRECISE),
        (oxygen_from("2026-10-18"), None),
        (oxygen_from("2026-10-20"), Reason.IMPRECISE),
        (oxygen_from("2026-10-18", "2026-10-21", status="entered-in-error"), None),
    ],
)
def test_a_saturation_taken_during_oxygen_therapy_is_not_one_on_room_air(
    catalogue: Catalogue, oxygen: Json, problem: Reason | None
) -> None:
    saturation = an_observation("59408-5", {"valueQuantity": quantity(95, "%")})
    facts = facts_of(a_chart(saturation, oxygen), catalogue, AS_OF, UTC)
    assert facts.results("oxygen-saturation")[0].problem is problem


def test_a_saturation_that_says_room_air_is_believed_during_oxygen_therapy(catalogue: Catalogue) -> None:
    value = {"valueQuantity": quantity(95, "%"), "note": [{"text": "room air"}]}
    chart = a_chart(an_observation("59408-5", value), oxygen_from("2026-10-18", "2026-10-21"))
    assert facts_of(chart, catalogue, AS_OF, UTC).results("oxygen-saturation")[0].problem is None


def test_a_qtc_whose_formula_is_not_stated_says_so() -> None:
    qtc = result_from("qtc", an_observation("8636-3", {"valueQuantity": quantity(430, "ms")}))
    assert (qtc.note, qtc.problem) == ("formula not stated", None)


# Whatever arrives

_numbers = st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=8), st.none())
_units = st.sampled_from([None, "10*9/L", "K/uL", "%", "", "mg", "{x}", "٣"])


@given(_numbers, _units, st.sampled_from([None, "<", ">", "<=", "x", ""]), st.text(max_size=12))
def test_no_quantity_breaks_the_reader_and_none_is_certain_without_a_number(
    number: object, unit: str | None, comparator: str | None, when: str
) -> None:
    value = {"value": number, "unit": unit, "comparator": comparator}
    observation = an_observation(value={"valueQuantity": {k: v for k, v in value.items() if v is not None}})
    observation["effectiveDateTime"] = when
    facts = facts_from(observation)
    for result in facts.results("platelets"):
        if result.problem is None:
            assert result.value is not None
            assert result.taken is not None


@pytest.mark.parametrize(
    "text", ["2026-02-29", "2026-02-30T08:00:00Z", "2026-13-01", "2026-10-20T25:00:00Z", "2026-10-20T08:61:00Z", "0"]
)
def test_a_date_that_looks_usual_and_does_not_exist_leaves_a_result_undated(text: str) -> None:
    undated = an_observation(id="undated", effectiveDateTime=text)
    assert [r.source for r in facts_from(undated).undated_results("platelets")] == ["Observation/undated"]


@pytest.mark.parametrize(
    "text", ["2024-02-29", "2026-10-31", "2026-10", "2026-10-20T08:00", "2026-10-20T08:00:00+05:45"]
)
def test_a_date_in_any_form_that_can_be_read_leaves_no_result_undated(text: str) -> None:
    assert not facts_from(an_observation(effectiveDateTime=text)).undated_results("platelets")

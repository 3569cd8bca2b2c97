"""Separators of thousands in results that arrive as text, and numbers that can be read in two ways."""

from __future__ import annotations

from typing import Any

import pytest

from tests.edges.asking import ALT, HEMOGLOBIN, PLATELETS, Asked, Json, a_result, value

NEUTROPHILS = value("neutrophils", ">= 1 10*9/L")
URINE_PROTEIN = value("urine-protein-24h", "<= 6 g/(24.h)")
ANA_1_80 = value("ana", ">= 80 {titer}")


def a_text(loinc: str, text: str, **more: Any) -> Json:
    return a_result(loinc, valueString=text, **more)


@pytest.mark.parametrize(
    "written", ["2.100", "2'100", "2’100", "2 100", "2\u2009100", "2\u202f100", "2\u00a0100", "2,100"]
)
@pytest.mark.parametrize("unit", ["/µl", "/uL", "cells/mm3", "Zellen/µl"])
def test_a_count_reads_any_separator_of_thousands(ask: Asked, written: str, unit: str) -> None:
    answered = ask(NEUTROPHILS, a_text("751-8", f"{written} {unit}"))
    assert answered.says == "met"
    assert "2.1 × 10⁹/L" in answered.explanation


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("8.500 mg/24h", "not-met"),
        ("8'500 mg/24 h", "not-met"),
        ("8 500 mg/d", "not-met"),
        ("1500 mg/24 h", "met"),
        ("1.500 mg/24h", "met"),
        ("8.500 g/24h", "not-met"),
        ("0.500 g/24h", "met"),
        ("1.500 g/24h", "met"),  # 1500 g is impossible
    ],
)
def test_a_days_urine_protein_reads_a_dot_before_three_digits_as_thousands_in_mg(
    ask: Asked, text: str, says: str
) -> None:
    assert ask(URINE_PROTEIN, a_text("2889-4", text)).says == says


@pytest.mark.parametrize(
    "text", ["1:1.280", "1:1'280", "1:1’280", "1:1\u2009280", "1:1\u00a0280", "1 : 1,280", "1:1280"]
)
def test_a_titre_reads_any_separator_of_thousands(ask: Asked, text: str) -> None:
    answered = ask(ANA_1_80, a_text("8061-4", text))
    assert answered.says == "met"
    assert "1280" in answered.explanation


@pytest.mark.parametrize("text", ["1:80.5", "1:1 280", "1:1.28"])
def test_a_titre_that_is_written_like_nothing_known_is_not_cut_short(ask: Asked, text: str) -> None:
    assert ask(ANA_1_80, a_text("8061-4", text)).says.startswith("unknown")


@pytest.mark.parametrize(
    ("loinc", "asks", "text", "says"),
    [
        (HEMOGLOBIN, value("hemoglobin", ">= 80 g/L"), "12.100 g/dL", "met"),  # 12100 g/dL is impossible
        (PLATELETS, value("platelets", ">= 100 10*9/L"), "180.000 10*9/L", "met"),
        (PLATELETS, value("platelets", ">= 100 10*9/L"), "150 000 /µL", "met"),
        (ALT, value("alt", "<= 120 U/L"), "1,250 U/L", "not-met"),
        (ALT, value("alt", "<= 120 U/L"), "1.250 U/L", "unknown: imprecise"),
        (ALT, value("alt", "<= 120 U/L"), "1.250,5 U/L", "not-met"),
    ],
)
def test_of_two_readings_the_possible_one_counts_and_two_possible_ones_decide_nothing(
    ask: Asked, loinc: str, asks: Json, text: str, says: str
) -> None:
    assert ask(asks, a_text(loinc, text)).says == says


def test_an_ambiguous_number_says_why_it_is_not_used(ask: Asked) -> None:
    answered = ask(value("alt", "<= 120 U/L"), a_text(ALT, "1.250 U/L"))
    assert "the dot may be decimal or separate thousands" in answered.explanation
    assert answered.criterion["evidence"][0]["recorded"] == "1.250 U/L"


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        ({"text": "1.000-4.800"}, "met"),
        ({"text": "1'000 - 4'800"}, "met"),
        ({"text": "1000-4800 /µL"}, "met"),
        ({"high": {"value": 0}}, "unknown: no-reference-range"),
        ({"low": {"value": 0}, "high": {"value": 0}}, "unknown: no-reference-range"),
    ],
)
def test_limits_of_normal_read_the_same_separators_and_an_upper_limit_of_0_is_none(
    ask: Asked, limits: Json, says: str
) -> None:
    asks = value("lymphocytes", "<= 1 ULN")
    assert ask(asks, a_result("731-0", 2100, "/uL", referenceRange=[limits])).says == says


def test_limits_that_can_be_read_in_two_ways_are_no_limits(ask: Asked) -> None:
    limits = {"text": "1.000-4.800"}
    asks = value("creatine-kinase", "<= 1 ULN")
    assert ask(asks, a_result("2157-6", 100, "U/L", referenceRange=[limits])).says == "unknown: no-reference-range"
    limits = {"text": "0.500-170.000"}
    assert ask(asks, a_result("2157-6", 100, "U/L", referenceRange=[limits])).says == "met"

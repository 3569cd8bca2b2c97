"""Positive, negative, neither; and numbers inside text."""

from __future__ import annotations

import time
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum import luhn, verhoeff

from mappings.facts import Interval, Polarity
from mappings.values import qualitative
from mappings.values.qualitative import number_in_text, polarity_of_code, polarity_of_text, range_in_text

POSITIVE = (
    "<15 IU/mL Detected|< 20 copies/mL, detected|12.5 S/CO Reactive|2400 IU/mL DETECTED|"
    "positive|POSITIVE|Pos|Detected|reactive|Present|+|++|+++|1+|3+|+2|Strongly positive|Positive.|POSITIVE A"
    "|Positive, speckled 1:160|Positive (1:320)|Detected <20 IU/mL|Positive *** High ***|Positive (Alpha Abnormal)"
    "|Positive/Reactive|ANA positive|Reactive (ref: nonreactive)|HIV 1+2 Ab: Reactive|Detected Abnormal|positiv"
    "|nachweisbar|positif|positivo|Pregnant|yes|Target detected|(positive)|Positive for HBsAg|détecté"
    "|Påvist|Påvisad|Reactief|Reattivo|pozitivní|Positiivinen|dodatni|陽性|阳性|양성|阳性(+)|обнаружено|HBsAg 陽性"
)
NEGATIVE = (
    "negative|NEGATIVE|Neg|NOT DETECTED|Non-Reactive|NONREACTIVE|non reactive|NR|absent|None detected|undetected"
    "|Negative for H pylori|NEGATIVE FOR H PYLORI STOOL ANTIGEN|No evidence of infection|No HBV DNA detected"
    "|below cutoff|Below cut-off|Below detection limit|HIV 1/2 Ab: Non-Reactive|HIV-1 RNA not detected|Result: negative"
    "|Neg (<1:40)|negativ|négatif|nicht nachweisbar|kein Nachweis von HIV|non-réactif|no detectado|não reagente"
    "|<15 IU/mL Not detected|<15 IU/mL, Target Not Detected|< 20 copies/mL (not detected)|<1.18 log IU/mL TND"
    "|0.08 Non-Reactive|0.05 S/CO Nonreactive|<5 mIU/mL Negative"
    "|Not pregnant|no|nein|Target Not Detected|TND|HBsAg non reactive|Not detected (negative)"
    "|undetectable viral load|Neg\u200bative"
    "|Ikke påvist|Ej påvisad|Niet-reactief|Non reattivo|negativní|Negatiivinen|ujemny|陰性|阴性|음성"
    "|未検出|(-)|（－）|(−)"
    "|HBsAg: Ikke påvist|HBsAg (-)|阴性(-)|не обнаружено|Отрицательный"
)
INDETERMINATE = (
    "indeterminate|Equivocal|borderline|gray zone|grey-zone|Inconclusive|weakly positive|Weakly reactive|low positive"
    "|trace|+/-|(+)|±|presumptive positive|Reactive, confirmation pending|Positive?|Negative; previously positive"
    "|Positive, not confirmed|false positive|schwach positiv|grenzwertig|douteux|Negative for HIV-1, positive for HIV-2"
    "|Negative but repeat advised|possible pregnancy|弱陽性|svagt positiv|positiv, ikke bekreftet"
)
NOTHING = (
    "|abnormal|normal|1:80|12.5|-|N/A|pending|Not tested|not done|see comment|partner HIV positive|control positive"
    "|1 positive|2 mg/dL positive|<15 IU/mL|3 of 5 positive"
    "|cannot be detected|unable to be detected|not positive|no positive|Unreactive|yes please|nope"
    "|niet positief|non positivo|ikke positiv|inte negativ|nie ujemny|ei positiivinen|非陰性|陰性化"
    "|preposition|reactivity|nonsense|O Rh positive|mother positive|Negated|positively"
)


@pytest.mark.parametrize("text", POSITIVE.split("|"))
def test_words_that_say_positive(text: str) -> None:
    assert polarity_of_text(text) is Polarity.POSITIVE


@pytest.mark.parametrize("text", NEGATIVE.split("|"))
def test_words_that_say_negative(text: str) -> None:
    assert polarity_of_text(text) is Polarity.NEGATIVE


@pytest.mark.parametrize("text", INDETERMINATE.split("|"))
def test_words_that_leave_it_open(text: str) -> None:
    assert polarity_of_text(text) is Polarity.INDETERMINATE


@pytest.mark.parametrize("text", NOTHING.split("|"))
def test_words_that_say_neither(text: str) -> None:
    assert polarity_of_text(text) is None


def test_a_narrative_is_left_to_a_person() -> None:
    assert polarity_of_text("Negative. " + "x" * 190) is Polarity.NEGATIVE
    assert polarity_of_text("Negative. " + "x" * 191) is None
    assert number_in_text("5 " + " " * 200) is None


@given(st.sampled_from(POSITIVE.split("|") + NEGATIVE.split("|")), st.sampled_from(["", " ", "\t", "\n"]))
def test_case_and_blanks_change_nothing(text: str, blank: str) -> None:
    assert polarity_of_text(blank + text.upper() + blank) is polarity_of_text(text)


@given(st.text(max_size=220))
def test_no_text_breaks_the_grammar(text: str) -> None:
    polarity_of_text(text)
    number_in_text(text)
    range_in_text(text, "mg/dL")


@pytest.mark.parametrize("piece", ["1 ", "1:", "(+", "non ", "+", "< ", "1,", "or ", "no hbv ", ".1", "=", "- "])
def test_reading_takes_no_time_however_the_text_repeats(piece: str) -> None:
    text = (piece * 200)[:200]
    started = time.process_time()
    for _ in range(20):
        polarity_of_text(text)
        number_in_text(text)
        range_in_text(text)
    assert time.process_time() - started < 1


SNOMED, LOINC = "http://snomed.info/sct", "http://loinc.org"
V3 = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"


@pytest.mark.parametrize(
    ("system", "code", "polarity"),
    [
        (SNOMED, "10828004", Polarity.POSITIVE),
        (SNOMED, "131194007", Polarity.NEGATIVE),
        (SNOMED, "260415000", Polarity.NEGATIVE),
        (SNOMED, "419984006", Polarity.INDETERMINATE),
        (SNOMED, "60001007", Polarity.NEGATIVE),
        (LOINC, "LA6576-8", Polarity.POSITIVE),
        (LOINC, "LA11883-8", Polarity.NEGATIVE),
        (LOINC, "LA9663-1", Polarity.INDETERMINATE),
        (V3, "POS", Polarity.POSITIVE),
        (V3, " NEG", Polarity.NEGATIVE),
        (V3, "WR", Polarity.INDETERMINATE),
        (V3, "H", None),
        (V3, "A", None),
        (SNOMED, "POS", None),
        (LOINC, "10828004", None),
        ("http://example.org/answers", "POS", None),
        ("", "", None),
    ],
)
def test_answer_codes(system: str, code: str, polarity: Polarity | None) -> None:
    assert polarity_of_code(system, code) is polarity


def test_every_answer_code_has_its_check_digit() -> None:
    assert [code for code in qualitative._SNOMED if not verhoeff.is_valid(code)] == []
    assert [code for code in qualitative._LOINC_ANSWERS if not _is_loinc_answer(code)] == []


def _is_loinc_answer(code: str) -> bool:
    """Luhn, in which the letters LA count too: they add 5 before an even number of digits, and 2 before an odd one."""
    digits, check = code.removeprefix("LA").split("-")
    return (int(luhn.calc_check_digit(digits)) + (2 if len(digits) % 2 else 5)) % 10 == int(check)


def exactly(number: str) -> Interval:
    return Interval.exactly(Decimal(number))


def below(number: str, *, open_end: bool = True) -> Interval:
    return Interval(None, Decimal(number), high_open=open_end)


def above(number: str, *, open_end: bool = True) -> Interval:
    return Interval(Decimal(number), None, low_open=open_end)


@pytest.mark.parametrize(
    ("text", "interval", "unit"),
    [
        ("5", exactly("5"), ""),
        (" 5.20 ", exactly("5.20"), ""),
        (".5", exactly("0.5"), ""),
        ("-5", exactly("-5"), ""),
        ("180 K/uL", exactly("180"), "K/uL"),
        ("180K/uL", exactly("180"), "K/uL"),
        ("12%", exactly("12"), "%"),
        ("5 x10E3/uL", exactly("5"), "x10E3/uL"),
        ("1.2 x 10^5 IU/mL", exactly("1.2"), "x 10^5 IU/mL"),
        ("500 mg/24 hr", exactly("500"), "mg/24 hr"),
        ("5.2 (H)", exactly("5.2"), ""),
        ("5.2 H", exactly("5.2"), ""),
        ("5.2 mg/dL *", exactly("5.2"), "mg/dL"),
        ("5.2 mg/dL (ref 0.5-1.2)", exactly("5.2"), "mg/dL"),
        ("6.2 log IU/mL", exactly("6.2"), "log IU/mL"),  # the unit is not convertible, and that is the reader's to say
        ("1,200", exactly("1200"), ""),
        ("1,234,567", exactly("1234567"), ""),
        ("1,2", exactly("1.2"), ""),
        ("0,123", exactly("0.123"), ""),
        ("12.345,6", exactly("12345.6"), ""),
        ("<0.1 mg/dL", below("0.1"), "mg/dL"),
        ("< 0.1", below("0.1"), ""),
        ("less than 20 IU/mL", below("20"), "IU/mL"),
        ("<=5", below("5", open_end=False), ""),
        ("< or = 5", below("5", open_end=False), ""),
        ("≤ 5", below("5", open_end=False), ""),
        ("> 90 mL/min/1.73m2", above("90"), "mL/min/1.73m2"),
        (">=10", above("10", open_end=False), ""),
        ("≥10 g/L", above("10", open_end=False), "g/L"),
        ("5-10", Interval(Decimal(5), Decimal(10)), ""),
        ("5 - 10 /HPF", Interval(Decimal(5), Decimal(10)), "/HPF"),
        ("5–10", Interval(Decimal(5), Decimal(10)), ""),
        ("5 to 10", Interval(Decimal(5), Decimal(10)), ""),
        ("1:80", exactly("80"), "{titer}"),
        ("1/80", exactly("80"), "{titer}"),
        ("1 : 640", exactly("640"), "{titer}"),
        ("1:1,280", exactly("1280"), "{titer}"),
        (">=1:1280", above("1280", open_end=False), "{titer}"),
        ("< 1:40", below("40"), "{titer}"),
        ("Negative <1:40", below("40"), "{titer}"),
        ("Positive 1:160, speckled", exactly("160"), "{titer}"),
        ("1:640 (ref <1:80)", exactly("640"), "{titer}"),
    ],
)
def test_a_number_in_text(text: str, interval: Interval, unit: str) -> None:
    assert number_in_text(text) == (interval, unit)


NO_NUMBER = (
    "|positive|II|3+|+1|2024-01-05|12/5/2020|120/80|1.2.3|12,34,567|1e5|10E3/uL|1:2:3|1:160 homogeneous, 1:320 speckled"
    "|10-5|20 years ago it was 5|>=100UCUM http://unitsofmeasure.org,%|99999999999999999999|5; 6|<|about 5|٣"
)


@pytest.mark.parametrize("text", NO_NUMBER.split("|"))
def test_text_that_states_no_single_number(text: str) -> None:
    assert number_in_text(text) is None


@given(st.decimals("0", "99999", places=3), st.sampled_from(["", "<", ">", "<=", ">="]))
def test_a_written_number_is_read_exactly(number: Decimal, comparator: str) -> None:
    found = number_in_text(f"{comparator}{number} g/L")
    assert found is not None
    assert number in (found[0].low, found[0].high)
    assert found[1] == "g/L"


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("0-40", "0", "40"),
        ("0.0–1.2", "0.0", "1.2"),
        ("3,5-5,1", "3.5", "5.1"),
        ("(0-40)", "0", "40"),
        ("[0 - 40]", "0", "40"),
        ("<100", None, "100"),
        ("<= 100", None, "100"),
        ("up to 40", None, "40"),
        (">60", "60", None),
        (">=10.00", "10.00", None),
        ("0 - 40 U/L", "0", "40"),
    ],
)
def test_limits_of_normal_in_text(text: str, low: str | None, high: str | None) -> None:
    assert range_in_text(text) == (low and Decimal(low), high and Decimal(high))


@pytest.mark.parametrize("text", ["NR", "Negative", "5", "", "M: 13-17", "M 13-17 F 12-15", "see note", "10-5"])
def test_text_that_states_no_limits(text: str) -> None:
    assert range_in_text(text) is None


def test_limits_in_another_unit_than_the_result_are_not_its_limits() -> None:
    assert range_in_text("150-400 K/uL", "10*9/L") == (Decimal(150), Decimal(400))
    assert range_in_text("0.5-1.2 mg/dL", "umol/L") is None
    assert range_in_text("0.5-1.2 mg/dL", "") is None
    assert range_in_text("0.5-1.2", "umol/L") == (Decimal("0.5"), Decimal("1.2"))

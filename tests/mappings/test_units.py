"""Units: what the texts of EHRs mean, exact conversion, and the conversions that must be refused."""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal
from typing import Any

import pint
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mappings.values import units
from mappings.values.generate import text
from mappings.values.ucum_symbols import FILE, may_be_ucum
from mappings.values.units import canonical_unit, convert, warm

CREATININE = Decimal("113.12")
HEMOGLOBIN_MONOMER = Decimal(16114)

SPELLINGS = {
    "10*3/uL": "K/uL|K/UL|k/ul|K/mcL|K/µL|10*3/uL|10E3/uL|x10E3/uL|10^3/uL|10³/µL|x10^3/mcL|10X3/UL|10(3)/uL|x103/uL"
    "|Thousand/uL|thou/mcL|THOUS/uL|Tsd/ul|Tsd./µl|E3/uL|10*3{cells}/uL|10*3 cells/uL"
    "|10*3.{cells}/uL|10*3.cells/uL|1000/uL|10+3/ul|tys/ul|tys./µl|tis/µL|千/μL",
    "10*4/uL": "万/μL|10^4/μL|x10^4/uL|万個/µL",
    "10*6/L": "Mio/L|mln/l|10+6/L",
    "10*3/mm3": "K/cumm|K/mm3|10*3/mm³|thou/cmm",
    "/uL": "cells/uL|cells/mcL|#/uL|/ul|/µL|{cells}/uL|Cells/uL|count/uL|stk/µl",
    "/mm3": "/mmc|cel/mm3|Cel/mm³|células/mm3|/cumm|cells/mm3|cells/cumm|/mm^3",
    "10*6/uL": "M/uL|Mill/uL|million/uL|x10E6/uL|Mio/µl",
    "10*9/L": "G/L|G/l|Gpt/l|giga/L|10^9/l|10⁹/L|×10⁹/L|x10*9/L|10**9/L|x 10(9)/L|10e9/L|E9/l|billion/L"
    "|10+9/L|giga.l-1|10⁹.L⁻¹|Mia/L|mia./l|mld/l|miljard/L",
    "U/L": "U/L|U/l|u/L|u/l|units/L|E/L|E/l",
    "kU/L": "kU/L|kE/L",
    "k[IU]/L": "kIU/L|kIE/L",
    "[IU]/L": "IU/L|iu/l|IU/l|UI/L|[iU]/L|IE/l",
    "[IU]/mL": "IU/mL|IU/ml|iu/mL|[IU]/mL",
    "m[IU]/mL": "mIU/mL|MIU/ML|miu/ml|m[IU]/mL",
    "u[IU]/mL": "uIU/mL|µIU/mL|UIU/ML",
    "ukat/L": "ukat/L|µkat/l|mckat/L|UKAT/L",
    "umol/L": "µmol/L|μmol/L|umol/l|mcmol/L|UMOL/L|micromol/L",
    "g/dL": "g/dL|G/DL|g/dl|gm/dL|GM/DL|g%|g/100 mL",
    "mg/dL": "mg/dL|MG/DL|mg/dl|mg%",
    "ug/mL": "mcg/mL|µg/mL|UG/ML|ug/ml|MCG/ML",
    "mg/(24.h)": "mg/24h|mg/24 h|mg/24hr|mg/24 hr|mg/24 hrs|mg/24 hours|mg/(24.h)|mg/{24h}|MG/24HR|mg/24 Std"
    "|mg/24 Stunden|mg/24 ore|mg/24 heures|mg/24 uur|mg/24小时|mg/24時間",
    "g/(24.h)": "g/24h|g/24 hr|g/(24.h)",
    "mg/d": "mg/d|mg/day|mg/Tag|mg/jour|mg/die|mg/dag|mg/døgn|mg/dygn|mg/日",
    "g/d": "g/day|g/d|gm/day",
    "mg/g": "mg/g creat|mg/g{creat}|mg/g Krea|mg/gCr|mg/g creatinine|mg/g créatinine|MG/G CREAT|mg/g",
    "mg/mmol": "mg/mmol Kreatinin|mg/mmol creat|mg/mmol",
    "mg/mg": "mg/mg|mg/mg creat.|MG/MG",
    "mL/min": "mL/min|ml/min|ML/MIN|cc/min",
    "mL/min/{1.73_m2}": "mL/min/1.73m2|mL/min/1.73 m2|mL/min/1.73 m²|mL/min/{1.73_m2}|mL/min/[1.73_m2]|ml/min/1,73 m2"
    "|mL/min per 1.73 m2|ML/MIN/1.73M2|mL/min/1.73|mL/min/{1.73_m^2}|mL/min/1.73 m^2|ml/min/1.73qm|mL/min/1.73.m2",
    "mm/h": "mm/hr|mm/h|MM/HR|mm/1h|mm/1 h",
    "mm[Hg]": "mmHg|mm Hg|mm[Hg]|MMHG",
    "s": "s|sec|seconds|SEC|Sek|Sek.|sec.|seg|Sekunden",
    "ms": "ms|msec|MSEC",
    "kg": "kg|KG|Kg|kgs",
    "[lb_av]": "lbs|lb|[lb_av]|LBS",
    "[in_i]": "in|inches|IN",
    "a": "a|yrs|years|yr|Y",
    "%": "%|percent|% pred|%O2",
    "1": "1",
    "{ratio}": "ratio|Ratio|RATIO|{ratio}",
    "{index}": "index|S/CO|COI|Index",
    "{INR}": "INR|{INR}",
    "{titer}": "titer|Titre|{titer}",
    "{score}": "score|(score)|points|{score}",
    "[arb'U]/mL": "AU/mL",
    "/min": "beats/minute|bpm|/min|breaths per minute|{beats}/min|{Beats}/minute",
}


@pytest.mark.parametrize(
    ("text", "meaning"), [(text, ucum) for ucum, texts in SPELLINGS.items() for text in texts.split("|")]
)
def test_what_laboratories_write_is_read_as_what_they_mean(text: str, meaning: str) -> None:
    assert canonical_unit(text) == meaning


NO_UNITS = "| |foo|109/L|5|log10 IU/mL|Log copies/mL|{Log_IU}/mL|K|MIU/mL|MIU/L|CU|N/A|n/a|10*3/{specimen}|see note"
NO_UNITS += "|EU/mL|mil/mm3"


@pytest.mark.parametrize("text", [*NO_UNITS.split("|"), "mg/" * 30, "µ" * 41])
def test_a_text_that_is_no_unit_is_not_understood(text: str) -> None:
    assert canonical_unit(text) is None


def test_milligram_and_megagram_are_not_confused() -> None:
    assert canonical_unit("mg/L") == "mg/L"
    assert canonical_unit("Mg/L") == "Mg/L"
    assert canonical_unit("MG/L") == "mg/L"  # all in capitals: the case says nothing


@pytest.mark.parametrize(
    ("number", "unit", "to", "expected"),
    [
        ("1.5", "g/dL", "g/L", "15"),
        ("180", "K/uL", "10*9/L", "180"),
        ("6660", "/uL", "10*9/L", "6.66"),
        ("2.5", "lakhs/cumm", "10*9/L", "250"),
        ("18.5", "万/μL", "10*9/L", "185"),
        ("210", "Mia/L", "10*9/L", "210"),
        ("35", "E/L", "U/L", "35"),
        ("0.45", "G/L", "10*9/L", "0.45"),
        ("0.75", "G/L", "g/L", "0.75"),  # C3 from a laboratory that prints capitals
        ("75", "mg/dL", "g/L", "0.75"),
        ("50", "IU/L", "U/L", "50"),
        ("1", "ukat/L", "U/L", "60"),
        ("60", "U/L", "ukat/L", "1"),
        ("500", "mg/g creat", "g/g", "0.5"),
        ("0.5", "ratio", "g/g", "0.5"),
        ("0.5", "mg/mg", "g/g", "0.5"),
        ("500", "mg/24 hr", "g/(24.h)", "0.5"),
        ("0.5", "g/day", "g/(24.h)", "0.5"),
        ("1.5", "mL/s", "mL/min", "90"),
        ("90", "mL/min/1.73m2", "mL/min/{1.73_m2}", "90"),
        ("1.5", "mL/s/1.73m2", "mL/min/{1.73_m2}", "90"),
        ("0.45", "1", "%", "45"),
        ("45", "%", "1", "0.45"),
        ("1.1", "ratio", "{INR}", "1.1"),
        ("3", "1", "{score}", "3"),
        ("25", "mIU/mL", "m[IU]/mL", "25"),
        ("25", "IU/L", "m[IU]/mL", "25"),
        ("1.2", "x10^5 IU/mL", "[IU]/mL", "120000"),
        ("154", "lbs", "kg", "69.85322498"),
        ("0.4", "sec", "ms", "400"),
        ("2", "kPa", "mm[Hg]", "15.00123151692"),
        ("20", "ug/mL", "mg/L", "20"),
        ("1500", "/nL", "10*9/L", "1500"),
        ("365.25", "d", "a", "1"),
    ],
)
def test_conversion_is_exact(number: str, unit: str, to: str, expected: str) -> None:
    converted = convert(Decimal(number), unit, to)
    assert converted == Decimal(expected)
    assert str(converted) == expected, "no trailing zeros, no exponent"


@pytest.mark.parametrize(
    ("number", "unit", "to", "mass", "expected"),
    [
        ("221", "umol/L", "mg/dL", CREATININE, "2.499952"),
        ("0.221", "mmol/L", "mg/dL", CREATININE, "2.499952"),
        ("34.2", "µmol/L", "mg/dL", Decimal("584.66"), "1.9995372"),
        ("9.2", "mmol/L", "g/L", HEMOGLOBIN_MONOMER, "148.2488"),
        ("56.56", "mg/mmol Kreatinin", "g/g", CREATININE, "0.5"),
        ("56.56", "g/mol creat", "g/g", CREATININE, "0.5"),
        ("2.499952", "mg/dL", "umol/L", CREATININE, "221"),
        ("0.5", "g/g", "mg/mmol", CREATININE, "56.56"),
    ],
)
def test_the_molar_mass_joins_mass_and_amount(number: str, unit: str, to: str, mass: Decimal, expected: str) -> None:
    assert convert(Decimal(number), unit, to, mass) == Decimal(expected)
    assert convert(Decimal(number), unit, to) is None, "not without the molar mass"


@pytest.mark.parametrize(
    ("unit", "to"),
    [
        ("%", "10*9/L"),
        ("%", "{INR}"),
        ("%", "{score}"),
        ("mL/min", "mL/min/{1.73_m2}"),
        ("mL/min/1.73m2", "mL/min"),
        ("U/L", "[IU]/L"),
        ("mU/mL", "m[IU]/mL"),
        ("copies/mL", "[IU]/mL"),
        ("AU/mL", "[IU]/mL"),
        ("log10 IU/mL", "[IU]/mL"),
        ("mEq/L", "mmol/L"),
        ("mmol/L", "meq/L"),
        ("g/L", "10*9/L"),
        ("mg/24h", "mg/dL"),
        ("mg", "mg/(24.h)"),
        ("Cel", "[degF]"),
        ("Cel", "K"),
        ("mm", "mm[Hg]"),
        ("", "{score}"),
        ("", "g/L"),
        ("g/L", ""),
        ("g/L", "not a unit"),
        ("K/uL", "K"),
    ],
)
def test_what_is_not_safe_is_not_converted(unit: str, to: str) -> None:
    assert convert(Decimal(1), unit, to, CREATININE) is None


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1E+9999", "1E-9999"])
def test_a_number_that_is_none_is_not_converted(number: str) -> None:
    assert convert(Decimal(number), "g/dL", "g/L") is None


def test_the_same_unit_keeps_the_number_as_it_was_written() -> None:
    assert str(convert(Decimal("7.00"), "g/L", "g/L")) == "7.00"
    assert str(convert(Decimal("7.00"), "K/uL", "10*9/L")) == "7"


@pytest.mark.parametrize("pair", sorted(units._aliases().factors), ids=" -> ".join)
def test_the_known_factors_are_those_of_the_library(pair: tuple[str, str]) -> None:
    known, computed = units._aliases().factors[pair], units._by_library(*pair)
    assert computed is not None
    assert known.molar == computed.molar
    assert abs(known.times / known.over * computed.over / computed.times - 1) < Decimal("1e-11")


def test_every_alias_leads_to_a_unit_that_the_library_knows() -> None:
    aliases = units._aliases()
    named = {*aliases.symbols, *aliases.words.values(), *aliases.wholes.values(), *sum(aliases.twofold.values(), ())}
    unknown = {unit for unit in named if not unit.startswith("{") and units._library()(unit) is None}
    assert unknown == {"[pH]"}  # kept as a symbol so that a pH is equal to a pH


@pytest.mark.parametrize(("text", "readings"), units._aliases().twofold.items())
def test_two_readings_of_one_text_can_never_both_fit(text: str, readings: tuple[str, ...]) -> None:
    assert units._between(readings[0], readings[1]) is None


def test_common_conversions_do_not_load_the_unit_library() -> None:
    script = (
        "import sys; from decimal import Decimal; from mappings.values.units import convert\n"
        "assert convert(Decimal(75), '/minute', '/min') == 75\n"
        "assert convert(Decimal(180), 'K/uL', '10*9/L') == 180 and convert(Decimal(15), 'g/dL', 'g/L') == 150\n"
        "assert 'pint' not in sys.modules and 'ucumvert' not in sys.modules\n"
        "assert convert(Decimal(1), '[nmi_i]', 'm') == 1852 and 'pint' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_warming_looks_the_conversions_up() -> None:
    units._factor.cache_clear()
    warm([("furlong", "km"), ("[fth_i]", "m")])
    assert units._factor.cache_info().currsize == 2
    convert(Decimal(1), "[fth_i]", "m")
    assert units._factor.cache_info().hits == 1


UNITS_OF_ONE_KIND = st.sampled_from(["g/L", "g/dL", "mg/dL", "mg/L", "ug/mL", "ng/mL", "MG/DL", "kg/m3"])


@given(st.decimals("0.0001", "100000", places=4), UNITS_OF_ONE_KIND, UNITS_OF_ONE_KIND)
def test_there_and_back_again_is_the_same_number(number: Decimal, unit: str, to: str) -> None:
    there = convert(number, unit, canonical_unit(to) or "")
    assert there is not None
    assert convert(there, to, canonical_unit(unit) or "") == number


@given(st.decimals("0", "100000", places=3), st.decimals("0", "100000", places=3), UNITS_OF_ONE_KIND)
def test_conversion_keeps_the_order(one: Decimal, other: Decimal, unit: str) -> None:
    first, second = convert(one, unit, "g/L"), convert(other, unit, "g/L")
    assert first is not None
    assert second is not None
    assert (first < second) == (one < other)


@given(st.text(max_size=60))
def test_no_text_breaks_the_reading(text: str) -> None:
    meaning = canonical_unit(text)
    assert meaning is None or canonical_unit(meaning) == meaning


def test_libraries_that_do_not_work_together_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    load = pint.UnitRegistry.load_definitions

    def refuse_ucum(registry: Any, file: Any, *rest: Any) -> Any:
        if "ucum" in str(file):
            raise pint.DefinitionSyntaxError("the alias i.U. is not a valid unit alias")
        return load(registry, file, *rest)

    monkeypatch.setattr(pint.UnitRegistry, "load_definitions", refuse_ucum)
    units._library.cache_clear()
    with pytest.raises(units.UnitLibraryUnusable, match=r"pint [\d.]+ and ucumvert [\d.]+ do not work together"):
        units.warm(())


def test_the_symbols_of_ucum_are_those_of_the_library() -> None:
    assert FILE.read_text("utf-8") == text(), "run python -m mappings.values.generate"


_SYMBOLS = (
    *("mg", "dL", "m2", "kat", "10*3", "10^-3", "[IU]", "m[H2O]", "B[10.nV]", "[in_i'H2O]", "%", "1", "18-1", "da[c]"),
    *("tablet", "puffs", "Units", "-", "{ann}", "g%", "[m/s2/Hz^(1/2)]", "Kym+2", "mo_s", "x", "[nothing]"),
)


@settings(deadline=None)  # the first example loads the library
@given(st.lists(st.sampled_from(_SYMBOLS), min_size=1, max_size=4), st.sampled_from(["/", "."]), st.booleans())
def test_no_unit_that_the_library_reads_is_refused_by_its_symbols(parts: list[str], sign: str, inverse: bool) -> None:
    unit = ("/" if inverse else "") + sign.join(parts)
    assert may_be_ucum(unit) or units._library()(unit) is None


@pytest.mark.parametrize("word", ["tablet", "capsules", "mg/tablet", "puff(s)", "drops/d", "Spritzer"])
def test_a_word_that_is_no_symbol_of_ucum_is_refused_without_the_library(word: str) -> None:
    assert not may_be_ucum(word)

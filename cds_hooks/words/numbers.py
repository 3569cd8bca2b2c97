"""Numbers, units, days and periods as they are written for reading: "180 × 10⁹/L", "1:80", "6 weeks"."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache

from cds_hooks.words.texts import Texts
from mappings.facts import Interval
from mappings.time.times import Moment, Period

_UNITS: Mapping[str, str] = {
    "a": "years", "mo": "months", "wk": "weeks", "d": "days", "h": "hours",
    "mg/d": "mg/day", "mg/kg/d": "mg/kg/day", "g/(24.h)": "g/24 h", "mg/(24.h)": "mg/24 h",
    "mL/min/{1.73_m2}": "mL/min/1.73 m²", "mm[Hg]": "mmHg",
    "{score}": "", "{count}": "", "{class}": "", "{INR}": "", "{ratio}": "", "{titer}": "", "1": "", "/uL": "/µL",
}  # fmt: skip
_WORDS = frozenset(("a", "mo", "wk", "d", "h", "mg/d", "mg/kg/d"))  # units that each language has a word for
_POWER = re.compile(r"^10\*(-?\d+)")
_SUPERSCRIPT = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
_ROMAN = ("0", "I", "II", "III", "IV", "V")


@lru_cache(maxsize=1024)
def unit_words(unit: str) -> str:
    """A UCUM unit as it is written by hand: "10*9/L" -> "× 10⁹/L", "ug/L" -> "µg/L", "{score}" -> ""."""
    if unit in _UNITS:
        return _UNITS[unit]
    power = _POWER.match(unit)
    if power:
        return f"× 10{power[1].translate(_SUPERSCRIPT)}{unit[power.end() :].replace('/u', '/µ')}"
    unit = re.sub(r"\{[^}]*\}", "", unit).replace("[IU]", "IU")
    return re.sub(r"(?<![a-zA-Z])u(?=[a-zA-Z])", "µ", unit)


def number_words(number: Decimal, beside: Decimal | None = None) -> str:
    """A number for reading: four significant digits and no exponent. It never looks equal to `beside` unless it is."""
    text = _round_off(number, 4)
    if beside is not None and beside != number and text == _round_off(beside, 4):
        return _round_off(number, 9)
    return text


def _round_off(number: Decimal, digits: int) -> str:
    if not number:
        return "0"
    text = format(number, "f")
    if len(text) > digits and number.adjusted() < 20:  # a shorter one has nothing to round
        text = format(number.quantize(Decimal(1).scaleb(min(0, number.adjusted() - digits + 1))), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def unit_in(unit: str, texts: Texts) -> str:
    """The same in a language: only some units are words."""
    return texts(f"unit.{unit}") if unit in _WORDS else unit_words(unit)


def quantity_in(texts: Texts, number: Decimal, unit: str, beside: Decimal | None = None) -> str:
    """`quantity_words` in a language."""
    if unit in _WORDS:
        return f"{texts.number(number_words(number, beside))} {texts(f'unit.{unit}')}"
    return texts.number(quantity_words(number, unit, beside))


def interval_in(texts: Texts, value: Interval, unit: str, beside: Decimal | None = None) -> str:
    """`interval_words` in a language."""
    if value.exact is not None:
        return quantity_in(texts, value.exact, unit, beside)
    if value.low is None and value.high is not None:
        return f"{'<' if value.high_open else '≤'} {quantity_in(texts, value.high, unit)}"
    if value.high is None and value.low is not None:
        return f"{'>' if value.low_open else '≥'} {quantity_in(texts, value.low, unit)}"
    if value.low is not None and value.high is not None:
        low = texts.number(number_words(value.low))
        return texts("brief.range", low=low, high=quantity_in(texts, value.high, unit))
    return texts("value.open")


def period_in(texts: Texts, period: Period) -> str:
    return texts.count(f"period.{period.unit}", period.count)


def quantity_words(number: Decimal, unit: str, beside: Decimal | None = None) -> str:
    """Number and unit: "180 × 10⁹/L", a titre as "1:80", a functional class in Roman numerals."""
    if unit == "{titer}":
        return f"1:{number_words(number)}"
    if unit == "{class}" and number == int(number) and 0 <= number < len(_ROMAN):
        return _ROMAN[int(number)]
    return f"{number_words(number, beside)} {unit_words(unit)}".rstrip()


def interval_words(value: Interval, unit: str, beside: Decimal | None = None) -> str:
    """A value that is known exactly, from one side ("< 0.1 mg/dL") or between two ends ("5 to 10 mg/d")."""
    if value.exact is not None:
        return quantity_words(value.exact, unit, beside)
    if value.low is None and value.high is not None:
        return f"{'<' if value.high_open else '≤'} {quantity_words(value.high, unit)}"
    if value.high is None and value.low is not None:
        return f"{'>' if value.low_open else '≥'} {quantity_words(value.low, unit)}"
    if value.low is not None and value.high is not None:
        return f"{number_words(value.low)} to {quantity_words(value.high, unit)}"
    return "an open value"


def day_words(moment: Moment) -> str:
    """The local calendar day, or the month or year where the chart knows no more."""
    return moment.first_day.isoformat() if moment.is_one_day else moment.text[:10]


def period_words(period: Period) -> str:
    word = {"h": "hour", "d": "day", "wk": "week", "mo": "month", "a": "year"}[period.unit]
    return f"{period.count} {word}{'' if period.count == 1 else 's'}"

"""Values and limits in the unit that the chart has: "Hemoglobin 5.8 g/dL, needs ≥ 6.0", for a limit of 60 g/L."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

from cds_hooks.words.numbers import quantity_words, unit_in
from cds_hooks.words.texts import Texts
from mappings.facts import Result
from mappings.values.units import canonical_unit, convert

_MOST_DECIMALS = 1
_RECORDED = re.compile(r"([<>]=?|[≤≥])?\s*([-+]?\d+(?:\.\d+)?)\s*(\S.*)?")
_THOUSANDS = re.compile(r"\d{1,3}\.\d{3}")
_COMPARED = {"<": "<", "<=": "≤", ">": ">", ">=": "≥", "≤": "≤", "≥": "≥"}


@dataclass(frozen=True, slots=True)
class ChartUnit:
    """The unit of one result in its chart: a number in the concept's unit, times `factor`, is one of the chart."""

    comparator: str  # "<" of a result that is only known to be below
    number: str  # as the laboratory wrote it: "5.80"
    unit: str  # UCUM
    factor: Decimal

    def limit(self, canonical: Decimal, texts: Texts) -> str:
        """A limit in the concept's unit, in the chart's, with as many decimals as the chart's number."""
        places = min(len(self.number.partition(".")[2]), _MOST_DECIMALS)
        exact = canonical * self.factor
        text = quantity_words(exact, "1")
        decimals = len(text.partition(".")[2])
        if decimals < places:
            text = format(Decimal(text), f".{places}f")
        return texts.number(text)

    def value(self, texts: Texts) -> str:
        return f"{self.comparator} {texts.number(self.number)} {unit_in(self.unit, texts)}".strip()


def chart_unit(result: Result) -> ChartUnit | None:
    """The unit in which the chart has this result; None where it is calculated, or is not read as the plain number.

    The factor is that of the reading itself: the chart's number over ours. A unit that is not read as one is left to
    our own.
    """
    found = _RECORDED.fullmatch(result.recorded.strip()) if not result.formula else None
    value = result.value
    unit = canonical_unit(found[3]) if found and found[3] else None
    if found is None or value is None or unit is None:
        return None
    ours = value.exact if value.exact is not None else value.high if value.low is None else value.low
    theirs = Decimal(found[2])
    if not ours or not theirs or not _is_so_read(theirs, found[2], unit, result.unit, ours):
        return None
    return ChartUnit(_COMPARED.get(found[1], ""), found[2], unit, theirs / ours)


def _is_so_read(theirs: Decimal, written: str, unit: str, to: str, ours: Decimal) -> bool:
    """Whether the chart's text, as a number, is what was read: "2.100 /µL" was read as 2100."""
    converted = convert(theirs, unit, to)
    if converted is None:  # a mass and an amount of substance, say: then the number itself must leave no doubt
        return _THOUSANDS.fullmatch(written) is None
    return abs(converted - ours) <= abs(ours) / 1000

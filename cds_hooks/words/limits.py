"""What a value needs to be: a limit with its direction, in the unit of the chart, ours beside it where they differ."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from cds_hooks.words.chart_units import ChartUnit, chart_unit
from cds_hooks.words.numbers import number_words, quantity_in, unit_in
from cds_hooks.words.texts import Texts
from mappings.facts import Interval, Polarity, Result
from trial_defs.definition import expressions as x
from trial_defs.engine.findings import Evidence
from trial_defs.engine.values import limit_of

_SIGNS: Mapping[str, str] = {"<=": "≤", "<": "<", ">=": "≥", ">": ">"}
_OPPOSITE: Mapping[str, str] = {"<=": ">", "<": "≥", ">=": "<", ">": "≤"}
_OTHER: Mapping[Polarity, Polarity] = {
    Polarity.POSITIVE: Polarity.NEGATIVE, Polarity.NEGATIVE: Polarity.POSITIVE,
}  # fmt: skip


def is_wanted(criterion: x.Criterion, leaf: x.Expression) -> bool:
    """The truth of a leaf that is good for the patient's enrolment; exclusions and `not` each turn it."""
    good = criterion.kind == "inclusion"
    return next(_signs(criterion.asks, leaf, good), good)


def _signs(expression: x.Expression, leaf: x.Expression, good: bool) -> Iterator[bool]:
    if expression is leaf or expression == leaf:
        yield good
    for part in x.parts_of(expression):
        yield from _signs(part, leaf, good is not isinstance(expression, x.Not))


@dataclass(frozen=True, slots=True)
class Needed:
    """What one leaf needs of one value. `wanted`: the truth of the leaf that is good; `evidence`: the value, if any."""

    leaf: x.Expression
    wanted: bool
    evidence: Evidence | None
    texts: Texts

    @property
    def test(self) -> x.Test | None:
        return self.leaf.test if isinstance(self.leaf, x.Value | x.Change | x.Age) else None

    @property
    def unit(self) -> ChartUnit | None:
        """The unit of the chart, where the value has one."""
        is_value = isinstance(self.leaf, x.Value) and isinstance(self.evidence, Result)
        return chart_unit(self.evidence) if is_value and isinstance(self.evidence, Result) else None

    def short(self) -> str:
        """ "≥ 6.0", in the chart's unit; with a unit only where the value beside it has none."""
        return self._words(self._number)

    def long(self) -> str:
        """ "≥ 6.0 g/dL = 60 g/L", "≤ 120 = 3 × upper limit of normal": with our unit where it is another number."""
        return self._words(self._number_and_ours)

    def _words(self, number: Callable[[x.Bound], str]) -> str:
        match self.test:
            case x.Bound() as bound:
                return f"{(_SIGNS if self.wanted else _OPPOSITE)[bound.comparator]} {number(bound)}"
            case x.Between(low=low, high=high):
                range_words = self.texts("brief.range", low=number(low), high=number(high))
                return range_words if self.wanted else self.texts("brief.outside", range=range_words)
            case Polarity() as polarity:
                return self.texts((polarity if self.wanted else _OTHER.get(polarity, polarity)).value)
            case _:
                return self.texts("brief.other-value")

    def _canonical(self, bound: x.Bound) -> Decimal | None:
        if isinstance(self.evidence, Result):
            return limit_of(bound, self.evidence)
        return None if bound.times else bound.canonical

    def _number(self, bound: x.Bound) -> str:
        canonical = self._canonical(bound)
        if self.unit and canonical is not None:
            return self.unit.limit(canonical, self.texts)
        if isinstance(self.leaf, x.Change) and self.leaf.relative:
            return quantity_in(self.texts, bound.number, "%")
        if isinstance(self.leaf, x.Age):
            return self.texts.number(number_words(bound.number))
        if not bound.times:
            return quantity_in(self.texts, bound.number, bound.unit)
        if canonical is not None and isinstance(self.evidence, Result):
            return quantity_in(self.texts, canonical, self.evidence.unit)
        return self.multiple(bound)

    def _number_and_ours(self, bound: x.Bound) -> str:
        number = self._number(bound)
        if bound.times:
            multiple = self.multiple(bound)
            return number if number == multiple else f"{number} = {multiple}"
        if self.unit is None or not _differs(number, bound.number):
            return number
        ours = quantity_in(self.texts, bound.number, bound.unit)
        return f"{number} {unit_in(self.unit.unit, self.texts)} = {ours}"

    def multiple(self, bound: x.Bound) -> str:
        """ "3 × upper limit of normal"."""
        edge = self.texts("brief.upper-limit" if bound.times == "ULN" else "brief.lower-limit")
        times = edge if bound.number == 1 else f"{self.texts.number(number_words(bound.number))} × {edge}"
        return f"{times} + {quantity_in(self.texts, bound.plus, bound.plus_unit)}" if bound.plus else times


def _differs(number: str, other: Decimal) -> bool:
    try:
        return Decimal(number.replace(",", ".")) != other
    except ArithmeticError:
        return True


def calculated(value: Interval, beside: Decimal | None) -> Interval:
    """A calculated value in three digits: nobody measured the fourth. In more where it would look like the limit."""
    exact = value.exact
    if not exact:
        return value
    rounded = exact.quantize(Decimal(1).scaleb(min(0, exact.adjusted() - 2)))
    return value if rounded == beside else Interval.exactly(rounded)

"""One analyte over time against its limit, as the coordinates of a small drawing; a template puts them into SVG.

Everything is in the concept's own unit. Results without an exact number or a date are not drawn.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from cds_hooks.words.numbers import number_words, quantity_in, unit_in
from cds_hooks.words.texts import Texts
from cds_hooks.words.wording import Titles
from mappings.facts import Polarity, Result
from trial_defs.definition import expressions as x
from trial_defs.engine.values import limit_of

MOST_POINTS = 20
WIDTH, HEIGHT = 320, 96  # of the drawing, in its own units
_LEFT, _RIGHT, _TOP, _BOTTOM = 8, 84, 10, 18  # room for the labels


@dataclass(frozen=True, slots=True)
class Point:
    x: float
    y: float
    label: str  # "24 × 10⁹/L on 2026-11-12"


@dataclass(frozen=True, slots=True)
class Line:
    """A limit: where it runs and what it is called."""

    y: float
    label: str


@dataclass(frozen=True, slots=True)
class Zone:
    """Where the values lie that are good for enrolment."""

    top: float
    height: float


@dataclass(frozen=True, slots=True)
class Trend:
    """The drawing. `said` is the same in one sentence, for anybody who does not see it."""

    points: tuple[Point, ...]
    lines: tuple[Line, ...]
    zone: Zone | None
    path: str  # the points as SVG's polyline wants them
    newest: str
    newest_y: float  # of its label, kept clear of the labels of the limits
    first_day: str
    last_day: str
    said: str


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit in the concept's unit, and on which side of it a value is good for enrolment."""

    number: Decimal
    above: bool


def limits_of(criterion: x.Criterion, concept: str, newest: Result) -> tuple[Limit, ...]:
    """The limits that a criterion sets for a concept; multiples of normal are of the newest result's own limits."""
    found = _limits(criterion.asks, concept, newest, criterion.kind == "inclusion")
    return tuple(dict.fromkeys(found))


def _limits(expression: x.Expression, concept: str, newest: Result, good: bool) -> Iterator[Limit]:
    if isinstance(expression, x.Not):
        good = not good
    for part in x.parts_of(expression):
        yield from _limits(part, concept, newest, good)
    if isinstance(expression, x.Value) and expression.concept == concept and not isinstance(expression.test, Polarity):
        test = expression.test
        for bound in (test.low, test.high) if isinstance(test, x.Between) else (test,):
            number = limit_of(bound, newest)
            if number is not None:
                yield Limit(number, (bound.comparator in (">", ">=")) is good)


def trend_of(results: Iterable[Result], limits: Sequence[Limit], titles: Titles) -> Trend | None:
    """The drawing of these results, newest first; None where fewer than two can be drawn."""
    dated = [
        (day, number, result) for result in results if (day := _day(result)) and (number := _number(result)) is not None
    ]
    dated = sorted(dated[:MOST_POINTS], key=lambda each: each[0])
    if len(dated) < 2:
        return None
    texts, unit = titles.texts, dated[-1][2].unit
    scale = _Scale.over([number for _, number, _ in dated], [limit.number for limit in limits])
    days = [day for day, _, _ in dated]
    points = tuple(
        Point(
            _across(day, days),
            scale.y(number),
            texts("trend.point", value=quantity_in(texts, number, unit), day=texts.day(day)),
        )
        for day, number, _ in dated
    )
    lines = tuple(
        Line(scale.y(limit.number), texts("trend.limit", limit=texts.number(number_words(limit.number))))
        for limit in limits
    )
    return Trend(
        points=points,
        lines=lines,
        zone=_zone(limits, scale),
        path=" ".join(f"{point.x},{point.y}" for point in points),
        newest=texts.number(number_words(dated[-1][1])),
        newest_y=_clear_of([line.y for line in lines], points[-1].y),
        first_day=texts.day(days[0]),
        last_day=texts.day(days[-1]),
        said=_said(titles(dated[-1][2].concept), [n for _, n, _ in dated], unit, days, limits, texts),
    )


def _clear_of(taken: Sequence[float], y: float) -> float:
    """The nearest height at which a label touches none of those that are taken."""
    apart = 13.0
    tries = [y, *(each + step for each in taken for step in (-apart, apart))]
    free = [each for each in tries if all(abs(each - other) >= apart for other in taken)]
    nearest: float = min(free or [y], key=lambda each: abs(each - y))
    return round(nearest, 1)


def _zone(limits: Sequence[Limit], scale: _Scale) -> Zone | None:
    """Above one limit, below it, or between two; anything else is not drawn as one area."""
    from_below = [scale.y(limit.number) for limit in limits if limit.above]
    from_above = [scale.y(limit.number) for limit in limits if not limit.above]
    if len(from_below) > 1 or len(from_above) > 1 or not limits:
        return None
    top = max([*from_above, float(_TOP)])
    bottom = min([*from_below, float(HEIGHT - _BOTTOM)])
    return Zone(top, round(bottom - top, 1)) if bottom > top else None


def _day(result: Result) -> date | None:
    return result.taken.first_day if result.taken and not result.problem else None


def _number(result: Result) -> Decimal | None:
    return result.value.exact if result.value else None


@dataclass(frozen=True, slots=True)
class _Scale:
    low: Decimal
    high: Decimal

    @staticmethod
    def over(values: Sequence[Decimal], limits: Sequence[Decimal]) -> _Scale:
        """A scale that holds every value and every limit, with a little air."""
        every = [*values, *limits]
        low, high = min(every), max(every)
        air = (high - low) * Decimal("0.12") or abs(high) * Decimal("0.1") or Decimal(1)
        # A measured amount is never drawn below zero, unless one is.
        return _Scale(max(low - air, Decimal(0)) if low >= 0 else low - air, high + air)

    def y(self, number: Decimal) -> float:
        room = HEIGHT - _TOP - _BOTTOM
        return round(_TOP + room * float((self.high - number) / (self.high - self.low)), 1)


def _across(day: date, days: Sequence[date]) -> float:
    span = (days[-1] - days[0]).days
    room = WIDTH - _LEFT - _RIGHT
    return round(_LEFT + room * ((day - days[0]).days / span if span else 1), 1)


def _said(
    title: str, numbers: Sequence[Decimal], unit: str, days: Sequence[date], limits: Sequence[Limit], texts: Texts
) -> str:
    known = [texts.number(number_words(number)) for number in numbers]
    values = f"{texts('list.comma').join(known)} {unit_in(unit, texts)}".rstrip()
    first, last, newest = texts.day(days[0]), texts.day(days[-1]), quantity_in(texts, numbers[-1], unit)
    said = texts("trend.said", name=title, first=first, last=last, values=values, newest=newest)
    if not limits:
        return said
    shown = texts("list.comma").join(texts.number(number_words(each.number)) for each in limits)
    return texts("trend.limits", said=said, limits=shown)

"""A compiled criterion as words of the definition language again: what `language.py` reads, written.

Reading what is written here gives the same expression, so that nothing is lost where a definition travels in another
form (a FHIR Group, an export).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_never

from mappings.concepts.catalogue import Catalogue
from mappings.facts import Polarity
from trial_defs.definition import expressions as x

Words = dict[str, object]


def criterion_words(criterion: x.Criterion, catalogue: Catalogue) -> Words:
    """The criterion as it is in a definition file."""
    side = "include" if criterion.kind == "inclusion" else "exclude"
    guard = criterion.only_if
    return {"id": criterion.id, "source": criterion.source, "text": criterion.text} | _given(
        reading=criterion.reading,
        step=_step(criterion),
        only_if=words_of(guard, catalogue) if guard else None,
        **{side: words_of(criterion.asks, catalogue)},
        near=_near(criterion.asks, catalogue),
        evidence=list(criterion.shows),
    )


def _step(criterion: x.Criterion) -> str | Words | None:
    planned = criterion.planned
    if planned is None:
        return criterion.step
    return _given(
        text=criterion.step,
        within=_period(planned.within),
        at_least=_period(planned.at_least),
        **{planned.side: planned.act},
    )


def _near(asks: x.Expression, catalogue: Catalogue) -> str | None:
    """The criterion's own tolerance, where one of its limits has another than the catalogue gives."""
    for leaf in x.leaves_of(asks):
        if isinstance(leaf, x.Value):
            concept = catalogue.concepts[leaf.concept]
            percent = leaf.tolerance_percent
            near = f"{percent} %" if percent is not None else f"{leaf.tolerance} {concept.unit}"
            near = "none" if percent is None and leaf.tolerance is None else near
            if near != (concept.tolerance or "none"):
                return near
    return None


def words_of(expression: x.Expression, catalogue: Catalogue) -> Words:
    """The expression as a mapping with exactly one verb."""
    many: Callable[[tuple[x.Expression, ...]], list[Words]] = lambda parts: [words_of(p, catalogue) for p in parts]  # noqa: E731
    match expression:
        case x.All():
            return {"all": many(expression.parts)}
        case x.AnyOf():
            return {"any": many(expression.parts)}
        case x.Not():
            return {"not": words_of(expression.part, catalogue)}
        case x.AtLeast():
            return {"at_least": {"n": expression.count, "of": many(expression.parts)}}
        case x.Age():
            return {"age": {"is": limit_words(expression.test, "a")}}
        case x.SexIs():
            return {"sex": expression.sex}
        case x.Value():
            return {"value": _value(expression, catalogue)}
        case x.Change():
            return {"change": _change(expression)}
        case x.Condition():
            return {"condition": _condition(expression)}
        case x.Treatment():
            return {"treatment": _treatment(expression)}
        case x.Judgement():
            return {"judgement": _judgement(expression)}
        case x.Consent():
            return {"consent": expression.step}
        case _:
            assert_never(expression)


def limit_words(test: x.Test, unit: str | None) -> str:
    """A limit as it is written: ">= 25 10*9/L", "45..70 %", "<= ULN + 4 s" (4 in `unit`, the concept's), "positive"."""
    match test:
        case Polarity():
            return test.value
        case x.Between():
            return f"{test.low.number}..{test.high.number} {test.low.unit}"
        case x.Bound():
            number = "" if test.times and test.number == 1 else f"{test.number} "
            plus = f" + {test.plus} {unit}" if test.plus else ""
            return f"{test.comparator} {number}{test.times or test.unit}{plus}"
        case _:
            assert_never(test)


def _given(**words: object) -> Words:
    """The words that say something: a default is left out."""
    return {key: value for key, value in words.items() if value not in (None, (), [], "latest", "ask")}


def _value(leaf: x.Value, catalogue: Catalogue) -> Words:
    return {"of": leaf.concept, "is": limit_words(leaf.test, catalogue.concepts[leaf.concept].unit)} | _given(
        within=_period(leaf.within),
        pick=leaf.pick,
        runs=leaf.runs if leaf.runs > 1 else None,
        apart=_period(leaf.apart),
        stable_for=_period(leaf.stable_for),
        absent=leaf.absent,
        at_least=_period(leaf.distance),
        clear_of={"of": _named(leaf.clear_of), "for": str(leaf.clear_for)} if leaf.clear_of else None,
        **_anchor(leaf.anchor),
    )


def _named(concepts: tuple[str, ...]) -> str | list[str]:
    return concepts[0] if len(concepts) == 1 else list(concepts)


def _anchor(anchor: x.Anchor | None) -> Words:
    return {anchor.side: {anchor.kind: _named(anchor.concepts)}} if anchor else {}


def _change(leaf: x.Change) -> Words:
    limit = limit_words(leaf.test, None)
    if not leaf.relative and leaf.test.unit == "%":
        limit = limit.replace("%", "%-points")
    return {"of": leaf.concept, "is": limit, "over": str(leaf.over)}


def _condition(leaf: x.Condition) -> Words:
    when = f"within {leaf.within}" if leaf.within else leaf.when
    return {"is": leaf.concept} | _given(
        when=when if when != "active" else None,
        began_within=_period(leaf.began_within),
        lasting=_period(leaf.lasting),
        excepting=list(leaf.excepting),
        absent=leaf.absent,
        **_anchor(leaf.anchor),
    )


def _treatment(leaf: x.Treatment) -> Words:
    return {"of": _named(leaf.concepts), "when": f"within {leaf.within}" if leaf.within else leaf.when} | _given(
        lasting=_period(leaf.lasting),
        different=leaf.different if leaf.different > 1 else None,
        absent=leaf.absent,
        **_anchor(leaf.anchor),
    )


def _judgement(leaf: x.Judgement) -> Words:
    by = leaf.by if leaf.by != "investigator" else None
    return {"ask": leaf.question} | _given(by=by, evidence=list(leaf.evidence))


def _period(period: object) -> str | None:
    return str(period) if period else None

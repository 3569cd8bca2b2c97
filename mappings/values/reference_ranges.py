"""The limits of normal that apply to one result, out of those that the laboratory sent with it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

from msgspec import Struct

from mappings.chart import fhir
from mappings.concepts.catalogue import Concept
from mappings.facts import Person, Range, Sex
from mappings.time.times import Moment, whole_years
from mappings.values.qualitative import range_in_text
from mappings.values.recorded_values import number_in, units_of
from mappings.values.thousands import is_counted
from mappings.values.units import convert


class Own(Struct, frozen=True, gc=False):
    """The result's own limits of normal: in the concept's unit, and as recorded in the value's unit."""

    canonical: Range | None = None
    recorded: tuple[Decimal | None, Decimal | None] | None = None
    note: str | None = None


NONE = Own()


def own_range(
    ranges: tuple[fhir.ReferenceRange, ...],
    units: tuple[str, ...],
    concept: Concept,
    person: Person,
    taken: Moment | None,
) -> Own:
    """The one range that applies to this patient; none where several that differ do. `units` are the value's."""
    fitting = _closest([item for item in ranges if _applies(item, person, taken)])
    in_unit = {found for item in fitting if (found := _limits(item, units, _to_concept(concept))) != (None, None)}
    as_said = {found for item in fitting if (found := _limits(item, units, _as_said(units))) != (None, None)}
    if len(in_unit) > 1 or len(as_said) > 1:
        return Own(note="several reference ranges that differ")
    canonical = Range(*in_unit.pop(), "own") if in_unit else None
    return Own(canonical, as_said.pop() if as_said else None)


def site_range(concept: Concept) -> Range | None:
    """The default that the site configured."""
    if concept.uln is None and concept.lln is None:
        return None
    return Range(concept.lln, concept.uln, "site")


def _closest(fitting: Sequence[fhir.ReferenceRange]) -> Sequence[fhir.ReferenceRange]:
    """Those made for this patient's sex or age, where there are any: they speak before one for everybody."""
    return [item for item in fitting if item.applies_to or item.age or _sex_in_text(item)] or fitting


_ToUnit = Callable[[Decimal, tuple[str, ...]], Decimal | None]


def _to_concept(concept: Concept) -> _ToUnit:
    return lambda number, units: number_in(number, units, concept)


def _as_said(own: tuple[str, ...]) -> _ToUnit:
    return lambda number, units: number if not units or not own or set(units) & set(own) else None


def _limits(item: fhir.ReferenceRange, units: tuple[str, ...], to: _ToUnit) -> tuple[Decimal | None, Decimal | None]:
    """Both limits; a limit without a unit is in the value's, and a limit that cannot be read is none."""

    def limit(bound: fhir.Quantity | None) -> Decimal | None:
        if bound is None or bound.value is None or not bound.value.is_finite():
            return None
        return to(bound.value, units_of(bound) or units)

    bounds = [bound for bound in (item.low, item.high) if bound and bound.value is not None]
    if bounds:
        return _sound(limit(item.low), limit(item.high))
    counted = any(map(is_counted, units))
    low, high = range_in_text(_SEX_IN_TEXT.sub("", fhir.clean(item.text or "")), counted=counted) or (None, None)
    return _sound(
        to(low, units) if low is not None else None,
        to(high, units) if high is not None else None,
    )


def _sound(low: Decimal | None, high: Decimal | None) -> tuple[Decimal | None, Decimal | None]:
    """The limits, unless they cannot be meant: upside down, or an upper limit of 0, which systems write for none."""
    if low is not None and high is not None and (low > high or low == high == 0):
        return None, None
    return (None, None) if low is None and high == 0 else (low, high)


_SEX_CODES: Mapping[str, Sex] = {
    "248152002": "female",
    "248153007": "male",
    "female": "female",
    "male": "male",
    "f": "female",
    "m": "male",
}


def _applies(item: fhir.ReferenceRange, person: Person, taken: Moment | None) -> bool:
    """Limits of normal, for this sex and age. Limits for a group that is not understood are not used."""
    kind = fhir.codes_of(item.type)
    if kind and not set(kind) & {"normal", "n", "normal range"}:
        return False
    if (sex := _sex_in_text(item)) and sex != person.sex:
        return False
    for group in item.applies_to:
        words = (*fhir.codes_of(group), fhir.clean(group.text or "").lower())
        if person.sex is None or person.sex not in {_SEX_CODES.get(word) for word in words}:
            return False
    return item.age is None or _is_of_age(item.age, person, taken)


# "Female: 12.0-16.0"; texts that name both sexes state no one range and are not read.
_SEX_IN_TEXT = re.compile(r"^(female|male|women|men|woman|man|f|m)s? ?: ?", re.I)


def _sex_in_text(item: fhir.ReferenceRange) -> Sex | None:
    """The sex for which a textual range is meant, where it begins with it."""
    if item.low or item.high or not (match := _SEX_IN_TEXT.match(fhir.clean(item.text or ""))):
        return None
    return "female" if match[1].lower() in ("female", "women", "woman", "f") else "male"


def _is_of_age(age: fhir.QuantityRange, person: Person, taken: Moment | None) -> bool:
    if person.born is None or taken is None:
        return False
    years = {whole_years(born, day) for born, day in zip(person.born, (taken.last_day, taken.first_day), strict=True)}
    low, high = _years(age.low), _years(age.high)
    if any(bound is not None and bound.value is not None and years_of is None
           for bound, years_of in ((age.low, low), (age.high, high))):  # fmt: skip
        return False
    return all((low is None or low <= one) and (high is None or one <= high) for one in years)


def _years(bound: fhir.Quantity | None) -> Decimal | None:
    if bound is None or bound.value is None:
        return None
    unit = (fhir.clean(bound.code or bound.unit or "a")).lower()
    if unit in ("a", "y", "yr", "yrs", "year", "years"):
        return bound.value
    return convert(bound.value, unit, "a")

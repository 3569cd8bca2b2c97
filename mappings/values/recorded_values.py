"""What an Observation's value says: a number with its unit, a rank, or words; and the number in a concept's unit."""

from __future__ import annotations

import re
from decimal import Decimal
from functools import lru_cache

from msgspec import Struct
from msgspec.structs import replace

from mappings.chart import fhir
from mappings.concepts.catalogue import Concept
from mappings.facts import Interval, Polarity, Reason
from mappings.values.qualitative import number_in_text, other_reading, polarity_of_code, polarity_of_text
from mappings.values.units import canonical_unit, convert

UCUM = ("http://unitsofmeasure.org", "urn:oid:2.16.840.1.113883.6.8")


class Said(Struct, frozen=True, gc=False):
    """A value as recorded: a number with the units it may be in, or words that say positive or negative."""

    recorded: str
    number: Interval | None = None
    units: tuple[str, ...] = ()  # best first; all must agree
    polarity: Polarity | None = None
    ordinal: Decimal | None = None
    problem: Reason | None = None
    note: str | None = None  # what a reader must know of the problem


def said_in(value: fhir.Value, concept: Concept) -> Said:
    if value.value_quantity is not None:
        return _said_quantity(value.value_quantity)
    if value.value_codeable_concept is not None:
        return _said_code(value.value_codeable_concept, concept)
    if value.value_string is not None:
        return _said_text(fhir.clean(value.value_string), concept)
    if value.value_boolean is not None:
        positive = value.value_boolean
        return Said("yes" if positive else "no", polarity=Polarity.POSITIVE if positive else Polarity.NEGATIVE)
    if value.value_integer is not None:
        return _bounded(Said(_plain(value.value_integer), Interval.exactly(value.value_integer)))
    if value.value_range is not None:
        return _said_range(value.value_range)
    if value.value_ratio is not None:
        return _said_ratio(value.value_ratio)
    return Said(", ".join(filter(None, map(fhir.words_of, value.interpretation))))


def _said_quantity(quantity: fhir.Quantity) -> Said:
    if quantity.value is None:
        return Said(fhir.clean(quantity.unit or ""), problem=Reason.MISSING)
    sign, interval = _compare(quantity.value, quantity.comparator)
    return _bounded(
        Said(f"{sign}{_plain(quantity.value)} {_shown_unit(quantity)}".strip(), interval, units_of(quantity))
    )


def _compare(number: Decimal, comparator: str | None) -> tuple[str, Interval]:
    match fhir.clean(comparator or ""):
        case "":
            return "", Interval.exactly(number)
        case "<" as sign:
            return sign, Interval(None, number, high_open=True)
        case "<=" | "≤" as sign:
            return sign, Interval(None, number)
        case ">" as sign:
            return sign, Interval(number, None, low_open=True)
        case ">=" | "≥" as sign:
            return sign, Interval(number, None)
        case sign:  # "ad", enough to reach this amount, and whatever else: the number is not the value
            return f"{sign} ", Interval(None, None)


def units_of(quantity: fhir.Quantity) -> tuple[str, ...]:
    """Where a unit may stand: the code first where it is UCUM's, else the text that people read."""
    return _units(quantity.system, quantity.code, quantity.unit)


@lru_cache(maxsize=2048)
def _units(system: str | None, code: str | None, unit: str | None) -> tuple[str, ...]:
    order = (code, unit) if fhir.clean(system or "") in UCUM else (unit, code)
    return tuple(dict.fromkeys(fhir.clean(text) for text in order if text and fhir.clean(text)))


def _shown_unit(quantity: fhir.Quantity) -> str:
    return fhir.clean(quantity.unit or quantity.code or "")


def _plain(number: Decimal) -> str:
    return f"{number:f}" if number.is_finite() and abs(number.adjusted()) <= 30 else str(number)


def _bounded(said: Said) -> Said:
    """No quantity of a body has thirty digits; nothing is computed with such a number."""
    number = said.number
    if number is None or (_is_bounded(number.low) and (number.high is number.low or _is_bounded(number.high))):
        return said
    return replace(said, number=None, problem=Reason.IMPLAUSIBLE)


def _is_bounded(end: Decimal | None) -> bool:
    return end is None or (end.is_finite() and (not end or abs(end.adjusted()) <= 30))


def _said_range(value: fhir.QuantityRange) -> Said:
    low, high = value.low, value.high
    bounds = [bound for bound in (low, high) if bound and bound.value is not None]
    if not bounds:
        return Said("", problem=Reason.MISSING)
    numbers = Interval(low.value if low else None, high.value if high else None)
    shown = " – ".join(
        f"{_plain(bound.value)} {_shown_unit(bound)}".strip() for bound in bounds if bound.value is not None
    )
    units = {units_of(bound) for bound in bounds} - {()}
    if len(units) > 1:
        return Said(shown, problem=Reason.UNIT_UNCONVERTIBLE)
    return _bounded(Said(shown, numbers, next(iter(units), ())))


def _said_ratio(ratio: fhir.Ratio) -> Said:
    over, under = ratio.numerator, ratio.denominator
    if not over or not under or over.value is None or not under.value:
        return Said("", problem=Reason.MISSING)
    above, below = units_of(over), units_of(under)
    sign, interval = _compare(under.value, over.comparator or under.comparator)
    if not above and not below and over.value == 1:  # a titre: 1:80
        return _bounded(Said(f"{sign}1:{_plain(under.value)}", interval))
    sign, interval = _compare(over.value, over.comparator)
    amount = "" if under.value == 1 else f"{_plain(under.value)} "
    shown = f"{sign}{_plain(over.value)} {_shown_unit(over)}/{amount}{_shown_unit(under)}"
    if not below:
        return Said(shown, problem=Reason.UNIT_UNCONVERTIBLE)
    unit = f"{above[0] if above else '1'}/" + (f"({amount.strip()}.{below[0]})" if amount else below[0])
    return _bounded(Said(shown, interval, (unit,)))


def _said_code(value: fhir.CodeableConcept, concept: Concept) -> Said:
    """A coded answer: by its codes, then by its text."""
    shown = fhir.words_of(value)
    texts = [fhir.clean(text) for text in (value.text, *(c.display for c in value.coding)) if text]
    spoken = (*(fhir.clean(c.code) for c in value.coding if c.code), *texts)
    if (ordinal := _ordinal(spoken, concept)) is not None:
        return Said(shown, ordinal=ordinal)
    coded = {
        polarity_of_code(fhir.clean(c.system), fhir.clean(c.code)) for c in value.coding if c.system and c.code
    } - {None}
    if len(coded) > 1:
        return Said(shown, problem=Reason.CONFLICTING)
    if coded:
        return Said(shown, polarity=coded.pop())
    if any(_stands_for(coding, concept) for coding in value.coding):
        return Said(shown, polarity=Polarity.POSITIVE)
    read = (_said_text(text, concept) for text in dict.fromkeys(texts))
    understood = next((said for said in read if said.polarity or said.number or said.ordinal is not None), None)
    return replace(understood, recorded=shown) if understood else Said(shown)


def _stands_for(coding: fhir.Coding, concept: Concept) -> bool:
    """An answer that is the concept itself: pregnancy status "pregnant"."""
    return bool(coding.code) and any(fhir.clean(coding.code or "") in codes for codes in concept.codes.values())


def _said_text(text: str, concept: Concept) -> Said:
    if (ordinal := _ordinal((text,), concept)) is not None:
        return Said(text, ordinal=ordinal)
    polarity = polarity_of_text(text)
    number = number_in_text(text)
    if number is None:
        return Said(text, polarity=polarity)
    said = _bounded(Said(text, number[0], (number[1],) if number[1] else (), polarity))
    other = other_reading(text)
    return said if other is None else _more_plausible(said, other, concept)


def _more_plausible(said: Said, other: Interval, concept: Concept) -> Said:
    """The possible reading of an ambiguous number ("2.100 U/L"); where both are possible, the number is not used.

    Three digits after a comma are thousands wherever that is possible, as in English text.
    """
    if concept.unit is not None and in_unit(said, concept) is None:
        return said
    reading = replace(said, number=other)
    if _is_possible(said, concept) is not _is_possible(reading, concept):
        return said if _is_possible(said, concept) else reading
    if "," in said.recorded or not _is_possible(said, concept):
        return said
    return replace(said, number=None, problem=Reason.IMPRECISE, note="the dot may be decimal or separate thousands")


def _is_possible(said: Said, concept: Concept) -> bool:
    number = in_unit(said, concept)
    return said.number is not None and (number is None or is_plausible(number, concept))


# "NYHA functional class III", "Stadium III": what may stand before the rank.
_BEFORE_A_RANK = re.compile(
    r"^(?:(?:nyha|new york heart association|acr|steinbrocker|functional|class(?:ification)?|klasse|grade|stage|"
    r"stadium)[\s:.,-]*)+(?=\S)"
)


def _ordinal(spoken: tuple[str, ...], concept: Concept) -> Decimal | None:
    if not concept.ordinal:
        return None
    known = {text.lower(): number for text, number in concept.ordinal.items()}
    ranks = {_BEFORE_A_RANK.sub("", text.lower()) or text.lower() for text in spoken}
    numbers = {known[rank] for rank in ranks if rank in known}
    return Decimal(numbers.pop()) if len(numbers) == 1 else None


def in_unit(said: Said, concept: Concept) -> Interval | None:
    if said.ordinal is not None:
        return Interval.exactly(said.ordinal)
    if said.number is None or concept.unit is None:
        return None
    if (exact := said.number.exact) is not None:
        number = number_in(exact, said.units, concept)
        return Interval(number, number) if number is not None else None
    low = number_in(said.number.low, said.units, concept)
    high = number_in(said.number.high, said.units, concept)
    if (low is None) != (said.number.low is None) or (high is None) != (said.number.high is None):
        return None
    return Interval(low, high, said.number.low_open, said.number.high_open)


def number_in(number: Decimal | None, units: tuple[str, ...], concept: Concept) -> Decimal | None:
    """The number in the concept's unit; None without a safe conversion, or where two unit places disagree."""
    unit = concept.unit
    if number is None or unit is None:
        return None
    if not units:
        return number if _is_bare(unit) else None
    if len(units) == 1:
        return _convert(number, units[0], unit, concept.molar_mass)
    found = {value for text in units if (value := _convert(number, text, unit, concept.molar_mass)) is not None}
    return found.pop() if len(found) == 1 else _agreeing(found)


def _agreeing(found: set[Decimal]) -> Decimal | None:
    if not found:
        return None
    low, high = min(found), max(found)
    return low if high - low <= abs(high) / 1000 else None


def _convert(number: Decimal, text: str, unit: str, molar_mass: Decimal | None) -> Decimal | None:
    value = convert(number, text, unit, molar_mass)
    if value is None and _is_bare(unit) and _is_bare(canonical_unit(text) or text.lower()):
        return number
    return value


_BARE = frozenset({"1", "score", "scores", "point", "points", "titer", "titre", "class", "index", "count", "ratio"})


def _is_bare(unit: str) -> bool:
    """A pure number: {score}, {titer}, {INR}, {count}, {class}."""
    return unit in _BARE or (unit.startswith("{") and unit.endswith("}"))


def is_plausible(number: Interval, concept: Concept) -> bool:
    if concept.plausible is None:
        return True
    low, high = concept.plausible
    if number.low is not None and not low <= number.low <= high:
        return False
    return number.high is None or number.high is number.low or low <= number.high <= high

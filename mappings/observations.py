"""An Observation, or one of its components, as a `Result` of a concept: value in the concept's unit, or why not."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Literal

from mappings import fhir
from mappings.catalogue import Concept
from mappings.clock import Clock
from mappings.facts import Interval, Person, Polarity, Range, Reason, Result, Sex
from mappings.qualitative import number_in_text, polarity_of_code, polarity_of_text, range_in_text
from mappings.times import Moment, whole_years
from mappings.units import canonical_unit, convert

UCUM = "http://unitsofmeasure.org"
Valued = fhir.Observation | fhir.Component
Standing = Literal["final", "not-final", "entered-in-error", "cancelled"]

_STANDINGS: Mapping[str, Standing] = {
    "final": "final",
    "amended": "final",
    "corrected": "final",
    "appended": "final",  # R5
    "entered-in-error": "entered-in-error",
    "cancelled": "cancelled",
}


def standing_of(status: str | None) -> Standing:
    """Whether a result counts: only final ones do; a status that is not understood is not final."""
    found = _STANDINGS.get(status or "")
    return found or _STANDINGS.get(fhir.clean(status or "").lower(), "not-final")


def date_text(observation: fhir.Observation) -> str | None:
    """When the observation was true of the patient; when it was issued, where nothing else is said.

    Of a period its end (a urine collection), of several events the last.
    """
    if observation.effective_date_time:
        return observation.effective_date_time
    if (period := observation.effective_period) and (period.end or period.start):
        return period.end or period.start
    if observation.effective_timing and observation.effective_timing.event:
        return max(observation.effective_timing.event)
    return observation.effective_instant or observation.issued


def says_something(valued: Valued) -> bool:
    """Whether there is a value of a kind that can be read, and nothing says that it is absent."""
    return valued.data_absent_reason is None and any(
        part is not None
        for part in (
            valued.value_quantity,
            valued.value_codeable_concept,
            valued.value_string,
            valued.value_boolean,
            valued.value_integer,
            valued.value_range,
            valued.value_ratio,
            valued.interpretation or None,
        )
    )


@dataclass(frozen=True, slots=True)
class Found:
    """Where a concept was found: an Observation itself, or one of its components."""

    source: str
    observation: fhir.Observation
    valued: Valued
    is_final: bool


def result_of(found: Found, name: str, concept: Concept, person: Person, clock: Clock) -> Result:
    """The Result, with the first reason why it cannot be used in `problem`, and everything else that it says."""
    taken = clock.moment(date_text(found.observation))
    said = _said(found.valued, concept)
    number = _in_unit(said, concept)
    own = _own_range(found.valued, said, concept, person, taken)
    polarity, contradicts = _polarity(found.valued, said, number, own, concept)
    note, remark = _remark(name, found.observation)
    problem = (
        (None if found.is_final else Reason.NOT_FINAL)
        or (Reason.IMPRECISE if taken is None else None)
        or (Reason.CONFLICTING if contradicts else None)
        or said.problem
        or (Reason.UNIT_UNCONVERTIBLE if said.number and not number and polarity is None else None)
        or (Reason.IMPLAUSIBLE if number and not _is_plausible(number, concept) else None)
        or (Reason.IMPRECISE if number is None and polarity is None else None)
        or remark
    )
    return Result(
        concept=name,
        source=found.source,
        taken=taken,
        value=number,
        unit=concept.unit or "",
        recorded=said.recorded,
        polarity=polarity,
        range=own.canonical or _site_range(concept),
        problem=problem,
        note=note or (own.note if own.canonical is None else None),
    )


# What was said


@dataclass(frozen=True, slots=True)
class _Said:
    """A value as recorded: a number with the units it may be in, or words that say positive or negative."""

    recorded: str
    number: Interval | None = None
    units: tuple[str, ...] = ()  # best first; all must agree
    polarity: Polarity | None = None
    ordinal: Decimal | None = None
    problem: Reason | None = None


def _said(valued: Valued, concept: Concept) -> _Said:
    if valued.value_quantity is not None:
        return _said_quantity(valued.value_quantity)
    if valued.value_codeable_concept is not None:
        return _said_code(valued.value_codeable_concept, concept)
    if valued.value_string is not None:
        return _said_text(fhir.clean(valued.value_string), concept)
    if valued.value_boolean is not None:
        positive = valued.value_boolean
        return _Said("yes" if positive else "no", polarity=Polarity.POSITIVE if positive else Polarity.NEGATIVE)
    if valued.value_integer is not None:
        return _bounded(_Said(_plain(valued.value_integer), Interval.exactly(valued.value_integer)))
    if valued.value_range is not None:
        return _said_range(valued.value_range)
    if valued.value_ratio is not None:
        return _said_ratio(valued.value_ratio)
    return _Said(", ".join(filter(None, map(fhir.words_of, valued.interpretation))))


def _said_quantity(quantity: fhir.Quantity) -> _Said:
    if quantity.value is None:
        return _Said(fhir.clean(quantity.unit or ""), problem=Reason.MISSING)
    sign, interval = _compared(quantity.value, quantity.comparator)
    return _bounded(
        _Said(f"{sign}{_plain(quantity.value)} {_shown_unit(quantity)}".strip(), interval, _units(quantity))
    )


def _compared(number: Decimal, comparator: str | None) -> tuple[str, Interval]:
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


def _units(quantity: fhir.Quantity) -> tuple[str, ...]:
    """Where a unit may stand: the code where it is UCUM's, else the text that people read."""
    is_ucum = fhir.clean(quantity.system or "") in (UCUM, "urn:oid:2.16.840.1.113883.6.8")
    order = (quantity.code, quantity.unit) if is_ucum else (quantity.unit, quantity.code)
    return tuple(dict.fromkeys(fhir.clean(text) for text in order if text and fhir.clean(text)))


def _shown_unit(quantity: fhir.Quantity) -> str:
    return fhir.clean(quantity.unit or quantity.code or "")


def _plain(number: Decimal) -> str:
    return f"{number:f}" if number.is_finite() and abs(number.adjusted()) <= 30 else str(number)


def _bounded(said: _Said) -> _Said:
    """No quantity of a body has thirty digits; nothing is computed with such a number."""
    ends = (said.number.low, said.number.high) if said.number else ()
    if all(end is None or (end.is_finite() and (not end or abs(end.adjusted()) <= 30)) for end in ends):
        return said
    return replace(said, number=None, problem=Reason.IMPLAUSIBLE)


def _said_range(value: fhir.QuantityRange) -> _Said:
    low, high = value.low, value.high
    bounds = [bound for bound in (low, high) if bound and bound.value is not None]
    if not bounds:
        return _Said("", problem=Reason.MISSING)
    numbers = Interval(low.value if low else None, high.value if high else None)
    shown = " – ".join(
        f"{_plain(bound.value)} {_shown_unit(bound)}".strip() for bound in bounds if bound.value is not None
    )
    units = {_units(bound) for bound in bounds} - {()}
    if len(units) > 1:
        return _Said(shown, problem=Reason.UNIT_UNCONVERTIBLE)
    return _bounded(_Said(shown, numbers, next(iter(units), ())))


def _said_ratio(ratio: fhir.Ratio) -> _Said:
    over, under = ratio.numerator, ratio.denominator
    if not over or not under or over.value is None or not under.value:
        return _Said("", problem=Reason.MISSING)
    above, below = _units(over), _units(under)
    sign, interval = _compared(under.value, over.comparator or under.comparator)
    if not above and not below and over.value == 1:  # a titre: 1:80
        return _bounded(_Said(f"{sign}1:{_plain(under.value)}", interval))
    sign, interval = _compared(over.value, over.comparator)
    amount = "" if under.value == 1 else f"{_plain(under.value)} "
    shown = f"{sign}{_plain(over.value)} {_shown_unit(over)}/{amount}{_shown_unit(under)}"
    if not below:
        return _Said(shown, problem=Reason.UNIT_UNCONVERTIBLE)
    unit = f"{above[0] if above else '1'}/" + (f"({amount.strip()}.{below[0]})" if amount else below[0])
    return _bounded(_Said(shown, interval, (unit,)))


def _said_code(value: fhir.CodeableConcept, concept: Concept) -> _Said:
    """A coded answer: by its codes, then by its text."""
    shown = fhir.words_of(value)
    texts = [fhir.clean(text) for text in (value.text, *(c.display for c in value.coding)) if text]
    spoken = (*(fhir.clean(c.code) for c in value.coding if c.code), *texts)
    if (ordinal := _ordinal(spoken, concept)) is not None:
        return _Said(shown, ordinal=ordinal)
    coded = {
        polarity_of_code(fhir.clean(c.system), fhir.clean(c.code)) for c in value.coding if c.system and c.code
    } - {None}
    if len(coded) > 1:
        return _Said(shown, problem=Reason.CONFLICTING)
    if coded:
        return _Said(shown, polarity=coded.pop())
    if any(_stands_for(coding, concept) for coding in value.coding):
        return _Said(shown, polarity=Polarity.POSITIVE)
    read = (_said_text(text, concept) for text in dict.fromkeys(texts))
    understood = next((said for said in read if said.polarity or said.number or said.ordinal is not None), None)
    return replace(understood, recorded=shown) if understood else _Said(shown)


def _stands_for(coding: fhir.Coding, concept: Concept) -> bool:
    """An answer that is the concept itself: pregnancy status "pregnant"."""
    return bool(coding.code) and any(fhir.clean(coding.code or "") in codes for codes in concept.codes.values())


def _said_text(text: str, concept: Concept) -> _Said:
    if (ordinal := _ordinal((text,), concept)) is not None:
        return _Said(text, ordinal=ordinal)
    polarity = polarity_of_text(text)
    number = number_in_text(text)
    if number is None:
        return _Said(text, polarity=polarity)
    return _bounded(_Said(text, number[0], (number[1],) if number[1] else (), polarity))


def _ordinal(spoken: tuple[str, ...], concept: Concept) -> Decimal | None:
    if not concept.ordinal:
        return None
    known = {text.lower(): number for text, number in concept.ordinal.items()}
    numbers = {known[text.lower()] for text in spoken if text.lower() in known}
    return Decimal(numbers.pop()) if len(numbers) == 1 else None


# In the concept's unit


def _in_unit(said: _Said, concept: Concept) -> Interval | None:
    if said.ordinal is not None:
        return Interval.exactly(said.ordinal)
    if said.number is None or concept.unit is None:
        return None
    low = _number_in(said.number.low, said.units, concept)
    high = _number_in(said.number.high, said.units, concept)
    if (low is None) != (said.number.low is None) or (high is None) != (said.number.high is None):
        return None
    return Interval(low, high, said.number.low_open, said.number.high_open)


def _number_in(number: Decimal | None, units: tuple[str, ...], concept: Concept) -> Decimal | None:
    """The number in the concept's unit; None without a safe conversion, or where two unit places disagree."""
    unit = concept.unit
    if number is None or unit is None:
        return None
    if not units:
        return number if _is_bare(unit) else None
    found = {value for text in units if (value := _converted(number, text, unit, concept.molar_mass)) is not None}
    return found.pop() if len(found) == 1 else _agreeing(found)


def _agreeing(found: set[Decimal]) -> Decimal | None:
    if not found:
        return None
    low, high = min(found), max(found)
    return low if high - low <= abs(high) / 1000 else None


def _converted(number: Decimal, text: str, unit: str, molar_mass: Decimal | None) -> Decimal | None:
    value = convert(number, text, unit, molar_mass)
    if value is None and _is_bare(unit) and _is_bare(canonical_unit(text) or text.lower()):
        return number
    return value


_BARE = frozenset({"1", "score", "scores", "point", "points", "titer", "titre", "class", "index", "count", "ratio"})


def _is_bare(unit: str) -> bool:
    """A pure number: {score}, {titer}, {INR}, {count}, {class}."""
    return unit in _BARE or (unit.startswith("{") and unit.endswith("}"))


def _is_plausible(number: Interval, concept: Concept) -> bool:
    if concept.plausible is None:
        return True
    low, high = concept.plausible
    return all(end is None or low <= end <= high for end in (number.low, number.high))


# Limits of normal


@dataclass(frozen=True, slots=True)
class _Own:
    """The result's own limits of normal: in the concept's unit, and as recorded in the value's unit."""

    canonical: Range | None = None
    recorded: tuple[Decimal | None, Decimal | None] | None = None
    note: str | None = None


def _site_range(concept: Concept) -> Range | None:
    if concept.uln is None and concept.lln is None:
        return None
    return Range(concept.lln, concept.uln, "site")


def _own_range(valued: Valued, said: _Said, concept: Concept, person: Person, taken: Moment | None) -> _Own:
    """The one range that applies to this patient; none where several that differ do."""
    if not valued.reference_range:
        return _Own()
    fitting = [item for item in valued.reference_range if _applies(item, person, taken)]
    in_unit = {found for item in fitting if (found := _limits(item, said.units, _to_concept(concept))) != (None, None)}
    as_said = {found for item in fitting if (found := _limits(item, said.units, _as_said(said.units))) != (None, None)}
    if len(in_unit) > 1 or len(as_said) > 1:
        return _Own(note="several reference ranges that differ")
    canonical = Range(*in_unit.pop(), "own") if in_unit else None
    return _Own(canonical, as_said.pop() if as_said else None)


_ToUnit = Callable[[Decimal, tuple[str, ...]], Decimal | None]


def _to_concept(concept: Concept) -> _ToUnit:
    return lambda number, units: _number_in(number, units, concept)


def _as_said(own: tuple[str, ...]) -> _ToUnit:
    return lambda number, units: number if not units or not own or set(units) & set(own) else None


def _limits(item: fhir.ReferenceRange, units: tuple[str, ...], to: _ToUnit) -> tuple[Decimal | None, Decimal | None]:
    """Both limits; a limit without a unit is in the value's, and a limit that cannot be read is none."""

    def limit(bound: fhir.Quantity | None) -> Decimal | None:
        if bound is None or bound.value is None or not bound.value.is_finite():
            return None
        return to(bound.value, _units(bound) or units)

    bounds = [bound for bound in (item.low, item.high) if bound and bound.value is not None]
    if bounds:
        return limit(item.low), limit(item.high)
    low, high = range_in_text(fhir.clean(item.text or "")) or (None, None)
    return to(low, units) if low is not None else None, to(high, units) if high is not None else None


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
    for group in item.applies_to:
        words = (*fhir.codes_of(group), fhir.clean(group.text or "").lower())
        if person.sex is None or person.sex not in {_SEX_CODES.get(word) for word in words}:
            return False
    return item.age is None or _is_of_age(item.age, person, taken)


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


# Positive or negative


def _polarity(
    valued: Valued, said: _Said, number: Interval | None, own: _Own, concept: Concept
) -> tuple[Polarity | None, bool]:
    """What the result says, and whether value and interpretation contradict each other."""
    spoken = _interpreted(valued)
    if said.polarity:
        return said.polarity, {said.polarity, spoken} == {Polarity.POSITIVE, Polarity.NEGATIVE}
    if spoken or said.number is None:
        return spoken, False
    if concept.detection:
        return _detected(said.number), False
    if concept.positive_from is not None and number is not None:
        return _counted(number, concept.positive_from, concept.negative_below), False
    return _beside_range(said.number, own.recorded), False


def _interpreted(valued: Valued) -> Polarity | None:
    found: set[Polarity] = set()
    for item in valued.interpretation:
        coded = [polarity_of_code(fhir.clean(c.system or ""), fhir.clean(c.code)) for c in item.coding if c.code]
        said = coded or [polarity_of_text(fhir.clean(item.text or ""))]
        found.update(polarity for polarity in said if polarity)
    return found.pop() if len(found) == 1 else None


def _detected(number: Interval) -> Polarity:
    """A viral load: any number is one found; "less than" is below what the test can count, or can see."""
    if number.low is not None and (number.low > 0 or (number.low == 0 and number.low_open)):
        return Polarity.POSITIVE
    return Polarity.NEGATIVE if number.high == 0 else Polarity.INDETERMINATE


def _counted(number: Interval, positive_from: Decimal, negative_below: Decimal | None) -> Polarity:
    below = positive_from if negative_below is None else negative_below
    if number.low is not None and number.low >= positive_from:
        return Polarity.POSITIVE
    if number.high is not None and (number.high < below or (number.high == below and number.high_open)):
        return Polarity.NEGATIVE
    return Polarity.INDETERMINATE


def _beside_range(number: Interval, limits: tuple[Decimal | None, Decimal | None] | None) -> Polarity | None:
    """An antibody's number against the laboratory's own cut-off."""
    high = limits[1] if limits else None
    if high is None:
        return None
    if number.low is not None and (number.low > high or (number.low == high and number.low_open)):
        return Polarity.POSITIVE
    return Polarity.NEGATIVE if number.high is not None and number.high <= high else None


# What a reader must know

_SUPPLEMENT = re.compile(
    r"\b(nasal cannula|supplement(al|ary) (oxygen|o2)|face ?mask|non-?rebreather|high.?flow)\b", re.I
)
_NO_SUPPLEMENT = re.compile(r"\b(no|not on|without|off) (supplement|oxygen|o2)|\broom air\b", re.I)
_QTC_WITHOUT_FORMULA = "8636-3"


def _remark(name: str, observation: fhir.Observation) -> tuple[str | None, Reason | None]:
    if name == "oxygen-saturation" and _is_on_oxygen(observation):
        return "on oxygen", Reason.IMPRECISE
    if name == "qtc" and observation.method is None and observation.code:
        codes = {coding.code for coding in observation.code.coding if coding.system == "http://loinc.org"}
        if codes == {_QTC_WITHOUT_FORMULA}:
            return "formula not stated", None
    return None, None


def _is_on_oxygen(observation: fhir.Observation) -> bool:
    """Oxygen flow above zero, or more oxygen than in air, beside a saturation; or a note that says so."""
    for component in observation.component:
        codes = {coding.code for coding in component.code.coding} if component.code else set()
        value = component.value_quantity.value if component.value_quantity else None
        if value is not None and (("3151-8" in codes and value > 0) or ("3150-0" in codes and value > 21)):
            return True
    text = " ".join(note.text or "" for note in observation.note)
    return bool(_SUPPLEMENT.search(text)) and not _NO_SUPPLEMENT.search(text)

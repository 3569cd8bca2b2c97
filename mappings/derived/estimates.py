"""Results that the chart does not hold but lets be calculated, each with formula, inputs, and what is missing."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from msgspec.structs import replace

from mappings.concepts.catalogue import Catalogue
from mappings.derived.dose_results import Derived, dose_of, past_doses_of
from mappings.derived.formulas import DERIVATIONS, ckd_epi_2021, cockcroft_gault, qtc_bazett
from mappings.derived.recorded_facts import WEIGHT_SPEAKS_FOR, RecordedFacts
from mappings.facts import Interval, Reason, Result, Sex
from mappings.time.times import whole_years
from mappings.values.units import convert

_ADULT = 18
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


def with_derived(concept: str, recorded: Sequence[Result], facts: RecordedFacts) -> Iterable[Result]:
    """The recorded results and what can be calculated, newest first; a recorded one wins over one of the same day.

    Where nothing is recorded and nothing can be calculated, one Result whose `note` names the missing input.
    """
    rule = facts.catalogue.doses.get(concept)
    derive = dose_of if rule else _DERIVED.get(concept)
    if derive is None or concept not in facts.catalogue.concepts:
        return recorded
    derived, since = derive(concept, facts)
    if derived is None or (recorded and derived.problem in (Reason.MISSING, Reason.NOT_READABLE)):
        return recorded
    return _merge(recorded, derived, since, past_doses_of(concept, facts) if rule and rule.measure == "daily" else ())


def _merge(recorded: Sequence[Result], derived: Result, since: date | None, past: Iterable[Result]) -> Iterator[Result]:
    older: list[Result] = []
    for result in recorded:
        if not older and _wins(result, derived, since):
            yield result
        else:
            older.append(result)
    yield derived
    yield from heapq.merge(older, past, key=_lateness, reverse=True)


def _lateness(result: Result) -> tuple[bool, datetime]:
    return (True, result.taken.latest) if result.taken else (False, _LONG_AGO)


def _wins(recorded: Result, derived: Result, since: date | None) -> bool:
    if recorded.taken is None or since is None:
        return False
    if recorded.taken.last_day == since:
        return recorded.problem is None or derived.problem is not None
    return recorded.taken.last_day > since


def no_input_is_nearer(result: Result, doubtful: date) -> bool:
    """Whether it and its inputs are such that none which is missing, of `doubtful` or earlier, would take their place.

    The first input dates an estimate; of the others the one nearest to it in time was taken.
    """
    base = result.inputs[0] if result.formula and result.inputs else result
    if result.taken is None or base.taken is None or min(result.taken.first_day, base.taken.first_day) <= doubtful:
        return False
    room = base.taken.first_day - doubtful
    others = result.inputs[1:] if result.formula else ()
    return all(
        each.taken is not None
        and each.taken.first_day > doubtful
        and abs(each.taken.last_day - base.taken.first_day) < room
        for each in others
    )


# Kidney function


def _clearance(concept: str, facts: RecordedFacts) -> Derived:
    creatinine = _newest(facts, "creatinine")
    weight = _nearest(facts.results("body-weight"), creatinine) if creatinine else None

    def calculate(age: int, sex: Sex, mg_dl: Decimal, kg: Decimal) -> Decimal:
        return cockcroft_gault(age, sex, kg, mg_dl)

    return _dated(_from_creatinine(concept, facts, creatinine, weight, True, calculate))


def _egfr(concept: str, facts: RecordedFacts) -> Derived:
    def calculate(age: int, sex: Sex, mg_dl: Decimal, kg: Decimal) -> Decimal:
        return ckd_epi_2021(age, sex, mg_dl)

    return _dated(_from_creatinine(concept, facts, _newest(facts, "creatinine"), None, False, calculate))


def _dated(result: Result) -> Derived:
    return result, result.taken.last_day if result.taken else None


def _newest(facts: RecordedFacts, concept: str) -> Result | None:
    return next(iter(facts.results(concept)), None) if concept in facts.catalogue.concepts else None


def _nearest(weights: Sequence[Result], creatinine: Result) -> Result | None:
    """The usable weight nearest in time, the later one of two."""
    if creatinine.taken is None:
        return None
    day = creatinine.taken.last_day
    near: list[tuple[timedelta, Result]] = []
    for weight in weights:  # newest first: the first one that is not newer is the nearest of its side
        if weight.taken is None or weight.problem or not weight.value:
            continue
        distance = abs(weight.taken.last_day - day)
        if distance <= WEIGHT_SPEAKS_FOR:
            near.append((distance, weight))
        if weight.taken.last_day <= day:
            break
    return min(near, key=lambda pair: pair[0])[1] if near else None


def _from_creatinine(
    concept: str,
    facts: RecordedFacts,
    creatinine: Result | None,
    weight: Result | None,
    needs_weight: bool,
    calculate: Callable[[int, Sex, Decimal, Decimal], Decimal],
) -> Result:
    """The estimate over everything that age, creatinine and weight leave open."""
    inputs = tuple(item for item in (creatinine, weight) if item)
    person = facts.person
    if creatinine is None or (creatinine.problem is None and creatinine.value is None):
        return _missing(concept, facts, inputs, "creatinine is missing", "creatinine")
    if creatinine.problem or creatinine.taken is None:
        return replace(_missing(concept, facts, inputs, "creatinine cannot be used"), problem=creatinine.problem)
    if needs_weight and weight is None:
        another = any(each.taken and each.value for each in facts.results("body-weight"))
        note = "a body weight near the date of the creatinine is missing" if another else "body weight is missing"
        return _missing(concept, facts, inputs, note, "body-weight")
    if person.born is None:
        return _missing(concept, facts, inputs, "date of birth is missing")
    if person.sex is None:
        return _missing(concept, facts, inputs, "sex is not recorded as female or male")
    ages = _ages(person.born, creatinine.taken.first_day, creatinine.taken.last_day)
    if min(ages) < _ADULT:
        return _missing(concept, facts, inputs, "the formula is for adults")
    serum = _in_mg_dl(creatinine, facts)
    kilograms = weight.value if weight and weight.value else Interval.exactly(Decimal(1))
    value = _over(ages, person.sex, serum, kilograms, calculate) if serum else None
    if value is None:
        return replace(_missing(concept, facts, inputs, "creatinine cannot be used"), problem=Reason.IMPRECISE)
    derivation = DERIVATIONS[concept]
    return Result(
        concept=concept,
        source=creatinine.source,
        taken=creatinine.taken,
        value=_in_unit_of(concept, value, derivation.unit, facts),
        unit=facts.catalogue.concepts[concept].unit or derivation.unit,
        recorded=f"calculated ({derivation.name})",
        formula=derivation.name,
        inputs=inputs,
    )


def _ages(born: tuple[date, date], first: date, last: date) -> tuple[int, int]:
    """The least and greatest age that the patient may have had."""
    return max(0, whole_years(born[1], first)), whole_years(born[0], last)


def _in_mg_dl(creatinine: Result, facts: RecordedFacts) -> Interval | None:
    molar_mass = facts.catalogue.concepts["creatinine"].molar_mass
    value = creatinine.value
    if value is None:
        return None
    ends = [
        end if end is None else convert(end, creatinine.unit, "mg/dL", molar_mass) for end in (value.low, value.high)
    ]
    return Interval(ends[0], ends[1], value.low_open, value.high_open)


def _over(
    ages: tuple[int, int],
    sex: Sex,
    serum: Interval,
    weight: Interval,
    calculate: Callable[[int, Sex, Decimal, Decimal], Decimal],
) -> Interval | None:
    """Least for the oldest, lightest, highest creatinine; greatest for the youngest, heaviest, lowest."""
    numbers = [n for n in (serum.low, serum.high, weight.low, weight.high) if n is not None]
    if any(n <= 0 for n in numbers) or serum == Interval(None, None):
        return None
    low = high = None
    if serum.high is not None and weight.low is not None:
        low = calculate(ages[1], sex, serum.high, weight.low)
    if serum.low is not None and weight.high is not None:
        high = calculate(ages[0], sex, serum.low, weight.high)
    return Interval(low, high, serum.high_open and low is not None, serum.low_open and high is not None)


def _in_unit_of(concept: str, value: Interval, unit: str, facts: RecordedFacts) -> Interval:
    """The formula's number in the concept's unit, without digits that mean nothing."""
    to = facts.catalogue.concepts[concept].unit or unit

    def rounded(number: Decimal | None) -> Decimal | None:
        converted = convert(number, unit, to) if number is not None else None
        shown = converted if converted is not None else number
        return shown.quantize(Decimal("0.001")) if shown is not None else None

    return replace(value, low=rounded(value.low), high=rounded(value.high))


def _missing(
    concept: str, facts: RecordedFacts, inputs: tuple[Result, ...], note: str, absent: str | None = None
) -> Result:
    """What stands where no value can be calculated: why, and from which inputs."""
    readable = absent is None or facts.readable(absent)
    return Result(
        concept=concept,
        source=inputs[0].source if inputs else facts.person.reference,
        taken=inputs[0].taken if inputs else None,
        value=None,
        unit=facts.catalogue.concepts[concept].unit or "",
        recorded="",
        problem=Reason.MISSING if readable else Reason.NOT_READABLE,
        formula=DERIVATIONS[concept].name,
        inputs=inputs,
        note=note,
    )


# QTc


def _qtc(concept: str, facts: RecordedFacts) -> Derived:
    """From the newest QT with a heart rate of the same day; the pair of one recording first."""
    interval = _newest(facts, "qt-interval")
    if interval is None or interval.taken is None or interval.problem or interval.value is None:
        return None, None
    day = interval.taken.last_day
    rates = [
        r for r in facts.results("heart-rate") if r.taken and r.taken.last_day == day and r.value and not r.problem
    ]
    rate = next((r for r in rates if r.source == interval.source), None) or next(iter(rates), None)
    qt, beats = interval.value.exact, rate.value.exact if rate and rate.value else None
    if rate is None or qt is None or beats is None or qt <= 0 or beats <= 0:
        return _dated(_missing(concept, facts, (interval,), "a heart rate of the same day is missing", "heart-rate"))
    derivation = DERIVATIONS[concept]
    value = Interval.exactly(qtc_bazett(qt, beats))
    result = Result(
        concept=concept,
        source=interval.source,
        taken=interval.taken,
        value=_in_unit_of(concept, value, derivation.unit, facts),
        unit=facts.catalogue.concepts[concept].unit or derivation.unit,
        recorded=f"calculated ({derivation.name})",
        formula=derivation.name,
        inputs=(interval, rate),
    )
    return _dated(result)


_DERIVED: Mapping[str, Callable[[str, RecordedFacts], Derived]] = {
    "creatinine-clearance": _clearance,
    "egfr": _egfr,
    "qtc": _qtc,
}


def calculated_concepts(catalogue: Catalogue) -> frozenset[str]:
    """The concepts of which something may be said that no record says."""
    return frozenset((*_DERIVED, *catalogue.doses))

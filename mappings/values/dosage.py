"""How much of a drug a day: dosage instructions, structured or in plain words, as mg/d and the range left open."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from msgspec import Struct

from mappings.chart import fhir
from mappings.facts import Dose
from mappings.values.timing import DAYS, UNKNOWN, Span, times_a_day, words_a_day
from mappings.values.units import convert

_PIECES = re.compile(r"^[\[{(]?(tab(let)?s?|cap(sule)?s?|pills?|unit dose|each|1)(\(s\))?[\]})]?$", re.I)
_LOCAL_ROUTES: Mapping[str, str] = {
    "6064005": "topical",
    "448598008": "cutaneous",
    "447694001": "respiratory tract",
    "18679011000001101": "inhalation",
    "46713006": "nasal",
    "54485002": "ophthalmic",
    "10547007": "otic",
    "12130007": "intra-articular",
    "37161004": "rectal",
    "16857009": "vaginal",
}  # SNOMED CT
_LOCAL = frozenset(
    {"inhaled", "by inhalation", "intraarticular", "eye", "ear", *_LOCAL_ROUTES, *_LOCAL_ROUTES.values()}
)
_LOCAL_FORMS = re.compile(
    r"\b(cream|ointment|lotion|gel|foam|shampoo|topical|inhal\w*|inhaler|nasal|ophthalmic|otic|eye drops?|ear drops?|"
    r"suppositor\w+|supp|enema|rectal|intra-?articular|mouthwash|spray|paste|patch|ophth?|opht(h|al)|drps|oint|crm|lotn|"
    r"intravitreal|augen\w+|nasen\w+|ohren\w+|salbe|creme|zäpfchen|klysma)\b",
    re.I,
)
# "hydrocortisone 1 %": what is put on the skin or into the eye; "1000 mg", or what is in sodium chloride 0.9 %, is not.
_A_SHARE = re.compile(
    r"^(?!.*(?:\b\d[\d.,]* ?m?c?g\b|\b(?:inj|i\.?v\b|infus|ivpb|piggyback|sodium chloride|nacl|saline|kochsalz|"
    r"natriumchlorid|dextrose|glucose|glukose))).*\d ?%",
    re.I,
)


def is_local(dosages: Iterable[fhir.Dosage], words: str) -> bool:
    """Whether the drug is given to act where it is put (cream, inhaler, joint), by its route or its name."""
    routes = [dosage.route for dosage in dosages if dosage.route]
    if not routes:
        return bool(_LOCAL_FORMS.search(words) or _A_SHARE.search(words))
    codes = {code for route in routes for code in fhir.codes_of(route)}
    # Route codes are many; what a person reads there is looked at too.
    return not codes.isdisjoint(_LOCAL) or any(_LOCAL_FORMS.search(fhir.words_of(route)) for route in routes)


@dataclass
class Doses:
    """The daily doses of one chart. Refills repeat their instruction word for word; it is read once."""

    _known: dict[object, Dose | None] = field(default_factory=dict)

    def of(
        self, dosages: tuple[fhir.Dosage, ...], medication_words: str, ingredients: tuple[fhir.Ingredient, ...]
    ) -> Dose | None:
        key = (dosages, medication_words, ingredients)
        if key not in self._known:
            self._known[key] = daily_dose(dosages, strength_of(medication_words, ingredients))
        return self._known[key]

    def given_on_a_day(
        self, dosages: tuple[fhir.Dosage, ...], medication_words: str, ingredients: tuple[fhir.Ingredient, ...]
    ) -> Dose | None:
        """Of something given once: its amount, if no timing says how often."""
        if len(dosages) == 1 and dosages[0].timing is None and not dosages[0].modifier_extension:
            given = given_dose(dosages[0], strength_of(medication_words, ingredients))
            if given:
                return given
        return self.of(dosages, medication_words, ingredients)


def given_dose(dosage: fhir.Dosage, strength_mg: Decimal | None) -> Dose | None:
    """What was given at one time, as a dose of that day; None where no amount is there."""
    given = _amount(dosage, strength_mg)
    return None if given == UNKNOWN else Dose(given.low, given.high, text=_words(dosage))


def daily_dose(dosages: Sequence[fhir.Dosage], strength_mg: Decimal | None) -> Dose | None:
    """What instructions that apply together come to a day; None where there are none.

    They add up (morning and evening). Steps of a taper, by `sequence`, leave a range open: `readers/courses.py` says
    which of them applies on a day. So do instructions of some days each that do not say whether they follow each
    other. As needed: from nothing. `strength_mg` is what one tablet or capsule holds.
    """
    if not dosages:
        return None
    text = "; ".join(dict.fromkeys(words for d in dosages if (words := _words(d))))
    as_needed = any(_is_as_needed(dosage) for dosage in dosages)
    steps: dict[object, list[_Instruction]] = {}
    for dosage in dosages:
        steps.setdefault(dosage.sequence or Decimal(0), []).append(_one_instruction(dosage, strength_mg))
    read = [each for step in steps.values() for each in step]
    note = next((each.open_because for each in read if each.open_because), None)
    sums = [_sum([each.a_day for each in step]) for step in steps.values()]
    if len(steps) == 1 and _may_follow_each_other(dosages):
        sums += [each.a_day for each in read]
        note = note or "whether its instructions apply together or one after the other is not stated"
    all_, most = _each(s.low for s in sums), _each(s.high for s in sums)
    low = min(all_) if all_ else None
    high = max(most) if most else None
    return Dose(Decimal(0) if as_needed else low, high, as_needed, text, note)


def _each(numbers: Iterable[Decimal | None]) -> list[Decimal]:
    """The numbers if all are known; none otherwise."""
    found = list(numbers)
    known = [number for number in found if number is not None]
    return known if len(known) == len(found) else []


def _may_follow_each_other(dosages: Sequence[fhir.Dosage]) -> bool:
    """Whether each lasts some days, at no time of day of its own, without a number that says which comes first."""
    repeats = [d.timing.repeat for d in dosages if d.timing and d.timing.repeat and d.sequence is None]
    lasting = [r for r in repeats if r.bounds_duration or r.bounds_range or r.count is not None]
    times = {(r.time_of_day, r.when) for r in lasting}
    return len(lasting) == len(dosages) > 1 and len(times) < len(lasting)


def _sum(parts: Sequence[Span]) -> Span:
    lows = [part.low for part in parts if part.low is not None]
    highs = [part.high for part in parts if part.high is not None]
    return Span(
        sum(lows, Decimal(0)) if len(lows) == len(parts) else None,
        sum(highs, Decimal(0)) if len(highs) == len(parts) else None,
    )


def _words(dosage: fhir.Dosage) -> str:
    return fhir.clean(dosage.text or dosage.patient_instruction or "")


def _is_as_needed(dosage: fhir.Dosage) -> bool:
    if dosage.as_needed_boolean or dosage.as_needed or dosage.as_needed_codeable_concept is not None:
        return True
    return bool(_AS_NEEDED.search(_words(dosage)))


class _Instruction(Struct, frozen=True, gc=False):
    a_day: Span  # mg
    open_because: str | None = None


def _one_instruction(dosage: fhir.Dosage, strength_mg: Decimal | None) -> _Instruction:
    if dosage.modifier_extension:
        return _Instruction(UNKNOWN, "a modifier extension may change its meaning")
    often = times_a_day(dosage.timing)
    if often.open_because:
        return _Instruction(UNKNOWN, f"its timing is open: {often.open_because}")
    amount = _amount(dosage, strength_mg)
    if amount == UNKNOWN and _is_by_size(dosage):
        return _Instruction(UNKNOWN, "it is stated by body weight or surface")
    if amount == UNKNOWN or often.a_day == UNKNOWN:
        return _Instruction(_in_words(_words(dosage), strength_mg))
    found = amount.times(often.a_day)
    limit = _limit(dosage, strength_mg)
    if limit is None:
        return _Instruction(found)
    high = limit if found.high is None else min(found.high, limit)
    return _Instruction(Span(found.low if found.low is None else min(found.low, high), high))


def _amount(dosage: fhir.Dosage, strength_mg: Decimal | None) -> Span:
    """mg at a time."""
    parts: tuple[fhir.DoseAndRate | fhir.Dosage, ...] = (*dosage.dose_and_rate, dosage)
    for part in parts:
        if part.dose_quantity:
            amount = _milligrams(part.dose_quantity, strength_mg)
            return Span(amount, amount)
        if part.dose_range:
            low, high = part.dose_range.low, part.dose_range.high
            least = _milligrams(low, strength_mg) if low else Decimal(0)
            return Span(least, _milligrams(high, strength_mg) if high else None)
    if dosage.dose:
        amount = _milligrams(dosage.dose, strength_mg)
        return Span(amount, amount)
    return next((_by_rate(part, dosage.timing) for part in parts if _has_rate(part)), UNKNOWN)


def _has_rate(part: fhir.DoseAndRate | fhir.Dosage) -> bool:
    return bool(part.rate_quantity or part.rate_range or part.rate_ratio)


def _by_rate(part: fhir.DoseAndRate | fhir.Dosage, timing: fhir.Timing | None) -> Span:
    """mg at a time: the rate, for as long as the timing says that one occasion lasts."""
    repeat = timing.repeat if timing else None
    day = DAYS.get(fhir.clean(repeat.duration_unit or "").lower()) if repeat else None
    if repeat is None or repeat.duration is None or day is None or repeat.duration <= 0:
        return UNKNOWN
    longest = repeat.duration if repeat.duration_max is None else repeat.duration_max
    if longest < repeat.duration:
        return UNKNOWN
    return _an_hour(part).times(Span(repeat.duration * day * 24, longest * day * 24))


def _an_hour(part: fhir.DoseAndRate | fhir.Dosage) -> Span:
    """mg an hour."""
    if part.rate_ratio:
        above, below = part.rate_ratio.numerator, part.rate_ratio.denominator
        amount = _milligrams(above, None) if above else None
        day = DAYS.get(fhir.clean(below.code or below.unit or "").lower()) if below else None
        if amount is None or below is None or not below.value or day is None:
            return UNKNOWN
        rate = amount / (below.value * day * 24)
        return Span(rate, rate)
    if part.rate_range:
        low, high = part.rate_range.low, part.rate_range.high
        return Span(_rate(low) if low else Decimal(0), _rate(high) if high else None)
    rate_of = _rate(part.rate_quantity) if part.rate_quantity else None
    return Span(rate_of, rate_of)


def _rate(quantity: fhir.Quantity) -> Decimal | None:
    if quantity.value is None or quantity.comparator or not quantity.value.is_finite() or quantity.value < 0:
        return None
    units = (fhir.clean(text) for text in (quantity.code, quantity.unit) if text)
    return next((rate for unit in units if (rate := convert(quantity.value, unit, "mg/h")) is not None), None)


_BY_SIZE = re.compile(r"/ ?(?:kg|m2|\[m2\]|m\^2|m²)", re.I)


def _is_by_size(dosage: fhir.Dosage) -> bool:
    """Whether the amount is stated by body weight or surface, which the record itself does not have."""
    quantities: list[fhir.Quantity | None] = []
    parts: tuple[fhir.DoseAndRate | fhir.Dosage, ...] = (*dosage.dose_and_rate, dosage)
    for part in parts:
        quantities += [part.dose_quantity, part.rate_quantity]
        for span in (part.dose_range, part.rate_range):
            quantities += [span.low, span.high] if span else []
    texts = (text for each in quantities if each for text in (each.code, each.unit) if text)
    return any(_BY_SIZE.search(text) for text in texts)


def _milligrams(quantity: fhir.Quantity, strength_mg: Decimal | None) -> Decimal | None:
    if quantity.value is None or quantity.comparator or not quantity.value.is_finite() or quantity.value < 0:
        return None
    units = [fhir.clean(text) for text in (quantity.code, quantity.unit) if text]
    for unit in units:
        if (amount := convert(quantity.value, unit, "mg")) is not None:
            return amount
    if strength_mg is not None and any(_PIECES.match(unit) for unit in units):
        return quantity.value * strength_mg
    return None


def _limit(dosage: fhir.Dosage, strength_mg: Decimal | None) -> Decimal | None:
    """The most that may be taken a day."""
    limits = []
    for ratio in dosage.max_dose_per_period:
        if not ratio.numerator or not ratio.denominator or not ratio.denominator.value:
            continue
        amount = _milligrams(ratio.numerator, strength_mg)
        length = DAYS.get(fhir.clean(ratio.denominator.code or ratio.denominator.unit or "").lower())
        if amount is not None and length is not None:
            limits.append(amount / (ratio.denominator.value * length))
    return min(limits, default=None)


# Plain words. The whole text must be understood; a word that is not means that the dose is not known.

_SPACES = re.compile(r"\s+")
# "1.000" and "1,000" are a thousand to some and one to others: neither is read. "0.125" is one thing to all.
_NUMBER = r"(?:0\.\d+|\d+(?:\.(?!\d{3}(?!\d))\d+|,\d{1,2}(?!\d))?)"
_AS_NEEDED = re.compile(r"\b(?:as needed|when needed|if needed|prn|p\.r\.n\.)", re.I)
_SENTENCE = re.compile(
    rf"""^(?:take|give|inject|infuse|administer)?\s*
    (?P<low>{_NUMBER})\s*(?:(?:-|–|to)\s*(?P<high>{_NUMBER}))?\s*
    (?P<unit>mg|milligrams?|g|mcg|micrograms?|µg|ug|tab(?:let)?s?|cap(?:sule)?s?|pills?)?\s*
    (?:tab(?:let)?s?|cap(?:sule)?s?)?\s*
    (?:total\s*)?
    (?:by\ mouth|orally|oral|per\ os|po|p\.o\.|iv|intravenously|subcutaneously|sc|im)?\s*
    (?P<often>.*)$""",
    re.I | re.X,
)
_UNITS = {"m": "mg", "g": "g", "u": "ug", "µ": "ug"}


# "2 tablets (10 mg total)": what the tablets come to. "2 (two) times": the same again.
_IN_TOTAL = re.compile(rf"\b{_NUMBER} (?:tab(?:let)?s?|cap(?:sule)?s?|pills?) \(({_NUMBER} (?:mg|g|mcg)) total\)", re.I)
_AGAIN_IN_WORDS = re.compile(r" \((?:one|two|three|four|five|six)\)", re.I)
# "5 mg 1-0-1": so many in the morning, at noon, in the evening (and at night).
_PART = r"(\d(?:[.,]5)?|1/2|½)"
_SCHEME = re.compile(rf"^(?:({_NUMBER}) ?mg ?[:,;]? ?)?{_PART}-{_PART}-{_PART}(?:-{_PART})?$", re.I)
_MANY = 6  # more pieces at once are hardly meant


def _decimal(text: str) -> Decimal:
    return Decimal("0.5") if text in ("1/2", "½") else Decimal(text.replace(",", "."))


def _by_scheme(scheme: re.Match[str], strength_mg: Decimal | None) -> Span:
    parts = [_decimal(part) for part in scheme.groups()[1:] if part]
    each = _decimal(scheme[1]) if scheme[1] else strength_mg
    total = sum(parts, Decimal(0)) * each if each is not None and max(parts) <= _MANY else None
    return Span(total, total)


def _in_words(text: str, strength_mg: Decimal | None) -> Span:
    """ "10 mg daily", "take 1-2 tablets twice a day": mg/d; unknown where anything else is said."""
    plain = _SPACES.sub(" ", _AS_NEEDED.sub("", text)).strip(" .,;")
    plain = _IN_TOTAL.sub(r"\1", _AGAIN_IN_WORDS.sub("", plain))
    if scheme := _SCHEME.match(plain):
        return _by_scheme(scheme, strength_mg)
    match = _SENTENCE.match(plain) if len(plain) <= 120 else None
    if match is None or not match["unit"]:
        return UNKNOWN
    times = words_a_day(match["often"])
    unit = match["unit"].lower()
    code = "ug" if unit.startswith(("mc", "mic")) else "mg" if unit.startswith("m") else _UNITS.get(unit[0], "{tablet}")
    if unit.startswith(("tab", "cap", "pill")):
        code = "tablet"
    low, high = (_decimal(text) for text in (match["low"], match["high"] or match["low"]))
    least, most = (_milligrams(fhir.Quantity(value=n, unit=code), strength_mg) for n in (low, high))
    return Span(least, most).times(times)


_STRENGTH = re.compile(rf"(?<![\d.,])\b({_NUMBER})\s*(mg|g|mcg|ug)\b", re.I)  # nothing of "1,000 mg" is a strength
_SOLID = re.compile(r"\b(tab(let)?s?|cap(sule)?s?|pills?|tabletten?|tbl|kapseln?)\b", re.I)


def strength_of(medication_words: str, ingredients: Iterable[fhir.Ingredient]) -> Decimal | None:
    """mg in one tablet or capsule, by the Medication's ingredient or by its name ("prednisone 5 MG Oral Tablet")."""
    found = set()
    for ingredient in ingredients:
        ratio = ingredient.strength or ingredient.strength_ratio
        if ratio and ratio.numerator and ratio.denominator and ratio.denominator.value:
            unit = fhir.clean(ratio.denominator.code or ratio.denominator.unit or "1")
            amount = _milligrams(ratio.numerator, None)
            if amount is not None and _PIECES.match(unit):
                found.add(amount / ratio.denominator.value)
    if not found and _SOLID.search(medication_words) and "/" not in medication_words:
        named = {(number, unit.lower()) for number, unit in _STRENGTH.findall(medication_words)}
        found = {
            amount for n, u in named if (amount := convert(_decimal(n), "ug" if u == "mcg" else u, "mg")) is not None
        }
    return found.pop() if len(found) == 1 else None

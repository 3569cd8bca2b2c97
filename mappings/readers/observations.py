"""An Observation, or one of its components, as a `Result` of a concept: value in the concept's unit, or why not."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal, NamedTuple

from mappings.chart import decoding, fhir
from mappings.chart.dates import date_text, is_reversed
from mappings.concepts.catalogue import ON_ROOM_AIR, Concept
from mappings.facts import Interval, Person, Polarity, Reason, Result
from mappings.time.clock import Clock
from mappings.time.times import Moment
from mappings.values.qualitative import polarity_of_code, polarity_of_text
from mappings.values.recorded_values import Said, in_unit, is_plausible, said_in
from mappings.values.reference_ranges import NONE, Own, own_range, site_range

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


def says_something(valued: fhir.Observation | fhir.Component) -> bool:
    """Whether there is a value of a kind that can be read, and nothing says that it is absent."""
    given = fhir.is_given
    return not given(valued.data_absent_reason) and (
        given(valued.value_quantity)
        or given(valued.value_codeable_concept)
        or given(valued.value_string)
        or given(valued.value_boolean)
        or given(valued.value_integer)
        or given(valued.value_range)
        or given(valued.value_ratio)
        or given(valued.interpretation)
    )


def is_modified(observation: fhir.Observation) -> str | None:
    """What may turn the result into its opposite in a way that is not understood; None where nothing does."""
    if observation.modifier_extension:
        return "modifier-extension"
    return "implicit-rules" if observation.implicit_rules else None


class Found(NamedTuple):
    """Where a concept was found: an Observation itself, or one of its components (with what it is a part of)."""

    source: str
    observation: fhir.Observation
    is_final: bool
    component: fhir.Component | None = None


def _is_not_understood(found: Found) -> bool:
    component = found.component
    return bool(is_modified(found.observation) or (component and component.modifier_extension))


@dataclass
class ResultReader:
    """Reads results of one patient at one moment."""

    person: Person
    clock: Clock
    on_oxygen: Callable[[Moment], bool]  # whether the chart has the patient under oxygen at that time
    # Laboratories send the same range and the same interpretation again and again.
    _ranges: dict[object, Own] = field(default_factory=dict)
    _interpretations: dict[tuple[fhir.CodeableConcept, ...], Polarity | None] = field(default_factory=dict)
    _contents: dict[int, fhir.Content | None] = field(default_factory=dict)  # by the Observation's identity

    def result_of(self, found: Found, name: str, concept: Concept) -> Result:
        """The Result, with the first reason why it cannot be used in `problem`, and everything else that it says."""
        taken = self.clock.moment(date_text(found.observation))
        value = None if _is_not_understood(found) else found.component or self._content(found)
        if value is None:
            return Result(name, found.source, taken, None, concept.unit or "", "", problem=Reason.NOT_READABLE)
        said = said_in(value, concept)
        number = in_unit(said, concept)
        own = self._own_range(value, said, name, concept, found) if value.reference_range else NONE
        polarity, contradicts = _polarity(self._spoken(value.interpretation), said, number, own, concept)
        note, remark = self._remark(name, found, taken)
        problem = (
            (None if found.is_final else Reason.NOT_FINAL)
            or (Reason.CONFLICTING if is_reversed(found.observation.effective_period) else None)
            or (Reason.IMPRECISE if taken is None else None)
            or (Reason.CONFLICTING if contradicts else None)
            or said.problem
            or _doubt(said, number, polarity, concept)
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
            range=own.canonical or site_range(concept),
            problem=problem,
            note=note or said.note or (own.note if own.canonical is None else None),
        )

    def _content(self, found: Found) -> fhir.Content | None:
        key = id(found.observation)  # two may have the same source where servers name badly
        if key not in self._contents:
            self._contents[key] = decoding.content_of(found.observation)
        return self._contents[key]

    def _remark(self, name: str, found: Found, taken: Moment | None) -> tuple[str | None, Reason | None]:
        """What a reader must know of the result, and the reason for which it then decides nothing."""
        observation = found.observation
        if name == ON_ROOM_AIR:
            said = _says_oxygen(self._content(found))
            if said or (said is None and taken is not None and self.on_oxygen(taken)):
                return "on oxygen", Reason.IMPRECISE
        if name == "qtc" and not fhir.is_given(observation.method) and (code := decoding.code_of(observation)):
            codes = {coding.code for coding in code.coding if coding.system == "http://loinc.org"}
            if codes == {_QTC_WITHOUT_FORMULA}:
                return "formula not stated", None
        return None, None

    def _spoken(self, interpretation: tuple[fhir.CodeableConcept, ...]) -> Polarity | None:
        if interpretation not in self._interpretations:
            self._interpretations[interpretation] = _interpreted(interpretation)
        return self._interpretations[interpretation]

    def _own_range(self, value: fhir.Value, said: Said, name: str, concept: Concept, found: Found) -> Own:
        ranges = value.reference_range
        key = (name, ranges, said.units)
        own = self._ranges.get(key)
        if own is None:
            taken = self.clock.moment(date_text(found.observation))
            own = own_range(ranges, said.units, concept, self.person, taken)
            if not any(item.age for item in ranges):
                self._ranges[key] = own
        return own


def _doubt(said: Said, number: Interval | None, polarity: Polarity | None, concept: Concept) -> Reason | None:
    """Why the value decides nothing. A number without a unit of its own (an index) is for the range to judge."""
    if number is not None:
        return None if is_plausible(number, concept) else Reason.IMPLAUSIBLE
    if polarity is not None or (said.number is not None and concept.unit is None):
        return None
    return Reason.UNIT_UNCONVERTIBLE if said.number is not None else Reason.IMPRECISE


# Positive or negative


def _polarity(
    spoken: Polarity | None, said: Said, number: Interval | None, own: Own, concept: Concept
) -> tuple[Polarity | None, bool]:
    """What the result says, and whether its voices contradict: its words, its number, its interpretation.

    A word decides over what a number leaves open; a number that says the opposite of a word is no answer.
    """
    counted = _by_number(said, number, own, concept)
    polarity = said.polarity or spoken or counted
    return polarity, {Polarity.POSITIVE, Polarity.NEGATIVE} <= {said.polarity, spoken, counted}


def _by_number(said: Said, number: Interval | None, own: Own, concept: Concept) -> Polarity | None:
    if said.number is None:
        return None
    if concept.detection:
        return _detected(said.number)
    if concept.positive_from is not None and number is not None:
        return _count(number, concept.positive_from, concept.negative_below)
    return _beside_range(said.number, own.recorded)


def _interpreted(interpretation: tuple[fhir.CodeableConcept, ...]) -> Polarity | None:
    found: set[Polarity] = set()
    for item in interpretation:
        coded = [polarity_of_code(fhir.clean(c.system or ""), fhir.clean(c.code)) for c in item.coding if c.code]
        said = coded or [polarity_of_text(fhir.clean(item.text or ""))]
        found.update(polarity for polarity in said if polarity)
    return found.pop() if len(found) == 1 else None


def _detected(number: Interval) -> Polarity:
    """A viral load: any number is one found; "less than" is below what the test can count, or can see."""
    if number.low is not None and (number.low > 0 or (number.low == 0 and number.low_open)):
        return Polarity.POSITIVE
    return Polarity.NEGATIVE if number.high == 0 else Polarity.INDETERMINATE


def _count(number: Interval, positive_from: Decimal, negative_below: Decimal | None) -> Polarity:
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
    r"\b(nasal cannula|(?:[1-9]\d*(?:\.\d)?|0\.[1-9]) ?l(pm|/min)? ?(of )?(o2|oxygen|nc)|on oxygen|"
    r"supplement(al|ary) (oxygen|o2)|face ?mask|non-?rebreather|high.?flow)\b",
    re.I,
)
_NO_SUPPLEMENT = re.compile(r"\b(no|not on|without|off) (supplement|oxygen|o2)|\broom air\b", re.I)
_AIR: Mapping[str | None, int] = {"3151-8": 0, "3150-0": 21}  # flow in L/min and percent, without oxygen
_QTC_WITHOUT_FORMULA = "8636-3"


def _says_oxygen(content: fhir.Content | None) -> bool | None:
    """Whether a saturation says that oxygen was given: a flow above zero, more than in air, or a note; or that not."""
    said: bool | None = None
    if content is None:
        return said
    for component in content.component:
        codes = {coding.code for coding in component.code.coding} if component.code else set()
        value = component.value_quantity.value if component.value_quantity else None
        if value is not None and not codes.isdisjoint(_AIR):
            if any(value > _AIR[code] for code in codes if code in _AIR):
                return True
            said = False
    text = " ".join(note.text or "" for note in content.note)
    if _NO_SUPPLEMENT.search(text):
        return False
    return True if _SUPPLEMENT.search(text) else said

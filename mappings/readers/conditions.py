"""A Condition as an `Episode`: since when, whether it is still so, and how sure the chart is."""

from __future__ import annotations

from mappings.chart import fhir
from mappings.facts import Certainty, Episode, Person
from mappings.readers.contradictions import begins_after_it_was_written, is_reversed, with_contradictions
from mappings.time.clock import Clock
from mappings.time.times import Moment
from mappings.values.units import convert

_DOUBTFUL = frozenset({"provisional", "differential", "unconfirmed", "unknown"})
_OVER = frozenset({"resolved"})
_GOES_ON = frozenset({"active", "recurrence", "relapse"})
_QUIET = frozenset({"remission", "inactive"})
_GERMAN_CERTAINTY = "icd-10-gm-diagnosesicherheit"  # G certain, V suspected, A ruled out, Z state after
_FAMILY = frozenset({"family-history", "57177007", "416471007", "281666001"})


def exclusion_of(condition: fhir.Condition, clock: Clock) -> str | None:
    """Why the entry is not the patient's disease; None where it is."""
    verification = fhir.codes_of(condition.verification_status)
    if "entered-in-error" in verification or "entered-in-error" in fhir.codes_of(condition.clinical_status):
        return "entered-in-error"
    if "refuted" in verification or "A" in _letters(condition):
        return "refuted"
    if any(not _FAMILY.isdisjoint(fhir.codes_of(category)) for category in condition.category):
        return "family-history"
    onset, written = _onset_text(condition), _written_down(condition)
    if not clock.any_future((onset, written)):
        return None
    contradicts = is_reversed(condition.onset_period, clock) or begins_after_it_was_written(onset, written, clock)
    return None if contradicts and not clock.is_future(written) else "future"


def _onset_text(condition: fhir.Condition) -> str | None:
    return condition.onset_date_time or (condition.onset_period.start if condition.onset_period else None)


def _letters(condition: fhir.Condition) -> set[str | None]:
    """What is beside codes of the German ICD-10: how certain the diagnosis is."""
    return {
        extension.value_coding.code
        for coding in (condition.code.coding if condition.code else ())
        for extension in coding.extension
        if extension.value_coding and (extension.url or "").endswith(_GERMAN_CERTAINTY)
    }


def _written_down(condition: fhir.Condition) -> str | None:
    return condition.recorded_date or condition.asserted_date or condition.date_recorded


def episode_of(
    source: str, condition: fhir.Condition, person: Person, clock: Clock, concept: str, member: str
) -> Episode:
    """The Episode under `concept`, found by the most specific concept `member`."""
    clinical = set(fhir.codes_of(condition.clinical_status))
    end = _abatement(condition, person, clock)
    doubtful = not _DOUBTFUL.isdisjoint(fhir.codes_of(condition.verification_status)) or "V" in _letters(condition)
    episode = Episode(
        concept=concept,
        source=source,
        kind="diagnosis",
        label=fhir.words_of(condition.code),
        start=_onset(condition, person, clock),
        end=end,
        ongoing=_is_ongoing(condition, clinical, end, clock),
        remission=not clinical.isdisjoint(_QUIET),
        certainty=Certainty.PROVISIONAL if doubtful else Certainty.CONFIRMED,
        member=member,
        recorded=clock.moment(_written_down(condition)),
        has_status=bool(clinical) or end is not None,
    )
    periods = (condition.onset_period, condition.abatement_period)
    return with_contradictions(
        episode,
        clock,
        periods,
        goes_on_by_status=not clinical.isdisjoint(_GOES_ON),
        begin=_onset_text(condition),
        written=_written_down(condition),
    )


def _is_ongoing(condition: fhir.Condition, clinical: set[str], end: Moment | None, clock: Clock) -> bool | None:
    """A disease goes on until the chart says that it has ended, and an end to come has not come."""
    over = not clinical.isdisjoint(_OVER) or condition.abatement_boolean is True or condition.abatement_string
    if end is None:
        return not over and "Z" not in _letters(condition)
    if clock.is_over(end):
        return False
    if clock.is_to_come(end) or end.is_one_day:
        return True  # on its last day too
    # An end "in 2026" may be still to come, unless the status says that it has come.
    return False if over else None


def _onset(condition: fhir.Condition, person: Person, clock: Clock) -> Moment | None:
    if condition.onset_date_time:
        return clock.moment(condition.onset_date_time)
    if condition.onset_period:
        return clock.moment(condition.onset_period.start)
    return _at_age(condition.onset_age, condition.onset_range, person, clock)


def _abatement(condition: fhir.Condition, person: Person, clock: Clock) -> Moment | None:
    if condition.abatement_date_time:
        return clock.moment(condition.abatement_date_time)
    if condition.abatement_period:
        return clock.moment(condition.abatement_period.end or condition.abatement_period.start)
    return _at_age(condition.abatement_age, condition.abatement_range, person, clock)


def _at_age(age: fhir.Quantity | None, ages: fhir.QuantityRange | None, person: Person, clock: Clock) -> Moment | None:
    """The days on which the patient had that age; a comparator leaves too much open."""
    youngest, oldest = (ages.low, ages.high) if ages else (age, age)
    low, high = _years(youngest), _years(oldest)
    return clock.at_age(person.born, low, high) if low is not None and high is not None else None


def _years(age: fhir.Quantity | None) -> int | None:
    if age is None or age.value is None or age.comparator or not age.value.is_finite():
        return None
    unit = fhir.clean(age.code or age.unit or "")
    years = age.value if unit.lower() in _YEARS else convert(age.value, unit, "a")
    return int(years) if years is not None and 0 <= years <= 150 else None


_YEARS = frozenset({"a", "y", "yr", "yrs", "year", "years"})

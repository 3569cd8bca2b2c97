"""Drug entries (planned, stated, given, dispensed) as `Episode`s: which drug, when, still so, how much."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from mappings.chart import fhir
from mappings.chart.chart import Chart, medication_display, medication_reference
from mappings.concepts.catalogue import Catalogue, Concept, ConceptKind
from mappings.facts import Certainty, Dose, DoseStep, Episode, id_in, range_of
from mappings.readers import courses, uncoded
from mappings.readers.contradictions import begins_after_it_was_written, is_reversed, with_contradictions
from mappings.readers.drug_forms import forms_of
from mappings.time.clock import Clock
from mappings.time.times import Moment, Period
from mappings.values.dosage import Doses, is_local
from mappings.values.units import convert

# Which drug


class Drug(Struct, frozen=True, gc=False):
    """What an entry says about which drug it is: every code, its words, its parts.

    Not `known` where it only refers to a Medication that could not be read, or that says nothing; then its concept is
    the words beside the reference, if there are any.
    """

    concepts: tuple[fhir.CodeableConcept, ...]
    words: str
    ingredients: tuple[fhir.Ingredient, ...] = ()
    known: bool = True


def drug_of(use: fhir.MedicationUse, chart: Chart) -> Drug:
    """The drug by its own code, the contained or the referenced Medication, and that one's ingredients."""
    return _drug(use, _medication(use, chart))


def own_drug_of(use: fhir.MedicationUse) -> Drug:
    """The drug as far as the entry itself says."""
    return _drug(use, _contained(use))


def _drug(use: fhir.MedicationUse, medication: fhir.Medication | fhir.Contained | None) -> Drug:
    own = use.medication_codeable_concept or (use.medication.concept if use.medication else None)
    if medication is None:
        if own is None or not (own.coding or own.text):
            return replace(_by_display(use), known=medication_reference(use) is None)
        return Drug((own,), fhir.words_of(own))
    parts = [i.item_codeable_concept or (i.item.concept if i.item else None) for i in medication.ingredient]
    concepts = tuple(concept for concept in (own, medication.code, *parts) if concept)
    if not concepts:
        return replace(_by_display(use), ingredients=medication.ingredient, known=True)
    words = fhir.words_of(own) or fhir.words_of(medication.code)
    words = words or " / ".join(filter(None, map(fhir.words_of, parts)))
    return Drug(concepts, words, medication.ingredient)


def _by_display(use: fhir.MedicationUse) -> Drug:
    words = fhir.clean(medication_display(use) or "")
    return Drug((fhir.CodeableConcept(text=words),) if words else (), words, known=False)


def _medication(use: fhir.MedicationUse, chart: Chart) -> fhir.Medication | fhir.Contained | None:
    reference = medication_reference(use)
    if reference and reference.startswith("#"):
        return _contained(use)
    return chart.medication(reference) if reference else None


def _contained(use: fhir.MedicationUse) -> fhir.Contained | None:
    reference = medication_reference(use) or ""
    named = (reference, reference.removeprefix("#"))
    return next((item for item in use.contained if item.id in named), None) if reference.startswith("#") else None


def named_in(drug: Drug, catalogue: Catalogue) -> tuple[str, ...]:
    """The drugs whose names are in the entry's text: a hint for a person, no more."""
    return tuple(uncoded.named_in(drug.concepts, _DRUGS, catalogue))


_DRUGS: frozenset[ConceptKind] = frozenset({"treatment"})


# Whether it counts, and since when

_HANDED_OVER = frozenset({"completed", "stopped"})
_NOT_ORDERED = frozenset({"proposal", "plan", "option"})


def certainty_of(use: fhir.MedicationUse) -> Certainty:
    """How surely the drug was taken, planned or dispensed, as far as intent and status say."""
    if is_only_planned(use):
        return Certainty.PLANNED
    if isinstance(use, fhir.MedicationDispense) and fhir.clean(use.status or "").lower() not in _HANDED_OVER:
        return Certainty.PROVISIONAL
    return Certainty.CONFIRMED


def is_only_planned(use: fhir.MedicationUse) -> bool:
    """Whether nothing says that it was taken: a plan, a proposal or an option that is no report of what is taken.

    US Core writes a drug that a patient takes, and that nobody here ordered, as a reported plan; an oncology plan
    writes the cycles that may follow as plans that are not reported.
    """
    if not isinstance(use, fhir.MedicationRequest) or fhir.clean(use.intent or "").lower() not in _NOT_ORDERED:
        return False
    return not (use.reported_boolean or use.reported or use.reported_reference)


def exclusion_of(use: fhir.MedicationUse, clock: Clock) -> str | None:
    """Why the entry is no exposure to a drug; None where it is one."""
    status = fhir.clean(use.status or "").lower()
    if status in ("entered-in-error", "cancelled", "draft", "not-done", "intended", "not-taken"):
        return "not-taken" if status == "intended" else status
    if isinstance(use, fhir.MedicationRequest) and use.do_not_perform:
        return "not-done"
    if isinstance(use, fhir.MedicationDispense) and status in ("declined", "preparation"):
        return "not-dispensed"
    if isinstance(use, fhir.MedicationStatement) and _is_not_taken(use):
        return "not-taken"
    if clock.any_future((_written_down(use), _start_text(use))):
        if begins_after_it_was_written(_start_text(use), _reported(use), clock):
            return None
        return None if any(is_reversed(period, clock) for period in _periods(use)) else "future"
    return None


def _periods(use: fhir.MedicationUse) -> Iterator[fhir.Span | None]:
    """Every period that bounds the course."""
    if isinstance(use, fhir.MedicationStatement | fhir.MedicationAdministration):
        yield use.effective_period
    if isinstance(use, fhir.MedicationAdministration):
        yield use.occurence_period
    for dosage in _dosages(use):
        if dosage.timing and dosage.timing.repeat:
            yield dosage.timing.repeat.bounds_period


_A_SUPPLY = 90  # days; few are longer
_A_REFILL = 30  # days after the end of a supply, on which the next one may still come


def _end_of_supply(use: fhir.MedicationDispense, start: Moment | None, clock: Clock) -> Moment | None:
    """When a supply that is taken as it should be is used up."""
    if start is None:
        return None
    length = _length(use.days_supply)
    if length:
        return clock.after(start, length)
    return clock.days(start.first_day, start.last_day + timedelta(_A_SUPPLY), start.text)


def _is_supplied(end: Moment | None, clock: Clock) -> bool | None:
    """Whether what was dispensed is being taken: as long as it lasts; unknown while a refill may still come."""
    if end is None:
        return None
    if not clock.is_over(end):
        return True if end.is_one_day else None
    return False if clock.today > end.last_day + timedelta(_A_REFILL) else None


def _goes_on_by_status(use: fhir.MedicationUse) -> bool:
    """Whether its status and its own period speak of the same thing: an order stays active until somebody closes it."""
    status = fhir.clean(use.status or "").lower()
    if isinstance(use, fhir.MedicationStatement):
        return status == "active" and bool(use.effective_period and use.effective_period.end)
    if isinstance(use, fhir.MedicationAdministration):
        span = use.effective_period or use.occurence_period
        return status == "in-progress" and bool(span and span.end)
    return False


def _is_not_taken(use: fhir.MedicationStatement) -> bool:
    adherence = fhir.codes_of(use.adherence.code) if use.adherence else ()
    return fhir.clean(use.taken or "").lower() == "n" or "not-taking" in adherence


def _written_down(use: fhir.MedicationUse) -> str | None:
    if isinstance(use, fhir.MedicationRequest):
        return use.authored_on
    return use.date_asserted if isinstance(use, fhir.MedicationStatement) else None


def _reported(use: fhir.MedicationUse) -> str | None:
    """When a statement was made of what is or was taken. An order is written before what it orders begins."""
    return use.date_asserted if isinstance(use, fhir.MedicationStatement) else None


def _dosages(use: fhir.MedicationUse) -> tuple[fhir.Dosage, ...]:
    if isinstance(use, fhir.MedicationRequest | fhir.MedicationDispense):
        return use.dosage_instruction
    if isinstance(use, fhir.MedicationStatement):
        return use.dosage
    if isinstance(use, fhir.MedicationAdministration):
        return (use.dosage,) if use.dosage else ()
    return ()


def _start_text(use: fhir.MedicationUse) -> str | None:
    """From when the drug is given, as far as the entry says more than when it was written."""
    if isinstance(use, fhir.MedicationRequest):
        return courses.first_text(use.dosage_instruction)
    if isinstance(use, fhir.MedicationStatement):
        return use.effective_date_time or (use.effective_period.start if use.effective_period else None)
    if isinstance(use, fhir.MedicationAdministration):
        span = use.effective_period or use.occurence_period
        return use.effective_date_time or use.occurence_date_time or (span.start if span else None)
    if isinstance(use, fhir.MedicationDispense):
        return use.when_handed_over or use.when_prepared
    return None


def _start(use: fhir.MedicationUse, clock: Clock) -> Moment | None:
    written = use.authored_on if isinstance(use, fhir.MedicationRequest) else None
    return clock.first(_start_text(use), written)


def _course(use: fhir.MedicationUse, start: Moment | None, clock: Clock) -> courses.Course:
    """What the instructions say, unless the entry has dates of its own."""
    course = courses.course_of(_dosages(use), start, clock)
    if isinstance(use, fhir.MedicationRequest):
        validity = use.dispense_request.validity_period if use.dispense_request else None
        is_over = fhir.clean(use.status or "").lower() in _ENDED
        if course.end is None and validity and validity.end and is_over:
            return replace(course, end=clock.moment(validity.end))
        return course
    if isinstance(use, fhir.MedicationDispense):
        return replace(course, end=_end_of_supply(use, start, clock))
    end = course.end
    if isinstance(use, fhir.MedicationStatement) and use.effective_period and use.effective_period.end:
        end = clock.moment(use.effective_period.end)
    if isinstance(use, fhir.MedicationAdministration):
        span = use.effective_period or use.occurence_period
        end = clock.moment(span.end) if span and span.end else start
    return replace(course, end=end)


def course_of(use: fhir.MedicationUse, clock: Clock) -> tuple[Moment | None, Moment | None]:
    """Since when and until when the drug is given, as far as the entry says."""
    start = _start(use, clock)
    return start, _course(use, start, clock).end


def dosages_of(use: fhir.MedicationUse) -> tuple[fhir.Dosage, ...]:
    return _dosages(use)


def _length(duration: fhir.Quantity | None) -> Period | None:
    if duration is None or duration.value is None:
        return None
    days = convert(duration.value, fhir.clean(duration.code or duration.unit or ""), "d")
    return Period(int(days), "d") if days is not None and 0 < days < 36500 else None


_ENDED = frozenset({"stopped", "completed", "ended"})


def _is_ongoing(use: fhir.MedicationUse, course: courses.Course, clock: Clock) -> bool | None:
    """Whether the drug is being given at that moment; a date that the entry gives says more than its status."""
    end = course.end
    status = fhir.clean(use.status or "").lower()
    if isinstance(use, fhir.MedicationDispense):
        return _is_supplied(end, clock)
    if status == "on-hold":
        return False
    if end is not None and not isinstance(use, fhir.MedicationAdministration):
        if clock.is_over(end):
            return False
        if clock.is_to_come(end) and status in (*_ENDED, "recorded", "active"):
            return True
        if status == "recorded" and end.is_one_day:
            return True  # on its last day too
    if status in _ENDED:
        return False
    if status not in ("active", "in-progress"):
        return None
    if course.ends and (end is None or not end.is_one_day) and isinstance(use, fhir.MedicationRequest):
        return None  # it ends some day, and that day may have come
    return None if isinstance(use, fhir.MedicationRequest) and _has_run_out(use, clock) else True


_A_STAY = Period(30, "d")  # few stays in hospital and few short courses are longer


def _has_run_out(use: fhir.MedicationRequest, clock: Clock) -> bool:
    """Whether an order of a stay in hospital, or of a short course, is so old that "active" only says: never closed."""
    kinds = {code for category in use.category for code in fhir.codes_of(category)}
    is_short = "acute" in fhir.codes_of(use.course_of_therapy_type)
    start = _start(use, clock)
    if start is None or not (is_short or "inpatient" in kinds):
        return False
    supply = _length(use.dispense_request.expected_supply_duration) if is_short and use.dispense_request else None
    repeats = use.dispense_request.number_of_repeats_allowed if use.dispense_request else None
    return not repeats and clock.today > (supply or _A_STAY).after(start.last_day)


def _ended_because(use: fhir.MedicationUse) -> Literal["ineffective", "intolerance", "other"] | None:
    """By the reason's code or words; only what is plain counts."""
    if not use.status_reason:
        return None
    words = " ".join(
        fhir.clean(text).lower()
        for reason in use.status_reason
        for text in (reason.text, *(part for c in reason.coding for part in (c.code, c.display)))
        if text
    )
    if re.search(
        r"\b(ineffective|not effective|lack of (efficacy|effect|response)|no response|treatment failure)\b", words
    ):
        return "ineffective"
    if re.search(r"\b(intoleran\w+|not tolerated|adverse|side effects?|allerg\w+|toxicity|salg|sintol)\b", words):
        return "intolerance"
    return "other"


def is_put_where_it_acts(use: fhir.MedicationUse, drug: Drug) -> bool:
    """A cream, an inhaler, an injection into a joint: no systemic exposure."""
    return is_local(_dosages(use), drug.words)


def episode_of(
    source: str,
    use: fhir.MedicationUse,
    drug: Drug,
    certainty: Certainty,
    doses: Doses,
    known: Mapping[str, Concept],
    clock: Clock,
    concept: str,
    member: str,
) -> Episode:
    """The Episode under `concept`, found by the most specific concept `member`. An administration is one event."""
    start = _start(use, clock)
    course = _course(use, start, clock)
    end = course.end
    ongoing = _is_ongoing(use, course, clock)
    once = isinstance(use, fhir.MedicationAdministration) and _is_one_day(start, end)

    def dose_of(dosages: tuple[fhir.Dosage, ...]) -> Dose | None:
        return (doses.given_on_a_day if once else doses.of)(dosages, drug.words, drug.ingredients)

    steps = tuple(DoseStep(step.first, step.last, dose_of(step.dosages)) for step in course.steps)
    dose = range_of(steps, None if ongoing is False else clock.today) if steps else dose_of(_dosages(use))
    episode = Episode(
        concept=concept,
        source=source,
        kind="drug",
        label=drug.words,
        start=start,
        end=end,
        ongoing=ongoing,
        certainty=certainty,
        member=member,
        dose=dose,
        recorded=clock.moment(_written_down(use)),
        ended_because=_ended_because(use) if ongoing is False else None,
        resource_type=type(use).__name__,
        steps=steps,
        regimen=hash((_dosages(use), dose)),
        replaces=_replaced(use),
        instance_of=_based_on(use) if _is_instance(use) else (),
        forms=forms_of(drug.concepts, drug.words, known.get(member)),
    )
    return with_contradictions(
        episode,
        clock,
        _periods(use),
        goes_on_by_status=_goes_on_by_status(use),
        begin=_start_text(use),
        written=_reported(use),
    )


def _is_instance(use: fhir.MedicationUse) -> bool:
    if not isinstance(use, fhir.MedicationRequest) or not use.based_on:
        return False
    return fhir.clean(use.intent or "").lower() == "instance-order"


def _based_on(use: fhir.MedicationUse) -> tuple[str, ...]:
    based_on = use.based_on if isinstance(use, fhir.MedicationRequest) else ()
    return tuple(id_in(fhir.clean(each.reference)) for each in based_on if each.reference)


def _replaced(use: fhir.MedicationUse) -> tuple[str, ...]:
    """The orders that this one takes the place of: its prior prescription, and the plan that it carries out."""
    if not isinstance(use, fhir.MedicationRequest):
        return ()
    if not (use.prior_prescription or use.based_on):
        return ()
    prior = use.prior_prescription.reference if use.prior_prescription else None
    return (*((id_in(fhir.clean(prior)),) if prior else ()), *(() if _is_instance(use) else _based_on(use)))


def _is_one_day(start: Moment | None, end: Moment | None) -> bool:
    return start is not None and end is not None and start.is_one_day and start.first_day == end.last_day

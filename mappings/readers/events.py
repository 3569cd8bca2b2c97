"""Procedures, vaccinations, trial participations and allergies as `Episode`s: what happened, and what did not."""

from __future__ import annotations

from mappings.chart import fhir
from mappings.facts import Certainty, Episode
from mappings.readers.contradictions import begins_after_it_was_written, is_reversed, with_contradictions
from mappings.time.clock import Clock
from mappings.time.times import Moment

# Done again and again: one that is completed does not say that they are over.
REPEATED = frozenset({"dialysis", "oxygen-therapy", "mechanical-ventilation"})


def _status(text: str | None) -> str:
    return fhir.clean(text or "").lower()


# Procedure

_BEGUN = frozenset({"completed", "in-progress", "stopped", "on-hold", "aborted", "suspended"})  # the last two of STU3


def _performed(procedure: fhir.Procedure, clock: Clock) -> tuple[Moment | None, Moment | None]:
    at = clock.first(procedure.performed_date_time, procedure.occurrence_date_time)
    span = procedure.performed_period or procedure.occurrence_period
    if at or span is None:
        return at, at
    return clock.moment(span.start), clock.moment(span.end)


def procedure_exclusion(procedure: fhir.Procedure, clock: Clock) -> str | None:
    """Why the procedure did not happen; one that was stopped did, and one of unknown status may have."""
    status = _status(procedure.status)
    if status in ("entered-in-error", "not-done", "preparation"):
        return status
    span = procedure.performed_period or procedure.occurrence_period
    texts = (procedure.performed_date_time, procedure.occurrence_date_time, span.start if span else None)
    return "future" if clock.any_future(texts) and not is_reversed(span, clock) else None


def procedure_episode(source: str, procedure: fhir.Procedure, clock: Clock, concept: str, member: str) -> Episode:
    start, end = _performed(procedure, clock)
    ongoing: bool | None = _status(procedure.status) == "in-progress"
    if end and clock.is_to_come(end):
        ongoing = True
    elif not ongoing and member in REPEATED and not (end and start and end.first_day > start.last_day):
        ongoing = None
    span = procedure.performed_period or procedure.occurrence_period
    episode = Episode(
        concept=concept,
        source=source,
        kind="procedure",
        label=fhir.words_of(procedure.code),
        start=start,
        end=end,
        ongoing=ongoing,
        certainty=Certainty.CONFIRMED if _status(procedure.status) in _BEGUN else Certainty.PROVISIONAL,
        member=member,
    )
    is_under_way = _status(procedure.status) == "in-progress" and bool(span and span.end)
    return with_contradictions(episode, clock, (span,), goes_on_by_status=is_under_way)


# Immunization


def immunization_exclusion(immunization: fhir.Immunization, clock: Clock) -> str | None:
    """Why the vaccine was not given."""
    status = _status(immunization.status)
    if status == "entered-in-error":
        return status
    if status not in ("completed", "") or immunization.not_given:
        return "not-done"
    return "future" if clock.any_future((immunization.occurrence_date_time, immunization.date)) else None


def immunization_episode(
    source: str, immunization: fhir.Immunization, clock: Clock, concept: str, member: str
) -> Episode:
    given = clock.first(immunization.occurrence_date_time, immunization.date)
    return Episode(
        concept=concept,
        source=source,
        kind="immunization",
        label=fhir.words_of(immunization.vaccine_code),
        start=given,
        end=given,
        ongoing=False,
        certainty=Certainty.CONFIRMED if _status(immunization.status) else Certainty.PROVISIONAL,
        member=member,
    )


# ResearchSubject

PARTICIPATION = "trial-participation"
# Of R4; "enrolled", "suspended" and "completed" of STU3, "active" of both it and R5, "retired" of R5.
_TAKES_PART = frozenset(
    {"on-study", "on-study-intervention", "on-study-observation", "follow-up", "active", "enrolled", "suspended"}
)
_TOOK_PART = frozenset({"off-study", "withdrawn", "retired", "completed"})


def participation_exclusion(subject: fhir.ResearchSubject, clock: Clock) -> str | None:
    """Why the entry is no participation: screened, eligible or candidate is not in the trial."""
    status = _status(subject.status)
    if status not in _TAKES_PART | _TOOK_PART:
        return "entered-in-error" if status == "entered-in-error" else "not-participating"
    period = subject.period
    return "future" if period and clock.is_future(period.start) and not is_reversed(period, clock) else None


def participation_episode(
    source: str, subject: fhir.ResearchSubject, clock: Clock, concept: str, member: str
) -> Episode:
    start = clock.moment(subject.period.start) if subject.period else None
    end = clock.moment(subject.period.end) if subject.period else None
    ongoing = _status(subject.status) in _TAKES_PART
    if end:
        ongoing = not clock.is_over(end) and (ongoing or clock.is_to_come(end))
    episode = Episode(
        concept=concept,
        source=source,
        kind="participation",
        label="participation in a trial",
        start=start,
        end=end,
        ongoing=ongoing,
        member=member,
    )
    takes_part = _status(subject.status) in _TAKES_PART
    return with_contradictions(episode, clock, (subject.period,), goes_on_by_status=takes_part)


# AllergyIntolerance


def allergy_exclusion(allergy: fhir.AllergyIntolerance, clock: Clock) -> str | None:
    """Why there is no such allergy."""
    found = {*fhir.codes_of(allergy.verification_status), *fhir.codes_of(allergy.clinical_status)}
    for status in ("entered-in-error", "refuted"):
        if status in found:
            return status
    if begins_after_it_was_written(allergy.onset_date_time, allergy.recorded_date, clock):
        return None
    return "future" if clock.any_future((allergy.onset_date_time, allergy.recorded_date)) else None


def allergy_episode(source: str, allergy: fhir.AllergyIntolerance, clock: Clock, concept: str, member: str) -> Episode:
    """An allergy to the concept; it is no exposure, and never among the concept's episodes."""
    confirmed = "unconfirmed" not in fhir.codes_of(allergy.verification_status)
    episode = Episode(
        concept=concept,
        source=source,
        kind="allergy",
        label=fhir.words_of(allergy.code),
        start=clock.moment(allergy.onset_date_time),
        ongoing="resolved" not in fhir.codes_of(allergy.clinical_status),
        certainty=Certainty.CONFIRMED if confirmed else Certainty.PROVISIONAL,
        member=member,
        recorded=clock.moment(allergy.recorded_date),
    )
    return with_contradictions(episode, clock, begin=allergy.onset_date_time, written=allergy.recorded_date)

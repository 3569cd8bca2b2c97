"""The Patient resource as a `Person`: what it says for certain, and nothing by guess."""

from __future__ import annotations

from datetime import date

from mappings.chart import fhir
from mappings.facts import Person, Sex
from mappings.time.clock import Clock
from mappings.time.watched_day import asked_of

_BIRTH_SEX = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-birthsex"
_SEX = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-sex"
_SEX_CODES: dict[str, Sex] = {"f": "female", "m": "male", "248152002": "female", "248153007": "male"}
_OLDEST = 150  # a day of birth further back is a fault of the record


def person_of(patient: fhir.Patient, reference: str, clock: Clock) -> Person:
    """The patient as the chart has them at that moment; a death dated later has not happened yet."""
    return Person(
        reference=reference,
        born=_born(patient, clock),
        sex=_sex(patient),
        deceased=_is_deceased(patient, clock),
        active=patient.active is not False and not is_replaced(patient),
    )


def _born(patient: fhir.Patient, clock: Clock) -> tuple[date, date] | None:
    """The days on which the patient may have been born."""
    moment = clock.moment(patient.birth_date)
    if moment is None:
        return None
    first, today = moment.first_day, clock.today
    if first > today or asked_of(today, lambda day: first.year < day.year - _OLDEST):
        return None
    return first, min(moment.last_day, today)


def _sex(patient: fhir.Patient) -> Sex | None:
    """Administrative gender, unless a sex extension contradicts it."""
    gender = fhir.clean(patient.gender or "").lower()
    sex: Sex | None = "female" if gender == "female" else "male" if gender == "male" else None
    recorded = [
        _SEX_CODES.get(fhir.clean(extension.value_code).lower())
        for extension in patient.extension
        if extension.url in (_BIRTH_SEX, _SEX) and extension.value_code
    ]
    return None if any(other not in (sex, None) for other in recorded) else sex


def _is_deceased(patient: fhir.Patient, clock: Clock) -> bool:
    if patient.deceased_date_time:
        return not clock.is_future(patient.deceased_date_time)
    return patient.deceased_boolean is True


def is_replaced(patient: fhir.Patient) -> bool:
    """Whether the record was merged into another (R4, Patient.link of type `replaced-by`)."""
    return any(fhir.clean(link.type or "").lower() == "replaced-by" for link in patient.link)

"""FHIR resources as EHRs send them, and the facts that are read from them; synthetic throughout."""

from __future__ import annotations

import json
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from pathlib import Path
from typing import Any

from mappings.chart.chart import Chart, ChartBuilder
from mappings.concepts.catalogue import Catalogue, load_catalogue
from mappings.facts import Episode, Result, SourceReport
from mappings.patient_facts import PatientFacts, facts_of

AS_OF = datetime(2026, 11, 1, tzinfo=UTC)
UCUM = "http://unitsofmeasure.org"
LOINC, SNOMED, RXNORM = "http://loinc.org", "http://snomed.info/sct", "http://www.nlm.nih.gov/research/umls/rxnorm"
ICD10 = "http://hl7.org/fhir/sid/icd-10-cm"
V3_INTERPRETATION = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"
SUBJECT = {"reference": "Patient/p1"}
Json = dict[str, Any]


@lru_cache(maxsize=1)
def small_catalogue() -> Catalogue:
    return load_catalogue([Path(__file__).with_name("small_concepts")])


def code(system: str, value: str, display: str | None = None) -> Json:
    return {"coding": [{"system": system, "code": value} | ({"display": display} if display else {})]}


def quantity(value: object, unit: str | None = None, **more: object) -> Json:
    return {"value": value} | ({"unit": unit, "code": unit, "system": UCUM} if unit else {}) | more


def a_patient(**more: object) -> Json:
    return {"resourceType": "Patient", "id": "p1", "gender": "female", "birthDate": "1980-06-15"} | more


def an_observation(loinc: str = "777-3", value: Json | None = None, **more: object) -> Json:
    """A final result of 20 October 2026; platelets of 180 unless told otherwise. A value of None removes the key."""
    resource: Json = {
        "resourceType": "Observation",
        "id": "o1",
        "status": "final",
        "code": code(LOINC, loinc),
        "subject": SUBJECT,
        "effectiveDateTime": "2026-10-20",
    }
    resource |= value if value is not None else {"valueQuantity": quantity(180, "10*9/L")}
    return {key: item for key, item in (resource | more).items() if item is not None}


def a_condition(icd: str = "M32.9", **more: object) -> Json:
    base = "http://terminology.hl7.org/CodeSystem/condition"
    resource: Json = {
        "resourceType": "Condition",
        "id": "c1",
        "subject": SUBJECT,
        "code": code(ICD10, icd),
        "clinicalStatus": code(f"{base}-clinical", "active"),
        "verificationStatus": code(f"{base}-ver-status", "confirmed"),
    }
    return {key: item for key, item in (resource | more).items() if item is not None}


def an_administration(**more: object) -> Json:
    """Rituximab, given on 4 May 2026."""
    return {
        "resourceType": "MedicationAdministration",
        "id": "a1",
        "status": "completed",
        "subject": SUBJECT,
        "medicationCodeableConcept": code(RXNORM, "121191"),
        "effectiveDateTime": "2026-05-04T10:00:00Z",
    } | more


def a_dispense(rxnorm: str = "8640", **more: object) -> Json:
    """Prednisone for 30 days, handed over on 10 October 2026."""
    resource: Json = {
        "resourceType": "MedicationDispense",
        "id": "d1",
        "status": "completed",
        "subject": SUBJECT,
        "medicationCodeableConcept": code(RXNORM, rxnorm),
        "whenHandedOver": "2026-10-10T09:00:00Z",
        "daysSupply": quantity(30, "d"),
    }
    return {key: item for key, item in (resource | more).items() if item is not None}


def a_request(rxnorm: str = "8640", **more: object) -> Json:
    """An active order for prednisone, written on 1 September 2026."""
    resource: Json = {
        "resourceType": "MedicationRequest",
        "id": "m1",
        "status": "active",
        "intent": "order",
        "subject": SUBJECT,
        "authoredOn": "2026-09-01",
        "medicationCodeableConcept": code(RXNORM, rxnorm),
    }
    return {key: item for key, item in (resource | more).items() if item is not None}


def a_dosage(mg: object, frequency: int = 1, **more: object) -> Json:
    daily = {"repeat": {"frequency": frequency, "period": 1, "periodUnit": "d"}}
    return {"timing": daily, "doseAndRate": [{"doseQuantity": quantity(mg, "mg")}]} | more


def a_bundle(*resources: Json, **more: object) -> Json:
    return {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": r} for r in resources]} | more


def a_chart(*resources: Json) -> Chart:
    """The whole chart of a patient; a Patient is added where none is given."""
    if not any(resource["resourceType"] == "Patient" for resource in resources):
        resources = (a_patient(), *resources)
    builder = ChartBuilder(None)
    builder.add(json.dumps(a_bundle(*resources)).encode(), None)
    builder.whole_chart()
    return builder.build()


def facts_from(*resources: Json, as_of: datetime = AS_OF, zone: tzinfo = UTC) -> PatientFacts:
    return facts_of(a_chart(*resources), small_catalogue(), as_of, zone)


def result_from(concept: str, *resources: Json) -> Result:
    """The newest result of the concept."""
    return facts_from(*resources).results(concept)[0]


def episode_from(concept: str, *resources: Json) -> Episode:
    (episode,) = facts_from(*resources).episodes(concept)
    return episode


def source_of(facts: PatientFacts, resource_type: str) -> SourceReport:
    return next(source for source in facts.sources if source.resource_type == resource_type)

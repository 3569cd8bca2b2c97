"""The examples of the API documentation: one invented patient, in the two shapes in which a chart can be sent.

Each is complete and runs as it stands. The patient has lupus and a few results, so that a card comes back.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from cds_hooks.protocol import override_reasons

PATIENT = "example-patient"
TRIAL = "NCT06711146"
AS_OF = "2026-11-01"

Resource = dict[str, Any]


def _coded(system: str, code: str, text: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}], "text": text}


def _result(number: int, loinc: str, text: str, value: float, unit: str, ucum: str) -> Resource:
    return {
        "resourceType": "Observation",
        "id": f"result-{number}",
        "status": "final",
        "code": _coded("http://loinc.org", loinc, text),
        "subject": {"reference": f"Patient/{PATIENT}"},
        "effectiveDateTime": "2026-10-20",
        "valueQuantity": {"value": value, "unit": unit, "system": "http://unitsofmeasure.org", "code": ucum},
    }


_PATIENT: Resource = {"resourceType": "Patient", "id": PATIENT, "gender": "female", "birthDate": "1989-04-12"}
_CONDITIONS: list[Resource] = [
    {
        "resourceType": "Condition",
        "id": "diagnosis-1",
        "clinicalStatus": _coded("http://terminology.hl7.org/CodeSystem/condition-clinical", "active", "active"),
        "verificationStatus": _coded(
            "http://terminology.hl7.org/CodeSystem/condition-ver-status", "confirmed", "confirmed"
        ),
        "code": _coded("http://snomed.info/sct", "55464009", "Systemic lupus erythematosus"),
        "subject": {"reference": f"Patient/{PATIENT}"},
        "onsetDateTime": "2019-06-03",
    }
]
_RESULTS: list[Resource] = [
    _result(1, "777-3", "Platelets", 180, "K/uL", "10*3/uL"),
    _result(2, "718-7", "Hemoglobin", 11.2, "g/dL", "g/dL"),
    _result(3, "2160-0", "Creatinine", 0.8, "mg/dL", "mg/dL"),
    _result(4, "29463-7", "Body weight", 64, "kg", "kg"),
]


def _drug(name: str, rxnorm: str, milligrams: int) -> Resource:
    return {
        "resourceType": "MedicationRequest",
        "id": f"drug-{rxnorm}",
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": _coded("http://www.nlm.nih.gov/research/umls/rxnorm", rxnorm, name),
        "subject": {"reference": f"Patient/{PATIENT}"},
        "authoredOn": "2026-03-02",
        "dosageInstruction": [
            {
                "timing": {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}},
                "doseAndRate": [
                    {"doseQuantity": {"value": milligrams, "system": "http://unitsofmeasure.org", "code": "mg"}}
                ],
            }
        ],
    }


_DRUGS: list[Resource] = [_drug("prednisone", "8640", 10), _drug("mycophenolate mofetil", "68149", 2000)]


def _bundle(kind: str, resources: Iterable[Resource]) -> Resource:
    return {"resourceType": "Bundle", "type": kind, "entry": [{"resource": resource} for resource in resources]}


WHOLE_CHART: Resource = _bundle("collection", [_PATIENT, *_CONDITIONS, *_RESULTS, *_DRUGS])


_DRAFT: Resource = _drug("prednisone", "8640", 40) | {"id": "draft-1", "status": "draft"}


def context_of(hook: str) -> dict[str, Any]:
    """What the context of a hook must hold besides user and patient."""
    orders = {"draftOrders": _bundle("collection", [_DRAFT])}
    contexts: dict[str, dict[str, Any]] = {
        "encounter-start": {"encounterId": "example-encounter"},
        "order-select": {"selections": ["MedicationRequest/draft-1"], **orders},
        "order-sign": orders,
    }
    return contexts.get(hook, {})


def hook_call(hook: str, **more: Any) -> dict[str, Any]:
    """A call of a service with everything prefetched."""
    return {
        "hook": hook,
        "hookInstance": "1f0c2a34-5f5e-4b6f-9d3a-2b8f6c1d7e90",
        "context": {"userId": "Practitioner/example", "patientId": PATIENT, **more},
        "prefetch": {
            "patient": _PATIENT,
            "conditions": _bundle("searchset", _CONDITIONS),
            "observations": _bundle("searchset", _RESULTS),
            "medicationRequests": _bundle("searchset", _DRUGS),
            "medicationStatements": None,
            "medicationAdministrations": None,
            "medicationDispenses": None,
            "procedures": None,
            "immunizations": None,
            "researchSubjects": None,
            "consents": None,
            "flags": None,
        },
    }


FEEDBACK: dict[str, Any] = {
    "feedback": [
        {
            "card": "9a8c6f2e-7a52-4c9b-8f0e-5d1c3b2a4e6f",
            "outcome": "overridden",
            "overrideReason": {
                "reason": {
                    "code": "ask-later",
                    "system": override_reasons.SYSTEM,
                }
            },
            "outcomeTimestamp": "2026-11-01T09:30:00Z",
        }
    ]
}


def _count(count: int, reason: str | None, **week: str) -> dict[str, Any]:
    outcome = "overridden" if reason else "accepted"
    return week | {"trial": TRIAL, "outcome": outcome, "reason": reason, "count": count}


FEEDBACK_SUMMARY: dict[str, Any] = {
    "feedback": [_count(3, None), _count(3, "ask-later")],
    "byWeek": [
        _count(1, None, week="2026-W44"),
        _count(3, "ask-later", week="2026-W44"),
        _count(2, None, week="2026-W45"),
    ],
}

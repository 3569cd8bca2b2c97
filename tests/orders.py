"""Draft orders as an EHR sends them, in few words."""

from __future__ import annotations

import json
from typing import Any

from mappings.concepts.catalogue import OUR_SYSTEM
from tests.builders import PATIENT

Json = dict[str, Any]
UCUM = "http://unitsofmeasure.org"


def coded(concept: str, text: str | None = None, system: str = OUR_SYSTEM) -> Json:
    return {"coding": [{"system": system, "code": concept}]} | ({"text": text} if text else {})


def a_drug_order(concept: str, *dosages: Json, **more: Any) -> Json:
    """A draft MedicationRequest; a member given as None is left out."""
    order: Json = {
        "resourceType": "MedicationRequest",
        "id": f"draft-{concept}",
        "status": "draft",
        "intent": "order",
        "subject": {"reference": f"Patient/{PATIENT}"},
        "medicationCodeableConcept": coded(concept),
        "dosageInstruction": list(dosages),
    }
    return {name: value for name, value in (order | more).items() if value is not None}


def a_service_order(concept: str, **more: Any) -> Json:
    order: Json = {
        "resourceType": "ServiceRequest",
        "id": f"draft-{concept}",
        "status": "draft",
        "intent": "order",
        "subject": {"reference": f"Patient/{PATIENT}"},
        "code": coded(concept),
    }
    return order | more


def a_vaccine_due(concept: str, status: str = "due") -> Json:
    recommendation = {"vaccineCode": [coded(concept)], "forecastStatus": {"coding": [{"code": status}]}}
    return {
        "resourceType": "ImmunizationRecommendation",
        "id": "vaccines",
        "patient": {"reference": f"Patient/{PATIENT}"},
        "date": "2026-11-01",
        "recommendation": [recommendation],
    }


def daily(milligrams: int, **repeat: Any) -> Json:
    """So much a day; `repeat` adds members of Timing.repeat ("count", "boundsDuration")."""
    return {
        "timing": {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"} | repeat},
        "doseAndRate": [{"doseQuantity": {"value": milligrams, "unit": "mg", "system": UCUM, "code": "mg"}}],
    }


def for_days(count: int) -> Json:
    return {"boundsDuration": {"value": count, "unit": "d", "system": UCUM, "code": "d"}}


def bundle(*orders: Json) -> Json:
    return {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": order} for order in orders]}


def body(*orders: Json) -> bytes:
    return json.dumps(bundle(*orders)).encode()

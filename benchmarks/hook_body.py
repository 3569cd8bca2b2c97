"""A hook call with everything prefetched: an invented patient with lupus, whose chart is as long as one asks for."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from typing import Any

import msgspec

from benchmarks.synthetic_export import COMMON, MEDICINES, TESTS
from cds_hooks.protocol.services import CHART

Json = dict[str, Any]
PATIENT = "bench-1"
SUBJECT = {"reference": f"Patient/{PATIENT}", "display": "Synthetic, Number 1"}
CONDITIONS, MEDICATIONS = 30, 60
_VERIFIED = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
_ACTIVE = "http://terminology.hl7.org/CodeSystem/condition-clinical"
_CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
_PROFILE = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-observation-lab"
_INTERPRETATION = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"


LUPUS = (("M32.9", "Systemic lupus erythematosus"),)


def hook_body(observations: int, today: date, seed: int = 1, indicated: Sequence[tuple[str, str]] = LUPUS) -> bytes:
    """The body of a patient-view call; about 1.6 kB for each Observation, as an EHR's laboratory sends it.

    `indicated` are the diagnoses (ICD-10-CM code, title) of which each opens a cohort of some trial.
    """
    rng = random.Random(seed)
    given: dict[str, list[Json]] = {
        "Condition": [_condition(number, today, rng, indicated) for number in range(CONDITIONS)],
        "Observation": [_observation(number, today, rng) for number in range(observations)],
        "MedicationRequest": [_drug(number, today, rng) for number in range(MEDICATIONS)],
    }
    patient = {"resourceType": "Patient", "id": PATIENT, "active": True, "gender": "female", "birthDate": "1986-04-12"}
    prefetch = {part.key: _bundle(part.resource_type, given.get(part.resource_type, ())) for part in CHART}
    call = {
        "hook": "patient-view",
        "hookInstance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
        "context": {"userId": "Practitioner/bench", "patientId": PATIENT},
        "prefetch": prefetch | {"patient": patient},
    }
    return msgspec.json.encode(call)


def _bundle(name: str, resources: Iterable[Json]) -> Json:
    entries = [{"fullUrl": f"https://ehr.example.org/fhir/{name}/{r['id']}", "resource": r} for r in resources]
    return {"resourceType": "Bundle", "type": "searchset", "total": len(entries), "entry": entries}


def _day(today: date, rng: random.Random, longest: int = 1500) -> str:
    return (today - timedelta(days=1 + int(longest * rng.random() ** 2))).isoformat()


def _coded(system: str, code: str, display: str, **more: Any) -> Json:
    return {"coding": [{"system": system, "code": code, "display": display}]} | more


def _condition(number: int, today: date, rng: random.Random, indicated: Sequence[tuple[str, str]]) -> Json:
    place = number - CONDITIONS // 2
    code, name = indicated[place] if 0 <= place < len(indicated) else rng.choice(COMMON)
    return {
        "resourceType": "Condition",
        "id": f"c{number}",
        "clinicalStatus": _coded(_ACTIVE, "active", "Active"),
        "verificationStatus": _coded(_VERIFIED, "confirmed", "Confirmed"),
        "code": _coded("http://hl7.org/fhir/sid/icd-10-cm", code, name, text=name),
        "subject": SUBJECT,
        "onsetDateTime": _day(today, rng, 4000),
    }


def _drug(number: int, today: date, rng: random.Random) -> Json:
    code, name = rng.choice(MEDICINES)
    daily = {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}}
    return {
        "resourceType": "MedicationRequest",
        "id": f"m{number}",
        "status": rng.choice(("active", "completed")),
        "intent": "order",
        "medicationCodeableConcept": _coded("http://www.nlm.nih.gov/research/umls/rxnorm", code, name, text=name),
        "subject": SUBJECT,
        "authoredOn": _day(today, rng),
        "dosageInstruction": [{"text": "1 tablet daily", "timing": daily}],
    }


def _observation(number: int, today: date, rng: random.Random) -> Json:
    code, name, unit, low, high, decimals = TESTS[number % len(TESTS)]
    taken = f"{_day(today, rng)}T08:00:00Z"
    quantity = {"unit": unit, "system": "http://unitsofmeasure.org", "code": unit}
    local = {"system": "urn:oid:1.2.3.4.5.6.7.8.9.10.11", "code": str(10000 + number % len(TESTS)), "display": name}
    coded = _coded("http://loinc.org", code, name, text=name)
    coded["coding"].append(local)
    return {
        "resourceType": "Observation",
        "id": f"o{number}",
        "meta": {"versionId": "1", "lastUpdated": taken, "profile": [_PROFILE]},
        "identifier": [
            {"use": "official", "system": "https://ehr.example.org/observation-ids", "value": f"{number:012}"}
        ],
        "basedOn": [{"reference": f"ServiceRequest/s{number}", "display": name}],
        "status": "final",
        "category": [_coded(_CATEGORY, "laboratory", "Laboratory", text="Laboratory")],
        "code": coded,
        "subject": SUBJECT,
        "encounter": {"reference": f"Encounter/e{number}", "display": "Outpatient visit"},
        "effectiveDateTime": taken,
        "issued": taken,
        "performer": [{"reference": "Organization/lab", "display": "Laboratory"}],
        "valueQuantity": {"value": round(rng.uniform(low, high), decimals)} | quantity,
        "interpretation": [_coded(_INTERPRETATION, "N", "Normal", text="Normal")],
        "referenceRange": [
            {"low": {"value": low} | quantity, "high": {"value": high} | quantity, "text": f"{low}-{high} {unit}"}
        ],
    }

"""Charts in a clinician's shorthand, built into the FHIR that an EHR would send.

`a_chart()` for tests in Python, `bundle_of()` for the case files under `tests/trial_cases`. Codes are those of the
project's own code system, so that a case reads by concept; the readers' own tests use the codes that EHRs send.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from mappings.concepts.catalogue import OUR_SYSTEM, Catalogue

PATIENT = "p1"
_QUANTITY = re.compile(r"^(<=|>=|<|>)?\s*(-?\d+(?:\.\d+)?)\s+(\S+)$")
_SPOKEN = {"positive": "10828004", "negative": "260385009", "indeterminate": "82334004"}
Json = dict[str, Any]


def bundle_of(spec: Mapping[str, Any], as_of: date, catalogue: Catalogue) -> Json:
    """A collection Bundle of one patient from the shorthand of a case file."""
    resources: list[Json] = [_patient(spec.get("patient", {}))]
    for concept, found in spec.get("results", {}).items():
        many = found if isinstance(found, list) else [found]
        resources += [_observation(concept, i, one, as_of) for i, one in enumerate(many)]
    for concept, older in spec.get("earlier", {}).items():
        one = {"value": older} if isinstance(older, str) else older
        taken = {"taken": (as_of - timedelta(days=20)).isoformat()}
        resources.append(_observation(concept, 90, taken | one, as_of))
    for concept, found in spec.get("conditions", {}).items():
        many = found if isinstance(found, list) else [found]
        resources += [_condition(concept, i, one or {}, as_of) for i, one in enumerate(many)]
    for concept, found in spec.get("treatments", {}).items():
        many = found if isinstance(found, list) else [found]
        resources += [_treatment(concept, i, one or {}, as_of, catalogue) for i, one in enumerate(many)]
    resources += spec.get("resources", [])
    return {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": r} for r in resources]}


def body_of(spec: Mapping[str, Any], as_of: date, catalogue: Catalogue) -> bytes:
    return json.dumps(bundle_of(spec, as_of, catalogue)).encode()


def _patient(spec: Mapping[str, Any]) -> Json:
    resource: Json = {"resourceType": "Patient", "id": PATIENT}
    if "sex" in spec:
        resource["gender"] = spec["sex"]
    if "born" in spec:
        resource["birthDate"] = spec["born"]
    if "died" in spec:
        resource["deceasedDateTime"] = spec["died"]
    return resource


def _code(concept: str) -> Json:
    return {"coding": [{"system": OUR_SYSTEM, "code": concept}]}


def _subject() -> Json:
    return {"reference": f"Patient/{PATIENT}"}


def _observation(concept: str, index: int, found: str | Mapping[str, Any], as_of: date) -> Json:
    spec: Mapping[str, Any] = {"value": found} if isinstance(found, str) else found
    resource: Json = {
        "resourceType": "Observation",
        "id": f"{concept}-{index}",
        "status": spec.get("status", "final"),
        "code": _code(concept),
        "subject": _subject(),
        "effectiveDateTime": spec.get("taken", (as_of - timedelta(days=10)).isoformat()),
    }
    if resource["effectiveDateTime"] == "none":
        del resource["effectiveDateTime"]
    value = str(spec["value"])
    if match := _QUANTITY.match(value):
        quantity = {"value": float(match[2]), "unit": match[3], "system": "http://unitsofmeasure.org", "code": match[3]}
        resource["valueQuantity"] = quantity | ({"comparator": match[1]} if match[1] else {})
    elif value in _SPOKEN:
        coding = [{"system": "http://snomed.info/sct", "code": _SPOKEN[value], "display": value}]
        resource["valueCodeableConcept"] = {"coding": coding, "text": value}
    else:
        resource["valueString"] = value
    if "range" in spec:
        low, high = str(spec["range"]).split("..")
        unit = spec.get("range_unit", match[3] if match else None)
        bounds = {"low": low, "high": high}
        resource["referenceRange"] = [
            {side: {"value": float(text)} | ({"unit": unit} if unit else {}) for side, text in bounds.items() if text}
        ]
    if "interpretation" in spec:
        system = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"
        resource["interpretation"] = [{"coding": [{"system": system, "code": spec["interpretation"]}]}]
    return resource


def _condition(concept: str, index: int, spec: Mapping[str, Any], as_of: date) -> Json:
    status, verification = spec.get("status", "active"), spec.get("verification", "confirmed")
    base = "http://terminology.hl7.org/CodeSystem/condition"
    resource: Json = {
        "resourceType": "Condition",
        "id": f"{concept}-{index}",
        "subject": _subject(),
        "code": _code(concept),
        "clinicalStatus": {"coding": [{"system": f"{base}-clinical", "code": status}]},
        "verificationStatus": {"coding": [{"system": f"{base}-ver-status", "code": verification}]},
        "onsetDateTime": spec.get("onset", (as_of - timedelta(days=5 * 365)).isoformat()),
    }
    if resource["onsetDateTime"] == "none":
        del resource["onsetDateTime"]
    if "abated" in spec:
        resource["abatementDateTime"] = spec["abated"]
    if "recorded" in spec:
        resource["recordedDate"] = spec["recorded"]
    return resource


def _treatment(concept: str, index: int, spec: Mapping[str, Any], as_of: date, catalogue: Catalogue) -> Json:
    where = catalogue.where(concept)
    since = spec.get("since", (as_of - timedelta(days=365)).isoformat())
    until = spec.get("until")
    period = {key: day for key, day in (("start", since), ("end", until)) if day and day != "none"}
    base: Json = {"id": f"{concept}-{index}"}
    if "ResearchSubject" in where:
        study = {"reference": "ResearchStudy/s1"}
        status = spec.get("status", "off-study" if until else "on-study")
        return base | {"resourceType": "ResearchSubject", "status": status, "individual": _subject(), "study": study,
                       "period": period}  # fmt: skip
    if "Immunization" in where:
        return base | {"resourceType": "Immunization", "status": "completed", "vaccineCode": _code(concept),
                       "patient": _subject(), "occurrenceDateTime": since}  # fmt: skip
    if "Procedure" in where and "MedicationStatement" not in where[:1] and "MedicationRequest" not in where[:1]:
        return base | {"resourceType": "Procedure", "status": spec.get("status", "completed"), "code": _code(concept),
                       "subject": _subject(), "performedPeriod": period}  # fmt: skip
    resource: Json = base | {
        "resourceType": "MedicationStatement",
        "status": spec.get("status", "completed" if until else "active"),
        "medicationCodeableConcept": _code(concept) | ({"text": spec["words"]} if "words" in spec else {}),
        "subject": _subject(),
        "effectivePeriod": period,
    }
    if "dose" in spec:
        given, _, often = str(spec["dose"]).partition("/")
        amount, unit = given.split()
        daily = {"repeat": {"frequency": 1, "period": 1, "periodUnit": often or "d"}}
        dose = {"value": float(amount), "unit": unit, "system": "http://unitsofmeasure.org", "code": unit}
        resource["dosage"] = [{"timing": daily, "doseAndRate": [{"doseQuantity": dose}]}]
    return resource

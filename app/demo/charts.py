"""The demo patients as FHIR R4 resources, dated relative to today."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from mappings.concepts.catalogue import OUR_SYSTEM
from mappings.time.times import add_months
from mappings.yaml_files import read_yaml

Json = dict[str, Any]
_FILE = Path(__file__).parent / "patients.yaml"
_SYSTEMS = {
    "loinc": "http://loinc.org",
    "snomed": "http://snomed.info/sct",
    "icd10": "http://hl7.org/fhir/sid/icd-10-cm",
    "rxnorm": "http://www.nlm.nih.gov/research/umls/rxnorm",
    "cvx": "http://hl7.org/fhir/sid/cvx",
    "concept": OUR_SYSTEM,
}
_SPOKEN = {"positive": ("10828004", "Positive"), "negative": ("260385009", "Negative")}
_DAYS_AGO = 12  # of a result that does not say


@dataclass(frozen=True)
class DemoPatient:
    """One line of the patient list, and the chart behind it."""

    id: str
    name: str
    sex: str
    age: int
    story: str
    resources: tuple[Json, ...]


@lru_cache(maxsize=2)
def demo_patients(today: date) -> tuple[DemoPatient, ...]:
    """Every demo patient, with a chart as of that day."""
    content: Any = read_yaml(_FILE.read_bytes(), _FILE)
    return tuple(_patient(spec, content["panel"], today) for spec in content["patients"])


@lru_cache(maxsize=2)
def demo_choices(today: date) -> Json:
    """What the chart page offers to add: diagnoses, and drugs with the dosage of their order."""
    content: Any = read_yaml(_FILE.read_bytes(), _FILE)
    return {
        "diagnoses": [{"code": _code(spec)} for spec in content["diagnoses"]],
        "drugs": [_drug_choice(spec, today) for spec in content["drugs"]],
    }


def _drug_choice(spec: Mapping[str, Any], today: date) -> Json:
    choice = {"code": _code(spec), "kind": spec.get("kind", "drug")}
    return choice | {"dosage": _dosage(spec, {"start": today.isoformat()}) if "dose" in spec else {"text": "once"}}


def _patient(spec: Mapping[str, Any], panel: Mapping[str, Any], today: date) -> DemoPatient:
    results = {**panel, **spec.get("results", {})}
    subject = {"reference": f"Patient/{spec['id']}"}
    chart = [_person(spec, today)]
    for key, result in results.items():
        chart += _observations(f"{spec['id']}-{key}", result, subject, today) if result != "null" else []
    chart += [_condition(f"{spec['id']}-c{i}", c, subject, today) for i, c in enumerate(spec.get("conditions", ()))]
    chart += [_medication(f"{spec['id']}-m{i}", m, subject, today) for i, m in enumerate(spec.get("medications", ()))]
    chart += [_procedure(f"{spec['id']}-p{i}", p, subject, today) for i, p in enumerate(spec.get("procedures", ()))]
    name = f"{spec['given']} {spec['family']}"
    return DemoPatient(spec["id"], name, spec["sex"], int(spec["age"]), spec["story"], tuple(chart))


def _person(spec: Mapping[str, Any], today: date) -> Json:
    born = add_months(today, -12 * int(spec["age"])) - timedelta(days=100)
    return {
        "resourceType": "Patient",
        "id": spec["id"],
        "active": True,
        "name": [{"use": "official", "family": spec["family"], "given": [spec["given"]]}],
        "gender": spec["sex"],
        "birthDate": born.isoformat(),
    }


def _code(spec: Mapping[str, Any]) -> Json:
    codings = [{"system": uri, "code": spec[name]} for name, uri in _SYSTEMS.items() if name in spec]
    return {"coding": codings, "text": spec["text"]}


def _ago(spec: Mapping[str, Any], key: str, today: date, default: int = _DAYS_AGO) -> str:
    return (today - timedelta(days=int(spec.get(key, default)))).isoformat()


def _observations(name: str, spec: Mapping[str, Any], subject: Json, today: date) -> list[Json]:
    """The result, and the earlier ones that its `before` lists by their age in days."""
    earlier = [
        _observation(f"{name}-{ago}", {**spec, "value": value, "ago": ago}, subject, today)
        for ago, value in spec.get("before", {}).items()
    ]
    return [_observation(name, spec, subject, today), *earlier]


def _observation(name: str, spec: Mapping[str, Any], subject: Json, today: date) -> Json:
    resource: Json = {
        "resourceType": "Observation",
        "id": name,
        "status": "final",
        "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category",
                                  "code": "laboratory" if "range" in spec or "says" in spec else "exam"}]}],
        "code": _code(spec),
        "subject": subject,
        "effectiveDateTime": _ago(spec, "ago", today) + "T08:30:00Z",
    }  # fmt: skip
    if "says" in spec:
        code, text = _SPOKEN[spec["says"]]
        coding = {"system": "http://snomed.info/sct", "code": code, "display": text}
        resource["valueCodeableConcept"] = {"coding": [coding], "text": text}
    elif "ratio" in spec:
        above, below = spec["ratio"].split(":")
        resource["valueRatio"] = {"numerator": {"value": int(above)}, "denominator": {"value": int(below)}}
    else:
        unit = {"unit": spec["unit"], "system": "http://unitsofmeasure.org", "code": spec["unit"]}
        resource["valueQuantity"] = {"value": _number(spec["value"]), **unit}
        if "range" in spec:
            low, high = spec["range"].split("..")
            bounds = {"low": {"value": _number(low), **unit}, "high": {"value": _number(high), **unit}}
            resource["referenceRange"] = [bounds]
    return resource


def _number(text: str) -> float | int:
    return float(text) if "." in text else int(text)


def _condition(name: str, spec: Mapping[str, Any], subject: Json, today: date) -> Json:
    base = "http://terminology.hl7.org/CodeSystem/condition"
    return {
        "resourceType": "Condition",
        "id": name,
        "clinicalStatus": {"coding": [{"system": f"{base}-clinical", "code": "active"}]},
        "verificationStatus": {"coding": [{"system": f"{base}-ver-status", "code": "confirmed"}]},
        "code": _code(spec),
        "subject": subject,
        "onsetDateTime": _ago(spec, "since", today),
        "recordedDate": _ago(spec, "since", today),
    }


def _medication(name: str, spec: Mapping[str, Any], subject: Json, today: date) -> Json:
    over = "until" in spec
    period = {"start": _ago(spec, "since", today)} | ({"end": _ago(spec, "until", today)} if over else {})
    return {
        "resourceType": "MedicationRequest",
        "id": name,
        "status": "completed" if over else "active",
        "intent": "order",
        "medicationCodeableConcept": _code(spec),
        "subject": subject,
        "authoredOn": _ago(spec, "since", today),
        "dosageInstruction": [_dosage(spec, period)],
    }


def _dosage(spec: Mapping[str, Any], period: Json) -> Json:
    """So many mg so often a day; with `per_day` 0 on one day, the first of the period."""
    repeat: Json = {"boundsPeriod": period}
    if per_day := int(spec["per_day"]):
        repeat |= {"frequency": per_day, "period": 1, "periodUnit": "d"}
    else:
        repeat["boundsPeriod"] = {"end": period["start"]} | period
    dose = {"value": _number(spec["dose"]), "unit": "mg", "system": "http://unitsofmeasure.org", "code": "mg"}
    return {"timing": {"repeat": repeat}, "doseAndRate": [{"doseQuantity": dose}]}


def _procedure(name: str, spec: Mapping[str, Any], subject: Json, today: date) -> Json:
    return {
        "resourceType": "Procedure",
        "id": name,
        "status": "completed",
        "code": _code(spec),
        "subject": subject,
        "performedDateTime": _ago(spec, "ago", today),
    }

"""What tests of canaries share with others."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

from app.web.examples import PATIENT, WHOLE_CHART, hook_call
from tests.fhir_server import Resource

C = "canary"

BORN = "1943-07-19"

VALUE = 187.31

PATIENT_ID, USER, ENCOUNTER = f"{C}-patient", f"Practitioner/{C}-user", f"{C}-encounter"

SECRETS = re.compile(rb"canary|1943-07-19|187\.31", re.I)


def planted(resource: Resource) -> Resource:
    """The resource with a canary wherever an EHR may write something of a patient."""
    text = json.dumps(resource).replace(PATIENT, PATIENT_ID)
    found: Resource = json.loads(text)
    found["id"] = PATIENT_ID if found["resourceType"] == "Patient" else f"{C}-{found['id']}"
    found["identifier"] = [{"system": "urn:mrn", "value": f"{C}-mrn"}]
    found["text"] = {"status": "generated", "div": f"<div>{C}</div>"}
    found["note"] = [{"text": f"{C} note <img src=http://{C}.example/x>"}]
    found["extension"] = [{"url": f"http://{C}.example", "valueString": C}]
    if found["resourceType"] == "Patient":
        found |= {
            "birthDate": BORN,
            "name": [{"family": f"{C}-family", "given": [f"{C}-given"]}],
            "telecom": [{"system": "phone", "value": f"{C}-phone"}],
            "address": [{"line": [f"{C}-street"], "city": f"{C}-city"}],
            "contact": [{"name": {"text": f"{C}-contact"}}],
        }
    if found["resourceType"] == "Observation" and found["valueQuantity"]["unit"] == "10*3/uL":
        found["valueQuantity"]["value"] = VALUE
    return found


CHART = [planted(entry["resource"]) for entry in WHOLE_CHART["entry"]]


def hook(**more: object) -> dict[str, Any]:
    call = copy.deepcopy(hook_call("patient-view"))
    planted_prefetch = {key: _planted_value(value) for key, value in call["prefetch"].items()}
    context = {"userId": USER, "patientId": PATIENT_ID, "encounterId": ENCOUNTER, f"{C}-key": C}
    extension = {f"com.{C}": {"x": C}}
    return call | {"context": context, "prefetch": planted_prefetch, "extension": extension, f"{C}-member": C} | more


def _planted_value(value: Any) -> Any:
    if value and value["resourceType"] == "Bundle":
        entries = [entry | {"resource": planted(entry["resource"])} for entry in value.get("entry", ())]
        return value | ({"entry": entries} if entries else {})
    return planted(value) if value else value

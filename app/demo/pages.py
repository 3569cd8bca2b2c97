"""The demo EHR's page: open a chart, and the real hook is fired at the real service; its cards are drawn beside it."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import Any

import httpx
from fastapi import APIRouter, Request
from fastapi.responses import Response
from fastapi.templating import Jinja2Templates

Json = dict[str, Any]
HOOK = "/cds-services/trial-match-patient-view"
_SECURITY = {
    "Content-Security-Policy": "default-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True)
class DemoEhr:
    """Where the demo EHR's charts are: our own endpoint, or another FHIR server put in its place."""

    base_url: str  # "http://127.0.0.1:8000/demo/fhir"
    client: httpx.AsyncClient

    async def search(self, resource_type: str, **params: str) -> list[Json]:
        """The resources on the first page of a search; httpx.HTTPError where the server does not answer it."""
        answer = await self.client.get(f"{self.base_url}/{resource_type}", params=params)
        answer.raise_for_status()
        return [entry["resource"] for entry in answer.json().get("entry", ()) if "resource" in entry]


def pages_router(templates: Jinja2Templates, ehr: DemoEhr, stories: dict[str, str]) -> APIRouter:
    """`/demo` and `/demo/patients/{id}`. `stories`: a line of explanation for each of our own patients."""
    router = APIRouter(include_in_schema=False)

    @router.get("/demo")
    async def patients(request: Request) -> Response:
        try:
            people = [_line(p, stories) for p in await ehr.search("Patient", _count="50")]
        except (httpx.HTTPError, ValueError):
            return _page(templates, request, "demo_unreachable.html", {"server": ehr.base_url}, 502)
        return _page(templates, request, "demo_patients.html", {"patients": people})

    @router.get("/demo/patients/{patient_id}")
    async def chart(request: Request, patient_id: str) -> Response:
        try:
            found = await ehr.search("Patient", _id=patient_id)
            chart = {name: await ehr.search(name, patient=patient_id, _count="50") for name in _CHART}
        except (httpx.HTTPError, ValueError):
            return _page(templates, request, "demo_unreachable.html", {"server": ehr.base_url}, 502)
        if not found:
            return _page(templates, request, "demo_unreachable.html", {"server": ehr.base_url}, 404)
        hook = _hook_request(ehr.base_url, patient_id, found[0], chart["Condition"])
        context = {
            "patient": _line(found[0], stories),
            "conditions": [_condition_line(c) for c in chart["Condition"]],
            "medications": [_medication_line(m) for m in chart["MedicationRequest"]],
            "results": sorted(map(_result_line, chart["Observation"]), key=lambda r: r["name"]),
            "hook_url": HOOK,
            "hook_request": json.dumps(hook, indent=2),
        }
        return _page(templates, request, "demo_chart.html", context)

    return router


_CHART = ("Condition", "MedicationRequest", "Observation")


def _page(templates: Jinja2Templates, request: Request, name: str, context: Json, status: int = 200) -> Response:
    return templates.TemplateResponse(request, name, context, status_code=status, headers=_SECURITY)


def _hook_request(base_url: str, patient_id: str, patient: Json, conditions: list[Json]) -> Json:
    """Patient and conditions are prefetched; the service fetches the rest from the demo EHR itself."""
    bundle = {"resourceType": "Bundle", "type": "searchset", "total": len(conditions)}
    entries = [{"resource": c} for c in conditions]
    return {
        "hook": "patient-view",
        "hookInstance": str(uuid.uuid4()),
        "fhirServer": base_url,
        "context": {"userId": "Practitioner/demo", "patientId": patient_id},
        "prefetch": {"patient": patient, "conditions": bundle | ({"entry": entries} if entries else {})},
    }


def _line(patient: Json, stories: dict[str, str]) -> Json:
    name = (patient.get("name") or [{}])[0]
    text = name.get("text") or " ".join([*name.get("given", ()), name.get("family", "")]).strip()
    return {
        "id": patient["id"],
        "name": text or patient["id"],
        "sex": patient.get("gender", "sex not recorded"),
        "born": patient.get("birthDate", "not recorded"),
        "story": stories.get(patient["id"], ""),
    }


def _text(concept: Json | None) -> str:
    concept = concept or {}
    codings = concept.get("coding") or [{}]
    return concept.get("text") or codings[0].get("display") or codings[0].get("code") or "not stated"


def _condition_line(condition: Json) -> Json:
    return {"name": _text(condition.get("code")), "since": condition.get("onsetDateTime", "")[:10]}


def _medication_line(request: Json) -> Json:
    return {
        "name": _text(request.get("medicationCodeableConcept")),
        "status": request.get("status", ""),
        "since": request.get("authoredOn", "")[:10],
    }


def _result_line(observation: Json) -> Json:
    return {
        "name": _text(observation.get("code")),
        "value": _value(observation),
        "date": observation.get("effectiveDateTime", "")[:10],
    }


def _value(observation: Json) -> str:
    if quantity := observation.get("valueQuantity"):
        return f"{quantity.get('comparator', '')}{quantity.get('value')} {quantity.get('unit', '')}"
    if ratio := observation.get("valueRatio"):
        return f"{ratio['numerator']['value']}:{ratio['denominator']['value']}"
    if "valueCodeableConcept" in observation:
        return _text(observation["valueCodeableConcept"])
    return str(observation.get("valueString", "")) or ", ".join(
        f"{_text(part.get('code'))} {_value(part)}" for part in observation.get("component", ())
    )

"""The demo EHR in the service: open a chart, the real hook is fired, and the cards are drawn beside it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path

import httpx
from fastapi import APIRouter, FastAPI
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles

from app.demo.charts import Json, demo_patients
from app.demo.fhir import fhir_router

HOOK = "/cds-services/trial-match-patient-view"
_SECURITY = {
    "Content-Security-Policy": "default-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True, undefined=StrictUndefined
)


class Unreachable(Exception):
    """The demo's FHIR server did not give what was asked for."""


def install(app: FastAPI, clock: Callable[[], datetime], other_server: str | None) -> None:
    """Put the demo EHR into the service: its FHIR endpoint, its pages, and `other_server` in its place if given."""

    def today() -> date:
        return clock().date()

    app.include_router(fhir_router(today))
    app.include_router(_pages(today, other_server))
    app.mount("/demo/static", StaticFiles(directory=Path(__file__).parent / "static"), name="demo-static")


def _pages(today: Callable[[], date], other_server: str | None) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    def server(request: Request) -> str:
        return other_server or f"{request.url.scheme}://{request.url.netloc}/demo/fhir"

    def stories() -> dict[str, str]:
        return {} if other_server else {p.id: p.story for p in demo_patients(today())}

    @router.get("/demo")
    async def patients(request: Request) -> Response:
        try:
            people = await _search(server(request), "Patient", _count="50")
        except Unreachable:
            return _page("demo_unreachable.html", 502, server=server(request))
        return _page("demo_patients.html", 200, patients=[_line(p, stories()) for p in people])

    @router.get("/demo/patients/{patient_id}")
    async def chart(request: Request, patient_id: str) -> Response:
        base = server(request)
        try:
            found = await _search(base, "Patient", _id=patient_id)
            chart = {name: await _search(base, name, patient=patient_id, _count="50") for name in _CHART}
        except Unreachable:
            return _page("demo_unreachable.html", 502, server=base)
        if not found:
            return _page("demo_unreachable.html", 404, server=base)
        hook = _hook_request(base, patient_id, found[0], chart["Condition"])
        return _page(
            "demo_chart.html",
            200,
            patient=_line(found[0], stories()),
            conditions=[_condition_line(c) for c in chart["Condition"]],
            medications=[_medication_line(m) for m in chart["MedicationRequest"]],
            results=sorted(map(_result_line, chart["Observation"]), key=lambda r: r["name"]),
            hook_url=HOOK,
            hook_request=json.dumps(hook, indent=2),
        )

    return router


async def _search(base: str, resource_type: str, **params: str) -> list[Json]:
    """The resources on the first page of a search. Unreachable where the server does not answer it."""
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
            answer = await client.get(f"{base}/{resource_type}", params=params)
            answer.raise_for_status()
            return [entry["resource"] for entry in answer.json().get("entry", ()) if "resource" in entry]
    except (httpx.HTTPError, ValueError) as error:
        raise Unreachable(resource_type) from error


_CHART = ("Condition", "MedicationRequest", "Observation")


def _page(template: str, status: int, **values: object) -> Response:
    return HTMLResponse(_TEMPLATES.get_template(template).render(values), status, _SECURITY)


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

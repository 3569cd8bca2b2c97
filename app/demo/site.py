"""The demo EHR in the service: open a chart, the real hook is fired, edit the chart, and the cards follow."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
from fastapi import APIRouter, FastAPI
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles

from app.demo.charts import Json, demo_choices, demo_patients
from app.demo.fhir import FAILING, SLOW, WELL, fhir_router
from app.html import page
from app.wiring import services_of

_CHART = ("Condition", "MedicationRequest", "Observation", "Procedure", "Immunization")


class Unreachable(Exception):
    """The demo's FHIR server did not give what was asked for."""


def install(app: FastAPI, clock: Callable[[], datetime], other_server: str | None) -> None:
    """Put the demo EHR into the service: its FHIR endpoint, its pages, and `other_server` in its place if given."""

    def today() -> date:
        return clock().date()

    for behaviour in (WELL, SLOW, FAILING):
        app.include_router(fhir_router(today, behaviour))
    app.include_router(_pages(today, other_server))
    app.mount("/demo/static", StaticFiles(directory=Path(__file__).parent / "static"), name="demo-static")


def _pages(today: Callable[[], date], other_server: str | None) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    def servers(request: Request) -> dict[str, str]:
        """The addresses of the FHIR endpoint, by how it behaves."""
        if other_server:
            return {"fhir": other_server}
        own = f"{request.url.scheme}://{request.url.netloc}"
        return {"fhir": own + WELL.path, "slow": own + SLOW.path, "failing": own + FAILING.path}

    def stories() -> dict[str, str]:
        return {} if other_server else {p.id: p.story for p in demo_patients(today())}

    @router.get("/demo")
    async def patients(request: Request) -> Response:
        base = servers(request)["fhir"]
        try:
            people = await _search(base, "Patient", _count="50")
        except Unreachable:
            return _page("demo_unreachable.html", 502, server=base)
        return _page("demo_patients.html", 200, patients=[_line(p, stories(), today()) for p in people])

    @router.get("/demo/patients/{patient_id}")
    async def chart(request: Request, patient_id: str) -> Response:
        known = servers(request)
        try:
            found = await _search(known["fhir"], "Patient", _id=patient_id)
            parts = await asyncio.gather(*(_search(known["fhir"], n, patient=patient_id, _count="200") for n in _CHART))
        except Unreachable:
            return _page("demo_unreachable.html", 502, server=known["fhir"])
        if not found:
            return _page("demo_unreachable.html", 404, server=known["fhir"])
        content: Json = {
            "patient": found[0],
            "resources": dict(zip(_CHART, parts, strict=True)),
            "choices": demo_choices(today()),
        }
        patient = _line(found[0], stories(), today())
        return _page("demo_chart.html", 200, patient=patient, content=content, servers=known)

    @router.post("/demo/forget-dismissals")
    async def forget(request: Request) -> Response:
        """The demo starts afresh: cards that were dismissed come back."""
        services = services_of(request)
        await services.records.forget_dismissals(services.ehrs[0].name)
        return Response(status_code=204)

    return router


async def _search(base: str, resource_type: str, **params: str) -> list[Json]:
    """The resources that a search finds, page after page. Unreachable where the server does not answer it."""
    address = f"{base}/{resource_type}?{urlencode(params)}"
    found: list[Json] = []
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
            for _ in range(_MOST_PAGES):
                answer = await client.get(address)
                answer.raise_for_status()
                bundle: Any = answer.json()
                found += [entry["resource"] for entry in bundle.get("entry", ()) if "resource" in entry]
                address = _next(bundle)
                if not address.startswith(f"{base}/"):
                    break
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        raise Unreachable(resource_type) from error
    return found


_MOST_PAGES = 10


def _next(bundle: Json) -> str:
    return next((str(link["url"]) for link in bundle.get("link", ()) if link["relation"] == "next"), "")


def _page(template: str, status: int, **values: object) -> HTMLResponse:
    return page(template, status, {"Cache-Control": "no-store"}, section="demo", is_demo=True, **values)


def _line(patient: Json, stories: dict[str, str], today: date) -> Json:
    """What the list and the head of a chart say of a patient."""
    name = (patient.get("name") or [{}])[0]
    text = name.get("text") or " ".join([*name.get("given", ()), name.get("family", "")]).strip()
    born = str(patient.get("birthDate", ""))
    return {
        "id": patient["id"],
        "name": text or patient["id"],
        "sex": patient.get("gender", "sex not recorded"),
        "born": born or "not recorded",
        "age": _age(born, today),
        "story": stories.get(patient["id"], ""),
    }


def _age(born: str, today: date) -> str:
    try:
        day = date.fromisoformat(born)
    except ValueError:
        return ""
    return f"{today.year - day.year - ((today.month, today.day) < (day.month, day.day))} years"

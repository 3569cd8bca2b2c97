"""The demo EHR in the service: open a chart, the real hook is fired, edit the chart, and the cards follow."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urljoin

import httpx
from fastapi import APIRouter, FastAPI
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles

from app.addresses import is_under
from app.demo.charts import Json, demo_choices, demo_patients
from app.demo.fhir import FAILING, SLOW, WELL, fhir_router
from app.web.html import page
from app.wiring import services_of

_MOST_PAGES = 30  # of one part of a chart
_LISTED_PAGES = 5  # of patients
# A server may answer an equal search from memory; the page shows what is true now.
_HEADERS = {"Accept": "application/fhir+json", "Cache-Control": "no-cache"}
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
            people, _ = await _first_pages(base, "Patient", _LISTED_PAGES, {"_count": "50"})
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
            return _page("demo_unknown.html", 404, other_server=other_server)
        content: Json = {
            "patient": found[0],
            "resources": dict(zip(_CHART, parts, strict=True)),
            "choices": demo_choices(today()),
        }
        patient = _line(found[0], stories(), today())
        return _page("demo_chart.html", 200, patient=patient, content=content, servers=known, other_server=other_server)

    @router.post("/demo/forget-dismissals")
    async def forget(request: Request) -> Response:
        """The demo starts afresh: cards that were dismissed come back."""
        services = services_of(request)
        await services.records.forget_dismissals(services.ehrs[0].name)
        return Response(status_code=204)

    return router


async def _search(base: str, resource_type: str, **params: str) -> list[Json]:
    """Every resource of this type that a search finds.

    Unreachable where the server does not answer, or has too many pages: an edited chart is sent as the whole of it, and
    what the page had not read would count as missing.
    """
    found, goes_on = await _first_pages(base, resource_type, _MOST_PAGES, params)
    if goes_on:
        raise Unreachable(resource_type)
    return found


async def _first_pages(
    base: str, resource_type: str, most: int, params: Mapping[str, str]
) -> tuple[list[Json], str | None]:
    """The resources of at most so many pages of a search, and where it goes on. Unreachable where one fails."""
    address: str | None = f"{base}/{resource_type}?{urlencode(params)}"
    found: list[Json] = []
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=5, headers=_HEADERS) as client:
            while address and most:
                answer = (await client.get(address)).raise_for_status()
                bundle: Any = answer.json()
                resources = (entry["resource"] for entry in bundle.get("entry", ()) if "resource" in entry)
                found += [resource for resource in resources if resource["resourceType"] == resource_type]
                address, most = _next(bundle, base), most - 1
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, AttributeError, KeyError, TypeError) as error:
        raise Unreachable(resource_type) from error
    return found, address


def _next(bundle: Json, base: str) -> str | None:
    """The address of the next page; ValueError where it is not on the same server."""
    link = next((str(link["url"]) for link in bundle.get("link", ()) if link["relation"] == "next"), None)
    if link is None:
        return None
    address = urljoin(f"{base}/", link)
    if not is_under(address, base):
        raise ValueError("the next page is on another server")
    return address


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

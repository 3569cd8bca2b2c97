"""A small read-only FHIR R4 endpoint over the demo patients: read, search by patient (GET, POST), `next` links."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any
from urllib.parse import parse_qsl, urlencode

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from app.demo.charts import DemoPatient, Json, demo_patients
from mappings.resource_types import ROWS

_FHIR = "application/fhir+json"
_PAGE = 50
_SUBJECTS = tuple(dict.fromkeys(member for row in ROWS for member in row.subject))


@dataclass(frozen=True)
class Behaviour:
    """How the endpoint under one path behaves, to see what a clinician would see."""

    path: str
    delay: float = 0  # seconds before each answer
    failing: frozenset[str] = frozenset()  # resource types whose searches are answered with 503


WELL = Behaviour("/demo/fhir")
SLOW = Behaviour("/demo/fhir-slow", delay=2.0)
FAILING = Behaviour("/demo/fhir-failing", failing=frozenset({"Observation", "MedicationRequest", "Procedure"}))


def fhir_router(today: Callable[[], date], behaviour: Behaviour = WELL) -> APIRouter:
    """The endpoint's routes under its path; charts are dated relative to `today()`."""
    router = APIRouter(prefix=behaviour.path, include_in_schema=False)

    @router.get("/metadata")
    def metadata() -> Response:
        return _fhir(_capabilities())

    @router.get("/{resource_type}/{resource_id}")
    async def read(resource_type: str, resource_id: str) -> Response:
        await asyncio.sleep(behaviour.delay)
        for resource in _of_type(demo_patients(today()), resource_type):
            if resource["id"] == resource_id:
                return _fhir(resource)
        return _fhir(_outcome("not-found", "There is no such resource."), 404)

    @router.get("/{resource_type}")
    async def search(resource_type: str, request: Request) -> Response:
        return await found(resource_type, dict(request.query_params), str(request.url.replace(query="")))

    @router.post("/{resource_type}/_search")
    async def search_by_form(resource_type: str, request: Request) -> Response:
        form = parse_qsl((await request.body()).decode("utf-8", "replace"))
        address = str(request.url.replace(query="")).removesuffix("/_search")
        return await found(resource_type, dict(request.query_params) | dict(form), address)

    async def found(resource_type: str, params: Mapping[str, str], address: str) -> Response:
        await asyncio.sleep(behaviour.delay)
        if resource_type in behaviour.failing:
            return _fhir(_outcome("transient", "The server is busy."), 503)
        resources = _search(_of_type(demo_patients(today()), resource_type), params)
        return _fhir(_page(resources, params, address))

    return router


def _search(resources: Iterable[Json], params: Mapping[str, str]) -> list[Json]:
    wanted, one = params.get("patient") or params.get("subject"), params.get("_id")
    reference = wanted if not wanted or wanted.startswith("Patient/") else f"Patient/{wanted}"
    return [r for r in resources if (not reference or _subject(r) == reference) and (not one or r["id"] == one)]


def _of_type(patients: Iterable[DemoPatient], resource_type: str) -> Iterable[Json]:
    return (r for p in patients for r in p.resources if r["resourceType"] == resource_type)


def _subject(resource: Json) -> str | None:
    if resource["resourceType"] == "Patient":
        return f"Patient/{resource['id']}"
    return next((resource[key]["reference"] for key in _SUBJECTS if key in resource), None)


def _page(found: list[Json], params: Mapping[str, str], base: str) -> Json:
    """One page of what was found. `base` is the address of the search, without its query."""
    count = min(_number(params.get("_count"), _PAGE), _PAGE)
    offset = _number(params.get("_offset"), 0)
    links = [{"relation": "self", "url": f"{base}?{urlencode(params)}"}]
    if count and offset + count < len(found):
        links.append({"relation": "next", "url": f"{base}?{urlencode({**params, '_offset': str(offset + count)})}"})
    entries = [
        {
            "fullUrl": f"{base.rsplit('/', 1)[0]}/{r['resourceType']}/{r['id']}",
            "resource": r,
            "search": {"mode": "match"},
        }
        for r in found[offset : offset + count]
    ]
    bundle: Json = {"resourceType": "Bundle", "type": "searchset", "total": len(found), "link": links}
    return bundle | ({"entry": entries} if entries else {})


def _number(text: str | None, default: int) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 7 else default


def _outcome(code: str, text: str) -> Json:
    return {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": code, "diagnostics": text}]}


def _fhir(content: Any, status: int = 200) -> Response:
    return JSONResponse(content, status, media_type=_FHIR)


def _capabilities() -> Json:
    searchable = ("Patient", "Observation", "Condition", "MedicationRequest", "Procedure")
    rest = [{"type": name, "interaction": [{"code": "read"}, {"code": "search-type"}]} for name in searchable]
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "kind": "instance",
        "fhirVersion": "4.0.1",
        "format": ["json"],
        "date": "2026-01-01",
        "rest": [{"mode": "server", "resource": rest}],
    }

"""The API documentation, from files of our own: it works without internet access. Every example in it runs."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.staticfiles import StaticFiles
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from app.errors import speaks_fhir
from app.wiring import services_of

ROOM = Path(__file__).parent.parent
_PAGE = (ROOM / "templates" / "docs.html").read_text(encoding="utf-8")
# The documentation's own script draws its icons as inline images and sets inline styles.
_POLICY = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'"

router = APIRouter(include_in_schema=False)


@router.get("/docs")
async def documentation(request: Request) -> Response:
    services_of(request).authenticator.operator(request.headers.getlist("authorization"))
    return HTMLResponse(_PAGE, headers={"Content-Security-Policy": _POLICY})


@router.get("/openapi.json")
async def openapi(request: Request) -> Response:
    services_of(request).authenticator.operator(request.headers.getlist("authorization"))
    return JSONResponse(request.app.openapi())


def install(app: FastAPI) -> None:
    """Add the documentation and what it describes: bodies, errors in their two forms, who may call what."""
    app.include_router(router)
    app.mount("/docs/assets", StaticFiles(directory=ROOM / "static" / "swagger-ui"), name="docs-assets")
    app.openapi = cache(lambda: _described(app))  # type: ignore[method-assign]


def _described(app: FastAPI) -> dict[str, Any]:
    described = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes, openapi_version="3.1.0"
    )
    components = described.setdefault("components", {})
    components["schemas"] = {"Problem": _PROBLEM, "OperationOutcome": _OUTCOME}
    components["securitySchemes"] = {
        "ehr": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "The token of an EHR."},
        "operator": {"type": "http", "scheme": "bearer", "description": "The token of an operator."},
    }
    for path, operations in described["paths"].items():
        for operation in operations.values():
            _complete(path, operation)
    return described


_OPERATOR_PATHS = ("/metrics", "/api/v1/feedback/summary")


def _complete(path: str, operation: dict[str, Any]) -> None:
    cds = path.startswith("/cds-services")
    statuses = ["404"] if "{" in path else []
    if "requestBody" in operation:
        operation["security"] = [{"ehr": []}]
        statuses += ["400", "401", "408", "413", "415", "422", "503"]
    if path in _OPERATOR_PATHS:
        operation["security"] = [{"operator": []}]
        statuses += ["401"]
    if cds and "requestBody" in operation:
        statuses += ["403"] if path.endswith("/feedback") else ["403", "412"]
    media_type, schema = (
        ("application/fhir+json", "OperationOutcome") if speaks_fhir(path) else ("application/problem+json", "Problem")
    )
    operation["responses"].pop("422", None)
    for status in sorted(statuses):
        content = {media_type: {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
        operation["responses"][status] = {"description": _MEANING[status], "content": content}


_MEANING = {
    "400": "The body is not JSON as everyone reads it.",
    "401": "No valid credentials.",
    "403": "A known EHR that may not call this service.",
    "404": "There is nothing of this name.",
    "408": "The body did not arrive in time.",
    "412": "What the answer needs could not be read from the EHR.",
    "413": "The body is over the limit.",
    "415": "The body is not sent as plain JSON.",
    "422": "JSON, but not what this address takes; the error names the place.",
    "503": "Not available now; Retry-After says when to try again.",
}
_PROBLEM = {
    "type": "object",
    "description": "RFC 9457 problem document",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "place": {"type": "string"},
    },
    "required": ["type", "title", "status", "detail"],
}
_OUTCOME = {
    "type": "object",
    "description": "FHIR R4 OperationOutcome",
    "properties": {
        "resourceType": {"const": "OperationOutcome"},
        "issue": {"type": "array", "items": {"type": "object"}},
    },
    "required": ["resourceType", "issue"],
}

"""The audit trail for an auditor with an operator's token. A patient is named in the body: addresses end up in logs."""

from __future__ import annotations

from datetime import datetime

import msgspec
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from app.errors import Unusable
from app.routes.parameters import moment_of
from app.storage.audit import Question, audit_bundle
from app.web.media_types import FHIR_TYPE, prefers_fhir
from app.web.strict_json import check_whole, read_body
from app.wiring import Services, services_of

router = APIRouter(prefix="/api/v1", tags=["API"])

_MOST = 64 * 1024
_EXAMPLE = {"patient": "example-patient", "ehr": "demo", "from": "2026-11-01"}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"type": "object"}, "example": _EXAMPLE}},
    }
}


class _Asked(msgspec.Struct, forbid_unknown_fields=True):
    patient: str | None = None
    ehr: str | None = None
    tenant: str = ""
    since: str | None = msgspec.field(default=None, name="from")
    until: str | None = msgspec.field(default=None, name="to")


@router.post("/audit", summary="Who asked, when, and what was shown", openapi_extra=_BODY)
async def audit(request: Request) -> Response:
    """The audit trail, oldest first.

    For a `patient` (the id as its `ehr` and `tenant` name it), and `from` and `to` (a date, or an instant with offset;
    the end is not included). With `Accept: application/fhir+json` a Bundle of AuditEvents.
    """
    services = services_of(request)
    await services.login.person(request)
    body = await read_body(request, _MOST)
    check_whole(body)
    entries = await services.audit.entries(_question(body, services))
    if prefers_fhir(request.headers.get("accept", "")):
        return Response(msgspec.json.encode(audit_bundle(entries)), media_type=FHIR_TYPE)
    return Response(
        msgspec.json.encode({"calls": [entry.as_json() for entry in entries]}), media_type="application/json"
    )


def _question(body: bytes, services: Services) -> Question:
    try:
        asked = msgspec.json.decode(body, type=_Asked)
    except msgspec.ValidationError:
        raise Unusable("An object with patient, ehr, tenant, from and to is taken, each a text and optional.") from None
    if asked.patient is not None and asked.ehr is None:
        raise Unusable("A patient is known only within an EHR: its name in the file of EHRs is needed.", "ehr")
    since, until = _moment(asked.since, "from", services), _moment(asked.until, "to", services)
    return Question(asked.patient, asked.ehr, asked.tenant, since, until)


def _moment(text: str | None, name: str, services: Services) -> datetime | None:
    return None if text is None else moment_of(text, services.settings.zone, name)

"""Repeating a kept answer, for operators: the same bytes, or what can no longer be repeated."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from app.calls.replay import Unrepeatable, replay
from app.errors import Gone, NotHere, NotRepeatable, ServiceError
from app.logs import call_id
from app.wiring import services_of

# It has no example that could run before an answer was given, and so is not in the API documentation.
router = APIRouter(prefix="/api/v1", include_in_schema=False)


@router.get("/reports/{report_id}/replay")
async def replay_report(request: Request, report_id: str) -> Response:
    """The MatchReport made anew, equal to what was shown; 404 for an unknown id, 410 and 409 with what is lost.

    The audit trail says that it was read.
    """
    services = services_of(request)
    await services.login.person(request)
    now = services.clock()
    try:
        report = await replay(report_id, services.records, now)
    except Unrepeatable as error:
        raise _as_error(error) from None
    await services.audit.note_reading(report_id, call_id(), now)
    return Response(report, media_type="application/json", headers={"Cache-Control": "no-store"})


def _as_error(error: Unrepeatable) -> ServiceError:
    kind = NotRepeatable if error.is_known and not error.is_gone else Gone if error.is_known else NotHere
    return kind(str(error), "reportId")

"""The page behind a card: every trial, cohort and criterion with its evidence, for whoever holds the signed address."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from app.kept import from_kept
from app.reports import may_read
from app.wiring import services_of

_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent.parent / "templates"), autoescape=True, undefined=StrictUndefined
)
_HEADERS = {
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'",
}
_GONE = "This address is not valid any more. Open the patient's chart again for a new one."
_NOT_KEPT = "This report is not kept any more."

router = APIRouter(include_in_schema=False)


@router.get("/reports/{report_id}")
async def show_report(request: Request, report_id: str, expires: str = "", signature: str = "") -> Response:
    """The kept report; 403 without an address that we signed in the last minutes, 404 when it is no longer kept."""
    services = services_of(request)
    now = services.clock()
    if not may_read(services.keys, report_id, expires, signature, now):
        return _page("report_gone.html", 403, message=_GONE)
    kept = await services.records.report(report_id, now)
    if kept is None:
        return _page("report_gone.html", 404, message=_NOT_KEPT)
    return _page("report.html", 200, report=from_kept(kept).report)


def _page(template: str, status: int, **values: object) -> Response:
    return HTMLResponse(_TEMPLATES.get_template(template).render(values), status, _HEADERS)

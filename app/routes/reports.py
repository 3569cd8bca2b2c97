"""The page behind a card: every criterion with its evidence, for whoever holds the signed address."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from urllib.parse import urlencode

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from app.explain import source_of
from app.html import page, policy
from app.kept import KeptAnswer, from_kept
from app.logs import call_id
from app.reports import may_read
from app.wiring import Services, services_of
from cds_hooks.explained import OUTCOMES, explained, need_words, not_indicated, side_by_side

_HEADERS = {"Cache-Control": "no-store", "Content-Security-Policy": policy(frames="'self'")}
_GONE = "This address is not valid any more. Open the patient's chart again for a new one."
_NOT_KEPT = "This report is not kept any more."

router = APIRouter(include_in_schema=False)


@router.get("/reports/{report_id}")
async def show_report(
    request: Request, report_id: str, expires: str = "", signature: str = "", trial: str = ""
) -> Response:
    """The kept report, or one trial of it; 403 without an address that we signed in the last minutes, 404 when gone."""
    services = services_of(request)
    now = services.clock()
    if not may_read(services.keys, report_id, expires, signature, now):
        return page("report_gone.html", 403, _HEADERS, message=_GONE)
    kept = await services.records.report(report_id, now)
    # Nobody sees a patient's facts unless the audit trail says so.
    if kept is None or not await services.audit.note_reading(report_id, call_id(), now):
        return page("report_gone.html", 404, _HEADERS, message=_NOT_KEPT)
    signed = {"expires": expires, "signature": signature}
    # The chart is read and matched again, which takes a while where it is long.
    return await asyncio.to_thread(_explanation, from_kept(kept), services, trial, signed)


def _explanation(kept: KeptAnswer, services: Services, trial: str, signed: Mapping[str, str]) -> Response:
    source = source_of(kept, services)
    trials = explained(source)
    chosen = [each for each in trials if each.id == trial] or list(trials)
    return page(
        "report.html",
        200,
        _HEADERS,
        report=source.report,
        trials=trials,
        chosen=chosen,
        quiet=not_indicated(source),
        address=lambda name: f"?{urlencode({'trial': name, **signed})}",
        chosen_ids={each.id for each in chosen},
        side_by_side=side_by_side,
        words=OUTCOMES,
        need_words=need_words,
    )

"""The page behind a card: every criterion with its evidence, for anybody who holds the signed address."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from urllib.parse import urlencode

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from app.calls.explain import source_of
from app.calls.reports import may_read
from app.ehrs import Ehr
from app.logs import call_id
from app.storage.kept import KeptAnswer, from_kept
from app.web.html import page, policy
from app.wiring import Services, services_of
from cds_hooks.explanation.explained import explained, need_words, not_indicated, side_by_side

_NO_STORE = {"Cache-Control": "no-store"}
_GONE = "This address is not valid any more. Open the patient's chart again for a new one."
_NOT_KEPT = "This report is not kept any more."

router = APIRouter(include_in_schema=False)


@router.get("/reports/{report_id}")
async def show_report(
    request: Request, report_id: str, expires: str = "", signature: str = "", trial: str = "", everything: str = ""
) -> Response:
    """The kept report, or one trial of it; with `everything` it prints each criterion, else one page.

    403 without an address that we signed in the last minutes, 404 when gone.
    """
    services = services_of(request)
    now = services.clock()
    if not may_read(services.keys, report_id, expires, signature, now):
        return _gone(services, 403, _GONE)
    kept = await services.records.report(report_id, now)
    # Nobody sees a patient's facts unless the audit trail says so.
    whose = await services.audit.note_reading(report_id, call_id(), now) if kept is not None else None
    if kept is None or whose is None:
        return _gone(services, 404, _NOT_KEPT)
    signed = {"expires": expires, "signature": signature}
    frames = frames_of([ehr for ehr in services.ehrs if ehr.name == whose])
    # The chart is read and matched again, which takes a while where it is long.
    return await asyncio.to_thread(explanation, from_kept(kept), services, trial, signed, frames, bool(everything))


def frames_of(ehrs: Iterable[Ehr]) -> str:
    """In whose frames a page for these EHRs may stand: where one has our SMART app, its ancestors and nobody else."""
    apps = [ehr.app for ehr in ehrs if ehr.app]
    if not apps:
        return "'self'"
    return " ".join(dict.fromkeys(origin for app in apps for origin in app.frame_ancestors)) or "'none'"


def _print_address(trial: str, signed: Mapping[str, str], everything: bool) -> str:
    """The same page, printing the other way."""
    return "?" + urlencode({"trial": trial, **signed, **({} if everything else {"everything": "1"})})


def _gone(services: Services, status: int, message: str) -> Response:
    """Says nothing of anyone, and so may be in the frame of any EHR that shows our pages in one."""
    headers = _NO_STORE | {"Content-Security-Policy": policy(frames=frames_of(services.ehrs))}
    return page("report_gone.html", status, headers, message=message)


def explanation(
    kept: KeptAnswer,
    services: Services,
    trial: str,
    signed: Mapping[str, str] | None,
    frames: str,
    everything: bool = False,
) -> Response:
    """The page of a report, opened at one trial; without `signed`, a page that leads nowhere and holds all trials.

    It prints as one page for each trial; with `everything` each criterion with its evidence.
    """
    source = source_of(kept, services)
    trials = explained(source)
    named = [each for each in trials if each.id == trial]
    chosen = (named if signed else [*named, *(each for each in trials if each.id != trial)]) or list(trials)
    return page(
        "report.html",
        200,
        _NO_STORE | {"Content-Security-Policy": policy(frames=frames)},
        report=source.report,
        trials=trials,
        chosen=chosen,
        quiet=not_indicated(source),
        everything=everything or not signed,
        everything_at=_print_address(trial, signed, everything) if signed else "",
        address=lambda name: f"?{urlencode({'trial': name, **signed})}" if signed else f"#trial-{name}",
        chosen_ids={each.id for each in chosen},
        side_by_side=side_by_side,
        need_words=need_words,
        t=source.texts,
    )

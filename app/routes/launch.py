"""The SMART app: where an EHR launches it, where the browser comes back, and the public half of our keys.

In an EHR's frame no cookie is needed. In a window of its own the launch must end in the browser in which it began, by a
first-party cookie: otherwise somebody could lure a clinician to the end of a launch of another patient.
"""

from __future__ import annotations

import asyncio

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from app.calls.launch import CALLBACK, WORDS, Explained, Stopped, begin, browser_id, finish
from app.client_key import KeyUnusable, public_key_set, read_key
from app.errors import NotHere, Unavailable
from app.logs import log
from app.routes.reports import explanation, frames_of
from app.storage.database import RecordsUnavailable
from app.web.html import page, policy
from app.wiring import Services, services_of

router = APIRouter(include_in_schema=False)

_PRIVATE = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
_COOKIE_SECONDS = 900


@router.get("/launch")
async def launch(request: Request, iss: str = "", launch: str = "") -> Response:
    """An EHR opens this for the patient whose chart is open; the browser goes on to its authorization server."""
    services = services_of(request)
    browser = request.cookies.get(_cookie(services)) or browser_id()
    try:
        ehr, address = await begin(services, _base(request), iss, launch, browser)
    except RecordsUnavailable:
        return _stopped(services, Stopped("no-database"))
    except Stopped as stopped:
        return _stopped(services, stopped)
    services.metrics.launches.labels(ehr.name, "begun").inc()
    answer = RedirectResponse(address, 302, _PRIVATE)
    answer.set_cookie(
        _cookie(services),
        browser,
        _COOKIE_SECONDS,
        path="/",
        secure=_is_secure(services),
        httponly=True,
        samesite="lax",
    )
    return answer


@router.get(CALLBACK)
async def come_back(request: Request) -> Response:
    """The browser is back. It goes on to the explanation, whose address is good for some minutes and for no other."""
    services = services_of(request)
    try:
        with services.launch_slots:
            found = await finish(services, _base(request), request.query_params, _browser_needed(request, services))
    except RecordsUnavailable:
        return _stopped(services, Stopped("no-database"))
    except Unavailable:
        return _stopped(services, Stopped("too-many"))
    except Stopped as stopped:
        return _stopped(services, stopped)
    services.metrics.launches.labels(found.ehr.name, "explained").inc()
    if services.settings.retention_days:
        return RedirectResponse(found.call.signed_address(found.trial or None), 303, _PRIVATE)
    # Nothing is kept that an address could lead to: the page is the answer, once.
    return await asyncio.to_thread(_only_page, services, found)


@router.get("/.well-known/jwks.json")
async def our_keys(request: Request) -> Response:
    """The public keys with which our SMART apps show who they are; there is nothing here where none has a key."""
    apps = [ehr.app for ehr in services_of(request).ehrs if ehr.app]
    files = [app.key_file for app in apps if app.key_file]
    if not files:
        raise NotHere("There is nothing at this address.")
    try:
        keys = await asyncio.to_thread(lambda: public_key_set(map(read_key, files)))
    except KeyUnusable:
        raise Unavailable("A key file cannot be read.") from None
    return JSONResponse(keys, headers={"Cache-Control": "public, max-age=300"})


def _only_page(services: Services, found: Explained) -> Response:
    return explanation(found.answer, services, found.trial, None, frames_of([found.ehr]))


def _stopped(services: Services, stopped: Stopped) -> Response:
    """The page that says why, in the frame of the EHR that it was; it holds nothing of a patient."""
    status, heading, message = WORDS[stopped.why]
    name = stopped.ehr.name if stopped.ehr else "unknown"
    services.metrics.launches.labels(name, stopped.why).inc()
    log.info("launch stopped", ehr=name, reason=stopped.why, detail=stopped.detail)
    frames = frames_of([stopped.ehr] if stopped.ehr else services.ehrs)
    headers = _PRIVATE | {"Content-Security-Policy": policy(frames=frames)}
    return page("launch_stopped.html", status, headers, heading=heading, message=message)


def _browser_needed(request: Request, services: Services) -> str | None:
    """The cookie of the browser, "" without one; None where the page is framed, or the browser does not tell."""
    if request.headers.get("sec-fetch-dest") != "document":
        return None
    return request.cookies.get(_cookie(services), "")


def _is_secure(services: Services) -> bool:
    return not services.settings.is_demo and not (services.settings.public_url or "").startswith("http://")


def _cookie(services: Services) -> str:
    return "__Host-launch" if _is_secure(services) else "launch"


def _base(request: Request) -> str:
    return services_of(request).public_address(request).removesuffix(request.url.path)

"""Logging in and out, and what is said to whoever is not logged in."""

from __future__ import annotations

import uuid
from typing import Literal
from urllib.parse import quote

from fastapi import APIRouter, FastAPI
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from app.errors import NotAuthenticated, error_response
from app.login.oidc import NotInGroup
from app.login.people import COOKIE, LoginNeeded, local_path
from app.login.sessions import LONGEST
from app.logs import log
from app.oauth.flow import OAuthError
from app.oauth.pending import LIVES, TooMany
from app.people import Person
from app.storage.audit import LOGIN, AuditedCall, Outcome
from app.storage.database import Write
from app.storage.records import Shown
from app.web.forms import check_same_origin
from app.web.html import page
from app.wiring import Services, services_of

router = APIRouter(include_in_schema=False)

BROWSER = "__Host-trialcards-login"  # by which a browser that comes back from the provider is known
_READS = ("GET", "HEAD")
_HEADERS = {"Cache-Control": "no-store"}
Problem = Literal["not-set-up", "needed", "over", "stopped", "unreachable", "not-in-group", "logged-out"]


def install(app: FastAPI) -> None:
    app.include_router(router)
    app.add_exception_handler(LoginNeeded, _say_login_needed)


@router.get("/login")
async def log_in(request: Request) -> Response:
    """Send the browser to the provider; afterwards it is on the page that `next` names, if that is one of ours."""
    services = services_of(request)
    wanted = local_path(request.query_params.get("next", ""))
    if services.settings.is_demo:
        return RedirectResponse(wanted, 303, _HEADERS)
    if not services.login.is_set_up:
        return _page(services, 404, "not-set-up")
    try:
        to_sign = request.query_params.get("to") == "sign"
        going = await services.provider.begin(wanted, services.clock(), to_sign=to_sign)
    except (OAuthError, TooMany) as error:
        log.warning("login not begun", reason=error.cause if isinstance(error, OAuthError) else "too many")
        return _page(services, 503, "unreachable")
    answer = RedirectResponse(going.address, 303, _HEADERS)
    _set_cookie(answer, BROWSER, going.browser, int(LIVES.total_seconds()))
    return answer


@router.get("/login/callback")
async def come_back(request: Request) -> Response:
    """Take the browser back: a new session, always, and nothing of an older one."""
    services = services_of(request)
    if services.settings.is_demo or not services.login.is_set_up:
        return _page(services, 404, "not-set-up")
    try:
        person, wanted = await services.provider.finish(
            request.query_params, request.cookies.get(BROWSER, ""), services.clock()
        )
    except OAuthError as error:
        log.warning("login refused", reason=error.cause)
        services.metrics.logins.labels("refused").inc()
        return _page(services, 403, "stopped")
    except NotInGroup:
        log.warning("login refused", reason="not in a group")
        services.metrics.logins.labels("not-in-group").inc()
        return _page(services, 403, "not-in-group")
    if before := request.cookies.get(COOKIE):
        await services.sessions.end(before)
    now = services.clock()
    session = await services.sessions.begin(person, now, _audited(services, person, "logged-in"))
    services.metrics.logins.labels("logged-in").inc()
    answer = RedirectResponse(wanted, 303, _HEADERS)
    _set_cookie(answer, COOKIE, session, int(LONGEST.total_seconds()))
    _drop_cookie(answer, BROWSER)
    return answer


@router.post("/logout")
async def log_out(request: Request) -> Response:
    services = services_of(request)
    check_same_origin(request, services.settings.public_url or str(request.base_url), needs_word=True)
    if value := request.cookies.get(COOKIE):
        person = await services.sessions.person(value, services.clock())
        await services.sessions.end(value, _audited(services, person, "logged-out") if person else ())
    answer = _page(services, 200, "logged-out")
    _drop_cookie(answer, COOKIE)
    return answer


def _audited(services: Services, person: Person, outcome: Outcome) -> list[Write]:
    """What writes into the audit trail that this person came or went."""
    call = AuditedCall(str(uuid.uuid4()), LOGIN, Shown("", "", "", person.subject), outcome, {})
    return services.audit.writes(call, services.clock())


def _set_cookie(answer: Response, name: str, value: str, seconds: int) -> None:
    answer.set_cookie(name, value, max_age=seconds, path="/", secure=True, httponly=True, samesite="lax")


def _drop_cookie(answer: Response, name: str) -> None:
    answer.delete_cookie(name, path="/", secure=True, httponly=True, samesite="lax")


# -- nobody is logged in


async def _say_login_needed(request: Request, _: Exception) -> Response:
    """A script hears 401; a browser is sent to the login, or told what has to be set."""
    services = services_of(request)
    if "text/html" not in request.headers.get("accept", ""):
        return error_response(request.url.path, _needed(services))
    if not services.login.is_set_up:
        return _page(services, 401, "needed")
    if request.method not in _READS:
        return _page(services, 401, "over")
    asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return RedirectResponse(f"/login?next={quote(local_path(asked), safe='/')}", 303, _HEADERS)


def _needed(services: Services) -> NotAuthenticated:
    error = NotAuthenticated()
    if not services.login.is_set_up:
        error.detail += " An operator's token is taken; for people set TRIALCARDS_OIDC_ISSUER."
    return error


def _page(services: Services, status: int, problem: Problem) -> Response:
    headers = _HEADERS | ({"WWW-Authenticate": "Bearer"} if status == 401 else {})
    return page("login.html", status, headers, problem=problem, is_demo=services.settings.is_demo)

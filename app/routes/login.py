"""Logging in and out, and what is said to anybody who is not logged in."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Literal
from urllib.parse import quote

from fastapi import APIRouter, FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from app.errors import NotAuthenticated, NotHere, Unavailable, error_response
from app.login.oidc import ANOTHER, NotInGroup
from app.login.people import COOKIE, HOME, LoginNeeded, local_path
from app.login.sessions import LONGEST
from app.logs import log
from app.oauth.flow import OAuthError, Remedy
from app.oauth.pending import LIVES, TooMany
from app.people import Person
from app.storage.audit import LOGIN, AuditedCall, Outcome
from app.storage.database import Write
from app.storage.records import Shown
from app.web.forms import check_same_origin, read_form
from app.web.html import page
from app.wiring import Services, services_of

router = APIRouter(include_in_schema=False)

BROWSER = "__Host-trialcards-login"  # by which a browser that comes back from the provider is known
_READS = ("GET", "HEAD")
_HEADERS = {"Cache-Control": "no-store"}
Problem = Literal[
    "not-set-up", "needed", "over", "stopped", "unreachable", "not-checked", "not-in-group", "logged-out",
    "logged-out-everywhere",
]  # fmt: skip
_PROBLEMS: Mapping[Remedy, Problem] = {"again": "stopped", "later": "unreachable", "administrator": "not-checked"}


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
        as_another = request.query_params.get("account") == ANOTHER
        going = await services.provider.begin(wanted, services.clock(), to_sign=to_sign, as_another=as_another)
    except OAuthError as error:
        log.warning("login not begun", reason=error.cause)
        return _page(services, 503, _PROBLEMS[error.remedy])
    except TooMany:
        log.warning("login not begun", reason="too many")
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
        back = await services.provider.finish(request.query_params, request.cookies.get(BROWSER, ""), services.clock())
    except OAuthError as error:
        log.warning("login refused", reason=error.cause, remedy=error.remedy)
        services.metrics.logins.labels("refused").inc()
        return _page(services, 503 if error.remedy == "later" else 403, _PROBLEMS[error.remedy])
    except NotInGroup as error:
        log.warning("login refused", reason="not in a group")
        services.metrics.logins.labels("not-in-group").inc()
        return _page(services, 403, "not-in-group", another=await services.provider.address_for_another(error.id_token))
    if before := request.cookies.get(COOKIE):
        await services.sessions.end(before)
    now, audited = services.clock(), _audit(services, back.person, "logged-in")
    session = await services.sessions.begin(back.person, now, audited, back.at_provider)
    services.metrics.logins.labels("logged-in").inc()
    answer = RedirectResponse(back.next, 303, _HEADERS)
    _set_cookie(answer, COOKIE, session, int(LONGEST.total_seconds()))
    _drop_cookie(answer, BROWSER)
    return answer


@router.post("/logout")
async def log_out(request: Request) -> Response:
    """End the session here, and send the browser on to end that of the provider.

    By the page and not by a redirect: the policy of the page that posts would stop one that leads to another site.
    """
    services = services_of(request)
    check_same_origin(request, services.settings.public_url or str(request.base_url), needs_word=True)
    id_token = None
    if value := request.cookies.get(COOKIE):
        person = await services.sessions.person(value, services.clock())
        id_token = await services.sessions.end(value, _audit(services, person, "logged-out") if person else ())
    onward = await services.provider.logout_address(id_token) if services.login.can_log_out else None
    answer = _page(services, 200, "logged-out", onward)
    _drop_cookie(answer, COOKIE)
    return answer


@router.get("/logout")
async def logged_out(request: Request) -> Response:
    """The page to which the provider sends a browser that is logged out there; it ends nothing by itself."""
    services = services_of(request)
    if not services.login.can_log_out:
        return _page(services, 404, "not-set-up")
    value = request.cookies.get(COOKIE)
    if value and await services.sessions.person(value, services.clock()):
        return RedirectResponse(HOME, 303, _HEADERS)
    return _page(services, 200, "logged-out-everywhere")


@router.post("/logout/backchannel")
async def log_out_by_provider(request: Request) -> Response:
    """End the sessions that the provider says are over (OpenID Connect Back-Channel Logout 1.0). Open: it signs."""
    services = services_of(request)
    if not services.login.can_log_out:
        raise NotHere("There is nothing at this address.")
    token = (await read_form(request)).get("logout_token", "")
    try:
        logout = await services.provider.logout(token)
    except OAuthError as error:
        if error.remedy == "later":
            raise Unavailable("The provider's keys cannot be read.") from None
        return _logout_refused(services, error.cause)
    ended = await services.sessions.end_at_provider(logout, lambda who: _audit(services, who, "logged-out"))
    if ended is None:
        return _logout_refused(services, "logout: used before")
    log.info("logged out by the provider", sessions=ended)
    services.metrics.logins.labels("logged-out-by-provider").inc()
    return Response(status_code=200, headers=_HEADERS)


def _logout_refused(services: Services, reason: str) -> Response:
    """As the specification has it (2.8). What is wrong with the token is in the log only."""
    log.warning("logout refused", reason=reason)
    services.metrics.logins.labels("logout-refused").inc()
    words = {"error": "invalid_request", "error_description": "The logout token is not accepted."}
    return JSONResponse(words, 400, _HEADERS)


def _audit(services: Services, person: Person, outcome: Outcome) -> list[Write]:
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


def _page(services: Services, status: int, problem: Problem, onward: str | None = None, another: str = "") -> Response:
    """`onward`: where the browser goes by itself; `another`: where somebody else logs in."""
    headers = _HEADERS | ({"WWW-Authenticate": "Bearer"} if status == 401 else {})
    return page(
        "login.html",
        status,
        headers,
        problem=problem,
        onward=onward,
        another=another,
        is_demo=services.settings.is_demo,
    )

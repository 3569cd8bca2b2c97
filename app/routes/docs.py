"""The API documentation, from files of our own: it works without internet access. Every example in it runs."""

from __future__ import annotations

from datetime import date
from functools import lru_cache
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.staticfiles import StaticFiles
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.login.people import LoginNeeded
from app.people import Person
from app.routes.connecting import connect_page
from app.routes.openapi import described
from app.storage.database import RecordsUnavailable
from app.web.html import ROOM, page
from app.wiring import Services, services_of

# The documentation's own script draws its icons as inline images and sets inline styles.
_POLICY = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)

router = APIRouter(include_in_schema=False)


@router.get("/docs")
async def documentation(request: Request) -> Response:
    services, person = await _for_operators(request)
    shown = {"section": "docs", "is_demo": services.settings.is_demo, "person": person}
    return page("docs.html", 200, {"Content-Security-Policy": _POLICY}, **shown)


@router.get("/docs/connect")
async def connect(request: Request) -> Response:
    """How an EHR is connected; open to everybody, since anybody who connects one has no login yet."""
    services = services_of(request)
    settings = services.settings
    base = settings.public_url or f"{request.url.scheme}://{request.url.netloc}"
    person = await _visitor(request)
    shown = {"section": "connect", "is_demo": settings.is_demo, "person": person}
    return page("connect.html", 200, None, text=Markup(connect_page(base)), **shown)


@router.get("/openapi.json")
async def openapi(request: Request) -> Response:
    services, _ = await _for_operators(request)
    return JSONResponse(request.app.state.described(services.clock().date()))


async def _for_operators(request: Request) -> tuple[Services, Person]:
    services = services_of(request)
    return services, await services.login.person(request)


async def _visitor(request: Request) -> Person | None:
    """Who is logged in; nobody where the database cannot say it."""
    try:
        return await services_of(request).login.person(request)
    except (LoginNeeded, RecordsUnavailable):
        return None


def install(app: FastAPI) -> None:
    """Add the documentation; its examples are made once a day."""
    app.include_router(router)
    app.mount("/docs/assets", StaticFiles(directory=ROOM / "static" / "swagger-ui"), name="docs-assets")

    @lru_cache(maxsize=1)
    def on(today: date) -> dict[str, Any]:
        services: Services = app.state.services
        return described(app, services.definitions.now, today)

    app.state.described = on

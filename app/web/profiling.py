"""Middleware that writes into the log what the parts of every call took."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from app.logs import log
from app.profile import profiled


class Profiling:
    """ASGI middleware that writes the parts of every call into the log."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with profiled() as profile:
            await self._app(scope, receive, send)
        if profile.parts:
            log.info("profiled", parts=profile.as_log())

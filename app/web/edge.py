"""What every answer has, whatever happened inside: a request id, cache and CORS headers, a log line, a proper error."""

from __future__ import annotations

import time
import uuid
from collections.abc import Collection

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.addresses import is_loopback_address
from app.errors import error_response, is_cds_path, unexpected
from app.logs import log, where_it_broke
from app.metrics import Metrics

_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST",
    "Access-Control-Allow-Headers": "authorization, content-type",
    "Access-Control-Max-Age": "600",
}


class Edge:
    """ASGI middleware around the whole application.

    `origins` are the web origins that may call the CDS Hooks paths from a browser; with `loopback_origins` (the demo)
    also pages of this machine, and all of them the demo's FHIR endpoint. `secure` adds Strict-Transport-Security.
    """

    def __init__(
        self, app: ASGIApp, metrics: Metrics, origins: Collection[str], *, loopback_origins: bool, secure: bool
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._origins = frozenset(origins)
        self._loopback_origins = loopback_origins
        self._secure = secure

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = uuid.uuid4().hex
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            await self._answer(scope, receive, send, request_id)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
        started, status = time.perf_counter(), 500
        headers = Headers(scope=scope)
        own_headers = self._headers_for(scope["path"], headers.get("origin"), request_id)
        begun = False

        async def send_with_headers(message: Message) -> None:
            nonlocal status, begun
            if message["type"] == "http.response.start":
                status, begun = message["status"], True
                _add(MutableHeaders(scope=message), own_headers)
            await send(message)

        try:
            if self._is_shared(scope["path"]) and _is_preflight(scope, headers):
                await self._preflight(own_headers)(scope, receive, send_with_headers)
            else:
                await self._app(scope, receive, send_with_headers)
        except Exception as error:
            log.error("unexpected error", where=where_it_broke(error))
            if not begun:
                await error_response(scope["path"], unexpected(request_id))(scope, receive, send_with_headers)
        finally:
            self._note(scope, status, time.perf_counter() - started)

    def _headers_for(self, path: str, origin: str | None, request_id: str) -> dict[str, str]:
        headers = {"X-Request-Id": request_id, "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
        if self._secure:
            headers["Strict-Transport-Security"] = "max-age=31536000"
        if self._is_shared(path):
            headers["Vary"] = "Origin"
            if origin and self._may_call(origin):
                headers["Access-Control-Allow-Origin"] = origin
                headers["Access-Control-Expose-Headers"] = "X-Request-Id"
        return headers

    def _is_shared(self, path: str) -> bool:
        """Whether pages of other origins may call this path: a client in a browser reads the chart as the EHR would."""
        return is_cds_path(path) or (self._loopback_origins and path.startswith("/demo/fhir"))

    def _may_call(self, origin: str) -> bool:
        return origin in self._origins or (self._loopback_origins and is_loopback_address(origin))

    @staticmethod
    def _preflight(own_headers: dict[str, str]) -> Response:
        allowed = "Access-Control-Allow-Origin" in own_headers
        return Response(status_code=204, headers=_PREFLIGHT if allowed else {})

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        # The template of the route, never the path: a path may hold what a caller put there.
        route = getattr(scope.get("route"), "path", "none")
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self._metrics.requests.labels(route, method, str(status)).inc()
        self._metrics.seconds.labels(route).observe(seconds)
        log.info("answered", route=route, method=method, status=status, ms=round(seconds * 1000, 1))


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def _is_preflight(scope: Scope, headers: Headers) -> bool:
    return scope["method"] == "OPTIONS" and "origin" in headers and "access-control-request-method" in headers


def _add(headers: MutableHeaders, own: dict[str, str]) -> None:
    for name, value in own.items():
        if name == "Vary":
            headers.add_vary_header(value)
        else:
            headers.setdefault(name, value)

"""`trialcards serve` and `trialcards demo`: the service on its port, from the first check to the last answer."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import socket
import threading
from collections.abc import Iterable, MutableMapping
from contextlib import suppress
from multiprocessing import connection, parent_process
from pathlib import Path
from typing import Annotated, Any

import typer
import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

from app.commands.connection import check
from app.commands.definitions import definitions_of
from app.commands.ending import stop
from app.commands.site import settings_of
from app.definitions.served import StillReading
from app.ehrs import EhrsError, load_ehrs
from app.logs import log
from app.main import demo, from_settings
from app.metrics import SHARED_FOLDER, shared_counters
from app.settings import Settings
from app.wiring import Services
from cds_hooks.report import VERSION

DRAINS = 0.5  # seconds after SIGTERM in which calls that were sent before it are still taken
_TURNS = 10  # of the event loop, at least: a busy one needs several to accept a connection and read its call

Profiled = Annotated[bool, typer.Option("--profile", help="Log what each part of a call took in time and memory.")]


def serve_command(
    profile: Profiled = False,
    only_check: Annotated[
        bool, typer.Option("--check", help="Test settings, definitions, database, keys and addresses, and end.")
    ] = False,
) -> None:
    """Serve in the production profile.

    Everything is set by environment variables: HOST, PORT and TRIALCARDS_* (also from a .env file). Refuses to start
    while TRIALCARDS_EHRS, TRIALCARDS_PUBLIC_URL or TRIALCARDS_SECRET_KEY is missing, and names what is. SIGTERM and
    Ctrl-C end it after the calls that were sent before are answered.

    Exit status 0 after it was stopped, 2 when a setting or the port is not usable, 3 when the start failed. With
    --check 1 when something does not answer; nothing is changed, and the port is not bound.
    """
    if only_check:
        check()
    _set_profiling(profile)
    settings = settings_of("production")
    assert settings.ehrs is not None
    try:
        load_ehrs(settings.ehrs)
    except EhrsError as error:
        stop(*error.problems)
    _check_profile(settings)
    _serve("app.commands.serve:production_app", settings, _listen(settings))


def demo_command(profile: Profiled = False) -> None:
    """Serve the demo on loopback: unsigned calls, SQLite, everything under var/.

    This is what `make run` starts. HOST and PORT choose where, TRIALCARDS_DEMO_FHIR puts another FHIR server in the
    demo EHR's place.
    """
    _set_profiling(profile)
    settings = settings_of("demo")
    _check_profile(settings)
    sockets = _listen(settings)
    base = _address(settings)
    for path, what in (
        ("/demo", "demo EHR: start here"),
        ("/worklist", "the coordinator's worklist"),
        ("/trials", "the trials"),
        ("/docs", "API"),
        ("/cds-services", "CDS Hooks discovery"),
    ):
        typer.echo(f"  {base}{path:<14} {what}")
    _serve("app.commands.serve:demo_app", settings, sockets)


def _check_profile(settings: Settings) -> None:
    """Stop where the site's profile names what is not there. The definitions are read for it, and kept compiled."""
    if settings.site is not None:
        definitions_of(settings)


def _set_profiling(profile: bool) -> None:
    if profile:
        os.environ["TRIALCARDS_PROFILE_CALLS"] = "true"  # for the workers too, which read their settings anew


# -- in the parent


def _listen(settings: Settings) -> list[socket.socket]:
    """The sockets of HOST and PORT. They listen at once: who calls before the service is up waits and is answered."""
    host, port = settings.host, settings.port
    sockets: list[socket.socket] = []
    try:
        places = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, address in dict.fromkeys(places):
            sockets.append(_bind(family, kind, protocol, address))
    except socket.gaierror:
        stop(f"HOST: {host} is not a name or address of this machine")
    except OSError as error:
        if not (sockets and error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)):
            stop(_refusal(error, host, port))
    if port == 0:
        os.environ["PORT"] = str(sockets[0].getsockname()[1])  # for the workers, which name it
        del sockets[1:]
    return sockets


def _bind(family: int, kind: int, protocol: int, address: Any) -> socket.socket:
    found = socket.socket(family, kind, protocol)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            found.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        found.bind(address)
        found.listen(2048)
    except OSError:
        found.close()
        raise
    found.set_inheritable(True)
    return found


def _refusal(error: OSError, host: str, port: int) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return f"PORT: {port} is in use by another program on {host}; choose another, like PORT={port % 65535 + 1}"
        case errno.EACCES:
            return f"PORT: this user may not listen on port {port}; ports from 1024 are free to all"
        case errno.EADDRNOTAVAIL:
            return f"HOST: {host} is not an address of this machine"
    return f"HOST, PORT: cannot listen on {host}, port {port} ({error.strerror})"


def _serve(factory: str, settings: Settings, sockets: list[socket.socket]) -> None:
    config = uvicorn.Config(
        factory,
        factory=True,
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        log_level="warning",
        access_log=False,  # an address may hold what a caller put there; our own log has the route
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=10,
        timeout_worker_healthcheck=60,  # a worker that starts or works on a busy machine is not dead
    )
    with shared_counters(settings.workers):
        started = _run_workers(config, sockets) if settings.workers > 1 else _run_one(config, sockets)
    raise SystemExit(0 if started else STARTUP_FAILURE)


def _run_one(config: uvicorn.Config, sockets: list[socket.socket]) -> bool:
    """Serve in this process; whether it started."""
    server = uvicorn.Server(config)
    # The server raises its signals again when everything is answered; by then they have done what they are for.
    signal.signal(signal.SIGTERM, lambda *_: None)
    with suppress(KeyboardInterrupt):
        server.run(sockets=sockets)
    return server.started


def _run_workers(config: uvicorn.Config, sockets: list[socket.socket]) -> bool:
    """Serve in workers; whether they started."""
    supervisor = _Supervisor(config, sockets=sockets)
    supervisor.run()
    return all(process.exitcode != STARTUP_FAILURE for process in supervisor.processes)


class _Supervisor(Multiprocess):
    """Notices at once when a worker dies.

    uvicorn keeps the worker's end of the pipe open in the parent too, and waits the whole timeout for the answer of a
    worker that died in the meantime.
    """

    def init_processes(self) -> None:
        super().init_processes()
        self._close_ends_of_workers()

    def keep_subprocess_alive(self) -> None:
        super().keep_subprocess_alive()
        self._close_ends_of_workers()

    def _close_ends_of_workers(self) -> None:
        for process in self.processes:
            process.child_conn.close()


def _address(settings: Settings) -> str:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http://{host}:{os.environ.get('PORT') if settings.port == 0 else settings.port}"


# -- in the process that answers


def production_app() -> ASGIApp:
    """The production service, as a worker serves it."""
    return Worker(from_settings())


def demo_app() -> ASGIApp:
    """The demo service, as a worker serves it."""
    return Worker(demo())


class Worker:
    """The application in a worker that reports its start, outlives no parent, and answers before it ends."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self._drains = False  # since the first signal
        self._has_drained = False
        self._ending: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, self._starting(send))
        elif self._drains:
            await self._app(scope, receive, _last_of_its_connection(send))
        else:
            await self._app(scope, receive, send)

    def _starting(self, send: Send) -> Send:
        async def told(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete":
                self._drain_before_signals(asyncio.get_running_loop())
                _end_with_parent()
                _report_start(self._app.state.services)
            await send(message)

        return told

    def _drain_before_signals(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let SIGTERM and SIGINT take effect only after the calls that were sent before are in.

        The server closes every connection whose call it has not read yet, and those in the listening queue with it.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            takes_effect = signal.getsignal(number)

            def handle(number: int, frame: Any, takes_effect: Any = takes_effect) -> None:
                if self._has_drained:
                    takes_effect(number, frame)
                elif not self._drains:
                    self._drains = True
                    loop.call_soon_threadsafe(self._begin_to_drain, takes_effect, number)

            signal.signal(number, handle)

    def _begin_to_drain(self, takes_effect: Any, number: int) -> None:
        self._ending = asyncio.get_running_loop().create_task(self._drain(takes_effect, number))

    async def _drain(self, takes_effect: Any, number: int) -> None:
        for _ in range(_TURNS):
            await asyncio.sleep(DRAINS / _TURNS)
        self._has_drained = True
        takes_effect(number, None)


def _last_of_its_connection(send: Send) -> Send:
    async def told(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers: Iterable[Any] = message.get("headers", ())
            message = {**message, "headers": [*headers, (b"connection", b"close")]}
        await send(message)

    return told


def _end_with_parent() -> None:
    """In a worker: end as on SIGTERM when the parent has died, instead of holding the port for ever."""
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=_wait_for_end_of, args=(parent.sentinel,), daemon=True, name="parent").start()


def _wait_for_end_of(sentinel: int) -> None:
    connection.wait([sentinel])
    os.kill(os.getpid(), signal.SIGTERM)


def _report_start(services: Services) -> None:
    """One line when the service is up; of several workers the first one writes it."""
    if not _is_first():
        return
    try:
        trials: int | None = len(services.definitions.now.trials)
    except StillReading:
        trials = None  # thousands are still being read; /readyz says when they are
    facts: MutableMapping[str, object] = {"database": services.records.dialect, "trials": trials}
    log.info("serving", url=_address(services.settings), version=VERSION, ehrs=[e.name for e in services.ehrs], **facts)


def _is_first() -> bool:
    folder = os.environ.get(SHARED_FOLDER)
    if folder is None:
        return True
    try:
        Path(folder, f"serving-{os.getppid()}").touch(exist_ok=False)
    except FileExistsError:
        return False
    return True

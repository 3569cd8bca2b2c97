"""What a hook call with a full prefetch costs: `python -m benchmarks.bench_hook [--calls N] [--check]`.

The server of the demo profile in a process of its own; its processor time (all threads) is what is measured, so that
other work on the machine disturbs it less than it would a clock. From it is taken that of a route of the same server
that only receives the same body. The unit is one `orjson.loads` of the body, made in between by that same process, with
its collector of garbage kept out of the way: the stricter unit.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import orjson
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from app.main import demo
from app.web.strict_json import read_body
from benchmarks.figures import Figure, report
from benchmarks.hook_body import hook_body
from tests.server import environment, free_port

CALLS, ROUNDS = 10, 7
LONG, SHORT = 1000, 100  # Observations
WHOLE, SLOPE = 1.2, 1.0  # times orjson.loads of the body, and of the difference between the two
VIEW = "/cds-services/trial-match-patient-view"
RECEIVE, LOADS, SPENT = "/bench/receive", "/bench/loads", "/bench/processor-time"
MEMORY = "/bench/memory"  # the most that the process had, in bytes
ROOT = Path(__file__).parents[1]


def with_receiver() -> FastAPI:
    """The demo application with routes that only receive, that also read, and that tell the processor time."""
    app = demo()

    async def receive(request: Request) -> Response:
        await read_body(request, 1 << 30)
        return Response(b"{}", media_type="application/json")

    async def loads(request: Request) -> Response:
        orjson.loads(await read_body(request, 1 << 30))
        return Response(b"{}", media_type="application/json")

    async def spent(_: Request) -> Response:
        return Response(str(time.process_time_ns()))

    async def memory(_: Request) -> Response:
        return Response(str(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024))

    app.add_route(RECEIVE, receive, methods=["POST"])
    app.add_route(LOADS, loads, methods=["POST"])
    app.add_route(SPENT, spent)
    app.add_route(MEMORY, memory)
    return app


@contextmanager
def served(wait: float = 60, **settings: str) -> Iterator[httpx.Client]:
    """A client of that application, run by uvicorn in a process of its own, with the files of the demo thrown away.

    `wait` seconds at most until it is ready.
    """
    base = f"http://127.0.0.1:{(port := free_port())}"
    command = [sys.executable, "-m", "uvicorn", "--factory", "benchmarks.bench_hook:with_receiver"]
    options = ["--port", str(port), "--log-level", "warning", "--no-access-log", "--no-proxy-headers"]
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "server.log").open("wb") as log:
        around = environment(PYTHONPATH=str(ROOT), PORT=str(port), **settings)
        process = subprocess.Popen([*command, *options], cwd=folder, env=around, stdout=log, stderr=log)
        try:
            with httpx.Client(base_url=base, trust_env=False, timeout=60) as client:
                _wait(client, process, wait)
                yield client
        finally:
            process.terminate()
            process.wait()


def _wait(client: httpx.Client, process: subprocess.Popen[bytes], seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until and process.poll() is None:
        try:
            if client.get("/readyz").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    sys.exit("the server did not start")


def spent_on(client: httpx.Client, path: str, body: bytes, calls: int) -> float:
    """Milliseconds of processor time that one call takes in the server, the mean of so many."""
    before = int(client.get(SPENT).text)
    for _ in range(calls):
        answer = client.post(path, content=body, headers={"content-type": "application/json"})
        if answer.status_code != 200 or (path == VIEW and not answer.json()["cards"]):
            sys.exit(f"{path} answered {answer.status_code}, or without cards")
    return (int(client.get(SPENT).text) - before) / calls / 1e6


def main(calls: int, rounds: int) -> None:
    today = datetime.now(UTC).date()
    long, short = hook_body(LONG, today), hook_body(SHORT, today)
    seen: dict[tuple[str, bool], list[float]] = {}
    with served() as client:
        for counts in (False, *[True] * rounds):  # the first round fills what is kept
            for path in (VIEW, RECEIVE, LOADS):
                for body in (long, short):
                    each = spent_on(client, path, body, calls)
                    seen.setdefault((path, body is long), []).extend([each] * counts)
    # The least is what the machine does when nobody disturbs it. A round is long enough to pay for all that it leaves.
    took = {kind: min(values) for kind, values in seen.items()}
    own, unit = (
        {is_long: took[path, is_long] - took[RECEIVE, is_long] for is_long in (True, False)} for path in (VIEW, LOADS)
    )
    slope = (own[True] - own[False]) / (unit[True] - unit[False])
    figures = [
        Figure(f"body, {LONG} Observations", len(long) / 1e6, "MB"),
        Figure(f"body, {SHORT} Observations", len(short) / 1e6, "MB"),
        Figure("orjson.loads of the body", unit[True], "ms"),
        Figure("the hook, processor time", took[VIEW, True], "ms"),
        Figure(f"the hook, {SHORT} Observations", took[VIEW, False], "ms"),
        Figure("only receiving the body", took[RECEIVE, True], "ms"),
        Figure("hook without receiving / orjson.loads", own[True] / unit[True], "x", WHOLE),
        Figure(f"the same, {LONG - SHORT} Observations more", slope, "x", SLOPE),
    ]
    report("hook", figures)


def _option(name: str, default: int) -> int:
    return int(sys.argv[sys.argv.index(name) + 1]) if name in sys.argv else default


if __name__ == "__main__":
    main(_option("--calls", CALLS), _option("--rounds", ROUNDS))

"""How evenly hook calls are answered: `python -m benchmarks.bench_open_loop [--seconds 120] [--check]`.

Calls come at a steady rate, half of what one worker can answer, whether or not the one before is done; a call's time
runs from when it was due. A second chart has many cohorts open. The same rate with random gaps is told beside it: there
calls meet, and one worker that takes them in turn cannot stay under three times the median, whatever it does (of a
queue with equal service times that is half busy, one call in a hundred waits for more than three others).

Then the same work is given to one worker and to two: a worker beside another should cost what it costs alone. And what
each call waited for its turn at the database is read from the profile of its parts, with one worker and with two, each
at half of what it can: SQLite lets one write at a time, for as long as the disk takes. The client runs on the same
machine.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from os import sysconf
from pathlib import Path

import httpx

from benchmarks.bench_hook import LONG, VIEW
from benchmarks.figures import Figure, report
from benchmarks.hook_body import hook_body
from benchmarks.synthetic_export import GATES
from tests.server import environment, free_port

SECONDS, CLOSED = 120, 40  # of open loop; calls one after the other
EVEN, TOGETHER = 2.5, 1.1  # p99 / median; processor time of a call with two workers / with one
WAIT = 1  # ms
ROOT = Path(__file__).parents[1]
JSON = {"content-type": "application/json"}
_TICKS = sysconf("SC_CLK_TCK")


@contextmanager
def served(workers: int, **settings: str) -> Iterator[tuple[str, int, Path]]:
    """Address, process and log of the demo application in so many workers, its files thrown away at the end."""
    base = f"http://127.0.0.1:{(port := free_port())}"
    command = [sys.executable, "-m", "uvicorn", "--factory", "app.main:demo", "--port", str(port)]
    options = ["--workers", str(workers), "--log-level", "warning", "--no-access-log", "--no-proxy-headers"]
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "server.log").open("wb") as log:
        around = environment(PYTHONPATH=str(ROOT), PORT=str(port), TRIALCARDS_WORKERS=str(workers), **settings)
        process = subprocess.Popen([*command, *options], cwd=folder, env=around, stdout=log, stderr=log)
        try:
            _wait(base, process)
            yield base, process.pid, Path(log.name)
        finally:
            process.terminate()
            process.wait()


def _wait(base: str, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 90
    while time.monotonic() < until and process.poll() is None:
        try:
            if httpx.get(f"{base}/readyz", trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    sys.exit("the server did not start")


def processor_time(pid: int) -> float:
    """Seconds of processor time of a process and all that it started."""
    total, family = 0, {pid}
    for path in sorted(Path("/proc").glob("[0-9]*/stat"), key=lambda path: int(path.parts[2])):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(path.parts[2]) in family or int(fields[1]) in family:
            family.add(int(path.parts[2]))
            total += int(fields[11]) + int(fields[12])
    return total / _TICKS


def one_after_the_other(base: str, body: bytes, calls: int) -> list[float]:
    """Seconds of each call."""
    took = []
    with httpx.Client(base_url=base, trust_env=False, timeout=60, headers=JSON) as client:
        for _ in range(calls):
            begun = time.perf_counter()
            if client.post(VIEW, content=body).status_code != 200:
                sys.exit("a call was not answered")
            took.append(time.perf_counter() - begun)
    return took


def steady(rate: float) -> Iterator[float]:
    """Gaps between calls, in seconds."""
    return itertools.repeat(1 / rate)


def at_random(rate: float) -> Iterator[float]:
    rng = random.Random(1)
    while True:
        yield rng.expovariate(rate)


async def as_they_come(base: str, body: bytes, gaps: Iterator[float], seconds: float) -> list[float]:
    """Seconds of each call, from when it was due."""
    took: list[float] = []
    async with httpx.AsyncClient(base_url=base, trust_env=False, timeout=60, headers=JSON) as client:

        async def call(due: float) -> None:
            if (await client.post(VIEW, content=body)).status_code != 200:
                sys.exit("a call was not answered")
            took.append(time.perf_counter() - due)

        due = started = time.perf_counter()
        async with asyncio.TaskGroup() as calls:
            while due < started + seconds:
                await asyncio.sleep(due - time.perf_counter())
                calls.create_task(call(due))
                due += next(gaps)
    return took


def evenness(base: str, body: bytes, name: str, seconds: float) -> list[Figure]:
    one_after_the_other(base, body, 5)
    alone = statistics.median(one_after_the_other(base, body, CLOSED))
    figures = [Figure(f"{name}: a call alone, median", alone * 1e3, "ms")]
    for gaps, how, limit in ((steady, "at half of that rate", EVEN), (at_random, "with random gaps", None)):
        took = asyncio.run(as_they_come(base, body, gaps(0.5 / alone), seconds))
        middle, slowest = statistics.median(took), statistics.quantiles(took, n=100)[98]
        figures += [
            Figure(f"{name}, {how}: median", middle * 1e3, "ms"),
            Figure(f"{name}, {how}: p99 / median", slowest / middle, "x", limit),
        ]
    return figures


def cost_of_a_call(workers: int, body: bytes) -> float:
    """Milliseconds of processor time of one call, where as many callers as workers call one after the other."""
    with served(workers) as (base, pid, _), ThreadPoolExecutor(workers) as callers:
        for calls in (CLOSED, CLOSED * 3):  # the first fill what is kept
            before = processor_time(pid)
            for done in [callers.submit(one_after_the_other, base, body, calls) for _ in range(workers)]:
                done.result()
        return (processor_time(pid) - before) / (calls * workers) * 1e3


def waits(workers: int, body: bytes, seconds: float) -> list[Figure]:
    """What calls waited for their turns at the database, at half of what these workers can."""
    with served(workers, TRIALCARDS_PROFILE_CALLS="true") as (base, _, log):
        one_after_the_other(base, body, 5 * workers)
        alone = statistics.median(one_after_the_other(base, body, CLOSED))
        told = len(log.read_bytes())
        asyncio.run(as_they_come(base, body, steady(0.5 * workers / alone), seconds))
        lines = log.read_bytes()[told:].splitlines()
    parts = [json.loads(line)["parts"] for line in lines if b'"profiled"' in line]
    waited = [each["wait"][0] for each in parts if "record" in each]
    name = f"wait at the database, {workers} worker{'s' * (workers > 1)}"
    over = sum(each > WAIT for each in waited) / len(waited)
    return [
        Figure(f"{name}: median", statistics.median(waited), "ms"),
        Figure(f"{name}: longest", max(waited), "ms", WAIT),
        Figure(f"{name}: share over {WAIT} ms", over * 100, "%"),
    ]


def main(seconds: float) -> None:
    today = datetime.now(UTC).date()
    usual = hook_body(LONG, today)
    many = hook_body(LONG, today, indicated=[(code, name) for code, name, _ in GATES])
    with served(1) as (base, _, _):
        figures = [
            *evenness(base, usual, "one disease", seconds),
            *evenness(base, many, "six diseases", seconds),
        ]
    one, two = cost_of_a_call(1, usual), cost_of_a_call(2, usual)
    figures += [
        Figure("processor time of a call, one worker", one, "ms"),
        Figure("processor time of a call, two workers", two, "ms"),
        Figure("two workers / one", two / one, "x", TOGETHER),
        *waits(1, usual, seconds),
        *waits(2, usual, seconds),
    ]
    report("open-loop", figures)


if __name__ == "__main__":
    main(float(sys.argv[sys.argv.index("--seconds") + 1]) if "--seconds" in sys.argv else SECONDS)

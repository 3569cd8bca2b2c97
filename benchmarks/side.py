"""One side of a comparison: run by its path, with the tree to be measured on PYTHONPATH, old or new.

    hook N CALLS     milliseconds of processor for one patient-view call with N Observations, the least of so many
    memory CALLS     MB held by the service after so many calls (short charts, every tenth of 1,000 Observations)
    many FOLDER      seconds of processor to read and compile the definitions of a folder

Prints one number. Only names that both trees have are used. The application runs in this process, without a socket.
"""

from __future__ import annotations

import asyncio
import re
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx

from benchmarks.hook_body import hook_body

VIEW = "/cds-services/trial-match-patient-view"
WARM_UP = 8  # calls that fill what is kept


@asynccontextmanager
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """A client of the demo application in this process."""
    from app.main import demo

    app = demo()
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://127.0.0.1:8000") as found,
    ):
        for _ in range(600):
            if (await found.get("/readyz")).status_code == 200:
                break
            await asyncio.sleep(0.1)
        yield found


async def call(http: httpx.AsyncClient, body: bytes) -> None:
    answer = await http.post(VIEW, content=body, headers={"content-type": "application/json"})
    if answer.status_code != 200 or b'"uuid"' not in answer.content:
        sys.exit(f"{VIEW} answered {answer.status_code}, or without cards")


async def hook(observations: int, calls: int) -> float:
    body = hook_body(observations, datetime.now(UTC).date())
    took = []
    async with client() as http:
        for number in range(WARM_UP + calls):
            begun = time.process_time()
            await call(http, body)
            took += [time.process_time() - begun] if number >= WARM_UP else []
    return min(took) * 1000


async def memory(calls: int) -> float:
    short, long = (hook_body(count, datetime.now(UTC).date()) for count in (100, 1000))
    async with client() as http:
        for number in range(calls):
            await call(http, short if number % 10 else long)
        return held()


def held() -> float:
    """MB of this process in memory."""
    return int(re.findall(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text())[0]) / 1000


def many(folder: str) -> float:
    from app.definitions.served import Definitions

    begun = time.process_time()
    served = Definitions(None, Path(folder)).now
    if len(served.trials) < 100:
        sys.exit("the definitions were not read")
    return time.process_time() - begun


def main(kind: str, *arguments: str) -> float:
    if kind == "hook":
        return asyncio.run(hook(int(arguments[0]), int(arguments[1])))
    return asyncio.run(memory(int(arguments[0]))) if kind == "memory" else many(arguments[0])


if __name__ == "__main__":
    print(main(*sys.argv[1:]))  # noqa: T201

"""A load of mixed requests against one worker: no answer that the protocol does not know, and memory that stays flat.

    python -m benchmarks.load [2000]

Prints what was answered, how fast, and the resident memory along the way; ends with 1 when a promise was broken.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import httpx

from app.web.examples import WHOLE_CHART, context_of, hook_call
from tests.server import Server, demo_server

AT_ONCE = 16
GROWTH = 1.10  # of the memory after a quarter of the load
VIEW = "/cds-services/trial-match-patient-view"


def requests() -> list[tuple[str, str, bytes | None]]:
    """One of each kind: method, address, body."""
    call = json.dumps(hook_call("patient-view")).encode()
    without = hook_call("patient-view")
    without["prefetch"] = {key: without["prefetch"][key] for key in ("patient", "conditions")}
    empty = json.dumps(hook_call("patient-view") | {"prefetch": {}}).encode()
    item = {"card": "unknown", "outcome": "overridden", "outcomeTimestamp": "2026-11-01T11:00:00Z"}
    order = json.dumps(hook_call("order-sign", **context_of("order-sign"))).encode()
    return [
        ("POST", VIEW, call),
        ("POST", VIEW, json.dumps(without).encode()),
        ("POST", "/cds-services/trial-match-order-sign", order),
        ("POST", "/api/v1/match", json.dumps(WHOLE_CHART).encode()),
        ("POST", VIEW, empty),  # 412
        ("POST", VIEW, call[:-9]),  # 400
        ("POST", VIEW, b"[]"),  # 422
        ("POST", VIEW + "/feedback", json.dumps({"feedback": [item]}).encode()),
        ("GET", "/cds-services", None),
        ("GET", "/healthz", None),
    ]


async def load(server: Server, count: int) -> int:
    kinds, answered, health, memory = requests(), Counter[int](), list[float](), list[int]()
    todo = iter(range(count))
    started = time.perf_counter()
    async with httpx.AsyncClient(base_url=server.base, trust_env=False, timeout=60) as client:

        async def work() -> None:
            for number in todo:
                method, path, body = kinds[number % len(kinds)]
                begun = time.perf_counter()
                headers = {"content-type": "application/json"}
                answer = await client.request(method, path, content=body, headers=headers)
                answered[answer.status_code] += 1
                if path == "/healthz":
                    health.append(time.perf_counter() - begun)
                if number % max(count // 8, 1) == 0:
                    memory.append(resident(server))

        await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    seconds = time.perf_counter() - started
    memory.append(resident(server))
    return _told(answered, seconds, sorted(health), memory)


def resident(server: Server) -> int:
    """Resident memory in MiB."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) // 1024


def _told(answered: Counter[int], seconds: float, health: list[float], memory: list[int]) -> int:
    total = answered.total()
    print(f"{total} requests in {seconds:.0f} s: {dict(sorted(answered.items()))}")  # noqa: T201
    print(f"health check under load: median {health[len(health) // 2] * 1000:.0f} ms, worst {health[-1] * 1000:.0f} ms")  # noqa: T201
    print(f"resident memory, MiB: {memory}")  # noqa: T201
    flat = memory[-1] <= memory[len(memory) // 4] * GROWTH
    known = not [status for status in answered if status >= 500 and status != 503]
    print("flat memory" if flat else "MEMORY GREW", "and no fault" if known else "AND FAULTS", sep=", ")  # noqa: T201
    return 0 if flat and known else 1


def main() -> int:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    with tempfile.TemporaryDirectory() as folder, demo_server(Path(folder)) as server:
        return asyncio.run(load(server, count))


if __name__ == "__main__":
    sys.exit(main())

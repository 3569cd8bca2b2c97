"""The database locked, full, read-only, gone and back: never a 5xx but 503, never a 200 for what was not kept."""

from __future__ import annotations

import resource
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from app.definitions.served import Definitions
from app.web.examples import hook_call
from tests.app.conftest import demo_settings, services_with, serving
from tests.hospital import VIEW
from tests.support.database_faults import FEEDBACK


async def refusals(client: httpx.AsyncClient) -> list[httpx.Response]:
    call: dict[str, Any] = hook_call("patient-view")
    return [await client.post(VIEW, json=call), await client.post(VIEW + "/feedback", json=FEEDBACK)]


def is_told(answer: httpx.Response) -> bool:
    outcome = answer.json()["resourceType"] == "OperationOutcome"
    return answer.status_code == 503 and bool(answer.headers["retry-after"]) and outcome


async def test_a_database_that_is_locked_is_503_and_then_works_again(tmp_path: Path, definitions: Definitions) -> None:
    async with serving(services_with(demo_settings(tmp_path), definitions)) as client:
        other = sqlite3.connect(tmp_path / "records.db", isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        started = time.monotonic()
        answer = await client.post(VIEW + "/feedback", json=FEEDBACK)
        assert is_told(answer)
        assert time.monotonic() - started < 12
        assert (await client.get("/healthz")).status_code == 200
        other.execute("ROLLBACK")
        other.close()
        assert [each.status_code for each in await refusals(client)] == [200, 200]


async def test_no_call_outlasts_the_deadline_while_the_database_hangs(tmp_path: Path, definitions: Definitions) -> None:
    async with serving(services_with(demo_settings(tmp_path, deadline=1.0), definitions)) as client:
        assert [each.status_code for each in await refusals(client)] == [200, 200]
        other = sqlite3.connect(tmp_path / "records.db", isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        for path, body in ((VIEW, hook_call("patient-view")), (VIEW + "/feedback", FEEDBACK)):
            started = time.monotonic()
            assert is_told(await client.post(path, json=body))
            assert time.monotonic() - started < 2  # 5 s is SQLite's own patience, 8 s that of other transactions
        other.execute("ROLLBACK")
        other.close()
        assert [each.status_code for each in await refusals(client)] == [200, 200]


async def test_a_database_that_is_full_keeps_what_it_has_and_takes_nothing(
    tmp_path: Path, definitions: Definitions
) -> None:
    services = services_with(demo_settings(tmp_path), definitions)
    async with serving(services) as client:
        assert [each.status_code for each in await refusals(client)] == [200, 200]
        with no_room_beyond((tmp_path / "records.db-wal").stat().st_size):
            answers = await refusals(client)
            assert is_told(answers[0])
            assert (await client.get("/healthz")).status_code == 200
        summary = (await client.get("/api/v1/feedback/summary")).json()["feedback"]
        assert sum(row["count"] for row in summary) == 1
        assert [each.status_code for each in await refusals(client)] == [200, 200]


@contextmanager
def no_room_beyond(size: int) -> Iterator[None]:
    """The operating system lets no file of this process grow beyond this size, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_a_database_without_its_tables_is_503_and_readiness_says_so(
    tmp_path: Path, definitions: Definitions
) -> None:
    async with serving(services_with(demo_settings(tmp_path), definitions)) as client:
        with sqlite3.connect(tmp_path / "records.db") as other:
            for table in ("issued_card", "feedback", "dismissal"):
                other.execute(f"DROP TABLE {table}")
        other.close()
        assert all(map(is_told, await refusals(client)))
        ready = await client.get("/readyz")
        assert (ready.status_code, ready.json()["database"]) == (503, "unreachable")

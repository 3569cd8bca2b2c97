"""Behind PgBouncer in transaction mode, by its plain URL: each transaction may get another connection of the server."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from app.storage.records import Records
from app.web.examples import hook_call
from tests.app.conftest import NOW, records_at
from tests.hospital import VIEW, production, settings_of, signed
from tests.pgbouncer import INSTALL, pooled, program
from tests.postgres import Cluster
from tests.support.records import ANNA, CALLER, SERVICE, overridden, show

CALLS = 60


@pytest.fixture
def command() -> str:
    found = program()
    if found is None:
        pytest.skip(INSTALL)
    return found


async def test_records_are_kept_and_found_behind_a_pooler(postgres: Cluster, command: str) -> None:
    with pooled(postgres, postgres.new_database(), command) as url:
        records: Records = records_at(url)
        await records.prepare()
        await show(records)
        await records.add_feedback(CALLER, SERVICE, [overridden("not-appropriate")], NOW)
        for _ in range(20):
            assert await records.dismissed(ANNA, NOW) == {"NCT1": ('{"said":1}',)}
        assert await records.dismissed(ANNA, NOW + timedelta(31)) == {}
        await records.close()


def test_every_hook_call_is_answered_and_kept_behind_a_pooler(postgres: Cluster, command: str, tmp_path: Path) -> None:
    database = postgres.new_database()
    with (
        pooled(postgres, database, command) as url,
        production(tmp_path, settings_of(tmp_path, url, WORKERS="2")) as server,
        ThreadPoolExecutor(8) as threads,
    ):
        body = hook_call("patient-view")
        answers = list(threads.map(lambda _: server.post(VIEW, body, signed(VIEW), 60).status_code, range(CALLS)))
        assert answers == [200] * CALLS
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT count(*) FROM audited_call").fetchone() == (CALLS,)

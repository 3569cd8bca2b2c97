"""A transaction runs as a whole beside the event loop, whatever becomes of its caller, and nobody waits for ever."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from app.storage.database import RecordsUnavailable, Write, all_of, doing, if_any, url_of
from app.storage.records import Records
from app.storage.tables import UsedToken
from tests.app.conftest import NOW, records_at
from tests.postgres import Cluster
from tests.support.database import Held, stopped
from tests.support.records import rows_of, used

USED: sa.Table = UsedToken.__table__  # type: ignore[attr-defined]


def token(name: str) -> Write:
    return doing(sa.insert(USED), [{"id": name, "expires_at": NOW}])


def names_in(database: str) -> list[str]:
    engine = sa.create_engine(url_of(database))
    with engine.connect() as connection:
        found = list(connection.execute(sa.select(USED.c.id)).scalars())
    engine.dispose()
    return found


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("sqlite:///var/x.db", "sqlite+pysqlite:///var/x.db"),
        ("sqlite+aiosqlite:////srv/x.db", "sqlite+pysqlite:////srv/x.db"),
        ("postgresql://u:p@h:5433/d", "postgresql+psycopg://u:p@h:5433/d"),
        ("postgresql+asyncpg://u:p@h/d?ssl=require&command_timeout=9", "postgresql+psycopg://u:p@h/d?sslmode=require"),
        ("postgresql+asyncpg://u@h/d?statement_cache_size=0&timeout=5", "postgresql+psycopg://u@h/d"),
        ("postgresql+psycopg:///d?host=/run/postgresql", "postgresql+psycopg:///d?host=%2Frun%2Fpostgresql"),
    ],
)
def test_a_url_is_understood_whichever_driver_it_names(given: str, used: str) -> None:
    assert url_of(given).render_as_string(hide_password=False) == used


@pytest.mark.parametrize("given", ["mysql://h/canary", "canary", "oracle://canary"])
def test_a_database_of_another_kind_is_refused_without_being_quoted(given: str) -> None:
    with pytest.raises(ValueError, match="starts with sqlite:// or postgresql://") as refused:
        url_of(given)
    assert "canary" not in str(refused.value)


def test_a_password_that_breaks_the_url_is_not_quoted() -> None:
    with pytest.raises(ValueError, match="in a password") as refused:
        url_of("postgresql://u:ca@nary:canary/1@h/d")
    assert "canary" not in str(refused.value)


async def test_nothing_is_prepared_and_instants_are_in_UTC(postgres: Cluster) -> None:
    records = records_at(postgres.new_database())
    await records.prepare()

    def often(connection: sa.Connection) -> tuple[bool, str]:
        for _ in range(9):
            connection.execute(sa.select(USED)).all()
        prepared = connection.execute(sa.text("SELECT 1 FROM pg_prepared_statements")).all()
        return bool(prepared), connection.exec_driver_sql("SHOW timezone").scalar_one()

    assert await records.read(often) == (False, "UTC")
    await records.close()


async def test_a_transaction_whose_caller_gives_up_before_its_commit_leaves_nothing(
    records: Records, database: str
) -> None:
    held = Held()
    caller = asyncio.create_task(records.write(all_of(token("a"), held, token("b"))))
    await held.is_under_way()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    held.let_go()
    await records.write(token("c"))  # of SQLite one after the other
    await records.close()
    assert names_in(database) == ["c"]


async def test_a_transaction_whose_caller_goes_before_its_turn_is_never_begun(tmp_path: Path) -> None:
    records = records_at(f"sqlite:///{tmp_path}/records.db")
    await records.prepare()
    held = Held()
    first = asyncio.create_task(records.write(held))
    await held.is_under_way()
    second = asyncio.create_task(records.write(token("never")))
    await asyncio.sleep(0)
    second.cancel()
    held.let_go()
    await first
    await records.close()
    assert rows_of(f"sqlite:///{tmp_path}/records.db", "used_token") == []


async def test_what_fails_in_the_middle_leaves_nothing_and_the_next_goes_on(records: Records, database: str) -> None:
    with pytest.raises(RecordsUnavailable):
        await records.write(all_of(token("a"), token("a")))
    assert rows_of(database, "used_token") == []
    await records.write(token("a"))
    assert len(rows_of(database, "used_token")) == 1


async def test_parts_are_done_only_where_a_row_was_changed(records: Records, database: str) -> None:
    gone = sa.delete(USED).where(USED.c.id == "a")
    assert not await records.write(if_any(gone, token("b")))
    await records.write(token("a"))
    assert await records.write(if_any(gone, token("b")))
    assert [row[0] for row in rows_of(database, "used_token")] == ["b"]  # type: ignore[index]


async def test_nobody_waits_longer_than_is_said_and_the_event_loop_not_at_all(tmp_path: Path) -> None:
    records = records_at(f"sqlite:///{tmp_path}/records.db")
    await records.prepare()
    held = Held()
    first = asyncio.create_task(records.write(held))
    await held.is_under_way()
    started = time.monotonic()
    with pytest.raises(RecordsUnavailable):
        await records.write(token("late"), 0.2)
    assert time.monotonic() - started < 2
    assert await records.read(lambda connection: connection.execute(sa.select(USED)).all()) == []
    held.let_go()
    await first
    await records.close()


async def test_a_worker_that_starts_while_another_holds_the_file_does_not_wait_for_ever(tmp_path: Path) -> None:
    before, starting = (records_at(f"sqlite:///{tmp_path}/records.db") for _ in range(2))
    await before.prepare()
    held = Held()
    first = asyncio.create_task(before.write(held))
    await held.is_under_way()
    with pytest.raises(RecordsUnavailable):
        await starting.prepare(0.2)
    assert not starting.is_ready
    held.let_go()
    await first
    await starting.prepare(20)
    assert await starting.is_reachable()
    await before.close()
    await starting.close()


async def test_of_the_workers_on_one_file_each_is_told_how_long_it_waited_for_the_other(tmp_path: Path) -> None:
    workers = [records_at(f"sqlite:///{tmp_path}/records.db") for _ in range(2)]
    waits: list[float] = []
    for worker in workers:
        await worker.prepare()
    workers[1].on_wait = waits.append
    held = Held()
    first = asyncio.create_task(workers[0].write(held))
    await held.is_under_way()
    later = [asyncio.create_task(workers[1].write(token(name))) for name in "ab"]
    await asyncio.sleep(0.3)
    held.let_go()
    await asyncio.gather(first, *later)
    await workers[1].write(token("c"))
    assert waits[0] > 0.2
    assert waits[1] > 0.2  # it queued behind the one before it
    assert waits[2] < 0.2
    for worker in workers:
        await worker.close()


async def test_a_transaction_that_only_reads_can_change_nothing(tmp_path: Path) -> None:
    records = records_at(f"sqlite:///{tmp_path}/records.db")
    await records.prepare()
    with pytest.raises(RecordsUnavailable):
        await records.read(token("a"))
    await records.close()
    assert rows_of(f"sqlite:///{tmp_path}/records.db", "used_token") == []


async def test_a_database_in_memory_is_one_for_readers_and_writers(caplog: pytest.LogCaptureFixture) -> None:
    records = records_at("sqlite://")
    await records.prepare()
    assert await used(records)
    assert await records.is_reachable()
    assert not await used(records)
    await records.close()
    assert not caplog.records


async def test_a_server_that_hangs_is_told_as_gone_and_is_used_again_when_it_goes_on(postgres: Cluster) -> None:
    records = records_at(postgres.new_database())
    await records.prepare()
    assert await records.is_reachable()
    with stopped(postgres.process.pid):
        started = time.monotonic()
        assert not await records.is_reachable()
        assert time.monotonic() - started < 12
    assert await records.is_reachable()
    await records.close()


# -- what is logged of a database that cannot be used


def refused_at(url: str, cluster: Cluster) -> str:
    return url.replace("PORT", str(cluster.port))


REFUSED = [
    ("postgresql://nobody:canary@127.0.0.1:PORT/postgres", "28000", 'role "nobody" does not exist'),
    ("postgresql://owner:canary@127.0.0.1:PORT/none", "3D000", 'database "none" does not exist'),
    ("postgresql://owner:canary@127.0.0.1:1/none", None, "Connection refused"),
    ("postgresql://owner:canary@none.invalid/none", None, "none.invalid"),
]


@pytest.mark.parametrize(("url", "kind", "reason"), REFUSED)
async def test_the_log_says_why_a_database_cannot_be_used(
    postgres: Cluster, url: str, kind: str | None, reason: str
) -> None:
    records = records_at(refused_at(url, postgres))
    with capture_logs() as logs, pytest.raises(RecordsUnavailable):
        await records.prepare()
    [line] = logs
    assert (line["event"], line["error"], line["kind"]) == ("database not usable", "OperationalError", kind)
    assert reason in line["reason"]
    assert line["host"] in url
    assert line["user"] in url
    assert line["port"] in (postgres.port, 1, 5432)
    assert "canary" not in str(line)
    await records.close()


async def test_a_database_that_is_read_only_is_not_ready(postgres: Cluster) -> None:
    url = postgres.new_database()
    records = records_at(url)
    await records.prepare()
    assert await records.is_reachable()
    await records.write(
        lambda connection: connection.exec_driver_sql(
            f"ALTER DATABASE {url.rpartition('/')[2]} SET default_transaction_read_only = on"
        )
    )
    await records.close()
    with capture_logs() as logs:
        assert not await records.is_reachable()
    assert [line["event"] for line in logs] == ["database is read-only"]
    await records.close()

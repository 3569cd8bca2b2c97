"""What is kept, against a real SQLite file."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlmodel import SQLModel

from app.ehrs import Caller, demo_ehr
from app.storage.database import RecordsUnavailable, migrate, url_of, write_ahead
from app.storage.records import Records, Shown
from cds_hooks.protocol.models import Feedback
from tests.app.conftest import NOW, SECRET, records_at
from tests.support.records import ANNA, CALLER, COLLEAGUE, SERVICE, everything_in, overridden, rows_of, show, used


async def test_an_override_holds_for_its_patient_until_the_snooze_ends(records: Records) -> None:
    await show(records)
    await records.add_feedback(CALLER, SERVICE, [overridden("not-appropriate")], NOW)
    assert await records.dismissed(ANNA, NOW) == {"NCT1": ('{"said":1}',)}
    assert await records.dismissed(ANNA, NOW + timedelta(31)) == {}
    for other in (Shown("demo", "", "b", ANNA.user), Shown("demo", "t", ANNA.patient, ANNA.user)):
        assert await records.dismissed(other, NOW) == {}


@pytest.mark.parametrize("reason", ["patient-declined", "already-enrolled", "not-appropriate", "data-wrong"])
async def test_a_reason_that_lies_in_the_patient_holds_for_all_users(records: Records, reason: str) -> None:
    await show(records)
    await records.add_feedback(CALLER, SERVICE, [overridden(reason)], NOW)
    assert "NCT1" in await records.dismissed(COLLEAGUE, NOW)


@pytest.mark.parametrize("reason", ["ask-later", "not-my-patient", "a-site-reason", None])
async def test_any_other_override_holds_for_the_one_to_whom_the_card_was_shown(
    records: Records, reason: str | None
) -> None:
    await show(records)
    await records.add_feedback(CALLER, SERVICE, [overridden(reason)], NOW)
    assert "NCT1" in await records.dismissed(ANNA, NOW)
    assert await records.dismissed(COLLEAGUE, NOW) == {}


async def test_the_same_item_twice_is_one_and_an_acceptance_after_it_another(records: Records) -> None:
    await show(records)
    accepted = Feedback("card-1", "accepted", NOW, ("s1",))
    assert await records.add_feedback(CALLER, SERVICE, [overridden("ask-later"), overridden("ask-later")], NOW) == 1
    assert await records.add_feedback(CALLER, SERVICE, [overridden("ask-later"), accepted], NOW) == 1
    assert (await records.feedback_summary())["feedback"] == [
        {"trial": "NCT1", "outcome": "accepted", "reason": None, "count": 1},
        {"trial": "NCT1", "outcome": "overridden", "reason": "ask-later", "count": 1},
    ]


async def test_the_same_item_sent_to_several_workers_at_once_is_one(database: str) -> None:
    workers = [records_at(database) for _ in range(4)]
    await asyncio.gather(*(worker.prepare() for worker in workers))
    await show(workers[0])
    item = overridden("ask-later")
    new = await asyncio.gather(*(worker.add_feedback(CALLER, SERVICE, [item], NOW) for worker in workers))
    assert sorted(new) == [0, 0, 0, 1]
    for worker in workers:
        await worker.close()


async def test_feedback_on_another_ones_card_is_kept_but_unmatched_and_snoozes_nothing(records: Records) -> None:
    await show(records)
    stranger = Caller(demo_ehr(None, "UTC"), tenant="other")
    await records.add_feedback(stranger, SERVICE, [overridden("not-appropriate")], NOW)
    await records.add_feedback(CALLER, SERVICE, [overridden("not-appropriate", card="never-shown")], NOW)
    assert await records.dismissed(ANNA, NOW) == {}
    assert (await records.feedback_summary())["feedback"] == [
        {"trial": None, "outcome": "overridden", "reason": "not-appropriate", "count": 2}
    ]


async def test_a_snooze_survives_the_rotation_and_then_the_loss_of_the_old_secret(database: str) -> None:
    new = "the next secret, also long enough to be one"
    before, during, after = (records_at(database, *keys) for keys in ((SECRET,), (new, SECRET), (new,)))
    for records in (before, during, after):
        await records.prepare()
    await show(before)
    await before.add_feedback(CALLER, SERVICE, [overridden("ask-later")], NOW)
    assert "NCT1" in await during.dismissed(ANNA, NOW)
    assert "NCT1" in await after.dismissed(ANNA, NOW)
    for records in (before, during, after):
        await records.close()


async def test_a_report_is_kept_for_its_time_and_nobody_can_read_it_in_the_file(
    records: Records, database: str
) -> None:
    await show(records)
    await records.add_feedback(CALLER, SERVICE, [overridden("ask-later")], NOW)
    assert await records.report("report-of-card-1", NOW) == b'{"canary": "facts"}'
    assert await records.report("report-of-card-1", NOW + timedelta(30)) is None
    await records.close()
    stored = everything_in(database)
    assert b"card-1" in stored
    assert b"canary" not in stored


async def test_without_retention_no_report_is_kept(database: str) -> None:
    records = records_at(database, retention=0)
    await records.prepare()
    await show(records)
    assert await records.report("report-of-card-1", NOW) is None
    await records.close()


async def test_a_token_is_used_once_whichever_worker_sees_it(database: str) -> None:
    workers = [records_at(database) for _ in range(3)]
    await asyncio.gather(*(worker.prepare() for worker in workers))
    uses = await asyncio.gather(*(used(worker) for worker in workers))
    assert sorted(uses) == [False, False, True]
    assert await used(workers[0], "another")
    for worker in workers:
        await worker.close()


async def test_many_workers_make_the_database_at_once(database: str) -> None:
    workers = [records_at(database) for _ in range(12)]
    await asyncio.gather(*(worker.prepare() for worker in workers))
    assert all(worker.is_ready for worker in workers)
    for worker in workers:
        await worker.close()


def test_the_switch_to_write_ahead_logging_waits_for_another_worker(tmp_path: Path) -> None:
    path = tmp_path / "records.db"
    other = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    release = threading.Timer(0.3, other.execute, ("COMMIT",))
    release.start()
    ours = sqlite3.connect(path, timeout=0)
    write_ahead(ours.cursor())
    assert ours.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    release.join()
    for connection in (ours, other):
        connection.close()


async def test_many_writers_at_once_all_come_through(records: Records) -> None:
    uses = await asyncio.gather(*(used(records, f"jti-{n}") for n in range(100)))
    assert uses == [True] * 100


async def test_what_has_ended_is_deleted(records: Records, database: str) -> None:
    await show(records)
    await records.add_feedback(CALLER, SERVICE, [overridden("ask-later")], NOW)
    await used(records)
    await records.purge(NOW + timedelta(31))
    counts = [
        len(rows_of(database, table)) for table in ("used_token", "kept_report", "dismissal", "issued_card", "feedback")
    ]
    assert counts == [0, 0, 0, 1, 1]


async def test_a_database_that_is_gone_is_told_as_such(database: str) -> None:
    records = records_at(database)
    with pytest.raises(RecordsUnavailable):
        await records.dismissed(ANNA, NOW)
    assert not await records.is_reachable()
    await records.close()


async def test_the_migrations_make_the_tables_that_the_code_means(records: Records, database: str) -> None:
    engine = sa.create_engine(url_of(database))
    with engine.connect() as connection:
        assert _differences(connection) == []
    engine.dispose()


def _differences(connection: sa.Connection) -> list[object]:
    found: list[object] = compare_metadata(MigrationContext.configure(connection), SQLModel.metadata)
    return found


async def test_the_migrations_run_down_and_up_again_and_at_once(database: str) -> None:
    workers = [records_at(database) for _ in range(4)]
    await asyncio.gather(*(worker.prepare() for worker in workers))
    engine = sa.create_engine(url_of(database))
    with engine.begin() as connection:
        migrate(connection, "base")
        assert sa.inspect(connection).get_table_names() == ["alembic_version"]
    engine.dispose()
    await workers[0].prepare()
    await show(workers[0])
    for worker in workers:
        await worker.close()

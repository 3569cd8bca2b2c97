"""A version can be rolled back: it works on the tables of the next one, because every migration only adds."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from structlog.testing import capture_logs

from app.storage import database as storage
from app.storage.database import (
    RecordsUnavailable,
    alembic_config,
    migrate,
    newest_revision,
    unknown_revisions,
    url_of,
)
from tests.app.conftest import records_at
from tests.hospital import settings_of
from tests.server import free_port, production_server
from tests.support.records import show

AHEAD = '''
"""A revision of the next version."""

import sqlalchemy as sa
from alembic import op

revision = "9999"
down_revision = "{newest}"


def upgrade() -> None:
    {change}


def downgrade() -> None:
    pass
'''
ADDS = 'op.add_column("issued_card", sa.Column("of_the_next", sa.String, nullable=True))'


@pytest.fixture
def tables(database: str) -> Iterator[sa.Engine]:
    engine = sa.create_engine(url_of(database))
    yield engine
    engine.dispose()


def revisions() -> list[str]:
    """All of them, the oldest first."""
    found = storage._scripts().walk_revisions()
    return [revision.revision for revision in found][::-1]


def next_version(monkeypatch: pytest.MonkeyPatch, folder: Path, change: str) -> None:
    """From now on there is one more migration, which makes this change."""
    shutil.copytree(storage.MIGRATIONS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "versions" / "9999_next.py").write_text(AHEAD.format(newest=newest_revision(), change=change))
    monkeypatch.setattr(storage, "MIGRATIONS", folder)


def make_tables_of_the_next_version(tables: sa.Engine, folder: Path, change: str) -> None:
    with pytest.MonkeyPatch.context() as patch, tables.begin() as connection:
        next_version(patch, folder, change)
        migrate(connection)


# -- every migration only adds


def example(column: sa.Column[Any], number: int) -> object:
    """A value for this column; another for every number."""
    match column.type:
        case sa.String():
            return f"text {number}"
        case sa.Boolean():
            return bool(number % 2)
        case sa.Integer() | sa.Float() | sa.Numeric():
            return number
        case sa.LargeBinary():
            return b"%d" % number
        case sa.DateTime():
            return datetime(2026, 11, 1, 0, number % 60, tzinfo=UTC if column.type.timezone else None)
        case sa.Date():
            return date(2026, 11, 1 + number % 28)
    raise AssertionError(f"no example of the type of {column}")


def insert(connection: sa.Connection, table: sa.Table, number: int) -> None:
    connection.execute(sa.insert(table), {column.name: example(column, number) for column in table.columns})


def table_names(connection: sa.Connection) -> list[str]:
    return [name for name in sa.inspect(connection).get_table_names() if name != "alembic_version"]


def check_that_it_only_adds(connection: sa.Connection, before: str, after: str) -> None:
    """What the version of `before` wrote is there after the migration, and it goes on reading and writing."""
    command.upgrade(alembic_config(connection), before)
    known = sa.MetaData()
    known.reflect(connection, only=table_names(connection))
    for number, table in enumerate(known.sorted_tables, start=1):
        insert(connection, table, number)
    written = {table.name: connection.execute(sa.select(table)).all() for table in known.sorted_tables}
    command.upgrade(alembic_config(connection), after)
    for number, table in enumerate(known.sorted_tables, start=1):
        assert connection.execute(sa.select(table)).all() == written[table.name], table.name
        insert(connection, table, number + 20)
        connection.execute(sa.delete(table))


def test_every_migration_only_adds(tables: sa.Engine) -> None:
    for before, after in zip(revisions(), revisions()[1:], strict=False):
        with tables.begin() as connection:
            check_that_it_only_adds(connection, before, after)


@pytest.mark.parametrize(
    "change",
    [
        'op.drop_table("dismissal")',
        'op.drop_column("feedback", "comment")',
        "op.execute(\"UPDATE issued_card SET verdict = 'x'\")",
        'op.create_table("x", sa.Column("y", sa.String)); op.execute("ALTER TABLE used_token RENAME TO spent_token")',
        'op.add_column("used_token", sa.Column("of_the_next", sa.String, nullable=False, server_default="")); '
        'op.execute("CREATE UNIQUE INDEX once ON used_token (of_the_next)")',
    ],
)
def test_a_migration_that_does_more_than_add_is_noticed(
    tables: sa.Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, change: str
) -> None:
    newest = str(newest_revision())
    next_version(monkeypatch, tmp_path / "next", change)
    with (
        pytest.raises((AssertionError, sa.exc.DBAPIError)),
        tables.begin() as connection,
    ):
        check_that_it_only_adds(connection, newest, "9999")


# -- the version before starts on the tables of the next one


async def test_the_tables_of_the_next_version_are_used_and_left_as_they_are(
    tables: sa.Engine, database: str, tmp_path: Path
) -> None:
    make_tables_of_the_next_version(tables, tmp_path / "next", ADDS)
    records = records_at(database)
    with capture_logs() as logs:
        await records.prepare()
    [line] = logs
    assert (line["event"], line["log_level"]) == ("database is newer than this version", "warning")
    assert (line["revision"], line["newest_known"]) == (("9999",), newest_revision())
    await show(records)
    assert await records.is_reachable()
    await records.close()
    with tables.connect() as connection:
        assert unknown_revisions(connection) == ("9999",)


async def test_tables_that_lack_what_this_version_needs_are_refused(
    tables: sa.Engine, database: str, tmp_path: Path
) -> None:
    make_tables_of_the_next_version(tables, tmp_path / "next", 'op.drop_column("feedback", "comment")')
    records = records_at(database)
    with capture_logs() as logs, pytest.raises(RecordsUnavailable):
        await records.prepare()
    await records.close()
    assert [line["event"] for line in logs] == [
        "database is newer than this version and lacks tables or columns that it needs",
        "database not usable",
    ]


def test_the_service_starts_on_the_tables_of_the_next_version(tables: sa.Engine, database: str, tmp_path: Path) -> None:
    make_tables_of_the_next_version(tables, tmp_path / "next", ADDS)
    with production_server(tmp_path, free_port(), **settings_of(tmp_path, database)) as server:
        assert "database is newer than this version" in server.output.read_text("utf-8")

"""The database: connected, brought to its newest form, asked in transactions that tell in one way that it is gone."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlmodel import SQLModel

from app.errors import Unusable
from app.logs import log

MIGRATIONS = Path(__file__).parent / "migrations"
_NOT_TEXT = "22021"  # of PostgreSQL: a NUL, which no text of it holds

# What a transaction writes besides its own: a statement, or what has to look before it writes.
Write = sa.Executable | Callable[[AsyncConnection], Awaitable[None]]


async def write(connection: AsyncConnection, what: Write) -> None:
    if callable(what):
        await what(connection)
    else:
        await connection.execute(what)


class RecordsUnavailable(Exception):
    """The database did not answer."""


class Database:
    """Its engine and its transactions; RecordsUnavailable when it is gone."""

    def __init__(self, url: str) -> None:
        self._url = make_url(url)
        self._engine = _engine(self._url)
        self._ready = False
        # SQLite lets one writer in at a time and the others poll, so that one may starve; within a worker they queue.
        is_sqlite = self._url.drivername.startswith("sqlite")
        self._turn: AbstractAsyncContextManager[object] = asyncio.Lock() if is_sqlite else nullcontext()

    async def prepare(self) -> None:
        """Bring the tables to the newest form; safe to call from several workers at once."""
        if self._url.drivername.startswith("sqlite") and self._url.database not in (None, "", ":memory:"):
            Path(str(self._url.database)).parent.mkdir(parents=True, exist_ok=True)
        try:
            async with self._engine.begin() as connection:
                # One worker migrates, the others wait and find nothing left to do.
                is_sqlite = self._url.drivername.startswith("sqlite")
                lock = "BEGIN IMMEDIATE" if is_sqlite else "SELECT pg_advisory_xact_lock(8273645)"
                await connection.exec_driver_sql(lock)
                await connection.run_sync(migrate)
        except (DBAPIError, OSError) as error:
            raise RecordsUnavailable from error
        self._ready = True

    @property
    def dialect(self) -> str:
        """The kind of the database, as SQLAlchemy names it."""
        return self._engine.dialect.name

    @property
    def is_ready(self) -> bool:
        """Whether the tables were found or made."""
        return self._ready

    async def close(self) -> None:
        await self._engine.dispose()

    async def is_reachable(self) -> bool:
        """Whether the tables answer, and not only the server."""
        try:
            async with self.transaction() as connection:
                for table in SQLModel.metadata.sorted_tables:
                    await connection.execute(sa.select(sa.literal(1)).select_from(table).limit(1))
        except RecordsUnavailable:
            return False
        return True

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """One transaction; the ways in which a database can be gone told as one. Unusable for what no text holds."""
        if not self._ready:
            raise RecordsUnavailable
        try:
            async with self._turn, self._engine.begin() as connection:
                yield connection
        except (DBAPIError, PoolTimeout, OSError) as error:
            # The kind only: the message of a database quotes rows.
            cause = getattr(error, "orig", None) or error
            kind = getattr(cause, "sqlite_errorname", None) or getattr(cause, "sqlstate", None)
            if kind == _NOT_TEXT:
                raise Unusable("A character that is sent stands in no text.") from None
            log.warning("database failed", error=type(cause).__name__, kind=kind)
            raise RecordsUnavailable from error


def _engine(url: sa.URL) -> AsyncEngine:
    if not url.drivername.startswith("sqlite"):
        return create_async_engine(url, pool_pre_ping=True, pool_size=10, connect_args={"timeout": 3})
    engine = create_async_engine(url, connect_args={"timeout": 5})

    @sa.event.listens_for(engine.sync_engine, "connect")
    def _set_up(connection: Any, _: Any) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA busy_timeout=5000")
        write_ahead(cursor)
        # FULL makes an answered write survive a loss of power.
        for pragma in ("synchronous=FULL", "foreign_keys=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    return engine


def write_ahead(cursor: Any) -> None:
    """Switch the file to WAL, so that workers read while one writes.

    SQLite refuses the switch at once, whatever the busy timeout, while another worker makes it; then it is there.
    """
    for attempt in range(_SWITCHES):
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError:
            if attempt == _SWITCHES - 1:
                raise
            time.sleep(0.05)


_SWITCHES = 60


def migrate(connection: sa.Connection, to: str = "head") -> None:
    """Bring the tables to a revision: up to "head", or down to "base"."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    (command.upgrade if to == "head" else command.downgrade)(config, to)

"""The database: connected, brought to its newest form, asked in transactions that tell in one way that it is gone.

A transaction is a function of a connection. It runs as a whole in a thread: one way there and one back, however many
statements it has, and whole or not at all. It is rolled back where its caller has given up before the commit: what a
caller was told is unavailable is not kept afterwards.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlmodel import SQLModel

from app.errors import RETRY_AFTER, Unusable
from app.logs import log

MIGRATIONS = Path(__file__).parent / "migrations"
LONGEST = 8.0  # seconds that a caller waits for a transaction, its turn included
LEAST = 0.5  # seconds that a transaction has although the time of its call is over
DRIVERS = {"sqlite": "sqlite+pysqlite", "postgresql": "postgresql+psycopg"}
_NOT_TEXT = (None, "22021")  # a NUL, which no text of PostgreSQL holds: as the driver tells it, and as the server does
_OF_ASYNCPG = ("prepared_statement_cache_size", "statement_cache_size", "command_timeout", "timeout")
_CONNECTIONS = 10  # to PostgreSQL
_READERS = 2  # of SQLite

T = TypeVar("T")
Work = Callable[[sa.Connection], T]  # a whole transaction
Write = Callable[[sa.Connection], object]  # a part of one


def doing(statement: sa.Executable, rows: Sequence[Mapping[str, Any]] | None = None) -> Write:
    """This statement as a part of a transaction; once, or for each of these rows."""
    return lambda connection: connection.execute(statement, rows)


def all_of(*parts: Write) -> Write:
    """These parts, one after the other."""

    def work(connection: sa.Connection) -> None:
        for part in parts:
            part(connection)

    return work


def if_any(statement: sa.Executable, *parts: Write) -> Work[bool]:
    """Whether this statement changed a row; these parts only then."""

    def work(connection: sa.Connection) -> bool:
        if connection.execute(statement).rowcount < 1:
            return False
        all_of(*parts)(connection)
        return True

    return work


_UNDO = "undo"  # in the info of a connection


def undone_unless_heard(connection: sa.Connection, *parts: Write) -> None:
    """Run these parts afterwards if the caller of this transaction gave up while it was being committed."""
    connection.info.setdefault(_UNDO, []).extend(parts)


class RecordsUnavailable(Exception):
    """The database did not answer. `retry_after`: in how many seconds a caller may try again."""

    retry_after: int = RETRY_AFTER


class _GivenUp(Exception):
    """Nobody waits for this transaction any more; raised to roll it back."""


_call_ends: ContextVar[float | None] = ContextVar("call_ends", default=None)


@contextmanager
def call_until(end: float) -> Iterator[None]:
    """Bound the transactions of the call that is answered inside of this: `end` is in seconds of the event loop."""
    token = _call_ends.set(end)
    try:
        yield
    finally:
        _call_ends.reset(token)


def _left(within: float | None) -> float | None:
    """Seconds that a caller waits for a transaction: those that it says, or those that its call has left."""
    end = _call_ends.get()
    if end is None:
        return within
    left = max(LEAST, end - asyncio.get_running_loop().time())
    return left if within is None else min(within, left)


class FolderUnusable(Exception):
    """The folder of SQLite's file is not there and cannot be made; the message names it."""


def make_folder(url: str) -> None:
    """Make the folder of SQLite's file where it is missing. FolderUnusable where that fails."""
    file = _file_of(url_of(url))
    if file is None:
        return
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FolderUnusable(f"the folder {file.parent} cannot be made ({error.strerror})") from None
    if not os.access(file.parent, os.W_OK | os.X_OK):
        raise FolderUnusable(f"this user may not write into the folder {file.parent}")


class Database:
    """Its transactions; RecordsUnavailable when it is gone, or keeps a caller waiting.

    `on_wait` is told how many seconds each transaction waited for its turn.
    """

    def __init__(self, url: str) -> None:
        self._url = url_of(url)
        self._ready = False
        self.on_wait: Callable[[float], None] = lambda seconds: None
        if self._url.get_backend_name() != "sqlite":
            self._writing = self._reading = _Lane(_postgresql(self._url), _CONNECTIONS)
            return
        file = _file_of(self._url)
        self._writing = _Lane(_sqlite(self._url), 1, partial(_in_turn, file.parent) if file else nullcontext)
        # What is in memory is there for one connection only.
        self._reading = _Lane(_sqlite(self._url, reads=True), _READERS) if file else self._writing

    async def prepare(self, within: float | None = None) -> None:
        """Bring the tables to the newest form; safe to call from several workers at once.

        `within`: seconds that the caller waits. What is under way then goes on, and the next call finds it done.
        """
        try:
            if file := _file_of(self._url):
                file.parent.mkdir(parents=True, exist_ok=True)
            async with asyncio.timeout(within):
                await self._writing.run(self._prepare, outlives_caller=True)
        except (DBAPIError, OSError) as error:
            log.warning("database not usable", **self._fault(error))
            raise RecordsUnavailable from error
        self._ready = True

    def _fault(self, error: DBAPIError | OSError) -> dict[str, object]:
        """What the log may hold of a failure: where, which kind, and of a refused connection why. Never a row."""
        cause = getattr(error, "orig", None) or error
        kind = getattr(cause, "sqlite_errorname", None) or getattr(cause, "sqlstate", None)
        told: dict[str, object] = {"error": type(cause).__name__, "kind": kind}
        if self._url.get_backend_name() == "sqlite":
            return told
        told |= {"host": self._url.host, "port": self._url.port or 5432, "user": self._url.username}
        told |= {"database": self._url.database}
        if kind is None and isinstance(error, sa.exc.OperationalError):
            # The driver's words about the connection: what the server says of rows has an SQLSTATE.
            told |= _refusal_of(str(cause), self._url.password)
        return told

    def _prepare(self, connection: sa.Connection) -> None:
        """One worker migrates, the others wait and find nothing left to do. In SQLite every writer is alone.

        Tables that a newer version made are left as they are, since a migration only adds for the version before it.
        """
        if self.dialect == "postgresql":
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(8273645)")
        newer = unknown_revisions(connection)
        if not newer:
            migrate(connection)
            return
        try:
            _look(connection)
        except DBAPIError:
            log.error("database is newer than this version and lacks tables or columns that it needs", revision=newer)
            raise
        log.warning("database is newer than this version", revision=newer, newest_known=newest_revision())

    async def fault(self) -> Mapping[str, object] | None:
        """What keeps this database from being connected, as the log has it; None where it answers. Changes nothing."""
        try:
            await self._reading.run(lambda connection: connection.exec_driver_sql("SELECT 1").scalar_one())
        except (DBAPIError, OSError) as error:
            return self._fault(error)
        return None

    @property
    def dialect(self) -> str:
        """The kind of the database, as SQLAlchemy names it."""
        return self._writing.engine.dialect.name

    @property
    def is_ready(self) -> bool:
        """Whether the tables were found or made."""
        return self._ready

    async def close(self) -> None:
        """Let every connection go, once what runs has ended; the next transaction connects again."""
        self._reading.close()
        self._writing.close()

    async def is_reachable(self) -> bool:
        """Whether the tables answer, and not only the server, and can be written to."""
        try:
            writes = await self.read(self._look_whether_it_writes)
        except RecordsUnavailable:
            return False
        if not writes:
            log.warning("database is read-only")
        return writes

    def _look_whether_it_writes(self, connection: sa.Connection) -> bool:
        _look(connection)
        if self.dialect == "postgresql":
            return bool(connection.exec_driver_sql("SHOW transaction_read_only").scalar_one() == "off")
        file = _file_of(self._url)
        return file is None or os.access(file, os.W_OK)

    async def read(self, work: Work[T], within: float | None = LONGEST) -> T:
        """What this transaction finds; it changes nothing. `within` as below."""
        return await self._run(self._reading, work, within)

    async def write(self, work: Work[T], within: float | None = LONGEST) -> T:
        """What this transaction gives back, once it is committed. Unusable for what no text holds.

        `within`: seconds that the caller waits; None where a lot is asked for.
        """
        return await self._run(self._writing, work, within)

    async def _run(self, lane: _Lane, work: Work[T], within: float | None) -> T:
        if not self._ready:
            raise RecordsUnavailable
        try:
            async with asyncio.timeout(_left(within)):
                found, waited = await lane.run(work)
        except (DBAPIError, OSError) as error:
            # The kind only: the message of a database quotes rows.
            cause = getattr(error, "orig", None) or error
            kind = getattr(cause, "sqlite_errorname", None) or getattr(cause, "sqlstate", None)
            if isinstance(error, sa.exc.DataError) and kind in _NOT_TEXT:
                raise Unusable("A character that is sent is in no text.") from None
            log.warning("database failed", **self._fault(error))
            raise RecordsUnavailable from error
        self.on_wait(waited)
        return found


class _Lane:
    """An engine, and as many threads as it has connections, in which transactions run; each inside of a `turn`."""

    def __init__(
        self, engine: sa.Engine, threads: int, turn: Callable[[], AbstractContextManager[None]] = nullcontext
    ) -> None:
        self.engine = engine
        self._turn = turn
        self._thread = threading.local()  # `ended`: when it was done with the transaction before
        self._new_threads = partial(ThreadPoolExecutor, threads, "database")  # started when they are needed
        self._threads = self._new_threads()

    async def run(self, work: Work[T], *, outlives_caller: bool = False) -> tuple[T, float]:
        """What `work` gives back, and how many seconds it waited for its turn.

        It is rolled back where the caller has given up meanwhile, unless it `outlives_caller`.
        """
        loop, asked, given_up = asyncio.get_running_loop(), time.perf_counter(), threading.Event()
        try:
            return await loop.run_in_executor(self._threads, self._transact, work, asked, given_up)
        except asyncio.CancelledError:
            if not outlives_caller:
                given_up.set()
            raise

    def _transact(self, work: Work[T], asked: float, given_up: threading.Event) -> tuple[T, float]:
        begun = time.perf_counter()
        queued = max(0.0, getattr(self._thread, "ended", 0.0) - asked)
        try:
            with self._turn():
                waited = queued + time.perf_counter() - begun
                with self.engine.begin() as connection:
                    connection.info.pop(_UNDO, None)  # of a transaction that failed
                    found = work(connection)
                    undo: Sequence[Write] = connection.info.pop(_UNDO, ())
                    if given_up.is_set():
                        raise _GivenUp
                if undo and given_up.is_set():  # while the commit was under way
                    with self.engine.begin() as connection:
                        all_of(*undo)(connection)
                return found, waited
        finally:
            self._thread.ended = time.perf_counter()

    def close(self) -> None:
        self._threads.shutdown(cancel_futures=True)
        self._threads = self._new_threads()
        self.engine.dispose()


_LONGEST_REASON = 200
_SQLSTATES = (
    ("password authentication failed", "28P01"),
    ("no pg_hba.conf entry", "28000"),
    ("role .* does not exist", "28000"),
    ("database .* does not exist", "3D000"),
    ("too many (clients|connections)", "53300"),
    ("remaining connection slots", "53300"),
    ("is starting up|is shutting down|recovery mode", "57P03"),
    ("unsupported startup parameter", "08P01"),
)


def _refusal_of(message: str, password: object) -> dict[str, object]:
    """Why no connection was made, in the server's words; and its SQLSTATE, which the driver does not pass on."""
    fatal = re.findall(r"(?:FATAL|ERROR):\s*([^\n]*)", message)
    reason = fatal[-1] if fatal else message.strip().splitlines()[0].rpartition("failed: ")[2]
    if password:
        reason = reason.replace(str(password), "***")
    state = next((code for words, code in _SQLSTATES if re.search(words, reason)), None)
    return {"kind": state, "reason": reason[:_LONGEST_REASON]}


def _look(connection: sa.Connection) -> None:
    """Ask for every column that the code uses."""
    for table in SQLModel.metadata.sorted_tables:
        connection.execute(sa.select(table).limit(0))


# -- how it is connected


def url_of(text: str) -> sa.URL:
    """The URL with the driver that we use, whichever it names; ValueError for a database of another kind.

    asyncpg, which earlier versions used, calls `sslmode` `ssl`, and has options that no other driver knows.
    """
    try:
        url = make_url(text)
        url = url.set(drivername=DRIVERS[url.get_backend_name()])
    except (KeyError, sa.exc.ArgumentError):
        raise ValueError("starts with sqlite:// or postgresql://") from None
    except ValueError:
        # Its message would quote what is there: a part of the password, as a rule.
        raise ValueError("is a URL: in a password, @ / ? : are written as %40 %2F %3F %3A") from None
    if mode := url.query.get("ssl"):
        url = url.update_query_dict({"sslmode": mode})
    return url.difference_update_query(["ssl", *_OF_ASYNCPG] if url.get_backend_name() == "postgresql" else [])


def _file_of(url: sa.URL) -> Path | None:
    """Where SQLite keeps it; None for a server, and for what is only in memory."""
    if url.get_backend_name() != "sqlite" or url.database in (None, "", ":memory:"):
        return None
    return Path(str(url.database))


def _postgresql(url: sa.URL) -> sa.Engine:
    """Connections that work behind PgBouncer too, which gives every transaction another connection of the server.

    Nothing is prepared, and the time zone is set after connecting: PgBouncer refuses `options` at start-up, and
    carries the time zone of a client along.
    """
    given = {
        "connect_timeout": 3,
        # A host that has vanished is noticed after some seconds, and not after two hours.
        "tcp_user_timeout": 5000,
        "keepalives_idle": 5,
        "keepalives_interval": 1,
        "keepalives_count": 3,
        "prepare_threshold": None,
    }
    engine = sa.create_engine(url, pool_pre_ping=True, pool_size=_CONNECTIONS, connect_args=given)

    @sa.event.listens_for(engine, "connect")
    def _set_up(connection: Any, _: object) -> None:
        connection.execute("SET TIME ZONE 'UTC'")
        connection.commit()

    return engine


def _sqlite(url: sa.URL, *, reads: bool = False) -> sa.Engine:
    # What is in memory is closed by another thread than asks it; each is used by one at a time.
    engine = sa.create_engine(url, connect_args={"timeout": 5, "check_same_thread": False})

    @sa.event.listens_for(engine, "connect")
    def _set_up(connection: sqlite3.Connection, _: object) -> None:
        connection.execute("PRAGMA busy_timeout=5000")
        if reads:
            connection.execute("PRAGMA query_only=ON")
            return
        write_ahead(connection.cursor())
        # FULL makes an answered write survive a loss of power.
        for pragma in ("synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")
        connection.isolation_level = None  # `_begin` begins

    if not reads:

        @sa.event.listens_for(engine, "begin")
        def _begin(connection: sa.Connection) -> None:
            # A writer takes the lock before it looks, so that nobody writes between its looking and its writing.
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


@contextmanager
def _in_turn(folder: Path) -> Iterator[None]:
    """One writer of all workers at a time, by a lock on the folder of SQLite's file.

    SQLite lets one writer in too, but the others poll, ever more rarely, so that one may starve; here they queue.
    """
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def write_ahead(cursor: sqlite3.Cursor) -> None:
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
    (command.upgrade if to == "head" else command.downgrade)(alembic_config(connection), to)


def unknown_revisions(connection: sa.Connection) -> tuple[str, ...]:
    """The revisions of these tables that this version does not have; empty for tables that it can bring up to date."""
    known = {revision.revision for revision in _scripts().walk_revisions()}
    return tuple(sorted(set(MigrationContext.configure(connection).get_current_heads()) - known))


def newest_revision() -> str | None:
    """The newest revision that this version has."""
    return _scripts().get_current_head()


def alembic_config(connection: sa.Connection | None = None) -> Config:
    """What alembic needs to know: where the migrations are, and the connection that they run on."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(alembic_config())

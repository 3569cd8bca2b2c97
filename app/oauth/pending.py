"""What must be remembered while a browser is away at an authorization server: once, encrypted, for ten minutes.

It is in the database, so that whichever worker the browser comes back to knows it.
"""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlmodel import Field, SQLModel, col

from app.hashes import sha256_of
from app.storage.database import doing
from app.storage.records import Records
from app.storage.signing import Keys
from app.storage.tables import instant

LIVES = timedelta(minutes=10)
MOST = 50_000  # of a purpose at once: anybody may begin, and nobody may fill the database, or hinder logins by launches


class PendingRow(SQLModel, table=True):
    """One browser that is away."""

    __tablename__ = "pending_authorization"

    state: str = Field(primary_key=True)  # hashed: who reads the table cannot come back in its place
    purpose: str
    sealed: bytes
    expires_at: datetime = instant(index=True)


PENDING: sa.Table = PendingRow.__table__  # type: ignore[attr-defined]


class TooMany(Exception):
    """So many browsers are away that no more are let go."""


class Pending:
    """Keeps and gives back, once. `purpose` keeps a launch from being finished as a login, and the other way round."""

    def __init__(self, records: Records, keys: Keys, most: int = MOST) -> None:
        self._records = records
        self._keys = keys
        self._most = most

    async def keep(self, purpose: str, content: bytes, now: datetime) -> str:
        """Remember `content`; the state under which it can be taken, which nobody can guess. TooMany."""
        state = secrets.token_urlsafe(32)
        row: dict[str, Any] = {
            "state": sha256_of(state),
            "purpose": purpose,
            "sealed": self._keys.seal(content),
            "expires_at": now + LIVES,
        }
        values = [sa.literal(value, PENDING.c[name].type).label(name) for name, value in row.items()]
        away = (col(PendingRow.purpose) == purpose, col(PendingRow.expires_at) > now)
        full = sa.select(sa.func.count()).select_from(PENDING).where(*away).scalar_subquery()
        insert = sa.insert(PENDING).from_select(list(row), sa.select(*values).where(full < self._most))
        kept = insert.returning(PENDING.c.state)
        if await self._records.write(lambda connection: connection.execute(kept).first()) is None:
            raise TooMany
        return state

    async def take(self, purpose: str, state: str, now: datetime) -> bytes | None:
        """What was kept under this state, and is no more; None where it ended, was taken, or never was."""
        ours = (col(PendingRow.state) == sha256_of(state), col(PendingRow.purpose) == purpose)
        taken = sa.delete(PENDING).where(*ours).returning(PENDING.c.sealed, PENDING.c.expires_at > now)
        row = await self._records.write(lambda connection: connection.execute(taken).first())
        return self._keys.unseal(row[0]) if row and row[1] else None

    async def purge(self, now: datetime) -> None:
        """Delete what has ended."""
        await self._records.write(doing(sa.delete(PENDING).where(col(PendingRow.expires_at) <= now)), None)

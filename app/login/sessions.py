"""Who is logged in, on our side: a cookie holds only a name that nobody can guess, so that logging out ends it."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta

import msgspec
import sqlalchemy as sa
from sqlmodel import Field, SQLModel, col

from app.hashes import sha256_of
from app.people import Person
from app.storage.database import Write, all_of, doing
from app.storage.records import Records
from app.storage.signing import Keys
from app.storage.tables import in_utc, instant

LONGEST = timedelta(hours=8)
IDLE = timedelta(minutes=30)
_NOTED_EVERY = timedelta(minutes=1)


class LoginSession(SQLModel, table=True):
    """Someone who is logged in, until they log out or their time is over."""

    __tablename__ = "login_session"

    id: str = Field(primary_key=True)  # of the cookie's value, hashed
    person: bytes  # name, subject, whether they may sign, and since when that is proved; encrypted
    seen_at: datetime = instant()
    ends_at: datetime = instant(index=True)


class _Sealed(msgspec.Struct, frozen=True, array_like=True):
    """A person as a session keeps them; one that began with an earlier release has only the first two members."""

    name: str
    subject: str
    is_signer: bool = False
    proved_at: datetime | None = None


class Sessions:
    """Begins, knows and ends sessions, for every worker alike."""

    def __init__(self, records: Records, keys: Keys) -> None:
        self._records = records
        self._keys = keys

    async def begin(self, person: Person, now: datetime, also: Sequence[Write] = ()) -> str:
        """A new session, with `also`; the value of its cookie."""
        value = secrets.token_urlsafe(32)
        sealed = self._keys.seal(msgspec.json.encode(_Sealed(**asdict(person))))
        row = {"id": sha256_of(value), "person": sealed, "seen_at": now, "ends_at": now + LONGEST}
        await self._records.write(all_of(doing(sa.insert(LoginSession).values(row)), *also))
        return value

    async def person(self, value: str, now: datetime) -> Person | None:
        """Whose session this is; None where it ended, by itself or by a person, or never was."""
        mine = col(LoginSession.id) == sha256_of(value)
        query = sa.select(col(LoginSession.person), col(LoginSession.seen_at)).where(
            mine, col(LoginSession.ends_at) > now, col(LoginSession.seen_at) > now - IDLE
        )
        row = await self._records.read(lambda connection: connection.execute(query).first())
        if row is not None and now - in_utc(row.seen_at) >= _NOTED_EVERY:
            await self._records.write(doing(sa.update(LoginSession).where(mine).values(seen_at=now)))
        content = self._keys.unseal(row.person) if row else None
        return Person(**msgspec.structs.asdict(msgspec.json.decode(content, type=_Sealed))) if content else None

    async def end(self, value: str, also: Sequence[Write] = ()) -> None:
        ended = sa.delete(LoginSession).where(col(LoginSession.id) == sha256_of(value))
        await self._records.write(all_of(doing(ended), *also))

    async def purge(self, now: datetime) -> None:
        """Delete the sessions that are over."""
        over = sa.or_(col(LoginSession.ends_at) <= now, col(LoginSession.seen_at) <= now - IDLE)
        await self._records.write(doing(sa.delete(LoginSession).where(over)), None)

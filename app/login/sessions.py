"""Who is logged in, on our side: a cookie holds only a name that nobody can guess, so that logging out ends it."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
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
from app.storage.used_tokens import PresentedToken, used_once

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
    subject: str | None = Field(default=None, index=True)  # of the person at the provider, a keyed hash
    at_provider: str | None = Field(default=None, index=True)  # its session there, a keyed hash; None: not named
    id_token: bytes | None = None  # of the login, encrypted: with it the provider's session is ended without a question


@dataclass(frozen=True, slots=True)
class ProviderLogin:
    """What the provider said of a login: its session there, where it names it, and the signed ID token."""

    sid: str | None = None
    id_token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class ProviderLogout:
    """Whom the provider logged out: a session of its own, or a person (`subject` as `Person` has it)."""

    token: PresentedToken
    subject: str | None
    sid: str | None


class _Sealed(msgspec.Struct, frozen=True, array_like=True):
    """A person as a session keeps them; one that began with an earlier release has only the first two members."""

    name: str
    subject: str
    is_signer: bool = False
    proved_at: datetime | None = None


def _open(content: bytes) -> Person:
    return Person(**msgspec.structs.asdict(msgspec.json.decode(content, type=_Sealed)))


class Sessions:
    """Begins, knows and ends sessions, for every worker alike."""

    def __init__(self, records: Records, keys: Keys) -> None:
        self._records = records
        self._keys = keys

    async def begin(
        self, person: Person, now: datetime, also: Sequence[Write] = (), at_provider: ProviderLogin = ProviderLogin()
    ) -> str:
        """A new session, with `also`; the value of its cookie."""
        value = secrets.token_urlsafe(32)
        sealed = self._keys.seal(msgspec.json.encode(_Sealed(**asdict(person))))
        row = {"id": sha256_of(value), "person": sealed, "seen_at": now, "ends_at": now + LONGEST}
        row |= {"subject": self._hashes("subject", person.subject)[0]}
        if at_provider.sid is not None:
            row["at_provider"] = self._hashes("session", at_provider.sid)[0]
        if at_provider.id_token is not None:
            row["id_token"] = self._keys.seal(at_provider.id_token.encode())
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
        return _open(content) if content else None

    async def end(self, value: str, also: Sequence[Write] = ()) -> str | None:
        """End a session; the ID token with which it began, where there was one."""
        mine = col(LoginSession.id) == sha256_of(value)
        ended = sa.delete(LoginSession).where(mine).returning(col(LoginSession.id_token))

        def work(connection: sa.Connection) -> bytes | None:
            sealed: bytes | None = connection.execute(ended).scalar_one_or_none()
            all_of(*also)(connection)
            return sealed

        sealed = await self._records.write(work)
        token = self._keys.unseal(sealed) if sealed else None
        return token.decode() if token else None

    async def end_at_provider(self, logout: ProviderLogout, audited: Callable[[Person], Sequence[Write]]) -> int | None:
        """End the sessions that the provider ended, each with what `audited` writes; None for a token used before.

        A session of the provider ends ours of that name, and those of the person that have none.
        """
        subject, sid = col(LoginSession.subject), col(LoginSession.at_provider)
        whose: sa.ColumnElement[bool] = subject.in_(self._hashes("subject", logout.subject) if logout.subject else ())
        if logout.sid is not None:
            whose = sa.or_(sid.in_(self._hashes("session", logout.sid)), sa.and_(sid.is_(None), whose))
        ended = sa.delete(LoginSession).where(whose).returning(col(LoginSession.person))

        def work(connection: sa.Connection) -> int | None:
            if not used_once(connection, logout.token):
                return None
            people = connection.execute(ended).scalars().all()
            for content in filter(None, map(self._keys.unseal, people)):
                all_of(*audited(_open(content)))(connection)
            return len(people)

        return await self._records.write(work)

    def _hashes(self, kind: str, name: str) -> Sequence[str]:
        return self._keys.keyed_hashes(f"login {kind}", name)

    async def purge(self, now: datetime) -> None:
        """Delete the sessions that are over."""
        over = sa.or_(col(LoginSession.ends_at) <= now, col(LoginSession.seen_at) <= now - IDLE)
        await self._records.write(doing(sa.delete(LoginSession).where(over)), None)

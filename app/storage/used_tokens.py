"""The tokens that EHRs used: each is good for one call, and for the same call again after an answer of 503.

A used token keeps a keyed hash of the call that it came with. While that call has no answer but 503, the token may be
used again for the same call, once the first attempt must have ended; with the answer, in its transaction, it is closed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from app.hashes import sha256_of
from app.storage.database import Database, Write, doing, undone_unless_heard
from app.storage.signing import Keys
from app.storage.tables import UsedToken

TOKENS: sa.Table = UsedToken.__table__  # type: ignore[attr-defined]
_INSERTS: Mapping[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
_OF_TOKEN = sa.update(TOKENS).where(TOKENS.c.id == sa.bindparam("token"))
_CLOSE = _OF_TOKEN.values(free_from=None)
_FREE = _OF_TOKEN.values(free_from=sa.bindparam("free_from"))


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class PresentedToken:
    """A token whose signature and claims are good. `expires_at`: until when it could be used again."""

    issuer: str
    jti: str
    expires_at: datetime
    text: str = field(repr=False, default="")

    @property
    def id(self) -> str:
        return sha256_of(self.issuer, self.jti)


class UsedTokens:
    """Takes and closes tokens, for every worker alike. `longest`: how long one attempt at a call may take."""

    def __init__(
        self, database: Database, keys: Keys, longest: timedelta, clock: Callable[[], datetime] = _now
    ) -> None:
        self._database = database
        self._keys = keys
        self._clock = clock
        self.longest = longest

    async def take(self, token: PresentedToken, path: str, body: bytes) -> bool:
        """Use a token for this call; False when it was used before, by whichever worker, and may not be again."""
        now = self._clock()
        calls = self._keys.keyed_hashes("call of a token", path, hashlib.sha256(body).hexdigest())
        row = {"id": token.id, "expires_at": token.expires_at, "call": calls[0], "free_from": now + self.longest}
        used = _INSERTS[self._database.dialect](TOKENS).values(row)
        again = used.on_conflict_do_update(
            index_elements=["id"],
            set_={"free_from": used.excluded.free_from},
            where=sa.and_(TOKENS.c.call.in_(calls), TOKENS.c.free_from <= now),
        ).returning(sa.literal(1))
        return await self._database.write(lambda connection: connection.execute(again).first()) is not None

    def closing(self, token: PresentedToken) -> Write:
        """What closes a token in the transaction of its answer, unless that answer is not given after all."""

        def work(connection: sa.Connection) -> None:
            connection.execute(_CLOSE, {"token": token.id})
            undone_unless_heard(connection, doing(_FREE, self._freed(token)))

        return work

    async def close(self, token: PresentedToken) -> None:
        """Close a token whose call was answered with an error that another attempt would not change."""
        await self._database.write(doing(_CLOSE, [{"token": token.id}]))

    async def free(self, token: PresentedToken) -> None:
        """Let a token be used for the same call again, at once."""
        await self._database.write(doing(_FREE, self._freed(token)))

    def _freed(self, token: PresentedToken) -> Sequence[dict[str, object]]:
        return [{"token": token.id, "free_from": self._clock()}]


def used_once(connection: sa.Connection, token: PresentedToken) -> bool:
    """Use a token for good in this transaction; False when it was used before."""
    row = {"id": token.id, "expires_at": token.expires_at, "call": None, "free_from": None}
    insert = _INSERTS[connection.dialect.name](TOKENS).values(row).on_conflict_do_nothing(index_elements=["id"])
    return connection.execute(insert.returning(sa.literal(1))).first() is not None

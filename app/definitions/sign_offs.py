"""Keeps who signed which definition off: exactly the text of one hash, never its successor.

A signature in the definition file and one that is kept here are the same to everything that reads a trial.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from app.definitions.signatures import Signatures
from app.people import Person
from app.storage.database import Write, all_of, doing, if_any
from app.storage.records import Records
from app.storage.tables import in_utc, instant
from trial_defs.definition.expressions import SignOff, Trial


class SignOffRow(SQLModel, table=True):
    """One signature."""

    __tablename__ = "sign_off"

    id: str = Field(primary_key=True)
    trial: str = Field(index=True)
    hash: str
    version: int
    person: str
    subject: str
    signed_at: datetime = instant()
    on: date  # the day of it, in the site's zone
    withdrawn_at: datetime | None = instant(default=None)


ROWS: sa.Table = SignOffRow.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class Signed:
    """One signature as it is listed."""

    id: str
    hash: str
    version: int
    person: str
    signed_at: datetime
    withdrawn_at: datetime | None


@dataclass
class SignOffs:
    """Every method is one transaction."""

    records: Records
    _stamp: tuple[object, ...] = field(default=(), init=False)
    _known: Signatures = field(default_factory=dict, init=False)

    async def current(self) -> Signatures:
        """Every signature that stands. Costs next to nothing while there is no other than there was."""
        counts = (sa.func.count(), sa.func.count(ROWS.c.withdrawn_at))
        stamp = sa.select(*counts, sa.func.max(ROWS.c.signed_at), sa.func.max(ROWS.c.withdrawn_at))
        columns = (ROWS.c.trial, ROWS.c.hash, ROWS.c.person, ROWS.c.on)
        standing = sa.select(*columns).where(ROWS.c.withdrawn_at.is_(None)).order_by(ROWS.c.signed_at.desc())
        seen = tuple(await self.records.read(lambda connection: connection.execute(stamp).one()))
        if seen != self._stamp:
            # Asked for after the stamp: what is signed in between is found again at the next look.
            rows = await self.records.read(lambda connection: connection.execute(standing).all())
            # Of several the first counts: it has been true since then.
            self._known = {(row.trial, row.hash): SignOff(row.person, row.on.isoformat()) for row in rows}
            self._stamp = seen
        return self._known

    async def of(self, trial: str) -> list[Signed]:
        """Every signature under any text of a trial, newest first."""
        query = sa.select(ROWS).where(ROWS.c.trial == trial).order_by(ROWS.c.signed_at.desc(), ROWS.c.id)
        rows = await self.records.read(lambda connection: connection.execute(query).mappings().all())
        return [
            Signed(
                row["id"], row["hash"], row["version"], row["person"], in_utc(row["signed_at"]),
                in_utc(row["withdrawn_at"]) if row["withdrawn_at"] else None,
            )
            for row in rows
        ]  # fmt: skip

    async def sign(self, trial: Trial, person: Person, now: datetime, on: date, also: Sequence[Write] = ()) -> None:
        """Sign exactly this text of the trial."""
        row = {
            "id": str(uuid.uuid4()),
            "trial": trial.id,
            "hash": trial.hash,
            "version": trial.version,
            "person": person.name,
            "subject": person.subject,
            "signed_at": now,
            "on": on,
        }
        await self.records.write(all_of(doing(sa.insert(ROWS).values(row)), *also))

    async def withdraw(self, trial: str, digest: str, now: datetime, also: Sequence[Write] = ()) -> bool:
        """Take every signature under this text back; False where there is none."""
        mine = (ROWS.c.trial == trial, ROWS.c.hash == digest, ROWS.c.withdrawn_at.is_(None))
        taken_back = sa.update(ROWS).where(*mine).values(withdrawn_at=now)
        return await self.records.write(if_any(taken_back, *also))

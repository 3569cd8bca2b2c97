"""Keeps definitions under review: the text as reviewers have it by now, their edits, and the signature of each part.

A signature is under exactly the words of a part: when they change, it no longer counts, and stays on record.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Field, SQLModel

from app.people import Person
from app.storage.database import Write, all_of, doing
from app.storage.records import Records
from app.storage.tables import in_utc, instant

Act = Literal[
    "corrected", "left to a person", "split", "joined", "accepted", "taken out", "signed", "reopened", "discarded"
]
WHOLE = ""  # the part of an act on the whole definition


class DefinitionReviewRow(SQLModel, table=True):
    """A definition under review."""

    __tablename__ = "definition_review"

    trial: str = Field(primary_key=True)
    content: str  # YAML
    began_from: str  # hash of the file that the review began from
    revision: int
    changed_at: datetime = instant()


class DefinitionEditRow(SQLModel, table=True):
    """Something that a reviewer did to a part."""

    __tablename__ = "definition_edit"

    id: str = Field(primary_key=True)
    trial: str = Field(index=True)
    part: str
    act: str
    person: str
    subject: str
    at: datetime = instant()


class PartSignatureRow(SQLModel, table=True):
    """A signature under the words of one part."""

    __tablename__ = "part_signature"

    id: str = Field(primary_key=True)
    trial: str = Field(index=True)
    part: str
    hash: str
    person: str
    subject: str
    meaning: str
    signed_at: datetime = instant()


_REVIEWS: sa.Table = DefinitionReviewRow.__table__  # type: ignore[attr-defined]
_EDITS: sa.Table = DefinitionEditRow.__table__  # type: ignore[attr-defined]
_SIGNATURES: sa.Table = PartSignatureRow.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class Review:
    """A definition as reviewers have it by now. `revision` 0: nothing is kept, it is the text of the file."""

    content: str
    began_from: str
    revision: int
    changed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Edit:
    """Who did what to a part, and when."""

    part: str
    act: str
    person: str
    at: datetime


@dataclass(frozen=True, slots=True)
class PartSignature:
    """Who signed which words of a part, with which meaning, and when."""

    part: str
    hash: str
    person: str
    meaning: str
    signed_at: datetime


class Stale(Exception):
    """Somebody else changed the definition since it was read."""


@dataclass(frozen=True)
class Reviews:
    """Every method is one transaction."""

    records: Records

    async def of(self, trial: str) -> Review | None:
        """What is kept of this trial's review."""
        query = sa.select(_REVIEWS).where(_REVIEWS.c.trial == trial)
        row = await self.records.read(lambda connection: connection.execute(query).mappings().first())
        if row is None:
            return None
        return Review(row["content"], row["began_from"], row["revision"], in_utc(row["changed_at"]))

    async def keep(self, trial: str, before: Review, content: str, now: datetime, also: Sequence[Write] = ()) -> None:
        """Put `content` in the place of what was read, with `also`; Stale where that is no longer what is kept."""
        values = {"content": content, "revision": before.revision + 1, "changed_at": now}
        whole = {"trial": trial, "began_from": before.began_from, **values}
        mine = (_REVIEWS.c.trial == trial, _REVIEWS.c.revision == before.revision)

        def work(connection: sa.Connection) -> None:
            kept = _REVIEWS.c.revision  # a count of inserted rows is not told by every driver
            new: sa.Executable = sa.update(_REVIEWS).where(*mine).values(values).returning(kept)
            if not before.revision:
                insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
                new = insert(_REVIEWS).values(whole).on_conflict_do_nothing(index_elements=["trial"]).returning(kept)
            if connection.execute(new).first() is None:
                raise Stale
            all_of(*also)(connection)

        await self.records.write(work)

    async def discard(self, trial: str, before: Review, also: Sequence[Write] = ()) -> None:
        """Forget the review; signatures and edits stay on record. Stale where it went on meanwhile."""
        mine = (_REVIEWS.c.trial == trial, _REVIEWS.c.revision == before.revision)

        def work(connection: sa.Connection) -> None:
            if connection.execute(sa.delete(_REVIEWS).where(*mine)).rowcount < 1:
                raise Stale
            all_of(*also)(connection)

        await self.records.write(work)

    async def trials(self) -> list[str]:
        """The ids of the trials that have a kept review."""
        query = sa.select(_REVIEWS.c.trial).order_by(_REVIEWS.c.trial)
        return list(await self.records.read(lambda connection: connection.execute(query).scalars().all()))

    async def edits(self, trial: str) -> list[Edit]:
        """Every edit of a trial's parts, newest first."""
        query = sa.select(_EDITS).where(_EDITS.c.trial == trial).order_by(_EDITS.c.at.desc(), _EDITS.c.id)
        rows = await self.records.read(lambda connection: connection.execute(query).mappings().all())
        return [Edit(row["part"], row["act"], row["person"], in_utc(row["at"])) for row in rows]

    async def signatures(self, trial: str) -> Mapping[tuple[str, str], PartSignature]:
        """The first signature under each wording of each part: by part and hash of its words."""
        order = (_SIGNATURES.c.signed_at.desc(), _SIGNATURES.c.id)
        query = sa.select(_SIGNATURES).where(_SIGNATURES.c.trial == trial).order_by(*order)
        rows = await self.records.read(lambda connection: connection.execute(query).mappings().all())
        found = [
            PartSignature(row["part"], row["hash"], row["person"], row["meaning"], in_utc(row["signed_at"]))
            for row in rows
        ]
        return {(each.part, each.hash): each for each in found}


def edit_write(trial: str, part: str, act: Act, person: Person, now: datetime) -> Write:
    """What writes down that this person did this."""
    row = {"id": str(uuid.uuid4()), "trial": trial, "part": part, "act": act, "person": person.name,
           "subject": person.subject, "at": now}  # fmt: skip
    return doing(sa.insert(_EDITS).values(row))


def signature_write(trial: str, part: str, digest: str, meaning: str, person: Person, now: datetime) -> Write:
    """What writes this person's signature under the words of a part."""
    row = {"id": str(uuid.uuid4()), "trial": trial, "part": part, "hash": digest, "person": person.name,
           "subject": person.subject, "meaning": meaning, "signed_at": now}  # fmt: skip
    return doing(sa.insert(_SIGNATURES).values(row))

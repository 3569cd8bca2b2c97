"""Keeps what people answered to criteria that are for a person to judge, for one patient each.

A patient stands here as a keyed hash; what was answered, by whom and in which words is encrypted. A newer answer ends
the one before it, and so does taking it back. What has ended is deleted when the facts of that day are.
"""

from __future__ import annotations

import base64
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from app.people import Person
from app.storage.database import Write, all_of, doing, if_any
from app.storage.records import DISMISSALS, Records, Shown, by_trial
from app.storage.signing import Keys
from app.storage.tables import in_utc, instant
from trial_defs.engine.attestation import Attestation, Attestations, newest

_A_DAY = timedelta(days=1)  # no zone is further from UTC


class AttestationRow(SQLModel, table=True):
    """One answer. `until` is its last day."""

    __tablename__ = "attestation"

    id: str = Field(primary_key=True)
    ehr: str
    tenant: str
    patient: str = Field(index=True)  # keyed hash
    trial: str
    criterion: str
    sealed: str  # the Attestation with the person's subject, encrypted, in Base64
    given_at: datetime = instant()
    until: date = Field(index=True)
    ended_at: datetime | None = instant(default=None)


ROWS: sa.Table = AttestationRow.__table__  # type: ignore[attr-defined]


class _Sealed(msgspec.Struct, frozen=True):
    """What is encrypted."""

    answer: Attestation
    subject: str


@dataclass(frozen=True, slots=True)
class Known:
    """What is remembered of a patient before the chart is judged. `dismissed`: trial -> what its cards had said."""

    dismissed: Mapping[str, tuple[str, ...]]
    attestations: Attestations


@dataclass(frozen=True, slots=True)
class Given:
    """One answer as it is listed. `ended_at`: when it was taken back or replaced."""

    id: str
    answer: Attestation
    ended_at: datetime | None


class Answers:
    """Every method is one transaction."""

    def __init__(self, records: Records, keys: Keys, retention: timedelta) -> None:
        self._records = records
        self._keys = keys
        self._retention = retention

    async def known(self, shown: Shown, now: datetime) -> Known:
        """Dismissals for this user and answers for this patient, asked for at once."""
        asked = self._records.whose(shown, now) | {"day": (now - _A_DAY).date()}
        rows = await self._records.read(lambda connection: connection.execute(_KNOWN, asked).all())
        if any(row.patient != asked["patients"][0] for row in rows):
            await self._records.write(lambda connection: self._rewrite(connection, shown))
        given = [self._open(row.said) for row in rows if row.id]
        attestations = newest(each.answer for each in given if each)
        return Known(by_trial(row for row in rows if not row.id), attestations)

    def _rewrite(self, connection: sa.Connection, shown: Shown) -> None:
        """What was kept under an older secret is kept under the current one, so that it can be retired."""
        self._records.rewrite(connection, shown)
        hashes = self._records.patient_hashes(shown)
        query = sa.select(ROWS.c.id, ROWS.c.sealed).where(ROWS.c.patient.in_(hashes[1:]))
        for row in connection.execute(query).all():
            opened = self._open(row.sealed)
            again = {} if opened is None else {"sealed": self._seal(opened)}
            moved = sa.update(ROWS).where(ROWS.c.id == row.id).values(patient=hashes[0], **again)
            connection.execute(moved)

    async def of(self, shown: Shown, trial: str) -> list[Given]:
        """Every answer that is kept of this patient and trial, newest first; those that cannot be opened are not."""
        query = sa.select(ROWS).where(*_of(shown, self._records.patient_hashes(shown)), ROWS.c.trial == trial)
        query = query.order_by(ROWS.c.given_at.desc(), ROWS.c.id)
        rows = await self._records.read(lambda connection: connection.execute(query).mappings().all())
        opened = [(row, self._open(row["sealed"])) for row in rows]
        return [
            Given(row["id"], each.answer, in_utc(row["ended_at"]) if row["ended_at"] else None)
            for row, each in opened
            if each
        ]

    async def give(self, shown: Shown, answer: Attestation, person: Person, also: Sequence[Write] = ()) -> str:
        """Keep an answer, in place of an earlier one to the same criterion; its id."""
        hashes = self._records.patient_hashes(shown)
        row: dict[str, Any] = {
            "id": str(uuid.uuid4()),
            "ehr": shown.ehr,
            "tenant": shown.tenant,
            "patient": hashes[0],
            "trial": answer.trial,
            "criterion": answer.criterion,
            "sealed": self._seal(_Sealed(answer, person.subject)),
            "given_at": answer.at,
            "until": answer.until,
        }
        mine = (*_of(shown, hashes), ROWS.c.trial == answer.trial, ROWS.c.criterion == answer.criterion)
        ended = sa.update(ROWS).where(*mine, ROWS.c.ended_at.is_(None)).values(ended_at=answer.at)
        await self._records.write(all_of(doing(ended), doing(sa.insert(ROWS).values(row)), *also))
        return str(row["id"])

    async def take_back(self, shown: Shown, answer_id: str, now: datetime, also: Sequence[Write] = ()) -> bool:
        """End an answer of this patient; False where there is none of this id that still holds.

        Two that were given at the same moment by two workers both hold, and the later counts: both end.
        """
        mine = (*_of(shown, self._records.patient_hashes(shown)), ROWS.c.ended_at.is_(None))
        question = sa.select(ROWS.c.trial, ROWS.c.criterion).where(*mine, ROWS.c.id == answer_id)

        def work(connection: sa.Connection) -> bool:
            asked = connection.execute(question).first()
            if asked is None:
                return False
            same = (ROWS.c.trial == asked.trial, ROWS.c.criterion == asked.criterion)
            return if_any(sa.update(ROWS).where(*mine, *same).values(ended_at=now), *also)(connection)

        return await self._records.write(work)

    async def purge(self, now: datetime) -> None:
        """Delete what has ended for as long as facts are kept."""
        then = now - self._retention
        over = sa.or_(ROWS.c.ended_at <= then, ROWS.c.until < (then - _A_DAY).date())
        await self._records.write(doing(sa.delete(ROWS).where(over)), None)

    async def forget(self, whose: Shown) -> int:
        """Delete the answers of one patient; how many there were."""
        mine = _of(whose, self._records.patient_hashes(whose))
        return await self._records.write(
            lambda connection: connection.execute(sa.delete(ROWS).where(*mine)).rowcount, None
        )

    def _seal(self, content: _Sealed) -> str:
        return base64.b64encode(self._keys.seal(msgspec.json.encode(content))).decode()

    def _open(self, sealed: str) -> _Sealed | None:
        content = self._keys.unseal(base64.b64decode(sealed))
        return None if content is None else msgspec.json.decode(content, type=_Sealed)


# What is known of a patient, in one statement that is put together once.
_KNOWN = sa.union_all(
    DISMISSALS.add_columns(sa.literal("").label("id")),
    sa.select(ROWS.c.trial, ROWS.c.sealed, ROWS.c.patient, ROWS.c.id).where(
        ROWS.c.ehr == sa.bindparam("ehr"),
        ROWS.c.tenant == sa.bindparam("tenant"),
        ROWS.c.patient.in_(sa.bindparam("patients", expanding=True)),
        ROWS.c.ended_at.is_(None),
        ROWS.c.until >= sa.bindparam("day"),
    ),
)


def _of(shown: Shown, hashes: Sequence[str]) -> tuple[sa.ColumnElement[bool], ...]:
    return ROWS.c.ehr == shown.ehr, ROWS.c.tenant == shown.tenant, ROWS.c.patient.in_(hashes)

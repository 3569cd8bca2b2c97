"""How many patients of the last screen meet each criterion, fail it, or are open: counts, and small ones hidden.

A count of one to four could point at somebody, and so could one that is worked out from the others: where one is
hidden, the others are given as "5 or more".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from app.storage.database import Write
from app.storage.records import Records
from app.storage.tables import in_utc, instant

LEAST = 5  # patients
_FEW, _MORE = f"fewer than {LEAST}", f"{LEAST} or more"


class ScreenedCriterionRow(SQLModel, table=True):
    """What the last screen that was taken over found of one criterion."""

    __tablename__ = "screened_criterion"

    trial: str = Field(primary_key=True)
    criterion: str = Field(primary_key=True)
    met: int
    not_met: int
    open: int
    definition_hash: str
    as_of: datetime = instant()


ROWS: sa.Table = ScreenedCriterionRow.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class Counts:
    """Patients with the diagnosis, by what a criterion came to."""

    trial: str
    criterion: str
    met: int
    not_met: int
    open: int
    definition_hash: str


@dataclass(frozen=True, slots=True)
class Counted:
    """The same in words, with small counts hidden, and the definition and moment that they belong to."""

    met: str
    not_met: str
    open: str
    definition_hash: str
    as_of: datetime


def words_of(met: int, not_met: int, open_: int) -> tuple[str, str, str]:
    """The three counts in words; none exact where one of them is small, since their sum may be known."""
    counts = (met, not_met, open_)
    if all(count == 0 or count >= LEAST for count in counts):
        return (str(met), str(not_met), str(open_))
    said = ["0" if count == 0 else _FEW if count < LEAST else _MORE for count in counts]
    return (said[0], said[1], said[2])


async def counted(records: Records, trial: str) -> Mapping[str, Counted]:
    """By criterion, what the last screen found."""
    query = sa.select(ROWS).where(ROWS.c.trial == trial)
    rows = await records.read(lambda connection: connection.execute(query).mappings().all())
    return {
        row["criterion"]: Counted(
            *words_of(row["met"], row["not_met"], row["open"]), row["definition_hash"], in_utc(row["as_of"])
        )
        for row in rows
    }


def counts_write(counts: Iterable[Counts], as_of: datetime) -> Write:
    """What puts the counts of a screen in the place of those of an older one, trial by trial."""
    rows: dict[str, list[dict[str, object]]] = {}
    for each in counts:
        row = {"trial": each.trial, "criterion": each.criterion, "met": each.met, "not_met": each.not_met,
               "open": each.open, "definition_hash": each.definition_hash, "as_of": as_of}  # fmt: skip
        rows.setdefault(each.trial, []).append(row)

    def work(connection: sa.Connection) -> None:
        for trial, own in rows.items():
            newer = sa.select(sa.literal(1)).where(ROWS.c.trial == trial, ROWS.c.as_of > as_of)
            if connection.execute(newer).first() is None:
                connection.execute(sa.delete(ROWS).where(ROWS.c.trial == trial))
                connection.execute(sa.insert(ROWS), own)

    return work

"""The lists that people were shown: which rows were on each, small enough for an export every few minutes.

A row (a patient and a trial) has a number of its own. A list is the compressed set of the numbers of its rows, stored
once however often the same rows were shown; a line of the audit trail names it by its hash.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from app.storage.tables import CallRow, ListedRow, ShownList

CALLS: sa.Table = CallRow.__table__  # type: ignore[attr-defined]
LISTS: sa.Table = ShownList.__table__  # type: ignore[attr-defined]
ROWS: sa.Table = ListedRow.__table__  # type: ignore[attr-defined]
_INSERTS: Mapping[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
_AT_ONCE = 500  # values in one statement

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RowShown:
    """A row of a list. `patients`: the keyed hashes of its patient, the current one first."""

    ehr: str
    tenant: str
    patients: Sequence[str]
    trial: str


def keep_list(connection: sa.Connection, rows: Collection[RowShown]) -> str:
    """Keep which rows a list shows; the hash that names it. While secrets rotate, rows move under the current hash."""
    alone(connection)
    known = dict(_numbers(connection, chain.from_iterable(row.patients for row in rows)))
    found, new = [], {}
    for row in rows:
        number = next((known[patient, row.trial] for patient in row.patients if (patient, row.trial) in known), None)
        if number is None:
            new[row.patients[0], row.trial] = row
            continue
        found.append(number)
        if (row.patients[0], row.trial) not in known:
            connection.execute(sa.update(ROWS).where(ROWS.c.number == number).values(patient=row.patients[0]))
    found += _new_numbers(connection, new)
    numbers = pack(found)
    digest = hashlib.sha256(numbers).hexdigest()
    insert = _INSERTS[connection.dialect.name](LISTS).values(id=digest, numbers=numbers)
    connection.execute(insert.on_conflict_do_nothing(index_elements=["id"]))
    return digest


def alone(connection: sa.Connection) -> None:
    """Wait until no other transaction writes or deletes lists; in SQLite every writer is alone."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(8273646)")


def _numbers(connection: sa.Connection, patients: Iterable[str]) -> Iterator[tuple[tuple[str, str], int]]:
    for some in _slices(list(dict.fromkeys(patients))):
        for row in connection.execute(sa.select(ROWS).where(ROWS.c.patient.in_(some))):
            yield (row.patient, row.trial), row.number


def _new_numbers(connection: sa.Connection, new: Mapping[tuple[str, str], RowShown]) -> list[int]:
    rows = [
        {"ehr": row.ehr, "tenant": row.tenant, "patient": patient, "trial": trial}
        for (patient, trial), row in new.items()
    ]
    found: list[int] = []
    for some in _slices(rows):
        found += connection.execute(sa.insert(ROWS).returning(ROWS.c.number), some).scalars()
    return found


def _slices(values: list[T]) -> Iterator[list[T]]:
    return (values[start : start + _AT_ONCE] for start in range(0, len(values), _AT_ONCE))


def pack(numbers: Iterable[int]) -> bytes:
    """A set of numbers as the compressed distances between them."""
    ordered = sorted(set(numbers))
    distances = [number - before for before, number in zip([0, *ordered], ordered, strict=False)]
    return zlib.compress(struct.pack(f"<{len(distances)}I", *distances), 9)


def unpack(packed: bytes) -> Iterator[int]:
    """The numbers of a packed set, in ascending order."""
    number = 0
    for (distance,) in struct.iter_unpack("<I", zlib.decompress(packed)):
        number += distance
        yield number


class OnList(NamedTuple):
    """What a list showed: a patient (keyed hash) as a candidate for a trial."""

    patient: str
    trial: str


def rows_on(connection: sa.Connection, lists: Collection[str]) -> dict[str, list[OnList]]:
    """All rows of these lists."""
    return _decode(_stored(connection, lists), dict(_meanings(connection, sa.select(ROWS))))


def lists_with(
    connection: sa.Connection, patients: Collection[str] | None, ehr: str, times: Sequence[sa.ColumnElement[bool]]
) -> dict[str, list[OnList]]:
    """The lists shown at these times that have rows of these patients (keyed hashes), or of this EHR; those rows."""
    query = sa.select(ROWS).where(ROWS.c.ehr == ehr)
    wanted = dict(_meanings(connection, query if patients is None else query.where(ROWS.c.patient.in_(patients))))
    if not wanted:
        return {}
    shown = sa.select(CALLS.c.shown_list).where(CALLS.c.shown_list.is_not(None), *times)
    stored = connection.execute(sa.select(LISTS).where(LISTS.c.id.in_(shown)))
    return {name: rows for name, rows in _decode(stored, wanted).items() if rows}


def calls_of_lists(
    connection: sa.Connection, lists: Collection[str], times: Sequence[sa.ColumnElement[bool]]
) -> list[sa.RowMapping]:
    """The lines of the audit trail, of these times, that name one of these lists."""
    found: list[sa.RowMapping] = []
    for some in _slices(list(lists)):
        found += connection.execute(sa.select(CALLS).where(CALLS.c.shown_list.in_(some), *times)).mappings()
    return found


def _stored(connection: sa.Connection, lists: Collection[str]) -> Iterator[sa.Row[Any]]:
    for some in _slices(list(lists)):
        yield from connection.execute(sa.select(LISTS).where(LISTS.c.id.in_(some)))


def _meanings(connection: sa.Connection, query: sa.Select[Any]) -> Iterator[tuple[int, OnList]]:
    return ((row.number, OnList(row.patient, row.trial)) for row in connection.execute(query))


def _decode(stored: Iterable[sa.Row[Any]], meanings: Mapping[int, OnList]) -> dict[str, list[OnList]]:
    return {row.id: [meanings[number] for number in unpack(row.numbers) if number in meanings] for row in stored}


def purge_lists(connection: sa.Connection) -> None:
    """Delete the lists that no line of the audit trail names any more, and the rows that no list shows."""
    alone(connection)
    named = sa.select(CALLS.c.shown_list).where(CALLS.c.shown_list.is_not(None))
    if not connection.execute(sa.delete(LISTS).where(LISTS.c.id.not_in(named))).rowcount:
        return
    left: set[int] = set()
    for packed in connection.execute(sa.select(LISTS.c.numbers)).scalars():
        left.update(unpack(packed))
    gone = [number for number in connection.execute(sa.select(ROWS.c.number)).scalars() if number not in left]
    for some in _slices(gone):
        connection.execute(sa.delete(ROWS).where(ROWS.c.number.in_(some)))

"""Compiled trials as bytes and back: what a start with many definitions reads instead of compiling them again.

Every part that occurs more than once is written once and read as one object, so that equal parts of different trials
are the same: less memory, and whoever remembers what a part came to remembers it for all of them. Only the classes of
the language can come out of such bytes, never code.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import fields
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

import mappings
import trial_defs
from mappings.facts import Polarity
from mappings.time.times import Period
from trial_defs.definition import expressions as x

Row = list[Any]

_PLAIN, _DECIMAL, _POLARITY, _TUPLE = range(4)  # kinds of row, before those of the classes
_CLASSES: tuple[type, ...] = (
    Period, x.Bound, x.Between, x.All, x.AnyOf, x.Not, x.AtLeast, x.Age, x.SexIs, x.Anchor, x.Value, x.Change,
    x.Condition, x.Planned, x.Treatment, x.Judgement, x.Consent, x.Criterion, x.Cohort, x.Site, x.SignOff, x.Trial,
    x.Approval, x.PatientPage,
)  # fmt: skip
_KIND_OF = {each: kind for kind, each in enumerate(_CLASSES, _TUPLE + 1)}
_NAMES = {each: tuple(field.name for field in fields(each)) for each in _CLASSES}
_PLAIN_TYPES = (str, int, bool, type(None))
_DIGEST = 32


class _Packed(msgspec.Struct, frozen=True, array_like=True):
    """`rows` are [kind, content], where what is made of other rows names them by their places, all earlier."""

    made_by: str
    rows: list[Row]
    trials: list[int]  # the places of the trials


class _Packer:
    """Writes each part once."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self._places: dict[tuple[Any, ...], int] = {}

    def place(self, value: Any) -> int:
        """The row of a value, which is added with all that it holds where it is new."""
        kind = type(value)
        row: Row
        if kind in _PLAIN_TYPES:
            # True is 1, and is not to be read as it.
            return self._at((kind, value), [_PLAIN, value])
        if kind is tuple:
            row = [_TUPLE, *map(self.place, value)]
        elif kind in _KIND_OF:
            row = [_KIND_OF[kind], *[self.place(getattr(value, name)) for name in _NAMES[kind]]]
        elif kind is Decimal:
            row = [_DECIMAL, str(value)]
        elif kind is Polarity:
            row = [_POLARITY, value.value]
        else:
            raise TypeError(f"no word of the language holds a {kind.__name__}")
        return self._at(tuple(row), row)

    def _at(self, key: tuple[Any, ...], row: Row) -> int:
        place = self._places.setdefault(key, len(self.rows))
        if place == len(self.rows):
            self.rows.append(row)
        return place


def pack(trials: Iterable[x.Trial], catalogue_hash: str) -> bytes:
    """The trials, which were compiled with the concepts of that hash."""
    packer = _Packer()
    places = [packer.place(trial) for trial in trials]
    content = msgspec.msgpack.encode(_Packed(_made_by(catalogue_hash), packer.rows, places))
    return hashlib.sha256(content).digest() + content


def unpack(raw: bytes, catalogue_hash: str) -> dict[str, x.Trial]:
    """The trials by the hash of their definition; none where the bytes are damaged, make no sense, or are of others."""
    digest, content = raw[:_DIGEST], raw[_DIGEST:]
    if hashlib.sha256(content).digest() != digest:
        return {}
    try:
        packed = msgspec.msgpack.decode(content, type=_Packed)
    except msgspec.DecodeError:
        return {}
    if packed.made_by != _made_by(catalogue_hash):
        return {}
    try:
        values = _values(packed.rows)
        found = [values[place] for place in packed.trials]
    except (ArithmeticError, LookupError, TypeError, ValueError):  # rows that nobody packed
        return {}
    return {trial.hash: trial for trial in found if isinstance(trial, x.Trial)}


def one_of_each(trials: Mapping[str, x.Trial], catalogue_hash: str) -> tuple[bytes, dict[str, x.Trial]]:
    """The same trials, by hash, with equal parts made one; and the bytes in which they are kept."""
    raw = pack(trials.values(), catalogue_hash)
    return raw, unpack(raw, catalogue_hash)


def _values(rows: Iterable[Row]) -> list[Any]:
    values: list[Any] = []
    look_up = values.__getitem__
    for kind, *content in rows:
        if kind > _TUPLE:
            values.append(_CLASSES[kind - _TUPLE - 1](*map(look_up, content)))
        elif kind == _TUPLE:
            values.append(tuple(map(look_up, content)))
        elif kind == _DECIMAL:
            values.append(Decimal(content[0]))
        elif kind == _POLARITY:
            values.append(Polarity(content[0]))
        else:
            values.append(content[0])
    return values


def _made_by(catalogue_hash: str) -> str:
    return f"{_code()} {catalogue_hash}"


@cache
def _code() -> str:
    """What compiled them: a release that reads a word in another way compiles all anew."""
    digest = hashlib.sha256()
    for package in (mappings, trial_defs):
        for folder in package.__path__:
            for path in sorted(Path(folder).rglob("*.py")):
                digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()

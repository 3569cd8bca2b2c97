"""Sorts the lines of an export by patient, on disk: each patient's lines end up in one shard.

A piece of the export is read by one worker, which writes one file of runs and then, as the last thing, the list of what
stands where. A piece without that list was not finished and is read again.
"""

from __future__ import annotations

import os
import zlib
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import msgspec

from app.screen.export import Broken, Chunk, lines_of
from app.screen.lines import OUTCOME, READ, LineError, LineReader, UnassignedLine, deletions
from app.screen.versions import Ledger

_RUN = 24 * 1024 * 1024  # bytes that a worker holds before it writes them
_MOST_TOLD = 200  # places per piece that the report names; all are counted
_TOLD = READ | {OUTCOME, "Bundle"}
_VERSIONED = READ | {"Bundle"}  # a Bundle names what was deleted
MEDICATIONS = -1  # the shard of what belongs to no patient
_NEW = -2  # in place of a shard: not looked up yet
_BITS = 26


class Unread(msgspec.Struct, frozen=True):
    """A place of the export that could not be read, without its content."""

    file: str
    byte: int  # of the uncompressed file
    resource_type: str | None
    problem: str


class Sorted(msgspec.Struct):
    """What one piece of the export held.

    `runs`: the offsets at which the lines of shard 0, 1, ... begin and the last of them end, as 64-bit numbers.
    `medications`: (offset, length) of what belongs to no patient.
    """

    number: int
    keys: bytes  # where the keys of each partition are: see versions.py; empty where none were noted
    runs: list[bytes] = []
    medications: list[tuple[int, int]] = []
    lines: dict[str, int] = {}  # by type
    foreign: dict[str, int] = {}  # lines that are about no patient, by type
    unassigned: int = 0  # lines whose subject does not tell which patient; they count as unread too
    unread: list[Unread] = []
    unread_count: dict[str, int] = {}  # by type of the line, or of its file; "" where neither is known
    outcomes: list[str] = []  # OperationOutcomes that the export came with
    late: list[int] = []  # marks of patients whose gate is opened by what the first pass does not read


class PatientFilter:
    """A set of patients in a fixed 8 MiB, whatever their number: it may hold one too many, never one too few."""

    def __init__(self, bits: bytes | None = None) -> None:
        self._bits = bytearray(bits) if bits is not None else bytearray(2 ** (_BITS - 3))

    def add(self, mark: int) -> None:
        place = mark >> (32 - _BITS)
        self._bits[place >> 3] |= 1 << (place & 7)

    def __contains__(self, mark: int) -> bool:
        place = mark >> (32 - _BITS)
        return bool(self._bits[place >> 3] >> (place & 7) & 1)

    def save(self, path: Path) -> None:
        write_whole(path, bytes(self._bits))

    @staticmethod
    def load(path: Path) -> PatientFilter:
        return PatientFilter(path.read_bytes())


def mark_of(patient: str) -> int:
    """32 bits by which a patient is sorted."""
    return zlib.crc32(patient.encode("utf-8", "surrogatepass"))


def write_whole(path: Path, content: bytes) -> None:
    """The file appears with all its content or not at all, also when the machine stops."""
    temporary = path.with_name(path.name + ".part")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def open_gates(chunk: Chunk, reader: LineReader) -> set[int]:
    """The marks of the patients of whom a line of this piece can open a gate. What cannot be read is reported later."""
    found = set()
    for _, line in lines_of(chunk):
        if isinstance(line, Broken):
            continue
        try:
            _, patient, opens, _ = reader.read(line)
        except LineError:
            continue
        if opens and patient:
            found.add(mark_of(patient))
    return found


@dataclass
class Sorter:
    """Writes the lines of wanted patients to `folder`. `wanted` None: everyone's.

    `partitions`: into how many parts the keys of all records are divided; 0 where keys and Medications are not wanted,
    because an earlier pass has them.
    """

    folder: Path
    reader: LineReader
    shards: int
    wanted: PatientFilter | None
    partitions: int = 0
    _places: dict[str, int | None] = field(default_factory=dict)
    _ledger: Ledger | None = None

    def sort(self, chunk: Chunk) -> Sorted:
        """Sort one piece; afterwards its runs and, last, what stands where are on disk."""
        found = Sorted(chunk.number, b"")
        self._ledger = Ledger(self.partitions) if self.partitions else None
        held: dict[int, list[bytes]] = {}
        size = 0
        with (self.folder / f"{chunk.number:06}.lines").open("wb") as file:
            for place, line in lines_of(chunk):
                kept = self._take(chunk, place, line, found, held)
                size += kept
                if size > _RUN:
                    _write_run(file, held, self.shards, found)
                    size = 0
            _write_run(file, held, self.shards, found)
            file.flush()
            os.fsync(file.fileno())
        if self._ledger:
            keys, found.keys = self._ledger.content()
            write_whole(self.folder / f"{chunk.number:06}.keys", keys)
        write_whole(index_path(self.folder, chunk.number), msgspec.json.encode(found))
        return found

    def _take(self, chunk: Chunk, place: int, line: bytes | Broken, found: Sorted, held: dict[int, list[bytes]]) -> int:
        """Put one line where it belongs; how many bytes of it are held."""
        if isinstance(line, Broken):
            _tell(found, chunk, place, chunk.kind, line.problem)
            return 0
        try:
            kind, patient, opens, identity = self.reader.read(line)
        except LineError as error:
            _tell(found, chunk, place, error.kind or chunk.kind, error.problem)
            if isinstance(error, UnassignedLine):
                found.unassigned += 1
                if self._ledger and error.kind in _VERSIONED and error.identity:
                    self._ledger.note(f"{error.kind}/{error.identity}", place)
            return 0
        if self._ledger and kind in _VERSIONED:
            if kind == "Bundle":
                for reference in deletions(line):
                    self._ledger.note(reference, place)
            elif identity:
                self._ledger.note(f"{kind}/{identity}", place)
        name = kind if kind in _TOLD else "other"
        found.lines[name] = found.lines.get(name, 0) + 1
        if patient is None or kind == "Medication" or (shard := self._places.get(patient, _NEW)) == _NEW:
            shard = self._shard(kind, patient, line, found)
        if shard is None:
            if opens and patient in self._places:
                found.late.append(mark_of(patient))
            return 0
        body = line.rstrip(b"\r\n")
        held.setdefault(shard, []).append(b"%b\t%b\n" % ((patient or "").encode("utf-8", "surrogatepass"), body))
        return len(body)

    def _shard(self, kind: str, patient: str | None, line: bytes, found: Sorted) -> int | None:
        """Where the line of a patient belongs who was not met before, or of none; None where it is not wanted."""
        if kind == "Medication":
            return MEDICATIONS if self.partitions else None
        # A tab or line break in an id would break our own lines apart; FHIR allows neither.
        if patient is None or not patient.isprintable():
            if kind == OUTCOME:
                _heed(line.decode("utf-8", "replace").strip(), found)
            elif kind in READ:
                found.foreign[kind] = found.foreign.get(kind, 0) + 1
            return None
        if len(self._places) >= 100_000:
            self._places.clear()
        mark = mark_of(patient)
        wanted = self.wanted is None or mark in self.wanted
        return self._places.setdefault(patient, mark % self.shards if wanted else None)


def index_path(folder: Path, number: int) -> Path:
    return folder / f"{number:06}.json"


def read_index(folder: Path, number: int) -> Sorted | None:
    """What stands where, if the piece was finished."""
    try:
        return msgspec.json.decode(index_path(folder, number).read_bytes(), type=Sorted)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def _write_run(file: IO[bytes], held: dict[int, list[bytes]], shards: int, found: Sorted) -> None:
    """Write what is held, shard by shard, so that each shard's lines stand together."""
    offset = start = file.tell()
    offsets = array("Q", [offset])
    for shard in range(shards):
        content = b"".join(held.pop(shard, ()))
        offset += file.write(content)
        offsets.append(offset)
    if offset > start:
        found.runs.append(offsets.tobytes())
    if medications := b"".join(held.pop(MEDICATIONS, ())):
        found.medications.append((offset, file.write(medications)))


def _heed(outcome: str, found: Sorted) -> None:
    """Servers repeat themselves; where they do not, what is beyond counting leaves every type incomplete."""
    if len(found.outcomes) >= _MOST_TOLD:
        found.unread_count[""] = found.unread_count.get("", 0) + 1
    elif outcome not in found.outcomes:
        found.outcomes.append(outcome)


def _tell(found: Sorted, chunk: Chunk, place: int, kind: str | None, problem: str) -> None:
    """Note a place; its type is given only where it is one of ours, since it is the export's own text."""
    known = (kind if kind in _TOLD else "other") if kind else ""
    found.unread_count[known] = found.unread_count.get(known, 0) + 1
    if len(found.unread) < _MOST_TOLD:
        found.unread.append(Unread(chunk.path.name, place, known or None, problem))


Segments = list[tuple[str, int, int]]  # file, offset, length


class Runs:
    """Where the lines of every shard stand, in the few bytes that this takes."""

    def __init__(self) -> None:
        self._runs: list[tuple[str, array[int]]] = []
        self.medications: Segments = []

    def add(self, folder: Path, pieces: Iterable[Sorted]) -> None:
        for piece in pieces:
            path = str(folder / f"{piece.number:06}.lines")
            for run in piece.runs:
                offsets = array("Q")
                offsets.frombytes(run)
                self._runs.append((path, offsets))
            self.medications += [(path, offset, length) for offset, length in piece.medications]

    def of(self, shard: int) -> Segments:
        found = ((path, offsets[shard], offsets[shard + 1]) for path, offsets in self._runs)
        return [(path, start, end - start) for path, start, end in found if end > start]


def lines_in(segments: Segments) -> Iterator[tuple[str, bytes]]:
    """(patient, line) of every line of a shard."""
    for path, offset, length in segments:
        with Path(path).open("rb") as file:
            file.seek(offset)
            content = file.read(length)
        for line in content.split(b"\n")[:-1]:
            patient, _, body = line.partition(b"\t")
            yield patient.decode("utf-8", "surrogatepass"), body


def assigned(pieces: Iterable[Sorted]) -> int:
    """How many records were given to a patient."""
    lines, foreign, _ = totals(pieces)
    return sum(lines[kind] for kind in READ - {"Patient", "Medication"}) - foreign.total()


def totals(pieces: Iterable[Sorted]) -> tuple[Counter[str], Counter[str], Counter[str]]:
    """Lines, lines of no patient, and lines that could not be read, each by type."""
    lines: Counter[str] = Counter()
    foreign: Counter[str] = Counter()
    unread: Counter[str] = Counter()
    for piece in pieces:
        lines.update(piece.lines)
        foreign.update(piece.foreign)
        unread.update(piece.unread_count)
    return lines, foreign, unread

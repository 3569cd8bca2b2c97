"""Which version of a record counts, before records are sorted by patient.

A record may occur more than once: in an export and its deltas, or twice in one folder. A later version may name another
patient, or the record may be deleted. So every piece of the export notes a key for each of its records, keys that occur
more than once are looked up, and what counts of these records is kept in one file that every worker reads.
"""

from __future__ import annotations

import hashlib
import itertools
import sqlite3
import zlib
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import msgspec

from app.screen.export import Chunk, lines_at
from app.screen.lines import LineError, LineReader, UnassignedLine, deletions, reference_of
from mappings.chart.versions import Version, is_older, read_version

VERSIONS = "versions.db"
_PARTITION = 128 * 1024 * 1024  # bytes of an export whose keys are compared at once
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


# Noting keys


def partitions_for(size: int) -> int:
    """Into how many parts the keys of an export of so many bytes are divided, so that one part fits into memory."""
    return max(1, -(-size // _PARTITION))


def key_of(reference: str) -> int:
    """64 bits by which "Observation/abc" is compared. Two records may share one: their lines are compared then."""
    name = reference.encode("utf-8", "surrogatepass")
    return zlib.crc32(name) << 32 | zlib.adler32(name)


class Ledger:
    """The keys of one piece with the places of their lines, by partition."""

    def __init__(self, partitions: int) -> None:
        self._parts = [array("Q") for _ in range(partitions)]

    def note(self, reference: str, place: int) -> None:
        key = key_of(reference)
        part = self._parts[key % len(self._parts)]
        part.append(key)
        part.append(place)

    def content(self) -> tuple[bytes, bytes]:
        """What to write into a file, and where each partition begins and the last one ends in it (64-bit numbers)."""
        starts = array("Q", itertools.accumulate((8 * len(part) for part in self._parts), initial=0))
        return b"".join(part.tobytes() for part in self._parts), starts.tobytes()


KeySegments = Sequence[tuple[int, str, int, int]]  # piece, file, offset, length


def key_segments(folder: Path, starts: Mapping[int, bytes], partition: int) -> KeySegments:
    """Where the keys of one partition are. `starts`: what `Ledger.content` gave for each piece."""
    found = []
    for piece, written in starts.items():
        offsets = array("Q")
        offsets.frombytes(written)
        start, end = offsets[partition], offsets[partition + 1]
        if end > start:
            found.append((piece, str(folder / f"{piece:06}.keys"), start, end - start))
    return found


def find_repeated(segments: KeySegments) -> dict[int, bytes]:
    """The places of all lines whose key occurs more than once, by piece, as 64-bit numbers."""
    first: dict[int, tuple[int, int] | None] = {}  # None: its place has been noted
    places: dict[int, array[int]] = {}
    for piece, path, offset, length in segments:
        entries = array("Q")
        with Path(path).open("rb") as file:
            file.seek(offset)
            entries.frombytes(file.read(length))
        for key, place in zip(entries[::2], entries[1::2], strict=True):
            if key not in first:
                first[key] = piece, place
                continue
            if earlier := first[key]:
                first[key] = None
                places.setdefault(earlier[0], array("Q")).append(earlier[1])
            places.setdefault(piece, array("Q")).append(place)
    return {piece: found.tobytes() for piece, found in places.items()}


# Reading versions


class Entry(NamedTuple):
    """One version of a record. `digest` is of its line; None where the record was deleted."""

    reference: str
    folder: int
    number: int | None
    updated: int | None  # microseconds since 1970
    patient: str | None
    digest: bytes | None

    @property
    def version(self) -> Version:
        return Version(self.number, None if self.updated is None else _EPOCH + self.updated * _MICROSECOND)


class _Meta(msgspec.Struct, rename="camel"):
    version_id: str | None = None
    last_updated: str | None = None


class _Versioned(msgspec.Struct):
    meta: _Meta | None = None


_decode_versioned = msgspec.json.Decoder(_Versioned).decode


def entries_at(chunk: Chunk, places: bytes, reader: LineReader) -> Iterator[Entry]:
    """Every version and every deletion in these lines of a piece."""
    for _, line in lines_at(chunk, array("Q", places)):
        try:
            kind, patient, _, name = reader.read(line)
        except UnassignedLine as error:
            kind, patient, name = error.kind or "", None, error.identity
        except LineError:
            continue  # it is counted where the piece is sorted
        if kind == "Bundle":
            yield from (Entry(gone, chunk.folder, None, None, None, None) for gone in deletions(line))
        elif name:
            yield entry_of(f"{kind}/{name}", chunk.folder, patient, line)


def entry_of(reference: str, folder: int, patient: str | None, line: bytes) -> Entry:
    """The version of a record that a line without its line break holds."""
    try:
        meta = _decode_versioned(line).meta or _Meta()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        meta = _Meta()
    version = read_version(meta.version_id, meta.last_updated)
    updated = None if version.updated is None else (version.updated - _EPOCH) // _MICROSECOND
    return Entry(reference, folder, version.number, updated, patient, digest_of_line(line))


def digest_of_line(line: bytes) -> bytes:
    return hashlib.blake2b(line, digest_size=16).digest()


# What counts


def current(entries: Iterable[Entry]) -> list[Entry]:
    """The version that counts: of a later folder, unless versions say that it is older than the one before.

    More than one where one folder holds several and nothing says which is the newest. `entries` are in the order of
    their folders.
    """
    best: list[Entry] = []
    for _, group in itertools.groupby(entries, key=lambda entry: entry.folder):
        there = list(group)
        deleted = [entry for entry in there if entry.digest is None]
        newest = deleted[:1] or _newest(there)
        best = [each for each in newest if not any(is_older(each.version, one.version) for one in best)] or best
    return best


def _newest(entries: Sequence[Entry]) -> list[Entry]:
    once = list({entry.digest: entry for entry in entries}.values())
    return [each for each in once if not any(is_older(each.version, other.version) for other in once)] or once


def doubted(entries: Sequence[Entry], best: Sequence[Entry]) -> set[str]:
    """Of whom a type is not complete: whose record may have another version, or names no patient any more."""
    if len(best) > 1:
        return {entry.patient for entry in best if entry.patient}
    if best[0].digest is not None and best[0].patient is None:
        return {entry.patient for entry in entries if entry.patient}
    return set()


class Resolved(NamedTuple):
    """How many records had more than one version, and how many of these have none that is surely the newest."""

    records: int
    unresolved: int


def keep_versions(path: Path, parts: Iterable[Path]) -> None:
    """Decide for each record and write the file that workers read; once. `parts` are files of `write_entries`."""
    if path.exists():
        return
    temporary, gathered = path.with_name(path.name + ".part"), path.with_name(path.name + ".entries")
    for each in (temporary, gathered):
        each.unlink(missing_ok=True)
    with closing(sqlite3.connect(temporary)) as kept, closing(sqlite3.connect(gathered)) as db:
        db.execute(
            "CREATE TABLE entry (reference TEXT, folder INT, number INT, updated INT, patient TEXT, digest BLOB)"
        )
        for part in parts:
            db.executemany("INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?)", read_entries(part))
        kept.execute("CREATE TABLE current (reference TEXT, digest BLOB)")
        kept.execute("CREATE TABLE doubted (patient TEXT, kind TEXT)")
        for entries in _by_reference(db):
            best = current(entries)
            kind = entries[0].reference.partition("/")[0]
            kept.executemany("INSERT INTO current VALUES (?, ?)", [(each.reference, each.digest) for each in best])
            kept.executemany("INSERT INTO doubted VALUES (?, ?)", [(each, kind) for each in doubted(entries, best)])
        kept.execute("CREATE INDEX by_reference ON current (reference)")
        kept.execute("CREATE INDEX by_patient ON doubted (patient)")
        kept.commit()
    gathered.unlink()
    temporary.replace(path)


def _by_reference(db: sqlite3.Connection) -> Iterator[list[Entry]]:
    rows = db.execute("SELECT * FROM entry ORDER BY reference, folder")
    for _, group in itertools.groupby(itertools.starmap(Entry, rows), key=lambda entry: entry.reference):
        entries = list(group)
        if len(entries) > 1:  # else its key was another record's as well
            yield entries


_encode_entries = msgspec.msgpack.Encoder().encode
_decode_entries = msgspec.msgpack.Decoder(list[Entry]).decode


def write_entries(path: Path, entries: Iterable[Entry], write: Callable[[Path, bytes], None]) -> None:
    write(path, _encode_entries(list(entries)))


def read_entries(path: Path) -> list[Entry]:
    return _decode_entries(path.read_bytes())


def resolved(path: Path) -> Resolved:
    """What the file says in figures."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)) as db:
        records = db.execute("SELECT count(DISTINCT reference) FROM current").fetchone()[0]
        unsure = "SELECT count(*) FROM (SELECT 1 FROM current GROUP BY reference HAVING count(*) > 1)"
        return Resolved(records, db.execute(unsure).fetchone()[0])


class KeptVersions:
    """Looks up what counts of the records that have more than one version."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)
        self._is_empty = self._db.execute("SELECT 1 FROM current LIMIT 1").fetchone() is None

    def current(self, lines: Sequence[bytes]) -> Sequence[bytes]:
        """These lines without those that a newer version or a deletion has replaced."""
        return lines if self._is_empty else [line for line in lines if self._counts(line)]

    def _counts(self, line: bytes) -> bool:
        rows = self._db.execute("SELECT digest FROM current WHERE reference = ?", (reference_of(line),)).fetchall()
        return not rows or (digest_of_line(line),) in rows

    def doubted(self, patient: str) -> tuple[str, ...]:
        """The types that are not complete for this patient, because a version of a record is in doubt."""
        if self._is_empty:
            return ()
        rows = self._db.execute("SELECT DISTINCT kind FROM doubted WHERE patient = ? ORDER BY kind", (patient,))
        return tuple(row[0] for row in rows)

    def close(self) -> None:
        self._db.close()

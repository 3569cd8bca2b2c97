"""What a worker does: each task reads files, writes files, and can be done again without harm.

The same tasks run in processes of this machine and on a cluster; both see the export and the folder of the screen under
the same paths.
"""

from __future__ import annotations

import hashlib
import pickle
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

import msgspec

from app.screen.export import Chunk
from app.screen.lines import LineReader, reference_of
from app.screen.merges import Linked, links_in
from app.screen.reading import Earlier, KeptReadings
from app.screen.shard import Answers, Lines, Question, Sources, screen_patients
from app.screen.spool import PatientFilter, Segments, Sorted, Sorter, lines_in, open_gates, write_whole
from app.screen.versions import VERSIONS, KeptVersions, KeySegments, entries_at, write_entries
from app.screen.versions import find_repeated as repeated_in

WANTED, WANTED_LATE, EARLIER = "wanted", "wanted-late", "earlier.db"


@dataclass(frozen=True)
class Work:
    """What a worker process is given once."""

    folder: Path
    question: Question
    gates: frozenset[str] | None
    shards: int
    partitions: int  # of the keys of records
    merged: Mapping[str, str] = field(default_factory=dict)  # see LineReader
    incomplete: frozenset[str] = frozenset()
    earlier: Earlier | None = None  # its readings are in EARLIER
    changed: frozenset[str] | None = None  # what opens a gate of a trial that is new or another since; None: anything


_work: Work
_reader: LineReader
_begun: Path | None = None


def pack(work: Work) -> Path:
    """The work on disk, where every worker finds it."""
    content = pickle.dumps(work)
    path = work.folder / f"work-{hashlib.sha256(content).hexdigest()[:16]}"
    write_whole(path, content)
    return path


def begin(packed: Path) -> None:
    """What every worker does before its first task of a pass."""
    global _work, _reader, _begun
    if _begun != packed:
        _work = pickle.loads(packed.read_bytes())
        _reader = LineReader(_work.question.catalogue, _work.gates, _work.question.base_url, _work.merged)
        _filter.cache_clear()
        _begun = packed


def find_links(task: tuple[Chunk, frozenset[str] | None]) -> list[Linked]:
    """Before the first pass: which Patients of a piece say that they were merged; see merges.py."""
    chunk, known = task
    return list(links_in(chunk, _work.question.base_url, known))


def find_gates(chunk: Chunk) -> set[int]:
    """First pass: the marks of the patients whose gate a line of this piece can open."""
    return open_gates(chunk, _reader)


def sort(chunk: Chunk) -> Sorted:
    """Second pass: the lines of the wanted patients, by shard."""
    wanted = _filter(_work.folder / WANTED) if _work.gates is not None else None
    return Sorter(_work.folder / "lines", _reader, _work.shards, wanted, _work.partitions).sort(chunk)


def sort_late(chunk: Chunk) -> Sorted:
    """Third pass, where it is needed."""
    wanted = _filter(_work.folder / WANTED_LATE)
    return Sorter(_work.folder / "late", _reader, _work.shards, wanted).sort(chunk)


def find_repeated(segments: KeySegments) -> dict[int, bytes]:
    """Of one partition of the keys: where lines are whose record may occur more than once."""
    return repeated_in(segments)


def read_versions(task: tuple[Chunk, bytes]) -> Path:
    """The versions in these lines of a piece, written to disk."""
    chunk, places = task
    path = _work.folder / "versions" / f"{chunk.number:06}.entries"
    write_entries(path, entries_at(chunk, places, _reader), write_whole)
    return path


@lru_cache(maxsize=1)
def _filter(path: Path) -> PatientFilter:
    return PatientFilter.load(path)


def evaluate(task: tuple[int, Segments]) -> None:
    """One shard: its patients, one after the other, to rows on disk."""
    number, segments = task
    charts: dict[str, list[bytes]] = {}
    for patient, line in lines_in(segments):
        charts.setdefault(patient, []).append(line)
    patients: list[tuple[str, Lines]] = [(patient, charts[patient]) for patient in sorted(charts)]
    with ExitStack() as open_files:
        medications = open_files.enter_context(closing(Medications(_work.folder / "medications.db")))
        versions = open_files.enter_context(closing(KeptVersions(_work.folder / VERSIONS)))
        sources = Sources(_work.question, _work.incomplete, medications, versions, _merged_into(_work.merged))
        if _work.earlier:
            readings = open_files.enter_context(closing(KeptReadings(_work.folder / EARLIER)))
            sources = replace(sources, earlier=_work.earlier, readings=readings, changed=_changed(_work))
        answers = screen_patients(patients, sources)
    write_part(_work.folder / "parts", number, answers)


def _merged_into(merged: Mapping[str, str]) -> Mapping[str, Sequence[str]]:
    found: dict[str, list[str]] = {}
    for name, stays in sorted(merged.items()):
        found.setdefault(stays, []).append(name)
    return found


def _changed(work: Work) -> LineReader | None:
    question = work.question
    if work.changed is None:
        return None
    return LineReader(question.catalogue, work.changed, question.base_url, work.merged)


class Counted(msgspec.Struct):
    """The patients of one shard by what became of them, how many of them were evaluated, and see Answers."""

    patients: dict[str, int]
    evaluated: int
    not_understood: dict[str, int]


def write_part(parts: Path, number: int, answers: Answers) -> None:
    """The rows of one shard; the count, written last, says that they are all there."""
    encoder = msgspec.json.Encoder()
    write_whole(parts / f"{number:06}.matches", _as_lines(answers.matches))
    write_whole(parts / f"{number:06}.criteria", _as_lines(answers.criteria))
    write_whole(parts / f"{number:06}.patients", encoder.encode_lines(answers.readings))
    write_whole(parts / f"{number:06}.standing", encoder.encode_lines(answers.standing))
    write_whole(
        parts / f"{number:06}.json",
        encoder.encode(Counted(answers.patients, answers.evaluated, answers.not_understood)),
    )


def _as_lines(rows: Iterable[bytes]) -> bytes:
    return b"".join(row + b"\n" for row in rows)


def keep_medications(folder: Path, segments: Segments) -> None:
    """Medications by reference, in a file: formularies may be large, and a site may write one for every order."""
    path = folder / "medications.db"
    if path.exists():
        return
    temporary = folder / "medications.db.part"
    temporary.unlink(missing_ok=True)
    with closing(sqlite3.connect(temporary)) as db:
        db.execute("CREATE TABLE medication (reference TEXT, line BLOB)")
        found = ((reference_of(line), line) for _, line in lines_in(segments))
        db.executemany("INSERT INTO medication VALUES (?, ?)", found)
        db.execute("CREATE INDEX by_reference ON medication (reference)")
        db.commit()
    temporary.replace(path)


class Medications:
    """Looks Medications up in the file."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)

    def get(self, reference: str) -> Iterable[bytes]:
        return [row[0] for row in self._db.execute("SELECT line FROM medication WHERE reference = ?", (reference,))]

    def close(self) -> None:
        self._db.close()

"""What an export holds: its files, cut into pieces that can be read side by side, and their lines."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast
from urllib.parse import parse_qs, urlsplit

import msgspec

from mappings.resource_types import RESOURCE_TYPES

MIB = 1024 * 1024
CHUNK = 64 * MIB
LONGEST_LINE = 64 * MIB  # one resource longer than this is not read
_GZIP_FACTOR = 8  # how much larger an export is than its compressed files, about
_NAMES = ("*.ndjson", "*.ndjson.gz", "*.jsonl", "*.jsonl.gz")
MANIFEST = "manifest.json"
FORBIDDING = ("Consent", "Flag")  # may say that a patient is not to be approached for research


class ExportError(Exception):
    """The folder cannot be screened; the message says what would be accepted."""


@dataclass(frozen=True, slots=True)
class ExportFile:
    """One NDJSON file. `kind` is the resource type of its first line, None where that cannot be read.

    `folder` is its folder's place in the order in which the folders were given: deltas follow the full export.
    """

    path: Path
    size: int  # bytes on disk
    changed: int  # mtime in ns
    kind: str | None
    folder: int = 0

    @property
    def is_gzip(self) -> bool:
        return self.path.suffix == ".gz"


@dataclass(frozen=True, slots=True)
class Chunk:
    """The lines of a file that begin in [start, end); the whole file where it is compressed."""

    number: int
    path: Path
    start: int
    end: int
    kind: str | None
    folder: int = 0

    @property
    def is_gzip(self) -> bool:
        return self.path.suffix == ".gz"

    @property
    def size(self) -> int:
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Export:
    """One export, or a full one and the deltas that came after it.

    `complete` are the types of which silence says something: those that occur, and those that were asked for.
    `without_file` are the types of which there is no file, those first that may forbid to approach a patient.
    """

    files: tuple[ExportFile, ...]
    complete: frozenset[str]
    base_url: str | None
    without_file: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Bytes to read, compressed files counted by about what they hold."""
        return sum(file.size * (_GZIP_FACTOR if file.is_gzip else 1) for file in self.files)

    def chunks(self, size: int = CHUNK) -> tuple[Chunk, ...]:
        pieces: list[Chunk] = []
        for file in self.files:
            step = max(file.size, 1) if file.is_gzip else size
            for start in range(0, max(file.size, 1), step):
                end = min(start + step, file.size)
                pieces.append(Chunk(len(pieces), file.path, start, end, file.kind, file.folder))
        return tuple(pieces)


class _Manifest(msgspec.Struct):
    request: str = ""


class _Typed(msgspec.Struct, rename="camel"):
    resource_type: str | None = None


_first_line = msgspec.json.Decoder(_Typed)
_manifest = msgspec.json.Decoder(_Manifest)


def open_export(folders: Sequence[Path], *, base_url: str | None = None, everything: bool = False) -> Export:
    """Look at every NDJSON file of these folders. `everything`: a type that has no file has no records.

    ExportError where there is nothing to read, or no Patient or no Condition among it.
    """
    files: list[ExportFile] = []
    asked: set[str] = set()
    for number, folder in enumerate(folders):
        if not folder.is_dir():
            raise ExportError(f"{folder}: there is no such folder")
        files += [_look_at(path, number) for path in sorted({p for name in _NAMES for p in folder.glob(name)})]
        manifest = _read_manifest(folder / MANIFEST)
        if manifest:
            address = urlsplit(manifest.request)
            asked.update(",".join(parse_qs(address.query).get("_type", [])).split(","))
            base_url = base_url or _base_of(manifest.request)
    if not files:
        raise ExportError("EXPORT: holds no file named *.ndjson or *.ndjson.gz")
    kinds = {file.kind for file in files if file.kind}
    for needed in ("Patient", "Condition"):
        if needed not in kinds:
            raise ExportError(f"EXPORT: holds no file of {needed} resources; without them no trial can be evaluated")
    complete = set(RESOURCE_TYPES) if everything else kinds | asked
    absent = [kind for kind in (*FORBIDDING, *RESOURCE_TYPES) if kind not in kinds]
    return Export(
        tuple(files), frozenset(complete.intersection(RESOURCE_TYPES)), base_url, tuple(dict.fromkeys(absent))
    )


def _look_at(path: Path, folder: int) -> ExportFile:
    """The type of a file is read, not taken from its name: servers name them as they like."""
    try:
        found = path.stat()
        with _open(path) as file:
            kind = next(
                (_kind_of(line) for line in iter(lambda: file.readline(LONGEST_LINE), b"") if line.strip()), None
            )
    except (OSError, EOFError, zlib.error) as error:
        raise ExportError(f"{path}: cannot be read ({type(error).__name__})") from error
    return ExportFile(path.resolve(), found.st_size, found.st_mtime_ns, kind, folder)


def _kind_of(line: bytes) -> str | None:
    try:
        return _first_line.decode(line.removeprefix(b"\xef\xbb\xbf")).resource_type
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _read_manifest(path: Path) -> _Manifest | None:
    try:
        return _manifest.decode(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ExportError(f"{path}: is not a Bulk Data manifest") from error


def _base_of(request: str) -> str | None:
    """The server whose export it is: what stands before `/$export`, and before the group or patients asked for."""
    address = request.partition("?")[0].partition("/$export")[0].partition("/%24export")[0]
    head, found, _ = address.rpartition("/Group/")
    base = (head if found else address).removesuffix("/Patient")
    return base if base.startswith(("http://", "https://")) else None


def _open(path: Path) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(path)) if path.suffix == ".gz" else path.open("rb")


@dataclass(frozen=True, slots=True)
class Broken:
    """The rest of a chunk, or one line of it, that could not be read."""

    problem: str


def lines_of(chunk: Chunk) -> Iterator[tuple[int, bytes | Broken]]:
    """Every line that is not blank, with the byte at which it begins (in the uncompressed file)."""
    compressed = chunk.path.suffix == ".gz"
    place = 0
    try:
        with _open(chunk.path) as file:
            if not compressed:
                place = _to_first_line(file, chunk.start)
            rest = b""
            while compressed or place < chunk.end:
                block = file.read(MIB)
                *lines, rest = (rest + block).split(b"\n")
                if not block and rest:
                    lines, rest = [rest], b""
                for line in lines:
                    if not compressed and place >= chunk.end:
                        return
                    if line and not line.isspace():
                        yield place, line if place else line.removeprefix(b"\xef\xbb\xbf")
                    place += len(line) + 1
                if not block:
                    return
                if len(rest) > LONGEST_LINE:
                    yield place, Broken("the line is too long")
                    place += len(rest) + _skip_line(file)
                    rest = b""
    except (OSError, EOFError, zlib.error):
        yield place, Broken("the file ends in the middle" if compressed else "the file cannot be read to its end")


def lines_at(chunk: Chunk, places: Sequence[int]) -> Iterator[tuple[int, bytes]]:
    """The lines of a chunk that begin at these places, as `lines_of` gives them, without their line breaks.

    A compressed file is read from its beginning.
    """
    if chunk.is_gzip:
        wanted = frozenset(places)
        found = ((place, line) for place, line in lines_of(chunk) if place in wanted)
        yield from ((place, line.rstrip(b"\r\n")) for place, line in found if isinstance(line, bytes))
        return
    with chunk.path.open("rb") as file:
        for place in sorted(set(places)):
            file.seek(place)
            line = file.readline(LONGEST_LINE)
            yield place, (line if place else line.removeprefix(b"\xef\xbb\xbf")).rstrip(b"\r\n")


def _to_first_line(file: IO[bytes], start: int) -> int:
    """Go to the first line that begins at `start` or later."""
    if start == 0:
        return 0
    file.seek(start - 1)
    return start if file.read(1) == b"\n" else start + _skip_line(file)


def _skip_line(file: IO[bytes]) -> int:
    """Read to the end of the line, however long; how many bytes that were."""
    skipped = 0
    while part := file.readline(MIB):
        skipped += len(part)
        if part.endswith(b"\n"):
            break
    return skipped

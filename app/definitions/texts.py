"""Definitions as they were: the text of a trial and of all concepts under the hash that reports name, and back.

A trial's text is its file. The concepts are every file of every folder in order, in one piece.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from mappings.concepts.catalogue import Catalogue, load_catalogue
from mappings.concepts.site_rules import FILE as RULES_FILE
from mappings.yaml_files import DefinitionError
from trial_defs.definition.expressions import Trial
from trial_defs.definition.loader import hash_of, read_trial

_Folder = list[tuple[str, bytes]]
_KINDS = ("*.yaml", "*.json")


Texts = Mapping[str, bytes]  # by hash


@dataclass(frozen=True)
class PackedTexts(Mapping[str, bytes]):
    """Texts by hash, each held compressed: there may be ten thousand, of which few are ever read."""

    packed: dict[str, bytes] = field(default_factory=dict)

    def add(self, digest: str, text: bytes) -> None:
        self.packed[digest] = zlib.compress(text, 1)

    def only(self, wanted: Collection[str]) -> PackedTexts:
        return PackedTexts({digest: text for digest, text in self.packed.items() if digest in wanted})

    def __getitem__(self, digest: str) -> bytes:
        return zlib.decompress(self.packed[digest])

    def __contains__(self, digest: object) -> bool:
        return digest in self.packed

    def __iter__(self) -> Iterator[str]:
        return iter(self.packed)

    def __len__(self) -> int:
        return len(self.packed)


def add_trial_texts(folders: Iterable[Path], trials: Iterable[Trial], texts: PackedTexts) -> None:
    """Add the files of these trials that are not among the texts yet, as far as the folders still hold them."""
    wanted = {trial.hash for trial in trials if trial.hash not in texts}
    if not wanted:
        return
    for path in (path for folder in folders for path in folder.glob("*.yaml")):
        raw = _read(path)
        if raw and (digest := hash_of(raw)) in wanted:
            texts.add(digest, raw)


def concepts_text(folders: Sequence[Path], rules: bytes | None = None) -> bytes:
    """Every file of these folders, and the site's rules as a file of a folder of its own, as one text."""
    packed: list[_Folder] = [
        [(path.name, raw) for path in sorted(p for kind in _KINDS for p in folder.glob(kind)) if (raw := _read(path))]
        for folder in folders
    ]
    if rules is not None:
        packed.append([(RULES_FILE, rules)])
    return msgspec.json.encode(packed)


def trial_from(text: bytes, digest: str, catalogue: Catalogue) -> Trial | None:
    """The trial of that day; None where this version no longer understands it, or it is another text."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "trial.yaml")
        path.write_bytes(text)
        try:
            trial = read_trial(path, catalogue)
        except DefinitionError:
            return None
    return trial if trial.hash == digest else None


def concepts_from(text: bytes, digest: str) -> Catalogue | None:
    """The concepts of that day; None where this version no longer understands them, or it is another text."""
    with TemporaryDirectory() as base:
        try:
            catalogue = load_catalogue(_unpack(text, Path(base)))
        except (DefinitionError, msgspec.DecodeError):
            return None
    return catalogue if catalogue.hash == digest else None


def _unpack(text: bytes, base: Path) -> list[Path]:
    folders = []
    for number, files in enumerate(msgspec.json.decode(text, type=list[_Folder])):
        folder = base / str(number)
        folder.mkdir()
        folders.append(folder)
        for name, raw in files:
            if re.fullmatch(r"[^/\\]+\.(yaml|json)", name):
                (folder / name).write_bytes(raw)
    return folders


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None

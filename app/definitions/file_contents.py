"""Hashes of files that are looked at again and again, read only where they may have changed."""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import dataclass, field
from pathlib import Path

_Look = tuple[int, int, int, int]


def files_of(folder: Path) -> list[str]:
    """The files of definitions in a folder, in the order of their names; none where there is no such folder."""
    try:
        names = sorted(name for name in os.listdir(folder) if name.endswith((".yaml", ".json")))
    except OSError:
        return []
    return [f"{folder}{os.sep}{name}" for name in names]


@dataclass
class Contents:
    """A file that was last changed well before it was read is not read again until its times, size or place change.

    One that changed only just is: a second edit may fall into the same tick of the file system's clock.
    """

    settled: int = 2_000_000_000  # ns: file systems keep times to two seconds at worst
    _known: dict[str, tuple[_Look, bytes]] = field(default_factory=dict, init=False)

    def hash_of(self, path: str) -> bytes:
        """SHA-256 of the content, or a word where it cannot be read."""
        began = time.time_ns()
        try:
            about = os.stat(path)
            look = (about.st_mtime_ns, about.st_ctime_ns, about.st_size, about.st_ino)
            known = self._known.get(path)
            if known and known[0] == look:
                return known[1]
            digest = hashlib.sha256(Path(path).read_bytes()).digest()
        except OSError:
            return b"unreadable"
        if max(look[:2]) < began - self.settled:
            self._known[path] = (look, digest)
        return digest

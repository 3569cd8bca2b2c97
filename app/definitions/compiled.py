"""Keeps compiled definitions between two starts, so that only those that changed are compiled again.

One file; whoever may write it decides what is served, as whoever may write the definitions does. It is never needed:
where it is missing, damaged or of another version, everything is compiled.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from trial_defs.definition.expressions import Trial
from trial_defs.definition.packed import one_of_each, unpack

WORTH_IT = 50  # definitions that had to be compiled: fewer take no time


@dataclass(frozen=True)
class Compiled:
    """The file of compiled definitions in a folder, which is made with the file.

    `not_kept` is called with what kept the file from being written.
    """

    folder: Path | None
    not_kept: Callable[[OSError], None] = field(default=lambda error: None, compare=False)

    @property
    def _file(self) -> Path | None:
        return self.folder / "definitions.bin" if self.folder else None

    def read(self, catalogue_hash: str) -> dict[str, Trial]:
        """By hash those that were compiled with these concepts by this version."""
        if self._file is None:
            return {}
        try:
            return unpack(self._file.read_bytes(), catalogue_hash)
        except OSError:
            return {}

    @contextmanager
    def turn(self) -> Iterator[None]:
        """One worker compiles, the others wait for what it has made. Where no folder can be made, all compile."""
        with self._lock() as lock:
            if lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _lock(self) -> AbstractContextManager[IO[str] | None]:
        if self.folder:
            with suppress(OSError):
                self.folder.mkdir(parents=True, exist_ok=True)
                return (self.folder / ".lock").open("w")
        return nullcontext()

    def keep(self, trials: Mapping[str, Trial], catalogue_hash: str) -> dict[str, Trial]:
        """Write these (by hash), and the same with every equal part made one."""
        raw, shared = one_of_each(trials, catalogue_hash)
        if self._file is not None:
            try:
                _write_whole(self._file, raw)
            except OSError as error:
                self.not_kept(error)
        return shared


def _write_whole(path: Path, raw: bytes) -> None:
    """The file appears as a whole, also where several workers write it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(raw)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)

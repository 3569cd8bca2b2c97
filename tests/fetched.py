"""Tools that tests fetch into `.cache/` on first use, by Maven and npm, at the versions that files here name."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

CACHE = Path(__file__).parents[1] / ".cache"


def missing(programs: Mapping[str, str]) -> list[str]:
    """Which of these programs (command: in words) are not on this machine."""
    return [f"{name} ({what})" for name, what in programs.items() if shutil.which(name) is None]


def run(*command: str | Path, **more: Any) -> subprocess.CompletedProcess[str]:
    """What a program printed; RuntimeError with its last words where it fails."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, **more)
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return done


def once(folder: Path, named_by: Iterable[Path], fetch: Callable[[], None]) -> None:
    """Fetch into `folder`, but where that was done for these very files."""
    wanted = hashlib.sha256(b"".join(file.read_bytes() for file in named_by)).hexdigest()
    mark = folder / "installed"
    if mark.exists() and mark.read_text() == wanted:
        return
    folder.mkdir(parents=True, exist_ok=True)
    fetch()
    mark.write_text(wanted)


def jars(pom: Path, into: Path) -> None:
    """The dependencies that a pom.xml names, and theirs; nothing else is left in the folder."""
    shutil.rmtree(into, ignore_errors=True)
    run("mvn", "-q", "-B", "-f", pom, "dependency:copy-dependencies", f"-DoutputDirectory={into}", timeout=300)

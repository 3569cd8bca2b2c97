"""The texts of earlier versions, as `trialcards trials lint --record` kept them: one file a version, ID.v2.yaml.

A version whose text was not kept, or that is no longer understood, is known by its number only, and said to be so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from mappings.catalogue import Catalogue
from mappings.yaml_files import DefinitionError
from trial_defs.changes import Changes, changes
from trial_defs.expressions import Trial
from trial_defs.loader import OUR_TRIALS, read_trial

OUR_HISTORY = Path(__file__).parent / "versions"
_MOST = 20  # versions that are compared, newest first


@dataclass(frozen=True, slots=True)
class History:
    """What each version changed against the nearest earlier one at hand, newest first; and the versions not at hand."""

    steps: tuple[Changes, ...]
    lost: tuple[int, ...]


def history_folder(trials: Path) -> Path:
    """Where the versions of a folder of definitions are kept: beside it, so that no loader takes them for trials."""
    return OUR_HISTORY if trials == OUR_TRIALS else trials.with_name(f"{trials.name}.versions")


def keep_version(folder: Path, trial: str, version: int, text: bytes) -> None:
    """Keep the text of a version; one that was kept before is replaced, since its meaning is the same."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{trial}.v{version}.yaml"
    if not path.exists() or path.read_bytes() != text:
        path.write_bytes(text)


def history_of(trial: Trial, folders: Sequence[Path], catalogue: Catalogue) -> History:
    """The earlier versions of a trial in these folders, of which a later one goes before an earlier one."""
    files = _files(trial, folders)
    earlier = (_read(files[version], trial, version, catalogue) for version in sorted(files, reverse=True)[:_MOST])
    known = [trial, *(each for each in earlier if each)]
    steps = tuple(changes(older, newer) for newer, older in pairwise(known))
    at_hand = {each.version for each in known}
    return History(steps, tuple(n for n in range(max(1, trial.version - _MOST), trial.version) if n not in at_hand))


def _files(trial: Trial, folders: Iterable[Path]) -> Mapping[int, Path]:
    found: dict[int, Path] = {}
    for folder in folders:
        for path in folder.glob(f"{trial.id}.v*.yaml"):
            number = re.fullmatch(r".*\.v(\d{1,6})", path.stem, re.ASCII)
            if number and 0 < int(number[1]) < trial.version:
                found[int(number[1])] = path
    return found


def _read(path: Path, trial: Trial, version: int, catalogue: Catalogue) -> Trial | None:
    try:
        earlier = read_trial(path, catalogue)
    except (DefinitionError, OSError):
        return None
    return earlier if (earlier.id, earlier.version) == (trial.id, version) else None

"""The texts of earlier versions, as `trialcards trials lint --record` kept them: one file a version, ID.v2.yaml.

A version whose text was not kept, or that is no longer understood, is known by its number only, and said to be so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from mappings.concepts.catalogue import Catalogue
from mappings.yaml_files import DefinitionError
from trial_defs.definition.changes import Changes, changes
from trial_defs.definition.expressions import Trial
from trial_defs.definition.loader import OUR_TRIALS, trial_of

OUR_HISTORY = Path(__file__).parents[1] / "versions"
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


def history_of(
    trial: Trial, folders: Sequence[Path], catalogue: Catalogue, kept: Mapping[int, bytes] | None = None
) -> History:
    """The earlier versions of a trial in these folders, of which a later one goes before an earlier one.

    `kept` are texts by version that were kept elsewhere; a file goes before them.
    """
    texts = {**(kept or {}), **_texts(trial, folders)}
    earlier = [number for number in sorted(texts, reverse=True) if 0 < number < trial.version][:_MOST]
    found = (_read(texts[version], trial, version, catalogue) for version in earlier)
    known = [trial, *(each for each in found if each)]
    steps = tuple(changes(older, newer) for newer, older in pairwise(known))
    at_hand = {each.version for each in known}
    return History(steps, tuple(n for n in range(max(1, trial.version - _MOST), trial.version) if n not in at_hand))


def _texts(trial: Trial, folders: Iterable[Path]) -> Mapping[int, bytes]:
    found: dict[int, bytes] = {}
    for path in (path for folder in folders for path in folder.glob(f"{trial.id}.v*.yaml")):
        number = re.fullmatch(r".*\.v(\d{1,6})", path.stem, re.ASCII)
        with suppress(OSError):
            found |= {int(number[1]): path.read_bytes()} if number else {}
    return found


def _read(text: bytes, trial: Trial, version: int, catalogue: Catalogue) -> Trial | None:
    try:
        earlier = trial_of(text, Path(f"{trial.id}.v{version}.yaml"), catalogue)
    except DefinitionError:
        return None
    return earlier if (earlier.id, earlier.version) == (trial.id, version) else None

"""What the versions of a trial changed, said; worked out once for the same files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cds_hooks.words.change_words import ChangedVersion, changed_words
from cds_hooks.words.wording import titles_of
from mappings.concepts.catalogue import Catalogue
from trial_defs.definition.expressions import Trial
from trial_defs.definition.history import OUR_HISTORY, history_folder, history_of
from trial_defs.definition.loader import hash_of

_MOST = 64  # trials that are remembered


@dataclass(frozen=True, slots=True)
class Versions:
    """Newest first; and the earlier versions whose texts are not at hand."""

    changed: Sequence[ChangedVersion]
    lost: Sequence[int]


@dataclass
class Histories:
    """`site_trials` is the site's folder of definitions, where it has one; beside it stands that of its versions."""

    site_trials: Path | None = None
    _known: dict[tuple[object, ...], Versions] = field(default_factory=dict)

    def of(self, trial: Trial, catalogue: Catalogue, kept: Mapping[int, bytes] | None = None) -> Versions:
        """Reads files; not for the event loop. `kept` are texts by version that answers were given with."""
        folders = [OUR_HISTORY, *([history_folder(self.site_trials)] if self.site_trials else [])]
        key = (trial.hash, catalogue.hash, *_stamps(folders, trial.id), *sorted(map(hash_of, (kept or {}).values())))
        if key not in self._known:
            while len(self._known) >= _MOST:
                self._known.pop(next(iter(self._known)), None)
            found = history_of(trial, folders, catalogue, kept)
            titles = titles_of(catalogue)
            self._known[key] = Versions([changed_words(step, titles) for step in found.steps], found.lost)
        return self._known[key]


def _stamps(folders: Sequence[Path], trial: str) -> list[tuple[str, int]]:
    return [(str(path), path.stat().st_mtime_ns) for folder in folders for path in sorted(folder.glob(f"{trial}.v*"))]

"""The definitions that are being served: read at start and again when a file changes, swapped as a whole.

A file that cannot be used never takes the good ones down: what was served before stays, and `/readyz` names it.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from app.definition_texts import Texts, concepts_text, trial_texts
from mappings.catalogue import Catalogue, load_catalogue
from mappings.yaml_files import DefinitionError
from trial_defs.expressions import Trial
from trial_defs.loader import OUR_TRIALS, Draft, load_trials
from trial_defs.silence import Silences

OUR_CONCEPTS = Path(__file__).parent.parent / "mappings" / "concepts"


@dataclass(frozen=True)
class Served:
    """One consistent set: a call works with one of these from its first line to its last.

    `texts` holds the files behind it under the hashes that reports name, `silences` what they come to without a record.
    """

    catalogue: Catalogue
    trials: Mapping[str, Trial]
    problems: tuple[str, ...] = ()
    drafts: tuple[Draft, ...] = ()
    texts: Texts = field(default_factory=dict)
    silences: Silences = field(default_factory=Silences, repr=False, compare=False)


@dataclass
class Definitions:
    """Holds what is served now. `site_concepts` and `site_trials` are the site's folders, where it has any."""

    site_concepts: Path | None = None
    site_trials: Path | None = None
    _served: Served | None = None
    _seen: str = field(default="", init=False)

    @property
    def now(self) -> Served:
        if self._served is None:
            self._seen, self._served = self._fingerprint(), self._read(None)
        return self._served

    async def reload_if_changed(self) -> bool:
        """Read everything again where a file changed since; the reading is done off the event loop."""
        current = self.now
        seen = await asyncio.to_thread(self._fingerprint)
        if seen == self._seen:
            return False
        served = await asyncio.to_thread(self._read, current)
        self._seen, self._served = seen, served
        return True

    def _fingerprint(self) -> str:
        """Names and contents of every definition file: an edit within the clock's resolution is seen too."""
        digest = hashlib.sha256()
        for folder in (*self._concept_folders(), *self._trial_folders()):
            for path in sorted((*folder.glob("*.yaml"), *folder.glob("*.json"))):
                try:
                    content = path.read_bytes()
                except OSError:
                    content = b"unreadable"
                digest.update(str(path).encode() + b"\0" + hashlib.sha256(content).digest())
        return digest.hexdigest()

    def _read(self, before: Served | None) -> Served:
        texts = dict(before.texts) if before else {}
        catalogue, problems = self._read_concepts(before, texts)
        loaded = load_trials(self._trial_folders(), catalogue)
        problems += [str(problem) for problem in loaded.problems]
        trials = dict(loaded.trials)
        # A trial whose file was good before and is broken now stays as it was; one whose file is gone is gone.
        broken = {problem.file for problem in loaded.problems}
        kept = before.trials.items() if before else ()
        trials |= {name: trial for name, trial in kept if any(_may_define(path, name) for path in broken)}
        texts |= trial_texts(self._trial_folders(), trials.values())
        used = {catalogue.hash, *(trial.hash for trial in trials.values())}
        texts = {digest: text for digest, text in texts.items() if digest in used}
        return Served(catalogue, dict(sorted(trials.items())), tuple(problems), loaded.drafts, texts)

    def _read_concepts(self, before: Served | None, texts: dict[str, bytes]) -> tuple[Catalogue, list[str]]:
        """The concepts, whose files are added to `texts`; the earlier ones, or ours alone, where a file is broken."""
        try:
            return _with_text(self._concept_folders(), texts), []
        except DefinitionError as error:
            problems = [str(problem) for problem in error.problems]
            if before is not None:
                return before.catalogue, problems
            return _with_text([OUR_CONCEPTS], texts), problems

    def _concept_folders(self) -> tuple[Path, ...]:
        return (OUR_CONCEPTS, *_given(self.site_concepts))

    def _trial_folders(self) -> tuple[Path, ...]:
        return (OUR_TRIALS, *_given(self.site_trials))


def _with_text(folders: Sequence[Path], texts: dict[str, bytes]) -> Catalogue:
    catalogue = load_catalogue(folders)
    texts[catalogue.hash] = concepts_text(folders)
    return catalogue


def _given(folder: Path | None) -> Iterable[Path]:
    return (folder,) if folder else ()


def _may_define(path: Path, trial: str) -> bool:
    """Whether a broken file is the one that defined this trial: its id stands in the name or the text of the file."""
    try:
        return trial in path.stem or trial.encode() in path.read_bytes()
    except OSError:
        return trial in path.stem

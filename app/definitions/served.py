"""The definitions that are being served: read at start and again when a file changes, swapped as a whole.

A file that cannot be used never takes the good ones down: what was served before stays, and `/readyz` names it.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from app.definitions.compiled import WORTH_IT, Compiled
from app.definitions.file_contents import Contents, files_of
from app.definitions.names import definitions_of
from app.definitions.signatures import Signatures, signed
from app.definitions.texts import PackedTexts, add_trial_texts, concepts_text
from app.errors import Unavailable
from app.site_profile import SiteProfile, SiteProfileError
from cds_hooks.words.texts import Texts as WordTexts
from mappings.concepts.catalogue import Catalogue, load_catalogue
from mappings.concepts.vocabulary import OUR_CONCEPTS as OUR_CONCEPTS
from mappings.concepts.vocabulary import pack_folders
from mappings.yaml_files import DefinitionError
from trial_defs.definition.expressions import Trial
from trial_defs.definition.loader import OUR_TRIALS, Draft, Trials, load_trials
from trial_defs.definition.translation import FOLDER as TRANSLATIONS
from trial_defs.definition.translation import Translation, load_translations
from trial_defs.engine.gates import MANY, Gates
from trial_defs.engine.silence import Silences
from trial_defs.planning.results_read import results_read


@dataclass(frozen=True)
class Served:
    """One consistent set: a call works with one of these from its first line to its last.

    `texts` holds the files behind it under the hashes that reports name, `silences` what they come to without a record.
    `offers`: the ids of the trials that the site offers; None where it offers all.
    """

    catalogue: Catalogue
    trials: Mapping[str, Trial]
    problems: tuple[str, ...] = ()
    drafts: tuple[Draft, ...] = ()
    texts: PackedTexts = field(default_factory=PackedTexts)
    silences: Silences = field(default_factory=Silences, repr=False, compare=False)
    offers: frozenset[str] | None = None
    translations: tuple[Translation, ...] = ()
    _texts: dict[str, WordTexts] = field(default_factory=dict, init=False, repr=False, compare=False)

    def texts_in(self, texts: WordTexts) -> WordTexts:
        """The same texts with those that definitions carry in that language; the same value for the same language."""
        own = [each for each in self.translations if each.language == texts.language]
        if not own:
            return texts
        if texts.language not in self._texts:
            phrases = {english: text for each in own for english, text in each.texts.items()}
            unsigned = frozenset(each.trial for each in own if each.signed_off is None)
            self._texts[texts.language] = texts.with_phrases(phrases, unsigned)
        return self._texts[texts.language]

    @cached_property
    def offered(self) -> Served:
        """The same with the trials that the site offers: what may make a card, a row or a candidate."""
        if self.offers is None:
            return self
        trials = {name: trial for name, trial in self.trials.items() if name in self.offers}
        return replace(self, trials=trials, offers=None)

    @property
    def are_many(self) -> bool:
        """More than anybody reads one by one: then trials that are not indicated are counted and not listed."""
        return len(self.trials) > MANY

    @cached_property
    def gates(self) -> Gates:
        """The trials by what their gates need."""
        return Gates(tuple(self.trials.values()))

    @cached_property
    def results_read(self) -> frozenset[str]:
        """The concepts whose results these trials read."""
        return results_read(self.trials.values(), self.catalogue)

    @cached_property
    def criteria(self) -> int:
        """How many there are, each once for a trial however many cohorts share it."""
        return sum(len({id(c) for cohort in trial.cohorts for c in cohort.criteria}) for trial in self.trials.values())

    @cached_property
    def names(self) -> Mapping[str, str]:
        """Version and hash of every definition, as the audit trail names them."""
        return definitions_of(self.trials.values())


class StillReading(Unavailable):
    """The service has begun, and its definitions are not read yet."""

    def __init__(self) -> None:
        super().__init__("The trial definitions are still being read.", retry_after=5)


@dataclass
class Definitions:
    """Holds what is served now. `site_concepts` and `site_trials` are the site's folders, where it has any.

    `compiled` is where compiled trials are kept between starts. `profile`: what the site has decided about trials; one
    that names what is not there is a SiteProfileError when it is first read, and a problem later.
    """

    site_concepts: Path | None = None
    site_trials: Path | None = None
    compiled: Compiled = field(default_factory=lambda: Compiled(None))
    profile: SiteProfile = field(default_factory=SiteProfile)
    expansion: Path | None = field(default=None, init=False)  # ValueSets of a terminology server
    _served: Served | None = None  # as the files have it
    _shown: Served | None = field(default=None, init=False)  # with the signatures given here
    _signatures: Signatures = field(default_factory=dict, init=False)
    _seen: str = field(default="", init=False)
    _is_being_read: bool = field(default=False, init=False)
    _contents: Contents = field(default_factory=Contents, init=False, repr=False)

    @property
    def now(self) -> Served:
        """What is served; read when it is first asked for. StillReading while another thread reads it."""
        if self._shown is not None:
            return self._shown
        if self._is_being_read:
            raise StillReading
        return self.read()

    def read(self) -> Served:
        """Read everything; with thousands of definitions that are new this takes a minute.

        SiteProfileError where the site's profile names what is not there.
        """
        self._is_being_read = True
        try:
            self._take(self._fingerprint(), self._read(None))
        finally:
            self._is_being_read = False
        assert self._shown
        return self._shown

    def sign(self, signatures: Signatures) -> bool:
        """Serve the trials with these signatures, beside those of their files; whether any of them was new or gone."""
        if signatures == self._signatures:
            return False
        self._signatures = signatures
        if self._served is not None:
            self._shown = _sign(self._served, signatures)
        return True

    def _take(self, seen: str, served: Served) -> None:
        self._seen, self._served, self._shown = seen, served, _sign(served, self._signatures)

    async def reload_if_changed(self) -> bool:
        """Read everything again where a file changed since; the reading is done off the event loop."""
        current = self._served if self.now else None
        seen = await asyncio.to_thread(self._fingerprint)
        if seen == self._seen:
            return False
        served = await asyncio.to_thread(self._read, current)
        self._take(seen, served)
        return True

    def _fingerprint(self) -> str:
        """Names and contents of every definition file: an edit within the clock's resolution is seen too."""
        digest = hashlib.sha256()
        translations = [folder / TRANSLATIONS for folder in self._trial_folders()]
        for folder in (*self._readable_folders(), *self._trial_folders(), *translations):
            for path in files_of(folder):
                digest.update(path.encode() + b"\0" + self._contents.hash_of(path))
        return digest.hexdigest()

    def _read(self, before: Served | None) -> Served:
        texts = PackedTexts(dict(before.texts.packed) if before else {})
        catalogue, problems = self._read_concepts(before, texts)
        loaded = self._read_trials(before, catalogue)
        problems += [str(problem) for problem in loaded.problems]
        trials = dict(loaded.trials)
        # A trial whose file was good before and is broken now stays as it was; one whose file is gone is gone.
        broken = [_Broken.of(path) for path in {problem.file for problem in loaded.problems}]
        if before and broken:
            trials |= {name: trial for name, trial in before.trials.items() if any(b.may_define(name) for b in broken)}
        translated = load_translations(self._trial_folders(), trials)
        # One of a definition that the site has replaced is left out, and no problem.
        problems += [str(problem) for problem in translated.problems if problem.path not in ("of", "hash")]
        unknown = self.profile.problems_with(catalogue, trials, lambda name: any(b.may_define(name) for b in broken))
        if unknown and before is None:
            raise SiteProfileError(unknown)
        problems += unknown
        add_trial_texts(self._trial_folders(), trials.values(), texts)
        texts = texts.only({catalogue.hash, *(trial.hash for trial in trials.values())})
        trials = dict(sorted(trials.items()))
        offers, translations = self.profile.offered, translated.found
        return Served(
            catalogue, trials, tuple(problems), loaded.drafts, texts, offers=offers, translations=translations
        )

    def _read_trials(self, before: Served | None, catalogue: Catalogue) -> Trials:
        """Only what is new or changed is compiled; where that is much, it is kept for the next start."""
        folders = self._trial_folders()
        if before and before.catalogue.hash == catalogue.hash:
            return self._load(folders, catalogue, {trial.hash: trial for trial in before.trials.values()})
        known = self.compiled.read(catalogue.hash)
        if known or sum(len(list(folder.glob("*.yaml"))) for folder in folders) < WORTH_IT:
            return self._load(folders, catalogue, known)
        with self.compiled.turn():
            return self._load(folders, catalogue, self.compiled.read(catalogue.hash))

    def _load(self, folders: Iterable[Path], catalogue: Catalogue, known: Mapping[str, Trial]) -> Trials:
        loaded = load_trials(folders, catalogue, known)
        new = sum(trial.hash not in known for trial in loaded.trials.values())
        if new < WORTH_IT:
            return loaded
        shared = self.compiled.keep({trial.hash: trial for trial in loaded.trials.values()}, catalogue.hash)
        return replace(loaded, trials={name: shared[trial.hash] for name, trial in loaded.trials.items()})

    def _read_concepts(self, before: Served | None, texts: PackedTexts) -> tuple[Catalogue, list[str]]:
        """The concepts, whose files are added to `texts`; the earlier ones, or ours alone, where a file is broken."""
        try:
            return self._with_text(self._concept_folders(), texts), []
        except DefinitionError as error:
            problems = [str(problem) for problem in error.problems]
            if before is not None:
                return before.catalogue, problems
            return self._with_text([OUR_CONCEPTS], texts), problems

    def _with_text(self, folders: Sequence[Path], texts: PackedTexts) -> Catalogue:
        rules = self.profile.rules.text()
        catalogue = load_catalogue(folders, rules)
        texts.add(catalogue.hash, concepts_text(folders, rules))
        return catalogue

    def catalogue_without_expansion(self) -> Catalogue:
        """The concepts as the files have them. DefinitionError where they cannot be used."""
        return load_catalogue(self._folders_with(None))

    def _concept_folders(self) -> tuple[Path, ...]:
        return self._folders_with(self.expansion)

    def _folders_with(self, expansion: Path | None) -> tuple[Path, ...]:
        packs = pack_folders(self.site_concepts)
        return (OUR_CONCEPTS, *packs, *_given(expansion), *_given(self.site_concepts))

    def _readable_folders(self) -> tuple[Path, ...]:
        """The concept folders; without the packs where the site's list of them cannot be used."""
        try:
            return self._concept_folders()
        except DefinitionError:
            return (OUR_CONCEPTS, *_given(self.site_concepts))

    def _trial_folders(self) -> tuple[Path, ...]:
        return (OUR_TRIALS, *_given(self.site_trials))


def _sign(served: Served, signatures: Signatures) -> Served:
    if not signatures:
        return served
    return replace(served, trials={name: signed(trial, signatures) for name, trial in served.trials.items()})


def _given(folder: Path | None) -> Iterable[Path]:
    return (folder,) if folder else ()


@dataclass(frozen=True, slots=True)
class _Broken:
    """A file that cannot be used."""

    path: Path
    content: bytes

    @classmethod
    def of(cls, path: Path) -> _Broken:
        try:
            return cls(path, path.read_bytes())
        except OSError:
            return cls(path, b"")

    def may_define(self, trial: str) -> bool:
        """Whether it is the one that defined this trial: its id is in the name or the text of the file."""
        return trial in self.path.stem or trial.encode() in self.content

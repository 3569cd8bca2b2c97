"""Reads the folders of definitions: ours and the site's; a bad file is named and never takes a good one down."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from mappings.concepts.catalogue import Catalogue
from mappings.near_words import key_names
from mappings.yaml_files import DefinitionError, Problem, problems_of, read_yaml
from trial_defs.definition.compiler import compile_trial
from trial_defs.definition.expressions import Trial
from trial_defs.definition.language import TrialWords

OUR_TRIALS = Path(__file__).parents[1] / "trials"


@dataclass(frozen=True)
class Draft:
    """An imported definition that nobody has signed: not served. `questions`: the criteria that still ask something."""

    id: str
    file: Path
    questions: tuple[str, ...]


@dataclass(frozen=True)
class Trials:
    """The trials that can be served, by id; every problem of the files that cannot; and the drafts, which are not."""

    trials: Mapping[str, Trial]
    problems: tuple[Problem, ...] = ()
    drafts: tuple[Draft, ...] = ()


def load_trials(folders: Iterable[Path], catalogue: Catalogue, known: Mapping[str, Trial] | None = None) -> Trials:
    """Read every definition of these folders; a file of a later folder replaces the trial of the same id.

    A file that cannot be used is left out and reported; where it would have replaced a trial, the older one stays. A
    draft is left out too, without being a problem. `known`: by hash what was compiled before with these concepts; a
    file of that content is not read again.
    """
    known = known or {}
    trials: dict[str, Trial] = {}
    problems: list[Problem] = []
    drafts: list[Draft] = []
    for folder in folders:
        here: dict[str, Path] = {}
        if not folder.is_dir():
            problems.append(Problem(folder, "", "there is no such folder"))
            continue
        for path in sorted(folder.glob("*.yaml")):
            try:
                raw = path.read_bytes()
                digest = hash_of(raw)
                words = None if digest in known else _read_words(raw, path)
                trial = compile_trial(words, catalogue, path, digest) if words else known[digest]
            except DefinitionError as error:
                problems += error.problems
                continue
            except OSError as error:
                problems.append(Problem(path, "", f"cannot be read: {error.strerror}"))
                continue
            if words and words.is_draft:
                drafts.append(Draft(words.id, path, words.questions))
                continue
            if trial.id in here:
                problems.append(Problem(path, "id", f"{trial.id} is defined in {here[trial.id].name} too"))
                continue
            here[trial.id] = path
            trials[trial.id] = trial
    return Trials(trials, tuple(problems), tuple(drafts))


def read_trial(path: Path, catalogue: Catalogue) -> Trial:
    """One definition file, compiled. Raises DefinitionError with every problem."""
    return trial_of(path.read_bytes(), path, catalogue)


def trial_of(raw: bytes, path: Path, catalogue: Catalogue) -> Trial:
    """The content of a definition file, compiled; `path` is named in what is wrong with it."""
    return compile_trial(_read_words(raw, path), catalogue, path, hash_of(raw))


def hash_of(raw: bytes) -> str:
    """The name of a definition's text in reports."""
    return "sha256:" + hashlib.sha256(raw).hexdigest()


def _read_words(raw: bytes, path: Path) -> TrialWords:
    try:
        return TrialWords.model_validate(read_yaml(raw, path))
    except ValidationError as error:
        raise DefinitionError(problems_of(error, path, known=key_names(TrialWords))) from error

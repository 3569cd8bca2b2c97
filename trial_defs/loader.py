"""Reads the folders of definitions: ours and the site's; a bad file is named and never takes a good one down."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from mappings.catalogue import Catalogue
from mappings.yaml_files import DefinitionError, Problem, problems_of, read_yaml
from trial_defs.expressions import Trial
from trial_defs.language import TrialWords, compile_trial

OUR_TRIALS = Path(__file__).parent / "trials"


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


def load_trials(folders: Iterable[Path], catalogue: Catalogue) -> Trials:
    """Read every definition of these folders; a file of a later folder replaces the trial of the same id.

    A file that cannot be used is left out and reported; where it would have replaced a trial, the older one stays. A
    draft is left out too, without being a problem.
    """
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
                words, digest = _read_words(path)
                trial = compile_trial(words, catalogue, path, digest)
            except DefinitionError as error:
                problems += error.problems
                continue
            except OSError as error:
                problems.append(Problem(path, "", f"cannot be read: {error.strerror}"))
                continue
            if words.is_draft:
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
    words, digest = _read_words(path)
    return compile_trial(words, catalogue, path, digest)


def _read_words(path: Path) -> tuple[TrialWords, str]:
    raw = path.read_bytes()
    content = read_yaml(raw, path)
    try:
        words = TrialWords.model_validate(content)
    except ValidationError as error:
        raise DefinitionError(problems_of(error, path)) from error
    return words, "sha256:" + hashlib.sha256(raw).hexdigest()

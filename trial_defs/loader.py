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
class Trials:
    """The trials that can be served, by id, and every problem of the files that cannot."""

    trials: Mapping[str, Trial]
    problems: tuple[Problem, ...] = ()


def load_trials(folders: Iterable[Path], catalogue: Catalogue) -> Trials:
    """Read every definition of these folders; a file of a later folder replaces the trial of the same id.

    A file that cannot be used is left out and reported; where it would have replaced a trial, the older one stays.
    """
    trials: dict[str, Trial] = {}
    problems: list[Problem] = []
    for folder in folders:
        here: dict[str, Path] = {}
        if not folder.is_dir():
            problems.append(Problem(folder, "", "there is no such folder"))
            continue
        for path in sorted(folder.glob("*.yaml")):
            try:
                trial = read_trial(path, catalogue)
            except DefinitionError as error:
                problems += error.problems
                continue
            except OSError as error:
                problems.append(Problem(path, "", f"cannot be read: {error.strerror}"))
                continue
            if trial.id in here:
                problems.append(Problem(path, "id", f"{trial.id} is defined in {here[trial.id].name} too"))
                continue
            here[trial.id] = path
            trials[trial.id] = trial
    return Trials(trials, tuple(problems))


def read_trial(path: Path, catalogue: Catalogue) -> Trial:
    """One definition file, compiled. Raises DefinitionError with every problem."""
    raw = path.read_bytes()
    content = read_yaml(raw, path)
    try:
        words = TrialWords.model_validate(content)
    except ValidationError as error:
        raise DefinitionError(problems_of(error, path)) from error
    return compile_trial(words, catalogue, path, "sha256:" + hashlib.sha256(raw).hexdigest())

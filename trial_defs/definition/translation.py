"""What a definition says in another language: a file `translations/TRIAL.LANGUAGE.yaml` in its folder.

A translation belongs to one text of the definition, by hash, and is left out while the definition has another. It
changes nothing that is evaluated, so it is no part of the definition's hash.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mappings.near_words import key_names, suggestion
from mappings.yaml_files import DefinitionError, Problem, problems_of, read_yaml
from trial_defs.definition import expressions as x
from trial_defs.definition.language import SignOffWords

FOLDER = "translations"


class TranslationWords(BaseModel):
    """A file of texts in one language; `questions` are the definition's questions and steps by their English text."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    of: str
    language: str = Field(min_length=2)
    version: int = Field(ge=1)
    hash: str = Field(pattern=r"^sha256:[0-9a-f]{64}$")
    title: str = Field(min_length=1)
    short_title: str = Field(min_length=1)
    cohorts: Mapping[str, str]
    texts: Mapping[str, str]
    questions: Mapping[str, str] = Field(default_factory=dict)
    signed_off: SignOffWords | None = None


@dataclass(frozen=True, slots=True)
class Translation:
    """The texts of one trial in one language, by the definition's own; `signed_off`: by whom of the study team."""

    trial: str
    language: str
    texts: Mapping[str, str]
    signed_off: x.SignOff | None


@dataclass(frozen=True, slots=True)
class Translations:
    """What can be shown, and what is wrong with the files that cannot."""

    found: tuple[Translation, ...] = ()
    problems: tuple[Problem, ...] = ()


def load_translations(folders: Iterable[Path], trials: Mapping[str, x.Trial]) -> Translations:
    """Read the translations of these folders of definitions, of which `trials` are served."""
    found: list[Translation] = []
    problems: list[Problem] = []
    for path in (path for folder in folders for path in sorted((folder / FOLDER).glob("*.yaml"))):
        try:
            found.append(read_translation(path, trials))
        except DefinitionError as error:
            problems += error.problems
        except OSError as error:
            problems.append(Problem(path, "", f"cannot be read: {error.strerror}"))
    return Translations(tuple(found), tuple(problems))


def read_translation(path: Path, trials: Mapping[str, x.Trial]) -> Translation:
    """One file. DefinitionError with everything that is missing, unknown, or of another text of the definition."""
    try:
        words = TranslationWords.model_validate(read_yaml(path.read_bytes(), path))
    except ValidationError as error:
        raise DefinitionError(problems_of(error, path, known=key_names(TranslationWords))) from error
    trial = trials.get(words.of)
    if trial is None:
        raise DefinitionError([Problem(path, "of", f"there is no trial {words.of}{suggestion(words.of, trials)}")])
    if words.hash != trial.hash:
        said = f"was made from another text; the definition (version {trial.version}) has {trial.hash}"
        raise DefinitionError([Problem(path, "hash", f"{said}: look what changed, then write this hash")])
    if problems := _problems(words, trial, path):
        raise DefinitionError(problems)
    signed = x.SignOff(words.signed_off.by, words.signed_off.on) if words.signed_off else None
    return Translation(words.of, words.language, _by_text(words, trial), signed)


def _problems(words: TranslationWords, trial: x.Trial, path: Path) -> list[Problem]:
    problems = []
    if words.version != trial.version:
        problems.append(Problem(path, "version", f"is {words.version}, and the definition is version {trial.version}"))
    if path.name != f"{words.of}.{words.language}.yaml":
        problems.append(Problem(path, "", f"is named after trial and language: {words.of}.{words.language}.yaml"))
    wanted = (
        ("cohorts", words.cohorts, [cohort.id for cohort in trial.cohorts]),
        ("texts", words.texts, list(_criteria(trial))),
        ("questions", words.questions, list(questions_of(trial))),
    )
    for key, given, needed in wanted:
        problems += [Problem(path, f"{key}.{name}", "is missing") for name in needed if not given.get(name)]
        unknown = [name for name in given if name not in needed]
        problems += [
            Problem(path, f"{key}.{name}", f"is not in the definition{suggestion(name, needed)}") for name in unknown
        ]
    return problems


def _criteria(trial: x.Trial) -> dict[str, str]:
    return {criterion.id: criterion.text for cohort in trial.cohorts for criterion in cohort.criteria}


def questions_of(trial: x.Trial) -> dict[str, None]:
    """The questions to people and the steps of a definition, each once, in the order of the text."""
    found: dict[str, None] = {}
    for criterion in (each for cohort in trial.cohorts for each in cohort.criteria):
        for leaf in x.leaves_of(criterion.asks):
            if isinstance(leaf, x.Judgement):
                found[leaf.question] = None
            elif isinstance(leaf, x.Consent):
                found[leaf.step] = None
        if criterion.step:
            found[criterion.step] = None
    return found


def _by_text(words: TranslationWords, trial: x.Trial) -> dict[str, str]:
    named = {trial.title: words.title, trial.short_title: words.short_title}
    cohorts = {cohort.title: words.cohorts[cohort.id] for cohort in trial.cohorts}
    criteria = {text: words.texts[name] for name, text in _criteria(trial).items()}
    return {**named, **cohorts, **criteria, **words.questions}

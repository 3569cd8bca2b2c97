"""Holds the definition files on disk against the author's rules, and keeps the record of their versions, with texts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from mappings.concepts.catalogue import Catalogue
from mappings.yaml_files import DefinitionError, Problem
from trial_defs.definition.history import history_folder, keep_version
from trial_defs.definition.lint import KnownVersion, Linted, lint_folder, read_versions, versions_text
from trial_defs.definition.loader import OUR_TRIALS, load_trials
from trial_defs.definition.translation import FOLDER as TRANSLATIONS
from trial_defs.definition.translation import load_translations

OUR_VERSIONS = OUR_TRIALS.parent / "versions.yaml"


def versions_file(folder: Path) -> Path:
    """Where the versions of a folder of definitions are recorded: beside it, so that no loader takes it for a trial."""
    return OUR_VERSIONS if folder == OUR_TRIALS else folder.with_name(f"{folder.name}.versions.yaml")


def concept_problems(catalogue: Catalogue) -> tuple[Problem, ...]:
    """Codes of the catalogue, a site's included, that cannot be codes: a LOINC number with a wrong check digit."""
    return tuple(
        Problem(Path(name), "codes.loinc", f"{code} has a wrong check digit; look the number up again")
        for name, concept in catalogue.concepts.items()
        for code in concept.codes.get("loinc", {})
        if not is_loinc(code)
    )


def is_loinc(code: str) -> bool:
    """Whether the last digit is the check digit (Luhn) of those before it."""
    number, _, check = code.partition("-")
    if not (number.isdecimal() and number.isascii() and check.isdecimal() and len(check) == 1):
        return False
    digits = [int(digit) for digit in reversed(number)]
    doubled = (2 * digit - 9 * (digit > 4) if place % 2 == 0 else digit for place, digit in enumerate(digits))
    return (10 - sum(doubled) % 10) % 10 == int(check)


def rule_problems(folder: Path, catalogue: Catalogue, cases: Path | None, record: bool) -> tuple[Problem, ...]:
    """The problems of one folder; with `record` its versions are written down, unless one changed its meaning only.

    A site that never recorded its versions is not asked for them.
    """
    path = versions_file(folder)
    try:
        known = read_versions(path)
    except DefinitionError as error:
        return error.problems
    asked = known if path.exists() or folder == OUR_TRIALS else None
    today = datetime.now(UTC).date()
    if not record:
        linted = lint_folder(folder, catalogue, asked, cases, today=today)
        return (*linted.problems, *_translation_problems(folder, catalogue))
    linted = lint_folder(folder, catalogue, None, cases, today=today)
    refused = _recorded(path, linted, known)
    if not refused:
        _keep_texts(history_folder(folder), linted)
    return (*linted.problems, *refused, *_translation_problems(folder, catalogue))


def _translation_problems(folder: Path, catalogue: Catalogue) -> tuple[Problem, ...]:
    """What is wrong with the folder's texts in other languages."""
    if not (folder / TRANSLATIONS).is_dir():
        return ()
    return load_translations([folder], load_trials([folder], catalogue).trials).problems


def _recorded(path: Path, linted: Linted, before: Mapping[str, KnownVersion]) -> list[Problem]:
    refused = [
        Problem(
            path, name, f"version {now.version} is recorded with another meaning; raise `version` in the definition"
        )
        for name, now in linted.versions.items()
        if name in before and before[name].version >= now.version and before[name].meaning != now.meaning
    ]
    if not refused:
        path.write_text(versions_text(linted.versions), "utf-8")
    return refused


def _keep_texts(history: Path, linted: Linted) -> None:
    for name, file in linted.files.items():
        keep_version(history, name, linted.versions[name].version, file.read_bytes())

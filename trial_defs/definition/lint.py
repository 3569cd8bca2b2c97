"""What the language lets pass and an author should not: rules about whole cohorts, cases and versions.

`language.py` and `compiler.py` refuse what cannot be read (unknown verbs and concepts, wrong units, limits outside the
plausible range). The rules here look at what was read. Every rule answers with problems in words that say what to do.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mappings.concepts.catalogue import Catalogue
from mappings.facts import Polarity
from mappings.yaml_files import DefinitionError, Problem, problems_of, read_yaml
from trial_defs.definition import expressions as x
from trial_defs.definition.candidates import candidate_rules
from trial_defs.definition.compiler import compile_trial
from trial_defs.definition.coverage import Decidable, decidable
from trial_defs.definition.language import CriterionWords, TrialWords
from trial_defs.definition.patient_page import patient_page_rules

Found = Iterator[tuple[str, str]]  # where in the definition; what is wrong and what to do


# -- one definition


def lint_trial(trial: x.Trial, catalogue: Catalogue) -> list[tuple[str, str]]:
    """Everything that the rules object to in one trial, each with its place."""
    found: list[tuple[str, str]] = list(_same_id_other_meaning(trial))
    for cohort in trial.cohorts:
        found += _gate_not_asked(cohort, catalogue)
        found += _nothing_left(cohort)
        found += candidate_rules(cohort, catalogue)
        for criterion in cohort.criteria:
            found += _leaves(f"{cohort.id}.{criterion.id}", criterion, catalogue)
            found += _event_not_asked(cohort, criterion, catalogue)
    return list(dict.fromkeys(found))


def _same_id_other_meaning(trial: x.Trial) -> Found:
    first: dict[str, tuple[str, x.Criterion]] = {}
    for cohort in trial.cohorts:
        for criterion in cohort.criteria:
            where, other = first.setdefault(criterion.id, (cohort.id, criterion))
            if _meaning(criterion) != _meaning(other):
                yield (
                    f"{cohort.id}.{criterion.id}",
                    f"means something else than {criterion.id} in {where}; an id means the same wherever it stands",
                )


def _meaning(criterion: x.Criterion) -> tuple[object, ...]:
    return criterion.kind, criterion.asks, criterion.only_if


def _gate_not_asked(cohort: x.Cohort, catalogue: Catalogue) -> Found:
    """The disease that opens a cohort is a criterion of the text too, and the card shows it as one."""
    diagnoses = [leaf.concept for leaf in x.leaves_of(cohort.gate) if isinstance(leaf, x.Condition)]
    asked = {name for c in cohort.criteria if c.kind == "inclusion" for name in c.concepts}
    related = {relative for name in asked for relative in catalogue.ancestors(name)} | asked
    if diagnoses and related.isdisjoint(diagnoses):
        yield (
            f"{cohort.id}.gate",
            f"{' and '.join(diagnoses)} opens the cohort, and no inclusion criterion asks for it; add one",
        )


def _leaves(where: str, criterion: x.Criterion, catalogue: Catalogue) -> Found:
    guard = x.leaves_of(criterion.only_if) if criterion.only_if else ()
    for leaf in (*x.leaves_of(criterion.asks), *guard):
        if isinstance(leaf, x.Value):
            yield from _no_window(where, leaf, catalogue)
            yield from _silence_is_a_value(where, leaf, catalogue)
        if isinstance(leaf, x.Value | x.Condition | x.Treatment) and leaf.absent == "presume":
            yield from _presumed_member(where, leaf, catalogue)
        if isinstance(leaf, x.Judgement) and not leaf.question.rstrip().endswith("?"):
            yield where, "the judgement asks nothing; write it as a question that ends with a question mark"


def _event_not_asked(cohort: x.Cohort, criterion: x.Criterion, catalogue: Catalogue) -> Found:
    """A window counts from a result that the cohort uses, or from the onset of a disease that it asks about."""
    where = f"{cohort.id}.{criterion.id}"
    for leaf in x.leaves_of(criterion.asks):
        anchor = getattr(leaf, "anchor", None)
        if not isinstance(anchor, x.Anchor):
            continue
        own = getattr(leaf, "concepts", None) or (getattr(leaf, "concept", ""),)
        for name in anchor.concepts:
            if name in own:
                yield where, f"{name} is counted from itself; name the event that the text means"
            if anchor.kind == "result" and not _uses(cohort, name):
                yield where, f"counts from the result of {name}, which no criterion of this cohort asks for"
            entry = catalogue.concepts[name]
            if anchor.kind == "result" and entry.current_for is None:
                yield where, f"{name} has no `current_for`, so no result of it is in use; give one in the catalogue"


def _uses(cohort: x.Cohort, concept: str) -> bool:
    leaves = (leaf for criterion in cohort.criteria for leaf in x.leaves_of(criterion.asks))
    return any(isinstance(leaf, x.Value) and leaf.concept == concept for leaf in leaves)


def _no_window(where: str, leaf: x.Value, catalogue: Catalogue) -> Found:
    # What is worked out from the drugs in use today is as old as today.
    if leaf.within is None and leaf.current_for is None and "Observation" in catalogue.where(leaf.concept):
        yield (
            where,
            f"{leaf.concept} has no window: any result, however old, would speak; give `within` here or "
            "`current_for` in the catalogue",
        )


def _silence_is_a_value(where: str, leaf: x.Value, catalogue: Catalogue) -> Found:
    """Presumed silence counts as a value of 0, which is true of a dose and of no measurement."""
    below = isinstance(leaf.test, x.Bound) and leaf.test.comparator in ("<", "<=") and leaf.test.canonical >= 0
    if leaf.absent == "presume" and below and "Observation" in catalogue.where(leaf.concept):
        yield where, f"no result of {leaf.concept} would count as 0 and pass the limit; leave `absent: presume` out"


def _presumed_member(where: str, leaf: x.Value | x.Condition | x.Treatment, catalogue: Catalogue) -> Found:
    names = leaf.concepts if isinstance(leaf, x.Treatment) else (leaf.concept,)
    for name in names:
        for member in _members(name, catalogue):
            if catalogue.concepts[member].never_presumed:
                yield where, f"{name} includes {member}, which is never presumed absent; leave `absent: presume` out"


def _members(concept: str, catalogue: Catalogue) -> tuple[str, ...]:
    found = [concept]
    for name in found:
        found += [child for child in catalogue.concepts[name].includes if child not in found]
    return tuple(found)


# -- contradictions within a cohort


@dataclass(frozen=True)
class _Demand:
    """What a criterion demands of one result: not below, not above, and whether the ends themselves pass."""

    criterion: str
    low: Decimal | None = None
    low_open: bool = False
    high: Decimal | None = None
    high_open: bool = False
    polarity: Polarity | None = None


def _nothing_left(cohort: x.Cohort) -> Found:
    """Pairs of criteria that no patient can meet at once."""
    demands: dict[tuple[str, str], list[_Demand]] = {}
    for criterion in cohort.criteria:
        if criterion.only_if is None:
            for key, demand in _demands(criterion):
                for other in demands.get(key, ()):
                    if _contradict(demand, other):
                        both = f"{other.criterion} and {demand.criterion}"
                        yield f"{cohort.id}.{criterion.id}", f"no {key[0]} meets {both} at once; read the text again"
                demands.setdefault(key, []).append(demand)
    yield from _asked_and_excluded(cohort)


def _asked_and_excluded(cohort: x.Cohort) -> Found:
    required = {c.asks: c.id for c in cohort.criteria if c.kind == "inclusion" and c.only_if is None}
    for criterion in cohort.criteria:
        if criterion.kind == "exclusion" and criterion.only_if is None and criterion.asks in required:
            yield f"{cohort.id}.{criterion.id}", f"excludes exactly what {required[criterion.asks]} requires"


def _demands(criterion: x.Criterion) -> Iterator[tuple[tuple[str, str], _Demand]]:
    """What must hold of single results, whatever else is so: plain limits, and those joined by `all` (or `any` in an
    exclusion, which is the same from the other side)."""
    include = criterion.kind == "inclusion"
    for part in _join(criterion.asks, include):
        if isinstance(part, x.Value) and part.pick == "latest":
            bounds = (part.test.low, part.test.high) if isinstance(part.test, x.Between) else (part.test,)
            if include or len(bounds) == 1:  # outside a range is two pieces, and no demand of one
                for bound in bounds:
                    yield (part.concept, _scale(bound)), _demand(criterion.id, bound, include)


def _join(expression: x.Expression, include: bool) -> Iterator[x.Expression]:
    if isinstance(expression, x.All if include else x.AnyOf):
        for part in expression.parts:
            yield from _join(part, include)
    else:
        yield expression


def _scale(test: x.Bound | Polarity) -> str:
    """Limits are comparable within one scale: the concept's unit, or multiples of one end of the range."""
    if isinstance(test, Polarity):
        return "polarity"
    return f"{test.times or 'unit'} + {test.plus}"


def _demand(criterion: str, test: x.Bound | Polarity, holds: bool) -> _Demand:
    if isinstance(test, Polarity):
        opposite = Polarity.NEGATIVE if test is Polarity.POSITIVE else Polarity.POSITIVE
        return _Demand(criterion, polarity=test if holds else opposite)
    below = test.comparator in ("<", "<=")
    strict = test.comparator in ("<", ">")
    if not holds:
        below, strict = not below, not strict
    if below:
        return _Demand(criterion, high=test.canonical, high_open=strict)
    return _Demand(criterion, low=test.canonical, low_open=strict)


def _contradict(one: _Demand, other: _Demand) -> bool:
    if one.polarity or other.polarity:
        return one.polarity is not other.polarity
    return _crossed(one, other) or _crossed(other, one)


def _crossed(lower: _Demand, upper: _Demand) -> bool:
    if lower.low is None or upper.high is None:
        return False
    return lower.low > upper.high or (lower.low == upper.high and (lower.low_open or upper.high_open))


# -- cases


def without_cases(trial: x.Trial, cases: Mapping[str, Collection[str]]) -> list[tuple[str, str]]:
    """The computed criteria that no case names. `cases`: cohort -> the criterion ids that its cases expect."""
    named = {name for names in cases.values() for name in names}
    criteria = {c.id: c for cohort in trial.cohorts for c in cohort.criteria}
    return [
        (name, "no case says what it comes to; write one that meets it, one that misses it and one without the record")
        for name, criterion in criteria.items()
        if name not in named and decidable(criterion) in (Decidable.COMPUTED, Decidable.ONE_WAY)
    ]


def never_met(trial: x.Trial, path: Path) -> list[tuple[str, str]]:
    """Inclusion criteria that no case shows as met, though a case of their cohort names them."""
    content: Any = read_yaml(path.read_bytes(), path)
    charts, met, named = content.get("charts") or {}, set(), set()
    for case in content.get("cases") or ():
        cohort = str(case.get("cohort") or charts.get(case.get("chart"), {}).get("cohort", ""))
        if case.get("verdict") in ("likely-eligible", "possibly-eligible"):
            met |= {c.id for each in trial.cohorts if each.id == cohort for c in each.criteria}
        for name, outcome in (case.get("expect") or {}).items():
            named.add(str(name))
            met |= {str(name)} if outcome == "met" else set()
    criteria = {c.id: c for cohort in trial.cohorts for c in cohort.criteria if c.kind == "inclusion"}
    return [
        (name, "no case of a candidate meets it; write one that does, or read the text again")
        for name, criterion in criteria.items()
        if name in named - met and decidable(criterion) in (Decidable.COMPUTED, Decidable.ONE_WAY)
    ]


def read_cases(path: Path) -> Mapping[str, Collection[str]]:
    """Which criteria the cases of a file name, by cohort. DefinitionError where the file cannot be read."""
    content: Any = read_yaml(path.read_bytes(), path)
    charts = content.get("charts") or {}
    found: dict[str, set[str]] = {}
    for case in content.get("cases") or ():
        cohort = case.get("cohort") or charts.get(case.get("chart"), {}).get("cohort", "")
        found.setdefault(str(cohort), set()).update(map(str, case.get("expect") or ()))
    return found


# -- versions


class KnownVersion(BaseModel):
    """The version of a trial that was recorded last, and what it meant."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: int = Field(ge=1, strict=False)
    meaning: str = Field(pattern=r"^sha256:[0-9a-f]{64}$")


def meaning_of(words: TrialWords) -> KnownVersion:
    """Version and hash of everything that decides: gates, criteria with their ids, order, expressions, tolerances.

    Titles, restated texts, readings and sites may be reworded without a new version.
    """
    told = {
        "before": [_told(c) for c in words.before],
        "after": [_told(c) for c in words.after],
        "cohorts": {
            name: {
                "gate": cohort.gate.model_dump(by_alias=True, exclude_defaults=True),
                "open": cohort.open,
                "without": cohort.without,
                "criteria": [_told(c) for c in cohort.criteria],
                "closing": [_told(c) for c in cohort.closing],
            }
            for name, cohort in words.cohorts.items()
        },
    }
    text = json.dumps(told, sort_keys=True, ensure_ascii=False, default=list)
    return KnownVersion(version=words.version, meaning="sha256:" + hashlib.sha256(text.encode()).hexdigest())


def _told(words: CriterionWords) -> dict[str, Any]:
    # Without defaults, so that a new word of the language changes no recorded meaning.
    deciding = {"id", "include", "exclude", "only_if", "near"}
    told: dict[str, Any] = words.model_dump(by_alias=True, include=deciding, exclude_defaults=True)
    return told


def changed_silently(trial: str, now: KnownVersion, known: Mapping[str, KnownVersion]) -> str | None:
    """What is wrong with the version of a trial, held against what was recorded."""
    before = known.get(trial)
    if before is None:
        return "is not recorded; `trialcards trials lint --record` records it"
    if now.version < before.version:
        return f"version {now.version} is older than the recorded {before.version}"
    if now.meaning == before.meaning:
        return None if now.version == before.version else "a new version is not recorded; run with --record"
    if now.version == before.version:
        return (
            f"means something else than the recorded version {before.version}; raise `version`, then run with --record"
        )
    return "a new version is not recorded; `trialcards trials lint --record` records it"


def read_versions(path: Path) -> Mapping[str, KnownVersion]:
    """The recorded versions; none where the file does not exist. DefinitionError where it cannot be used."""
    if not path.exists():
        return {}
    content = read_yaml(path.read_bytes(), path)
    try:
        return {name: KnownVersion.model_validate(entry) for name, entry in content.items()}
    except ValidationError as error:
        raise DefinitionError(problems_of(error, path)) from error


def versions_text(known: Mapping[str, KnownVersion]) -> str:
    """The file of recorded versions."""
    lines = [
        "# The version of each trial, and the hash of what it decides. Written by `trialcards trials lint --record`."
    ]
    for name, entry in sorted(known.items()):
        lines += [f"{name}:", f"  version: {entry.version}", f"  meaning: {entry.meaning}"]
    return "\n".join(lines) + "\n"


# -- a folder


@dataclass(frozen=True)
class Linted:
    """The problems of a folder of definitions, the versions it holds now, and the file of each."""

    problems: tuple[Problem, ...]
    versions: Mapping[str, KnownVersion]
    files: Mapping[str, Path] = field(default_factory=dict)


def lint_folder(
    folder: Path,
    catalogue: Catalogue,
    known: Mapping[str, KnownVersion] | None,
    cases: Path | None = None,
    *,
    today: date,
) -> Linted:
    """Hold every readable definition of a folder against the rules; `known` None: its versions are not recorded.

    A file that cannot be read is the loader's to report, and is passed over here; so is a draft, until it is signed.
    """
    problems: list[Problem] = []
    versions: dict[str, KnownVersion] = {}
    files: dict[str, Path] = {}
    for path in sorted(folder.glob("*.yaml")):
        try:
            words = TrialWords.model_validate(read_yaml(path.read_bytes(), path))
            trial = compile_trial(words, catalogue, path, "")
        except (DefinitionError, ValidationError, OSError):
            continue
        if words.is_draft:
            continue
        found: Iterable[tuple[str, str]] = [*lint_trial(trial, catalogue), *patient_page_rules(trial, today)]
        versions[trial.id], files[trial.id] = meaning_of(words), path
        if known is not None and (wrong := changed_silently(trial.id, versions[trial.id], known)):
            found = [*found, ("version", wrong)]
        problems += [Problem(path, where, message) for where, message in found]
        if cases is not None:
            problems += _case_problems(trial, cases / path.name)
    return Linted(tuple(problems), versions, files)


def _case_problems(trial: x.Trial, path: Path) -> list[Problem]:
    if not path.exists():
        return [Problem(path, "", f"there is no file of cases for {trial.id}")]
    try:
        found = [*without_cases(trial, read_cases(path)), *never_met(trial, path)]
        return [Problem(path, where, message) for where, message in found]
    except DefinitionError as error:
        return list(error.problems)

"""Changes every definition, one word at a time, and demands that some case goes red.

    python -m tests.mutation.prove            says what survives, and writes docs/mutation.md
    python -m tests.mutation.prove --check    the same, and fails where docs/mutation.md is out of date

A survivor is a mutant that every case lets pass: either a case is missing, or the change makes no difference that any
chart could show. The second kind is explained in `accepted.yaml`; an explanation that explains nothing is a fault too.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from mappings.concepts.catalogue import Catalogue, load_catalogue
from mappings.patient_facts import PatientFacts
from mappings.yaml_files import DefinitionError, read_yaml
from tests.case_files import FOLDER, Case, cases_of, differences, facts_for, questions
from tests.mutation.mutants import changed_criteria, changed_gates
from trial_defs.definition import expressions as x
from trial_defs.definition.compiler import compile_trial
from trial_defs.definition.language import CohortWords, CriterionWords, TrialWords
from trial_defs.definition.loader import OUR_TRIALS
from trial_defs.engine.evaluation import evaluate
from trial_defs.engine.findings import Finding

ROOT = Path(__file__).parents[2]
ACCEPTED = Path(__file__).parent / "accepted.yaml"
REPORT = ROOT / "docs" / "mutation.md"
_NOWHERE = Path("mutant.yaml")
_Changed = TypeVar("_Changed")


@dataclass(frozen=True)
class Mutant:
    """One change: the trial, the criterion or gate with the cohorts where it stands, and what was changed."""

    trial: str
    cohorts: tuple[str, ...]
    place: str
    what: str
    criterion: CriterionWords | None = None
    gate: CohortWords | None = None

    @property
    def name(self) -> str:
        return f"{self.trial} {'+'.join(self.cohorts)} {self.place}: {self.what}"


@dataclass(frozen=True)
class Fate:
    """What became of a mutant: refused when it was read, killed by a case, or alive (neither)."""

    mutant: Mutant
    refused: bool = False
    killed_by: str | None = None

    @property
    def survived(self) -> bool:
        return not self.refused and self.killed_by is None


def mutants_of(path: Path) -> Iterator[Mutant]:
    """Every mutant of a definition file. A criterion that the file writes once is changed wherever it stands."""
    content: Any = read_yaml(path.read_bytes(), path)
    words = TrialWords.model_validate(content)
    for cohorts, criterion in _written(content, words):
        for what, other in _numbered(changed_criteria(criterion)):
            yield Mutant(words.id, cohorts, criterion.id, what, criterion=other)
    for name, cohort in words.cohorts.items():
        for what, gate in _numbered(changed_gates(cohort.gate)):
            yield Mutant(words.id, (name,), "gate", what, gate=cohort.model_copy(update={"gate": gate}))


def _numbered(changes: Iterable[tuple[str, _Changed]]) -> Iterator[tuple[str, _Changed]]:
    """The same change in two places of one expression is told apart by its number."""
    seen: Counter[str] = Counter()
    for what, other in changes:
        seen[what] += 1
        yield (what if seen[what] == 1 else f"{what} (no. {seen[what]})"), other


def _written(content: Any, words: TrialWords) -> Iterator[tuple[tuple[str, ...], CriterionWords]]:
    """Each criterion as often as it is written, with the cohorts in which it stands."""
    found: dict[int, tuple[list[str], CriterionWords]] = {}
    for name, cohort in words.cohorts.items():
        raw = content["cohorts"][name]
        lists = [
            (content.get("before", ()), words.before),
            (raw.get("criteria", ()), cohort.criteria),
            (content.get("after", ()), words.after),
            (raw.get("closing", ()), cohort.closing),
        ]
        for written, criteria in lists:
            for one, criterion in zip(written, criteria, strict=True):
                if criterion.id not in cohort.without:
                    found.setdefault(id(one), ([], criterion))[0].append(name)
    yield from ((tuple(cohorts), criterion) for cohorts, criterion in found.values())


@dataclass(frozen=True)
class _Read:
    """A case with its chart read, and what the unchanged definition says about it."""

    case: Case
    facts: PatientFacts
    later: Any
    findings: Mapping[str, Finding]


class Proof:
    """Holds one definition's mutants against its cases."""

    def __init__(self, path: Path, catalogue: Catalogue) -> None:
        self.words = TrialWords.model_validate(read_yaml(path.read_bytes(), path))
        self.catalogue = catalogue
        self.trial = compile_trial(self.words, catalogue, path, "")
        self.cases = [self._read(case) for case in cases_of(FOLDER / path.name)]

    def _read(self, case: Case) -> _Read:
        facts, later = facts_for(case, self.catalogue)
        cohort = next(c for c in evaluate(self.trial, facts, later).cohorts if c.cohort.id == case.cohort)
        if wrong := differences(case, cohort):
            raise AssertionError(f"{case.trial}: {case.sentence}: is red before anything was changed: {wrong}")
        return _Read(case, facts, later, {f.criterion.id: f for f in cohort.findings})

    def fate(self, mutant: Mutant) -> Fate:
        try:
            other = self._compiled(mutant)
        except DefinitionError:
            return Fate(mutant, refused=True)
        return Fate(mutant, killed_by=next(self._red(mutant, other), None))

    def _compiled(self, mutant: Mutant) -> Mapping[str, x.Cohort]:
        """The cohorts of the trial as the mutant has them. DefinitionError where the language refuses it."""
        here = {name: self.words.cohorts[name] for name in mutant.cohorts}
        bare = {"criteria": (), "closing": (), "without": ()}
        gates = {name: cohort.model_copy(update=bare) for name, cohort in here.items()}
        if mutant.gate:
            gates = {mutant.cohorts[0]: mutant.gate.model_copy(update=bare)}
        before = (mutant.criterion,) if mutant.criterion else ()
        small = self.words.model_copy(update={"before": before, "after": (), "cohorts": gates})
        compiled = compile_trial(small, self.catalogue, _NOWHERE, "")
        whole = {cohort.id: cohort for cohort in self.trial.cohorts}
        if mutant.gate:
            return {c.id: replace(whole[c.id], gate=c.gate) for c in compiled.cohorts}
        new = compiled.cohorts[0].criteria[0]
        return {
            name: replace(whole[name], criteria=tuple(new if c.id == new.id else c for c in whole[name].criteria))
            for name in mutant.cohorts
        }

    def _red(self, mutant: Mutant, cohorts: Mapping[str, x.Cohort]) -> Iterator[str]:
        """The sentences of the cases that notice, those that expect something of the criterion first."""
        near = [read for read in self.cases if read.case.cohort in cohorts]
        near.sort(key=lambda read: mutant.place not in read.case.expect)
        for read in near:
            cohort = cohorts[read.case.cohort]
            if mutant.criterion and not self._differs(read, cohort, mutant.place):
                continue
            found = evaluate(replace(self.trial, cohorts=(cohort,)), read.facts, read.later).cohorts[0]
            if differences(read.case, found):
                yield read.case.sentence

    def _differs(self, read: _Read, cohort: x.Cohort, name: str) -> bool:
        """Whether the changed criterion comes out otherwise at all; everything else is as it was."""
        one = replace(cohort, criteria=tuple(c for c in cohort.criteria if c.id == name))
        found = evaluate(replace(self.trial, cohorts=(one,)), read.facts).cohorts[0].findings
        before = read.findings.get(name)
        return [_said(f) for f in found] != ([_said(before)] if before else [])


def _said(finding: Finding) -> tuple[object, ...]:
    return finding.outcome, finding.reason, finding.near, finding.turns_on, questions(finding)


def fates_of(path: Path) -> list[Fate]:
    proof = Proof(path, load_catalogue([ROOT / "mappings" / "concepts"]))
    return [proof.fate(mutant) for mutant in mutants_of(path)]


class Explanation(BaseModel):
    """Survivors, by name or with `*` for a part of it, and the reason why no chart can tell them from the original."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mutants: tuple[str, ...] = Field(min_length=1)
    because: str = Field(min_length=20)


class Accepted(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    accepted: tuple[Explanation, ...]


def read_accepted(path: Path = ACCEPTED) -> tuple[Explanation, ...]:
    return Accepted.model_validate(read_yaml(path.read_bytes(), path)).accepted


@dataclass(frozen=True)
class Verdict:
    """What a run came to: which survivors nobody has explained, and which explanations explain nothing any more."""

    unexplained: tuple[str, ...]
    idle: tuple[str, ...]
    explained: Mapping[str, Explanation]  # survivor -> why

    @property
    def passed(self) -> bool:
        return not self.unexplained and not self.idle


def judged(survivors: Sequence[str], explanations: Sequence[Explanation]) -> Verdict:
    """Survivors held against what is accepted."""
    patterns = [(pattern, why) for why in explanations for pattern in why.mutants]
    explained: dict[str, Explanation] = {}
    for name in survivors:
        why = next((why for pattern, why in patterns if _matches(name, pattern)), None)
        if why:
            explained[name] = why
    idle = tuple(pattern for pattern, _ in patterns if not any(_matches(name, pattern) for name in survivors))
    return Verdict(tuple(name for name in survivors if name not in explained), idle, explained)


def _matches(name: str, pattern: str) -> bool:
    """`*` stands for anything; every other sign, brackets and question marks too, for itself."""
    return re.fullmatch(".*".join(re.escape(part) for part in pattern.split("*")), name) is not None


def report(fates: Sequence[Fate], verdict: Verdict) -> str:
    """docs/mutation.md: the figures, and every survivor with its reason."""
    lines = [
        "# Mutation proof",
        "",
        "Made by `make mutants`. Every number (by one step of its last digit), comparator, unit, length of time,",
        "combinator, polarity, silence, guard, list and gate of every definition is changed, one at a time, and some",
        "case under `tests/trial_cases` has to go red. Words for people (questions, titles, steps) are not changed. A",
        "mutant is *refused* when the language itself objects, for instance to a limit outside the plausible range.",
        "",
        "| trial | mutants | refused | killed by a case | explained below | unexplained |",
        "|---|---|---|---|---|---|",
    ]
    by_trial: dict[str, list[Fate]] = {}
    for fate in fates:
        by_trial.setdefault(fate.mutant.trial, []).append(fate)
    lines += [_row(trial, found, verdict) for trial, found in sorted(by_trial.items())]
    lines.append(_row("**all**", fates, verdict))
    lines += ["", "## Survivors that are accepted", ""]
    by_reason: dict[str, list[str]] = {}
    for name, why in verdict.explained.items():
        by_reason.setdefault(why.because, []).append(name)
    for because, names in by_reason.items():
        lines += [" ".join(because.split()), "", *(f"- `{name}`" for name in names), ""]
    return "\n".join(lines).rstrip() + "\n"


def _row(name: str, fates: Sequence[Fate], verdict: Verdict) -> str:
    refused = sum(fate.refused for fate in fates)
    killed = sum(fate.killed_by is not None for fate in fates)
    explained = sum(fate.mutant.name in verdict.explained for fate in fates if fate.survived)
    left = sum(fate.survived for fate in fates) - explained
    return f"| {name} | {len(fates)} | {refused} | {killed} | {explained} | {left} |"


def main(arguments: Sequence[str]) -> int:
    paths = sorted(OUR_TRIALS.glob("*.yaml"), key=lambda path: -path.stat().st_size)
    with ProcessPoolExecutor(2) as pool:
        fates = sorted((f for found in pool.map(fates_of, paths) for f in found), key=lambda fate: fate.mutant.trial)
    verdict = judged([fate.mutant.name for fate in fates if fate.survived], read_accepted())
    for name in verdict.unexplained:
        sys.stdout.write(f"survives, and is not explained: {name}\n")
    for pattern in verdict.idle:
        sys.stdout.write(f"explains nothing that survives: {pattern}\n")
    killed = sum(fate.killed_by is not None for fate in fates)
    sys.stdout.write(f"{len(fates)} mutants, {killed} killed by a case, {len(verdict.explained)} survivors explained\n")
    return 0 if verdict.passed and _written_down(report(fates, verdict), "--check" in arguments) else 1


def _written_down(text: str, check: bool) -> bool:
    if REPORT.exists() and REPORT.read_text("utf-8") == text:
        return True
    if check:
        sys.stdout.write(f"{REPORT.relative_to(ROOT)} is out of date: run make mutants\n")
        return False
    REPORT.write_text(text, "utf-8")
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The case files under `tests/trial_cases` read into values: a chart, what is expected of it, and what differs."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

from mappings.chart.chart import ChartBuilder
from mappings.concepts.catalogue import Catalogue
from mappings.patient_facts import PatientFacts, facts_of
from mappings.time.times import start_of_day
from mappings.yaml_files import read_yaml
from tests.builders import PATIENT, body_of
from trial_defs.definition.expressions import Trial
from trial_defs.engine.evaluation import evaluate
from trial_defs.engine.findings import CohortMatch, Finding, Outcome

FOLDER = Path(__file__).parent / "trial_cases"
_GROUPS = ("patient", "results", "conditions", "treatments")
_KEYS = {
    "case",
    "chart",
    "with",
    "without",
    "earlier",
    "cohort",
    "as_of",
    "expect",
    "reasons",
    "verdict",
    "recheck_on",
    "asks",
}


@dataclass(frozen=True)
class Case:
    """One sentence about one chart, with what is expected; `recheck_on` is an ISO date or "None"."""

    trial: str
    sentence: str
    cohort: str
    as_of: date
    chart: Mapping[str, Any]
    expect: Mapping[str, str]
    reasons: Mapping[str, str]
    verdict: str | None
    recheck_on: str | None
    asks: Mapping[str, list[str]]  # criterion -> a few words of each question that is put to a person


def cases_of(path: Path) -> Iterator[Case]:
    """Every case of a file. A key that is not of the form is a mistake that would test nothing: KeyError."""
    content: Any = read_yaml(path.read_bytes(), path)
    for spec in content["cases"]:
        if unknown := set(spec) - _KEYS:
            raise KeyError(f"{path.name}: {spec['case']}: {', '.join(sorted(unknown))} is not a key of a case")
        chart = _chart(content["charts"][spec["chart"]], spec)
        yield Case(
            trial=content["trial"],
            sentence=spec["case"],
            cohort=spec.get("cohort", chart["cohort"]),
            as_of=date.fromisoformat(spec.get("as_of", content["as_of"])),
            chart=chart,
            expect=spec.get("expect", {}),
            reasons=spec.get("reasons", {}),
            verdict=spec.get("verdict"),
            recheck_on=spec.get("recheck_on"),
            asks=spec.get("asks", {}),
        )


def all_cases(folder: Path = FOLDER) -> list[Case]:
    return [case for path in sorted(folder.glob("*.yaml")) for case in cases_of(path)]


def _chart(base: Mapping[str, Any], spec: Mapping[str, Any]) -> dict[str, Any]:
    """The chart of a case: `without` what is taken out, `with` what replaces, `earlier` results added as older ones."""
    chart = copy.deepcopy(dict(base))
    for key, value in spec.get("with", {}).items():
        grouped = isinstance(value, Mapping) and isinstance(chart.get(key), Mapping) and key in _GROUPS
        chart[key] = {**chart[key], **value} if grouped else value
    for concept in spec.get("without", ()):
        gone = [chart.get(group, {}).pop(concept, None) for group in _GROUPS]
        assert any(g is not None for g in gone), f"{spec['case']}: there is no {concept} in the chart to remove"
    for concept, older in spec.get("earlier", {}).items():
        chart.setdefault("earlier", {})[concept] = older
    return chart


def facts_for(case: Case, catalogue: Catalogue) -> tuple[PatientFacts, Callable[[date], PatientFacts]]:
    """The chart as it is read at the case's date, and a way to read it on a later day."""
    builder = ChartBuilder(PATIENT)
    builder.add(body_of(case.chart, case.as_of, catalogue), None)
    builder.whole_chart()
    chart = builder.build()
    now = facts_of(chart, catalogue, datetime.combine(case.as_of, time(), UTC), UTC)
    return now, lambda day: facts_of(chart, catalogue, start_of_day(day, UTC), UTC)


def judged(case: Case, trial: Trial, catalogue: Catalogue) -> CohortMatch:
    """The cohort of the case, evaluated."""
    now, later = facts_for(case, catalogue)
    found = evaluate(trial, now, later)
    return next(c for c in found.cohorts if c.cohort.id == case.cohort)


def questions(finding: Finding) -> list[str]:
    """What a person is asked, in the order of the criterion."""
    return list(dict.fromkeys(piece.ask for piece in finding.still_open if piece.ask))


def differences(case: Case, cohort: CohortMatch) -> list[str]:
    """Each expectation that does not hold, in words; empty when the case is green."""
    found = {finding.criterion.id: finding for finding in cohort.findings}
    wrong = []
    for name, outcome in case.expect.items():
        finding = found.get(name)
        if finding is None:
            wrong.append(f"{name} is not among the findings of {cohort.cohort.id} ({cohort.verdict})")
        elif finding.outcome != outcome:
            wrong.append(f"{name} is {finding.outcome} ({finding.reason}), expected {outcome}")
    for name, reason in case.reasons.items():
        given = found[name].reason if name in found else None
        if given != reason:
            wrong.append(f"{name} is open because {given}, expected {reason}")
    for name, words in case.asks.items():
        asked = questions(found[name]) if name in found else []
        if len(asked) != len(words) or not all(any(one in question for question in asked) for one in words):
            wrong.append(f"{name} asks {asked}, expected {words}")
    if case.verdict is not None and cohort.verdict != case.verdict:
        missed = [name for name, finding in found.items() if finding.outcome is Outcome.NOT_MET]
        wrong.append(f"the verdict is {cohort.verdict}, expected {case.verdict}; not met: {missed}")
    if case.recheck_on is not None and str(cohort.recheck_on) != case.recheck_on:
        wrong.append(f"to be looked at again on {cohort.recheck_on}, expected {case.recheck_on}")
    return wrong

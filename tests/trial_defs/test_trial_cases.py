"""The case files under `tests/trial_cases`: sentences that a clinician can check, run against the real definitions."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

import pytest

from mappings.catalogue import Catalogue
from mappings.chart import ChartBuilder
from mappings.yaml_files import read_yaml
from tests.builders import PATIENT, body_of
from trial_defs.evaluation import match
from trial_defs.expressions import Trial
from trial_defs.findings import CohortMatch, Outcome

FOLDER = Path(__file__).parents[1] / "trial_cases"


def _cases() -> Iterator[Any]:
    for path in sorted(FOLDER.glob("*.yaml")):
        content: Any = read_yaml(path.read_bytes(), path)
        for case in content["cases"]:
            yield pytest.param(content, case, id=f"{path.stem}: {case['case']}")


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    result = copy.deepcopy(dict(base))
    for key, value in over.items():
        if isinstance(value, Mapping) and isinstance(result.get(key), Mapping) and key in _GROUPS:
            result[key] = {**result[key], **value}
        else:
            result[key] = value
    return result


_GROUPS = ("patient", "results", "conditions", "treatments")


def _chart(content: Mapping[str, Any], case: Mapping[str, Any]) -> dict[str, Any]:
    chart = _merged(content["charts"][case["chart"]], case.get("with", {}))
    for concept in case.get("without", ()):
        gone = [chart.get(group, {}).pop(concept, None) for group in _GROUPS]
        assert any(g is not None for g in gone), f"there is no {concept} in the chart to remove"
    return chart


def _judged(content: Mapping[str, Any], case: Mapping[str, Any], trial: Trial, catalogue: Catalogue) -> CohortMatch:
    as_of = date.fromisoformat(case.get("as_of", content["as_of"]))
    chart = _chart(content, case)
    builder = ChartBuilder(PATIENT)
    builder.add(body_of(chart, as_of, catalogue), None)
    builder.whole_chart()
    now = datetime.combine(as_of, time(), UTC)
    found = match([trial], builder.build(), catalogue, now, UTC).trials[0]
    cohort = case.get("cohort", chart["cohort"])
    return next(c for c in found.cohorts if c.cohort.id == cohort)


@pytest.mark.parametrize(("content", "case"), list(_cases()))
def test_case(content: Any, case: Any, trials: Mapping[str, Trial], catalogue: Catalogue) -> None:
    cohort = _judged(content, case, trials[content["trial"]], catalogue)
    found = {f.criterion.id: f for f in cohort.findings}
    wrong = {
        name: f"{found[name].outcome} ({found[name].reason}), expected {expected}"
        for name, expected in case.get("expect", {}).items()
        if found[name].outcome != expected
    }
    assert not wrong
    reasons = {name: found[name].reason for name in case.get("reasons", {})}
    assert reasons == case.get("reasons", {})
    if "verdict" in case:
        missed = [name for name, finding in found.items() if finding.outcome is Outcome.NOT_MET]
        assert cohort.verdict == case["verdict"], missed
    if "recheck_on" in case:
        assert str(cohort.recheck_on) == case["recheck_on"]


def test_every_trial_has_cases(trials: Mapping[str, Trial]) -> None:
    assert {path.stem for path in FOLDER.glob("*.yaml")} >= set(trials)

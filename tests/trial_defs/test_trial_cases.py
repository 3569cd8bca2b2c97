"""The case files under `tests/trial_cases`: sentences that a clinician can check, run against the real definitions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from mappings.concepts.catalogue import Catalogue
from tests.case_files import FOLDER, Case, all_cases, cases_of, differences, judged
from trial_defs.definition.expressions import Trial


@pytest.mark.parametrize("case", [pytest.param(case, id=f"{case.trial}: {case.sentence}") for case in all_cases()])
def test_case(case: Case, trials: Mapping[str, Trial], catalogue: Catalogue) -> None:
    assert differences(case, judged(case, trials[case.trial], catalogue)) == []


def test_every_trial_has_cases(trials: Mapping[str, Trial]) -> None:
    assert {path.stem for path in FOLDER.glob("*.yaml")} >= set(trials)


def test_a_misspelt_key_of_a_case_is_named(tmp_path: Path) -> None:
    """A key that nobody reads would make a sentence that is always green."""
    path = tmp_path / "T.yaml"
    path.write_text("trial: T\nas_of: 2026-11-01\ncharts: {c: {cohort: x}}\ncases: [{case: s, chart: c, expekt: {}}]\n")
    with pytest.raises(KeyError, match="expekt is not a key of a case"):
        list(cases_of(path))

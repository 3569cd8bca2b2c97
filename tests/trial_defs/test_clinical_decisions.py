"""docs/decisions-clinical.md quotes cases and criteria; each of them exists."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from tests.case_files import all_cases
from trial_defs.definition.expressions import Trial

TEXT = (Path(__file__).parents[2] / "docs" / "decisions-clinical.md").read_text("utf-8")


def test_every_case_that_is_quoted_exists() -> None:
    known = {f"{case.trial}: {case.sentence}" for case in all_cases()}
    quoted = re.findall(r"^- ([A-Z0-9-]+: .+)$", TEXT, re.MULTILINE)
    assert [line for line in quoted if line not in known] == []
    assert len(quoted) == 20


def test_there_are_ten_decisions() -> None:
    assert re.findall(r"^## (\d+)\.", TEXT, re.MULTILINE) == [str(n) for n in range(1, 11)]


def test_every_criterion_that_is_named_exists(trials: Mapping[str, Trial]) -> None:
    named = re.findall(r"\(([A-Z0-9-]+), ([EI][\w.-]+)\)", TEXT)
    for trial, criterion in named:
        assert criterion in {c.id for cohort in trials[trial].cohorts for c in cohort.criteria}
    assert named

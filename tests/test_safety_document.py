"""The safety file names a test for each control; a test that is renamed or gone would leave a hazard unguarded."""

from __future__ import annotations

import re

import pytest

from tests.conftest import ROOT

TEXT = (ROOT / "docs" / "safety.md").read_text()
ROWS = [line for line in TEXT.split("## Hazards")[1].split("## When")[0].splitlines() if line.startswith("| **")]
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", TEXT)))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("**")[1])
def test_every_hazard_has_a_control_and_a_test_that_shows_it(row: str) -> None:
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert len(cells) == 5
    assert all(cells)
    assert "::test_" in cells[4]


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_every_test_that_is_named_exists(path: str, name: str) -> None:
    assert re.search(rf"^(async )?def {name}\(", (ROOT / path).read_text(), re.MULTILINE)


def test_every_source_attribute_of_evidence_based_interventions_is_answered() -> None:
    answered = [int(number) for number in re.findall(r"^\| \((\d+)\) .+\| \S.+\|$", TEXT, re.MULTILINE)]
    assert answered == list(range(1, 14))

"""The conformance list: every item once, no empty cell, and each test that it names exists."""

from __future__ import annotations

import re

import pytest

from tests.conftest import ROOT

TEXT = (ROOT / "docs" / "conformance.md").read_text()
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in TEXT.splitlines()
    if re.match(r"\| (?:[JT]?\d+|CORS|TLS) \|", line)
]
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", TEXT)))


def test_every_item_stands_in_it_once() -> None:
    wanted = [
        *map(str, range(1, 88)),
        *(f"J{n}" for n in range(1, 14)),
        "CORS",
        "TLS",
        *(f"T{n}" for n in range(1, 81)),
    ]
    assert [row[0] for row in ROWS] == wanted


def test_no_cell_is_empty_and_every_item_names_a_test() -> None:
    for row in ROWS:
        assert len(row) == 4
        assert all(row), row
        assert row[1] in ("SHALL", "SHOULD", "MAY", "HOUSE", "3.0")
        assert "::test_" in row[3]


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_every_test_that_is_named_exists(path: str, name: str) -> None:
    assert re.search(rf"^(async )?def {name}\(", (ROOT / path).read_text(), re.MULTILINE)

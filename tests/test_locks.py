"""The locks hold what is needed to run, not only what is needed to test."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def _locked(name: str) -> dict[str, str]:
    text = (ROOT / name).read_text("utf-8")
    return dict(re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)", text, re.MULTILINE))


def test_what_runs_is_locked_without_the_development_tools() -> None:
    assert {"sqlalchemy", "alembic", "uvicorn"} <= set(_locked("requirements.lock"))


def test_both_locks_agree() -> None:
    runs, develops = _locked("requirements.lock"), _locked("requirements-dev.lock")
    assert {name: version for name, version in runs.items() if develops.get(name) != version} == {}

"""What every test shares: the catalogue, the trials, the folder of data written by others."""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from mappings.concepts.catalogue import Catalogue, load_catalogue
from trial_defs.definition.expressions import Trial
from trial_defs.definition.loader import OUR_TRIALS, load_trials

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared"


@atexit.register
def _let_the_summary_be_the_last_line() -> None:
    """DuckDB's binding reports to standard error, after everything, what the interpreter left to it at exit."""
    sys.stderr.flush()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    return load_catalogue([ROOT / "mappings" / "concepts"])


@pytest.fixture(scope="session")
def trials(catalogue: Catalogue) -> Mapping[str, Trial]:
    loaded = load_trials([OUR_TRIALS], catalogue)
    assert not loaded.problems, "\n".join(map(str, loaded.problems))
    return loaded.trials

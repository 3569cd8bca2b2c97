"""What every test shares: the catalogue, the trials, the folder of data written by others."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from mappings.catalogue import Catalogue, load_catalogue
from trial_defs.expressions import Trial
from trial_defs.loader import OUR_TRIALS, load_trials

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared"


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    return load_catalogue([ROOT / "mappings" / "concepts"])


@pytest.fixture(scope="session")
def trials(catalogue: Catalogue) -> Mapping[str, Trial]:
    loaded = load_trials([OUR_TRIALS], catalogue)
    assert not loaded.problems, "\n".join(map(str, loaded.problems))
    return loaded.trials

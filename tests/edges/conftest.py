"""What the edge cases share."""

from __future__ import annotations

import pytest

from mappings.concepts.catalogue import Catalogue
from tests.edges.asking import Asked


@pytest.fixture(scope="session")
def ask(catalogue: Catalogue) -> Asked:
    return Asked(catalogue)

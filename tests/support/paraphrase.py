"""What tests of paraphrase share with others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mappings.concepts.catalogue import Catalogue
from mappings.yaml_files import read_yaml
from tests.small_trial import a_trial
from trial_defs.definition.expressions import Expression

HERE = Path(__file__)


def asked(text: str, catalogue: Catalogue) -> Expression:
    """The compiled expression of one line of a definition."""
    content: Any = read_yaml(f"asks: {text}".encode(), HERE)
    return a_trial(catalogue, {"include": content["asks"]}).cohorts[0].criteria[0].asks

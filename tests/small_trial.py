"""A trial with one cohort, for tests of a few criteria in the definition language."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mappings.concepts.catalogue import Catalogue
from trial_defs.definition.compiler import compile_trial
from trial_defs.definition.expressions import Trial
from trial_defs.definition.language import TrialWords

LUPUS: Mapping[str, Any] = {"condition": {"is": "systemic-lupus-erythematosus"}}


def words_of(*criteria: Mapping[str, Any], gate: Mapping[str, Any] = LUPUS, **more: Any) -> TrialWords:
    """An invented trial whose cohort "sle" has these criteria; an id or a text left out is made up.

    `more` replaces members of the definition: its `id`, its `cohorts`.
    """
    entries = [{"id": f"C{i}.x", "source": "here", "text": "What is asked", **c} for i, c in enumerate(criteria, 1)]
    words = {
        "id": "INVENTED",
        "version": 1,
        "title": "Invented",
        "short_title": "Invented",
        "source": {"document": "invented", "read_on": "2026-11-01"},
        "recruiting": {"status": "recruiting"},
        "cohorts": {"sle": {"title": "Lupus", "gate": gate, "criteria": entries}},
    }
    return TrialWords.model_validate(words | more)


def a_trial(catalogue: Catalogue, *criteria: Mapping[str, Any], **more: Any) -> Trial:
    """The same, compiled."""
    return compile_trial(words_of(*criteria, **more), catalogue, Path("T.yaml"), "")

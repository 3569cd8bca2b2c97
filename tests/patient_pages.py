"""An invented trial with a page for patients; no trial of ours has one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

TRIAL = "DEMO-PATIENTS"
APPROVAL: Mapping[str, str] = {"reference": "EC-2026-17", "version": "2.10", "language": "en", "date": "2025-10-05"}
PAGE: Mapping[str, Any] = {
    "approval": dict(APPROVAL),
    "summary": "In this study, immune cells of your own blood are changed in a laboratory and given back to you.",
    "asks": [
        "Chemotherapy on three days, so that the new cells have room",
        "About two weeks in hospital",
        "Travel to the study centre for twelve visits in two years",
    ],
    "risks": ["Fever, infections and confusion are possible in the first weeks."],
    "questions_to_ask": ["Who pays for my travel?", "What happens if I stop?"],
}


def definition(page: Mapping[str, Any] | None, **more: Any) -> dict[str, Any]:
    """The definition; `more` replaces members of it."""
    lupus = {"condition": {"is": "systemic-lupus-erythematosus"}}
    words = {
        "id": TRIAL,
        "version": 1,
        "title": "An invented study of changed immune cells",
        "short_title": "Invented cell therapy study",
        "source": {"document": "invented", "read_on": "2026-10-01"},
        "recruiting": {"status": "recruiting"},
        "cohorts": {
            "sle": {
                "title": "Lupus",
                "gate": lupus,
                "criteria": [{"id": "I1.lupus", "source": "here", "text": "Lupus", "include": lupus}],
            }
        },
    }
    return words | ({"patient_page": dict(page)} if page else {}) | more


def write_definition(folder: Path, page: Mapping[str, Any] | None, **more: Any) -> Path:
    """The definition as a file of the folder, which is made."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{more.get('id', TRIAL)}.yaml"
    path.write_text(yaml.safe_dump(definition(page, **more), allow_unicode=True), "utf-8")
    return path

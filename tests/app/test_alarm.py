"""What `make alarm` counts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.alarm import ROOT, counts, reports_of, with_lupus

LUPUS_FREE = {
    "resourceType": "Bundle",
    "type": "collection",
    "entry": [{"fullUrl": "urn:uuid:p", "resource": {"resourceType": "Patient", "id": "p", "birthDate": "1980-01-01"}}],
}


def a_report(verdicts: list[str], reasons: list[str], conditions: str = "complete") -> Any:
    criteria = [{"outcome": "unknown", "reason": reason} for reason in reasons] + [{"outcome": "met", "reason": None}]
    return {
        "sources": [
            {"resourceType": "Patient", "state": "complete"},
            {"resourceType": "Condition", "state": conditions},
        ],
        "trials": [{"verdict": verdict, "cohorts": [{"criteria": criteria}]} for verdict in verdicts],
    }


def test_cards_refusals_and_unknown_criteria_are_counted_per_100_charts() -> None:
    found = counts(
        [
            a_report(["likely-eligible", "near-miss", "possibly-eligible", "near-miss"], ["missing"]),
            a_report(["could-not-evaluate"], ["not-understood", "missing"]),
            a_report(["could-not-evaluate"], [], conditions="failed"),
            a_report(["not-indicated"], []),
        ]
    )
    assert found == {
        "cards": 75.0,  # of four trials a hook shows three
        "charts refused (412)": 25.0,
        "charts with a card": 25.0,
        "charts without a card, a trial not evaluated": 25.0,
        "unknown criteria": 150.0,
        "unknown criteria: missing": 125.0,
        "unknown criteria: not-understood": 25.0,
    }


def test_the_diagnosis_that_is_added_is_the_patients(tmp_path: Path) -> None:
    chart = tmp_path / "chart.json"
    chart.write_text(json.dumps(LUPUS_FREE))
    before, after = (counts(reports_of(ROOT, charts)) for charts in ([chart], with_lupus([chart], tmp_path)))
    assert before["cards"] == 0
    assert after["cards"] > 0

"""A criterion that only asks whether a dose was kept says so, and speaks of no limit of 0."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

import pytest

from cds_hooks.report import report_of
from mappings.chart.chart import ChartBuilder
from mappings.concepts.catalogue import Catalogue
from tests.builders import PATIENT, body_of
from trial_defs.definition.expressions import Trial
from trial_defs.engine.evaluation import match

TODAY = date(2026, 11, 1)


def _explanation(treatments: dict[str, Any], trials: Mapping[str, Trial], catalogue: Catalogue) -> str:
    chart = {
        "patient": {"sex": "male", "born": "1990-05-01"},
        "conditions": {"systemic-lupus-erythematosus": {}},
        "treatments": treatments,
    }
    builder = ChartBuilder(PATIENT)
    builder.add(body_of(chart, TODAY, catalogue), None)
    builder.whole_chart()
    now = datetime(2026, 11, 1, tzinfo=UTC)
    found = match([trials["NCT06711146"]], builder.build(), catalogue, now, UTC)
    criteria = report_of(found, "r", catalogue)["trials"][0]["cohorts"][0]["criteria"]
    return str(next(c["explanation"] for c in criteria if c["id"] == "I4.dose-stable"))


@pytest.mark.parametrize(
    ("since", "words"),
    [("2024-01-01", "unchanged for 2 weeks"), ("2026-10-25", "changed in the last 2 weeks")],
)
def test_a_dose_is_said_to_be_kept_or_changed(
    since: str, words: str, trials: Mapping[str, Trial], catalogue: Catalogue
) -> None:
    said = _explanation({"prednisone": {"since": since, "dose": "10 mg/d"}}, trials, catalogue)
    assert words in said
    assert "limit" not in said

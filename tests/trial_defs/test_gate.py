"""The gate: what opens a cohort, what keeps it closed, and what must not close it in silence."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

import pytest

from mappings.chart.chart import ChartBuilder
from mappings.concepts.catalogue import Catalogue
from tests.builders import PATIENT, body_of
from trial_defs.definition.expressions import Trial
from trial_defs.engine.evaluation import match
from trial_defs.engine.findings import Verdict

TODAY = date(2026, 11, 1)
LUPUS: dict[str, Any] = {"conditions": {"systemic-lupus-erythematosus": {}}}


def _verdict(chart: dict[str, Any], trials: Mapping[str, Trial], catalogue: Catalogue) -> Verdict:
    """Of lupus with immune thrombocytopenia, whose gate a low platelet count opens as well."""
    builder = ChartBuilder(PATIENT)
    builder.add(body_of({"patient": {"sex": "male", "born": "1980-01-01"}} | chart, TODAY, catalogue), None)
    builder.whole_chart()
    now = datetime(2026, 11, 1, tzinfo=UTC)
    found = match([trials["CNCT19-AID"]], builder.build(), catalogue, now, UTC).trials[0]
    return next(c.verdict for c in found.cohorts if c.cohort.id == "sle-itp")


@pytest.mark.parametrize(
    ("platelets", "indicated"),
    [
        ("49 10*9/L", True),
        ("50 10*9/L", False),
        ("49 widgets", True),  # the count is there and cannot be read: its criterion says so
        ("< 60 10*9/L", True),  # may be below the limit
        ({"value": "49 10*9/L", "status": "preliminary"}, True),
    ],
)
def test_a_platelet_count_opens_the_cohort_unless_it_is_surely_high_enough(
    platelets: object, indicated: bool, trials: Mapping[str, Trial], catalogue: Catalogue
) -> None:
    verdict = _verdict(LUPUS | {"results": {"platelets": platelets}}, trials, catalogue)
    assert (verdict is not Verdict.NOT_INDICATED) == indicated


def test_silence_about_platelets_keeps_the_cohort_closed(trials: Mapping[str, Trial], catalogue: Catalogue) -> None:
    assert _verdict(LUPUS, trials, catalogue) is Verdict.NOT_INDICATED


def test_a_low_count_without_lupus_keeps_it_closed(trials: Mapping[str, Trial], catalogue: Catalogue) -> None:
    assert _verdict({"results": {"platelets": "20 10*9/L"}}, trials, catalogue) is Verdict.NOT_INDICATED

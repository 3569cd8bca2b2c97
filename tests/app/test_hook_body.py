"""The call that the benchmark measures is the one that its limits are stated for."""

from __future__ import annotations

from datetime import date

from benchmarks.hook_body import CONDITIONS, MEDICATIONS, hook_body
from cds_hooks.protocol.models import read_request
from cds_hooks.protocol.services import CHART
from mappings.chart.chart import ChartBuilder

TODAY = date(2026, 11, 24)


def test_it_holds_the_whole_chart_in_the_stated_size() -> None:
    body = hook_body(1000, TODAY)
    assert 1_500_000 <= len(body) <= 1_800_000
    request = read_request(body, "patient-view")
    builder = ChartBuilder(request.patient_id)
    problems = [builder.add(request.prefetch[part.key], part.resource_type).problem for part in CHART]
    chart = builder.build()
    assert problems == [None] * len(CHART)
    assert {chart.states[part.resource_type] for part in CHART} == {"complete"}
    counts = [chart.counts[name] for name in ("Observation", "Condition", "MedicationRequest")]
    assert counts == [1000, CONDITIONS, MEDICATIONS] == [1000, 30, 60]


def test_it_is_the_same_body_on_the_same_day() -> None:
    assert hook_body(100, TODAY) == hook_body(100, TODAY)

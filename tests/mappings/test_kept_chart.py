"""A kept chart says the same as the one that was read."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from app.examples import WHOLE_CHART
from cds_hooks.report import report_of
from mappings.catalogue import Catalogue
from mappings.chart import Chart, ChartBuilder
from mappings.kept_chart import chart_from_bytes, chart_to_bytes
from trial_defs.evaluation import match
from trial_defs.expressions import Trial

NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)


def a_chart() -> Chart:
    builder = ChartBuilder(None)
    builder.add(msgspec.json.encode(WHOLE_CHART), None)
    builder.fail("Procedure", "failed")
    return builder.build()


def test_a_chart_that_was_kept_gives_the_same_report(catalogue: Catalogue, trials: dict[str, Trial]) -> None:
    chart = a_chart()
    again = chart_from_bytes(chart_to_bytes(chart))
    assert again is not None
    first, second = (
        msgspec.json.encode(report_of(match(trials.values(), each, catalogue, NOW, UTC), "r", catalogue))
        for each in (chart, again)
    )
    assert first == second
    assert again.states["Procedure"] == "failed"


def test_a_chart_of_an_unknown_form_is_not_guessed_at() -> None:
    content = msgspec.json.decode(chart_to_bytes(a_chart()))
    assert chart_from_bytes(msgspec.json.encode(content | {"format": 99})) is None
    assert chart_from_bytes(b'{"format":1}') is None
    assert chart_from_bytes(b"nothing") is None

"""A kept chart says the same as the one that was read."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from app.web.examples import WHOLE_CHART
from cds_hooks.report import report_of
from mappings.chart.chart import Chart, ChartBuilder
from mappings.chart.fhir import Observation
from mappings.chart.kept_chart import chart_from_bytes, chart_to_bytes
from mappings.concepts.catalogue import Catalogue
from trial_defs.definition.expressions import Trial
from trial_defs.engine.evaluation import match
from trial_defs.engine.findings import Match

NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
NOBODY_ASKS: dict[str, Any] = {"code": {"coding": [{"system": "http://loinc.org", "code": "2823-3"}]}}  # potassium


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


def test_what_nothing_rests_on_is_not_kept_and_nothing_is_different_without_it(
    catalogue: Catalogue, trials: dict[str, Trial]
) -> None:
    def found(given: Chart) -> tuple[Match, bytes]:
        whole = match(trials.values(), given, catalogue, NOW, UTC)
        return whole, msgspec.json.encode(report_of(whole, "r", catalogue))

    builder = ChartBuilder(None)
    builder.add(msgspec.json.encode(WHOLE_CHART), None)
    for number, more in enumerate(
        (NOBODY_ASKS, NOBODY_ASKS | {"status": "cancelled"}, {"code": {"text": "Platelets"}})
    ):
        subject = {"reference": f"Patient/{WHOLE_CHART['entry'][0]['resource']['id']}"}
        other = {"resourceType": "Observation", "id": f"other-{number}", "status": "final", "subject": subject} | more
        entries = [{"resource": other | {"valueQuantity": {"value": 3}}}]
        builder.add(
            msgspec.json.encode({"resourceType": "Bundle", "type": "searchset", "entry": entries}), "Observation"
        )
    chart = builder.build()
    whole, report = found(chart)
    again = chart_from_bytes(chart_to_bytes(chart, whole.unasked))
    assert again is not None
    assert whole.unasked == {"Observation/other-0"}
    assert [source for source, _ in again.of(Observation) if "other" in source] == [
        "Observation/other-1",
        "Observation/other-2",
    ]
    assert found(again)[1] == report


def test_of_a_note_only_its_text_is_kept() -> None:
    builder = ChartBuilder(None)
    builder.add(msgspec.json.encode(WHOLE_CHART), None)
    subject = {"reference": f"Patient/{WHOLE_CHART['entry'][0]['resource']['id']}"}
    noted = {"resourceType": "Observation", "id": "noted", "status": "final", "subject": subject} | NOBODY_ASKS
    noted |= {"note": [{"authorString": "Dr. Canary", "text": "on room air"}], "performer": [{"display": "Canary"}]}
    builder.add(msgspec.json.encode({"resourceType": "Bundle", "entry": [{"resource": noted}]}), "Observation")
    kept = chart_to_bytes(builder.build())
    assert b"on room air" in kept
    assert b"Canary" not in kept


def test_a_chart_of_an_unknown_form_is_not_guessed_at() -> None:
    content = msgspec.json.decode(chart_to_bytes(a_chart()))
    assert chart_from_bytes(msgspec.json.encode(content | {"format": 99})) is None
    assert chart_from_bytes(b'{"format":1}') is None
    assert chart_from_bytes(b"nothing") is None

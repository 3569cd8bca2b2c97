"""A chart is let go with its answer: nothing of a patient waits in memory for the collector of garbage."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Mapping
from datetime import UTC, datetime, time

import msgspec
import pytest

from cds_hooks.cards.trial_cards import cards_for
from cds_hooks.report import report_of
from mappings.chart.chart import Chart, ChartBuilder
from mappings.concepts.catalogue import Catalogue
from mappings.patient_facts import facts_of
from tests.builders import PATIENT, body_of
from tests.case_files import Case, all_cases
from trial_defs.definition.expressions import Trial
from trial_defs.engine.evaluation import match_facts
from trial_defs.engine.silence import Silences

CASES = all_cases()[::150]


def a_chart(case: Case, catalogue: Catalogue) -> Chart:
    builder = ChartBuilder(PATIENT)
    builder.add(body_of(case.chart, case.as_of, catalogue), None)
    builder.whole_chart()
    return builder.build()


def watched(case: Case, trials: Mapping[str, Trial], catalogue: Catalogue) -> list[weakref.ref[object]]:
    """Answer as a call does; the chart and its facts, to be looked for afterwards."""
    chart = a_chart(case, catalogue)
    facts = facts_of(chart, catalogue, datetime.combine(case.as_of, time(), UTC), UTC)
    found = match_facts(trials.values(), chart, facts, Silences())
    cards = cards_for(found, catalogue, new_uuid=lambda: "card")
    msgspec.json.encode([[card.body for card in cards], report_of(found, "report", catalogue)])
    return [weakref.ref(chart), weakref.ref(facts)]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.trial)
def test_chart_and_facts_are_gone_when_the_answer_is(
    case: Case, trials: Mapping[str, Trial], catalogue: Catalogue
) -> None:
    gc.disable()
    try:
        assert [left() for left in watched(case, trials, catalogue)] == [None, None]
    finally:
        gc.enable()

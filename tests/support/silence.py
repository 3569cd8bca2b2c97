"""What tests of silence share with others."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from datetime import date

from mappings.chart.chart import Chart, ChartBuilder
from mappings.concepts.catalogue import Catalogue
from tests.builders import PATIENT, body_of
from tests.case_files import Case, all_cases


def chart_of(case: Case, catalogue: Catalogue, unread: tuple[str, ...] = ()) -> Chart:
    builder = ChartBuilder(PATIENT)
    builder.add(body_of(case.chart, case.as_of, catalogue), None)
    builder.whole_chart()
    for resource_type in unread:
        builder.fail(resource_type, "incomplete")
    return builder.build()


STEP = 1 if os.environ.get("EVERY_CASE") else 7  # one case in seven fits into the minute; EVERY_CASE=1 takes them all

UNREAD: tuple[tuple[str, ...], ...] = ((), ("MedicationRequest",), ("Observation", "Procedure"), ("Condition",))


def charts(catalogue: Catalogue) -> Iterator[tuple[str, Chart, date]]:
    """Those of the cases with their trials, some with sources that were not read to their end."""
    for number, case in itertools.islice(enumerate(all_cases()), 0, None, STEP):
        yield case.trial, chart_of(case, catalogue, UNREAD[number % len(UNREAD)]), case.as_of

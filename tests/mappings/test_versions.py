"""Which of two versions is the newer: what `meta` says, and what it leaves open."""

from __future__ import annotations

import json

import pytest

from mappings.chart.chart import ChartBuilder
from mappings.chart.versions import is_older, read_version

Meta = tuple[str | None, str | None]


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (("2", None), ("10", None), True),
        (("2", "2026-10-01T00:00:00Z"), ("2", "2026-10-02T00:00:00Z"), True),
        ((None, "2026-10-01T23:30:00-05:00"), (None, "2026-10-02T00:00:00Z"), False),  # the next day in UTC
        ((None, "2026-10-02T01:00:00+09:00"), (None, "2026-10-01T20:00:00Z"), True),
        ((None, "2026-10-01T00:00:00.5Z"), (None, "2026-10-01T00:00:00.25Z"), False),
        (("a", None), ("b", None), False),  # no order
        (("3", None), ("b", "2026-10-02T00:00:00Z"), False),
        (("9" * 30, None), ("1", None), False),
        (("٢", None), ("3", None), False),  # a digit, but no versionId (R4: ASCII)
        (("1", "2026-10-02T00:00:00Z"), ("2", "2026-10-01T00:00:00Z"), False),  # they contradict each other
        ((None, None), ("2", "2026-10-01T00:00:00Z"), False),
        (("1", None), ("1", None), False),
    ],
)
def test_a_version_is_older_where_meta_says_so_and_nothing_contradicts_it(
    one: Meta, other: Meta, expected: bool
) -> None:
    assert is_older(read_version(*one), read_version(*other)) is expected
    assert not is_older(read_version(*other), read_version(*one)) or not expected


@pytest.mark.parametrize("turned", [False, True])
def test_a_chart_holds_the_version_that_is_newest_as_an_instant(turned: bool) -> None:
    old = {"resourceType": "Condition", "id": "c", "meta": {"lastUpdated": "2026-10-02T00:30:00+02:00"}}
    new = {"resourceType": "Condition", "id": "c", "meta": {"lastUpdated": "2026-10-01T23:00:00Z"}}
    found = [each | {"subject": {"reference": "Patient/p"}} for each in (old, new)]
    builder = ChartBuilder(None)
    entries = [{"resourceType": "Patient", "id": "p"}, *(found[::-1] if turned else found)]
    bundle = {"resourceType": "Bundle", "entry": [{"resource": each} for each in entries]}
    builder.add(json.dumps(bundle).encode(), None)
    ((_, kept),) = builder.build().records["Condition"]
    assert kept.meta.last_updated == "2026-10-01T23:00:00Z"

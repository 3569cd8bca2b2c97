"""Records that carry a security label which a site has restricted."""

from __future__ import annotations

from collections.abc import Collection

from mappings.chart.chart import Chart


def restricted_sources(chart: Chart, labels: Collection[tuple[str, str]]) -> frozenset[str]:
    """The sources ("Observation/abc") of this chart with any of these labels, given as (system, code)."""
    if not labels:
        return frozenset()
    return frozenset(
        source
        for records in chart.records.values()
        for source, record in records
        if record.meta and any((label.system, label.code) in labels for label in record.meta.security)
    )

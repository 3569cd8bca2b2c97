"""Records that carry a security label which a site has restricted, and the chart without them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from mappings.chart import fhir
from mappings.chart.chart import Chart

Labels = Collection[tuple[str, str]]  # (system, code)
Labelled = fhir.Patient | fhir.Medication | fhir.PatientRecord


def without_labelled(chart: Chart, labels: Labels) -> Chart:
    """The chart as if the records with any of these labels had not arrived; the same chart where there are none.

    The Patient stays, whatever its label: without it there is no chart.
    """
    if not labels:
        return chart
    records = {
        name: tuple(pair for pair in pairs if not _has(pair[1], labels)) for name, pairs in chart.records.items()
    }
    medications = {name: drug for name, drug in chart.medications.items() if not _has(drug, labels)}
    left_out = {name: len(chart.records[name]) - len(kept) for name, kept in records.items()}
    if not any(left_out.values()) and len(medications) == len(chart.medications) and not is_labelled(chart, labels):
        return chart
    counts = {name: count - left_out.get(name, 0) for name, count in chart.counts.items()}
    return replace(chart, records=records, medications=medications, counts=counts)


def is_labelled(chart: Chart, labels: Labels) -> bool:
    """Whether the Patient itself carries one of these labels."""
    return _has(chart.patient, labels)


def _has(record: Labelled, labels: Labels) -> bool:
    return record.meta is not None and any((label.system, label.code) in labels for label in record.meta.security)

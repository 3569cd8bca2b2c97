"""Records that carry a security label which a site has restricted, and the chart without them."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import replace

from mappings.chart import fhir
from mappings.chart.chart import Chart
from mappings.clean_text import clean

Labels = Collection[tuple[str, str]]  # (system, code)
Labelled = fhir.Patient | fhir.Medication | fhir.PatientRecord

# HL7 v3's code systems of labels by their OIDs; http://hl7.org/fhir/v3/ActCode is how FHIR STU3 names the first.
_OIDS = {
    "urn:oid:2.16.840.1.113883.5.4": "v3-actcode",
    "urn:oid:2.16.840.1.113883.5.25": "v3-confidentiality",
    "urn:oid:2.16.840.1.113883.5.1063": "v3-observationvalue",
}
_V3 = re.compile(r"(?:terminology\.hl7\.org/codesystem/v3-|hl7\.org/fhir/v3/)(\w+)")


def without_labelled(chart: Chart, labels: Labels) -> Chart:
    """The chart as if the records with any of these labels had not arrived; the same chart where there are none.

    A label without a code, or of a wrong form, may be one of them and counts as one. The Patient stays, whatever its
    label: without it there is no chart.
    """
    if not labels:
        return chart
    labels = _comparable(labels)
    records = {
        name: tuple(pair for pair in pairs if not _has(pair[1], labels)) for name, pairs in chart.records.items()
    }
    medications = {name: drug for name, drug in chart.medications.items() if not _has(drug, labels)}
    left_out = {name: len(chart.records[name]) - len(kept) for name, kept in records.items()}
    if not any(left_out.values()) and len(medications) == len(chart.medications) and not _has(chart.patient, labels):
        return chart
    counts = {name: count - left_out.get(name, 0) for name, count in chart.counts.items()}
    return replace(chart, records=records, medications=medications, counts=counts)


def is_labelled(chart: Chart, labels: Labels) -> bool:
    """Whether the Patient itself carries one of these labels."""
    return _has(chart.patient, _comparable(labels))


def _has(record: Labelled, labels: Labels) -> bool:
    """Whether a record has one of these labels, which are comparable, or one that cannot be read.

    A label without a system counts by its code.
    """
    if record.meta is None or not record.meta.security:
        return False
    return any(_is_one_of(label, labels) for label in record.meta.security)


def _is_one_of(label: fhir.Coding, labels: Labels) -> bool:
    system, code = _comparable_system(label.system), clean(label.code or "").lower()
    if not code:
        return True
    return (system, code) in labels or (not system and any(code == each for _, each in labels))


def _comparable(labels: Labels) -> Labels:
    return {(_comparable_system(system), clean(code).lower()) for system, code in labels}


def _comparable_system(address: str | None) -> str:
    """A code system's address without what writers vary: http or https, www, case, version and a slash at its end."""
    plain = clean(address or "").lower().split("|")[0].rstrip("/")
    if known := _OIDS.get(plain):
        return known
    plain = re.sub(r"^https?://(www\.)?", "", plain)
    return f"v3-{v3[1]}" if (v3 := _V3.fullmatch(plain)) else plain

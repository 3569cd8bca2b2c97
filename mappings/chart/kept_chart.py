"""A chart as bytes, and back: what is kept so that an answer can be explained and repeated later.

Only those members of a resource that TrialCards reads are in it. The value, range and parts of an Observation are kept
as they were sent, with all that is in those members; of its notes only the text.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgspec
from msgspec import Struct

from mappings.chart import fhir
from mappings.chart.addresses import Servers
from mappings.chart.chart import Chart
from mappings.facts import SourceState

FORMAT = 1  # raised when kept charts of an older form can no longer be read


class _KeptChart(Struct, frozen=True, omit_defaults=True, rename="camel"):
    """Chart, with its records one after the other."""

    format: int
    patient: fhir.Patient
    reference: str
    records: tuple[tuple[str, fhir.PatientRecord], ...]
    medications: dict[str, fhir.Medication]
    base_url: str | None  # the first of the servers
    states: dict[str, SourceState]
    counts: dict[str, int]
    excluded: dict[str, dict[str, int]]
    unreadable: dict[str, tuple[str, ...]]
    arrived_back_to: dict[str, str] = {}
    other_servers: tuple[str, ...] = ()


_DECODER = msgspec.json.Decoder(_KeptChart)


def chart_to_bytes(chart: Chart, without: Collection[str] = frozenset()) -> bytes:
    """The chart as JSON, without the records of these sources."""
    records: list[Any] = [pair for kind in chart.records.values() for pair in kind if pair[0] not in without]
    kept = _KeptChart(
        format=FORMAT,
        patient=chart.patient,
        reference=chart.reference,
        records=tuple(records),
        medications=dict(chart.medications),
        base_url=next(iter(chart.servers.bases), None),
        other_servers=chart.servers.bases[1:],
        states=dict(chart.states),
        counts=dict(chart.counts),
        excluded={name: dict(counts) for name, counts in chart.excluded.items()},
        unreadable=dict(chart.unreadable),
        arrived_back_to=dict(chart.arrived_back_to),
    )
    return msgspec.json.encode(kept)


def chart_from_bytes(content: bytes) -> Chart | None:
    """The same chart; None where it was kept in a form that this version does not read."""
    try:
        kept = _DECODER.decode(content)
    except msgspec.DecodeError:
        return None
    if kept.format != FORMAT:
        return None
    records: dict[str, list[tuple[str, Any]]] = {}
    for source, record in kept.records:
        records.setdefault(type(record).__name__, []).append((source, record))
    return Chart(
        patient=kept.patient,
        reference=kept.reference,
        records={name: tuple(found) for name, found in records.items()},
        medications=kept.medications,
        servers=Servers.at((kept.base_url, *kept.other_servers)),
        states=kept.states,
        counts=kept.counts,
        excluded=kept.excluded,
        unreadable=kept.unreadable,
        arrived_back_to=kept.arrived_back_to,
    )

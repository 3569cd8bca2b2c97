"""What is kept behind the cards of one answer: the report, and the chart that it was made from."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import msgspec

from mappings.chart.chart import Chart
from mappings.chart.kept_chart import chart_from_bytes, chart_to_bytes
from trial_defs.engine.attestation import NO_ATTESTATIONS, Attestation, Attestations, newest


class _Kept(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """The form of the sealed content."""

    report: msgspec.Raw
    chart: msgspec.Raw
    zone: str  # in which days were counted
    attestations: tuple[Attestation, ...] = ()
    language: str = "en"  # of the report


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """A report as it was shown (`report_bytes` are the very bytes), and its chart where that can still be read."""

    report_bytes: bytes
    chart: Chart | None
    zone: str
    attestations: Attestations = field(default_factory=dict)
    language: str = "en"

    @property
    def report(self) -> dict[str, Any]:
        content: dict[str, Any] = msgspec.json.decode(self.report_bytes)
        return content


def to_keep(
    report: bytes,
    chart: Chart,
    zone: str,
    attestations: Attestations = NO_ATTESTATIONS,
    without: Collection[str] = frozenset(),
    language: str = "en",
) -> bytes:
    """The content to be sealed; `without` the records of these sources, on which nothing rests."""
    kept_chart = msgspec.Raw(chart_to_bytes(chart, without))
    return msgspec.json.encode(_Kept(msgspec.Raw(report), kept_chart, zone, tuple(attestations.values()), language))


def from_kept(content: bytes) -> KeptAnswer:
    """What was kept; reports from before charts were kept have none."""
    try:
        kept = msgspec.json.decode(content, type=_Kept)
    except msgspec.ValidationError:
        return KeptAnswer(content, None, "UTC")
    chart = chart_from_bytes(bytes(kept.chart))
    return KeptAnswer(bytes(kept.report), chart, kept.zone, newest(kept.attestations), kept.language)

"""From a kept answer to its explanation page: the chart is read again, as of the moment of the answer."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from app.kept import KeptAnswer
from app.wiring import Services
from cds_hooks.explained import Source
from mappings.labels import restricted_sources
from mappings.read import facts_of
from trial_defs.evaluation import match


def source_of(kept: KeptAnswer, services: Services) -> Source:
    """What the page is made from. Trials that the report left out stay out."""
    served = services.definitions.now
    report = kept.report
    shown = {entry["trial"] for entry in report["trials"]}
    trials = {name: trial for name, trial in served.trials.items() if name in shown}
    if kept.chart is None:
        return Source(report, trials, served.catalogue)
    zone = ZoneInfo(kept.zone)
    as_of = datetime.fromisoformat(report["asOf"])
    return Source(
        report,
        trials,
        served.catalogue,
        match(trials.values(), kept.chart, served.catalogue, as_of, zone, attestations=kept.attestations),
        facts_of(kept.chart, served.catalogue, as_of, zone),
        restricted_sources(kept.chart, services.settings.labels),
    )

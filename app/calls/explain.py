"""From a kept answer to its explanation page: the chart is read again, as of the moment of the answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from app.restricted import without_restricted
from app.storage.kept import KeptAnswer
from app.wiring import Services
from cds_hooks.explanation.explained import Source
from mappings.chart.labels import restricted_sources
from mappings.patient_facts import facts_of
from trial_defs.engine.evaluation import match


def source_of(kept: KeptAnswer, services: Services) -> Source:
    """What the page is made from. Trials that the report left out stay out, and those that labels keep back by now."""
    served = services.definitions.now
    report = kept.report
    shown = {entry["trial"] for entry in report["trials"]}
    trials = {name: trial for name, trial in served.trials.items() if name in shown}
    if kept.chart is None:
        return Source(report, trials, served.catalogue)
    zone = ZoneInfo(kept.zone)
    as_of = datetime.fromisoformat(report["asOf"])
    found = match(trials.values(), kept.chart, served.catalogue, as_of, zone, attestations=kept.attestations)
    hidden = restricted_sources(kept.chart, services.settings.labels)
    kept_back = trials.keys() - {trial.trial.id for trial in without_restricted(found, hidden).trials}
    shown_still = [e for e in report["trials"] if e["trial"] not in kept_back and hidden.isdisjoint(_evidence(e))]
    facts = facts_of(kept.chart, served.catalogue, as_of, zone)
    return Source(report | {"trials": shown_still}, trials, served.catalogue, found, facts, hidden)


def _evidence(entry: Mapping[str, Any]) -> Iterator[str]:
    """What an entry of a report rests on ("Observation/abc"), as it was said when it was written."""
    for cohort in entry["cohorts"]:
        for criterion in cohort["criteria"]:
            yield from (each["resource"] for each in criterion["evidence"])

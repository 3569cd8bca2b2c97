"""From a kept answer to its explanation page: the chart is read again, as of the moment of the answer."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from app.judge import Judged, judge
from app.storage.kept import KeptAnswer
from app.wiring import Services
from cds_hooks.explanation.explained import Source
from cds_hooks.report import in_form_of, report_of
from cds_hooks.words.texts import texts_in
from mappings.concepts.catalogue import Catalogue
from mappings.time.clock import Clock


def source_of(kept: KeptAnswer, services: Services) -> Source:
    """What the page is made from. Trials that the report left out stay out, and those that labels keep back by now."""
    served = services.definitions.now
    report = kept.report
    shown = {entry["trial"] for entry in report["trials"]}
    trials = {name: trial for name, trial in served.trials.items() if name in shown}
    texts = served.texts_in(texts_in(kept.language))
    if kept.chart is None:
        return Source(report, trials, served.catalogue, texts=texts)
    at = Clock(datetime.fromisoformat(report["asOf"]), ZoneInfo(kept.zone))
    judged = judge(kept.chart, served, at, services.site, trials=trials.values(), attestations=kept.attestations)
    if judged.chart is not kept.chart:
        report = _without_restricted(kept, judged, served.catalogue)
    return Source(report, trials, served.catalogue, judged.found, judged.facts, texts)


def _without_restricted(kept: KeptAnswer, judged: Judged, catalogue: Catalogue) -> dict[str, Any]:
    """The report with only those trials of which the chart says the same without the records restricted since."""
    report = kept.report
    anew = report_of(judged.found, report["id"], catalogue, texts_in(kept.language))
    again = msgspec.json.decode(msgspec.json.encode(anew))
    fresh = in_form_of(report, again)
    known = {entry["trial"]: entry for entry in again["trials"]}
    still = [e for e in report["trials"] if e["trial"] in known and in_form_of(e, known[e["trial"]]) == e]
    return report | {"trials": still, "sources": fresh["sources"]}

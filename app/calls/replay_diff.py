"""Which kept answers would be different now, and why: this version's code, concepts or definitions.

Each kept chart is judged again in three steps: by the code of now with the concepts and definitions of its day, then
with the concepts of now, then with the definitions of now. The step at which an outcome changes is its cause. Nothing
of a patient is in the result: ids of reports, trials and criteria, and outcomes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from app.definitions.served import Served
from app.definitions.texts import Texts, concepts_from, trial_from
from app.storage.kept import KeptAnswer, from_kept
from app.storage.records import Records
from cds_hooks.report import report_of
from mappings.concepts.catalogue import Catalogue
from trial_defs.definition.expressions import Trial
from trial_defs.engine.evaluation import match

Place = tuple[str, str, str]  # trial, cohort, criterion; no cohort: the trial, no criterion: the verdict
Outcomes = Mapping[Place, str]
NOT_SERVED = "not served"


@dataclass(frozen=True, slots=True)
class Difference:
    """One outcome or verdict that would be another. `causes`: "code", "concepts", "definition", or "not known"."""

    report: str
    trial: str
    cohort: str
    criterion: str
    then: str
    now: str
    causes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was compared, what differs, and what could not be compared (report -> why)."""

    compared: int
    differences: tuple[Difference, ...]
    not_compared: Mapping[str, str]


async def compare(records: Records, served: Served, now: datetime, report_id: str | None = None) -> Comparison:
    """The kept answers, or the one of this id, held against what is served now."""
    names = await records.kept_reports(now) if report_id is None else [report_id]
    definitions = _Definitions()
    differences: list[Difference] = []
    lost: dict[str, str] = {}
    for name in names:
        content = await records.report(name, now)
        if content is None:
            lost[name] = "not kept, or sealed under a secret that is no longer in TRIALCARDS_SECRET_KEY"
            continue
        kept = from_kept(content)
        if kept.chart is None:
            lost[name] = "its chart was kept in a form that this version does not read"
            continue
        texts = await records.definition_texts([each for each in _hashes(kept.report) if each not in definitions.texts])
        differences += await asyncio.to_thread(_differences, name, kept, definitions.of(texts), served)
    return Comparison(len(names) - len(lost), tuple(differences), lost)


def _hashes(report: Mapping[str, Any]) -> Iterator[str]:
    yield report["engine"]["concepts"]
    yield from (entry["definition"]["hash"] for entry in report["trials"])


def _differences(name: str, kept: KeptAnswer, earlier: _Definitions, served: Served) -> list[Difference]:
    report = kept.report
    then = _outcomes(report)
    trials = [entry["trial"] for entry in report["trials"]]
    now = _judge(kept, served.catalogue, [served.trials[t] for t in trials if t in served.trials])
    steps = [("code", _as_then(kept, earlier, None)), ("concepts", _as_then(kept, earlier, served.catalogue))]
    found = []
    for place in sorted(then.keys() | now.keys()):
        before, after = then.get(place, ""), now.get(place, "")
        if place[0] not in served.trials:
            before, after = (before, NOT_SERVED) if place[1:] == ("", "") else ("", "")
        if before != after:
            causes = _causes(place, before, after, steps)
            found.append(Difference(name, *place, before, after, causes))
    return found


def _causes(place: Place, before: str, after: str, steps: Sequence[tuple[str, Outcomes | None]]) -> tuple[str, ...]:
    causes = []
    for cause, outcomes in steps:
        if outcomes is None:
            return ("not known",)
        if outcomes.get(place, "") != before:
            causes.append(cause)
        before = outcomes.get(place, "")
    return (*causes, "definition") if before != after else tuple(causes)


def _as_then(kept: KeptAnswer, earlier: _Definitions, catalogue: Catalogue | None) -> Outcomes | None:
    """By the definitions of that day, with these concepts or those of that day; None where they cannot be read."""
    report = kept.report
    catalogue = catalogue or earlier.catalogue(report["engine"]["concepts"])
    if catalogue is None:
        return None
    trials = [earlier.trial(entry["definition"]["hash"], catalogue) for entry in report["trials"]]
    known = [trial for trial in trials if trial]
    return _judge(kept, catalogue, known) if len(known) == len(trials) else None


@dataclass
class _Definitions:
    """Concepts and trials of earlier days, each read once. A text that cannot be read is None."""

    texts: dict[str, bytes] = field(default_factory=dict)
    _catalogues: dict[str, Catalogue | None] = field(default_factory=dict)
    _trials: dict[tuple[str, str], Trial | None] = field(default_factory=dict)

    def of(self, texts: Texts) -> _Definitions:
        """With these texts too."""
        self.texts.update(texts)
        return self

    def catalogue(self, digest: str) -> Catalogue | None:
        if digest not in self._catalogues:
            text = self.texts.get(digest)
            self._catalogues[digest] = concepts_from(text, digest) if text is not None else None
        return self._catalogues[digest]

    def trial(self, digest: str, catalogue: Catalogue) -> Trial | None:
        key = digest, catalogue.hash
        if key not in self._trials:
            text = self.texts.get(digest)
            self._trials[key] = trial_from(text, digest, catalogue) if text is not None else None
        return self._trials[key]


def _judge(kept: KeptAnswer, catalogue: Catalogue, trials: Iterable[Trial]) -> Outcomes:
    assert kept.chart
    as_of, zone = datetime.fromisoformat(kept.report["asOf"]), ZoneInfo(kept.zone)
    found = match(trials, kept.chart, catalogue, as_of, zone, attestations=kept.attestations)
    return _outcomes(msgspec.json.decode(msgspec.json.encode(report_of(found, "", catalogue))))


def _outcomes(report: Mapping[str, Any]) -> Outcomes:
    """Every verdict and outcome of a report; an unknown one with its reason."""
    found: dict[Place, str] = {}
    for entry in report["trials"]:
        found[entry["trial"], "", ""] = entry["verdict"]
        for cohort in entry["cohorts"]:
            place = (entry["trial"], cohort["cohort"])
            found[(*place, "")] = cohort["verdict"]
            for each in cohort["criteria"]:
                said = f"{each['outcome']} ({each['reason']})" if each["reason"] else each["outcome"]
                found[(*place, each["id"])] = said
    return found

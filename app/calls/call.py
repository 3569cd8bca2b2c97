"""One call about one patient, whoever makes it: what of the match may be shown, and what is written down first."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, tzinfo

import msgspec

from app.calls.reports import signed_address
from app.definitions.names import definitions_of
from app.definitions.served import Served
from app.ehrs import Ehr
from app.judge import Judged, judge
from app.logs import call_id
from app.profile import part
from app.storage.audit import AuditedCall, Outcome
from app.storage.database import Write
from app.storage.kept import KeptAnswer, to_keep
from app.storage.records import NewCard, Shown
from app.wiring import Services
from app.worklist.candidates import NOT_TO_BE_APPROACHED, Reading, known_person, reading_of
from cds_hooks.cards.trial_cards import Link, ranked
from cds_hooks.report import report_of
from cds_hooks.words.texts import Texts
from cds_hooks.words.wording import titles_of
from mappings.chart.chart import Chart
from mappings.chart.consent import REFUSALS
from mappings.time.clock import Clock
from trial_defs.engine.attestation import Attestations
from trial_defs.engine.findings import Match, TrialMatch

LONG_CHART = 3000  # records
MOST_KEPT = 200  # trials of one report, where there are many


@dataclass(frozen=True)
class Call:
    """Who is shown what, by which definitions, and under which report."""

    shown: Shown
    action: str  # as the audit trail names it: the hook service's id, or "launch"
    ehr: Ehr
    services: Services
    served: Served
    base: str  # our own address
    now: datetime
    closing: Sequence[Write] = ()  # see `Caller`
    report_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def zone(self) -> tzinfo:
        return self.services.zone_of(self.ehr)

    @property
    def texts(self) -> Texts:
        """In the language of the EHR."""
        return self.services.texts_of(self.ehr)

    @property
    def card_texts(self) -> Texts:
        """The same, with the texts that definitions carry in that language."""
        return self.served.texts_in(self.texts)

    @property
    def at(self) -> Clock:
        return Clock(self.now, self.zone)

    def audited(self, outcome: Outcome, kept: Match | None = None) -> AuditedCall:
        """The line of the audit trail."""
        named = definitions_of([trial.trial for trial in kept.trials]) if kept else {}
        definitions = {**named, **self.served.names}
        report = self.report_id if outcome in ("cards", "launched") else ""
        return AuditedCall(call_id(), self.action, self.shown, outcome, definitions, report)

    def listed(self, reading: Reading | None, report: str = "") -> list[Write]:
        """What brings the worklist up to date."""
        if reading is None:
            return []
        return self.services.worklist.writes(self.shown, reading, "hook", self.now, report)

    def link_to(self, trial: TrialMatch | None) -> Link | None:
        """The way to the full explanation: our SMART app, or a signed address where reports are kept at all."""
        name = trial.trial.id if trial else None
        if self.ehr.app:
            return Link(f"{self.base}/launch", smart=True, app_context=name)
        return Link(self.signed_address(name)) if self.services.settings.retention_days else None

    def signed_address(self, trial: str | None) -> str:
        """Where this call's report can be read for some minutes."""
        return signed_address(self.services.keys, self.base, self.report_id, self.now, trial)


@dataclass(frozen=True, slots=True)
class Assessment:
    """What of a match may be shown, and what the worklist learns from it, if it is to learn anything.

    `dismissed`: what cards had said that this user set aside, by trial.
    """

    judged: Judged
    reading: Reading | None
    dismissed: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def found(self) -> Match:
        return self.judged.found


async def assess(call: Call, chart: Chart, *, is_whole: bool = True) -> Assessment:
    """Hold the chart against the trials. Where it was not read as a whole, the worklist learns nothing."""
    known = await call.services.answers.known(call.shown, call.now)
    judged = await _judge(call, chart, known.attestations)
    if not judged.found.approachable:
        return Assessment(judged, NOT_TO_BE_APPROACHED)
    read = all(chart.states[each] == "complete" for each in REFUSALS)
    titles = titles_of(call.served.catalogue)
    person = known_person(judged.facts.person)
    reading = None
    if is_whole:
        reading = reading_of(judged.found, judged.withheld, titles, knows_refusals=read, person=person)
    return Assessment(judged, reading, known.dismissed)


async def _judge(call: Call, chart: Chart, attestations: Attestations) -> Judged:
    """One match at a time; one that takes long is made beside the event loop."""

    def judged() -> Judged:
        return judge(chart, call.served, call.at, call.services.site, attestations=attestations)

    async with call.services.turn:
        with call.services.metrics.phase("match"):
            return await asyncio.to_thread(judged) if _takes_long(chart, call.served) else judged()


def _takes_long(chart: Chart, served: Served) -> bool:
    # Without all diagnoses no gate is known to be closed, and every trial has to be looked at.
    return sum(chart.counts.values()) > LONG_CHART or (served.are_many and chart.states["Condition"] != "complete")


def _reported(found: Match, served: Served) -> Match:
    """With the trials of which a report is kept behind the cards: all, or of many the best that are worth a card."""
    if not served.are_many:
        return found
    best = {trial.trial.id for trial in ranked(found, served.catalogue)[:MOST_KEPT]}
    return replace(found, trials=tuple(trial for trial in found.trials if trial.trial.id in best))


async def write_down(call: Call, shown: Assessment, outcome: Outcome, cards: Sequence[NewCard] = ()) -> KeptAnswer:
    """Write down what is about to be shown, with the line of the audit trail, in one transaction; what it rests on."""
    services, now, chart = call.services, call.now, shown.judged.chart
    kept = _reported(shown.found, call.served)
    given = shown.found.attestations
    with part("report"):
        report = msgspec.json.encode(report_of(kept, call.report_id, call.served.catalogue, call.texts))
        content = b""
        if services.settings.retention_days:
            content = to_keep(report, chart, str(call.zone), given, kept.unasked, call.texts.language)
    if content:
        used = {kept.concepts_hash, *(trial.trial.hash for trial in kept.trials)}
        await services.records.remember(call.served.texts, now, used)
    listed = call.listed(shown.reading, call.report_id if content else "")
    also = [*call.closing, *services.audit.writes(call.audited(outcome, kept), now), *listed]
    await services.records.keep(call.shown, call.action, call.report_id, content, cards, now, also)
    return KeptAnswer(report, chart, str(call.zone), given, call.texts.language)

"""Answers one hook call: the chart, the match, the cards, in the order in which it happens."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from app.ehr import access_for, complete_chart
from app.ehrs import Caller
from app.errors import ChartUnavailable, Unavailable, Unusable
from app.kept import to_keep
from app.records import NewCard, Shown
from app.reports import signed_address
from app.restricted import sources_of, without_restricted
from app.wiring import Services
from cds_hooks.cards import Card, Link, cards_for, has_unevaluated, response
from cds_hooks.dismissals import says_the_same, what_it_said
from cds_hooks.models import HookRequest
from cds_hooks.report import report_of
from cds_hooks.services import Offer
from mappings.chart import Chart, ChartBuilder, ChartError
from mappings.clock import Clock
from mappings.consent import declines_research
from mappings.labels import restricted_sources
from trial_defs.evaluation import match
from trial_defs.findings import Match, TrialMatch

KEPT_BACK = 0.15  # of the deadline, for matching and for writing down what was shown


async def answer(
    hook: HookRequest, offer: Offer, caller: Caller, services: Services, base: str, started: float
) -> bytes:
    """The body of the answer to a hook call. `base` is our own address, `started` the loop time at which it came in.

    412 when the Patient could not be read, or when a cohort could not be evaluated and no card is left to say so.
    No cards for a patient whose chart says not to be approached for research.
    """
    served = services.definitions.now
    if not served.trials:
        raise Unavailable("No trial definition is loaded.")
    now = services.clock()
    chart = await _chart(hook, offer, caller, services, started + services.settings.deadline * (1 - KEPT_BACK))
    zone = services.zone_of(caller.ehr)
    if declines_research(chart, Clock(now, zone)):
        return response(())
    found = match(served.trials.values(), chart, served.catalogue, now, zone)
    found = without_restricted(found, restricted_sources(chart, services.settings.labels))
    _count(found, services)
    shown = Shown(caller.ehr.name, caller.tenant, hook.patient_id, hook.user_id)
    silent = _silent(found, await services.records.dismissed(shown, now))
    report_id = str(uuid.uuid4())
    cards = cards_for(
        found,
        served.catalogue,
        new_uuid=lambda: str(uuid.uuid4()),
        link_to=lambda trial: _link(trial, services, base, report_id, now),
        most=services.settings.max_cards,
        silent=silent,
        match_extension=caller.ehr.match_extension,
    )
    services.metrics.snoozed.inc(len(silent))
    if not cards:
        if has_unevaluated(found):
            raise ChartUnavailable("The patient's conditions could not be read, so no trial could be evaluated.")
        return response(cards)
    report = msgspec.json.encode(report_of(found, report_id, served.catalogue))
    content = to_keep(report, chart, str(zone)) if services.settings.retention_days else b""
    await services.records.keep(shown, offer.id, report_id, content, _to_keep(cards, services), now)
    return response(cards)


async def _chart(hook: HookRequest, offer: Offer, caller: Caller, services: Services, deadline: float) -> Chart:
    builder = ChartBuilder(hook.patient_id, hook.fhir_server)
    access = access_for(hook, caller.ehr, services.outbound, deadline)
    try:
        await complete_chart(hook, offer.prefetch, builder, caller.ehr, access, services.metrics)
        return builder.build()
    except ChartError as error:
        if error.code == "other-patient":
            raise Unusable("The Patient that was sent is not the patient of the context.", "prefetch.patient") from None
        key = next(part.key for part in offer.prefetch if part.resource_type == "Patient")
        message = f"The Patient could not be read, neither from the prefetch ({key}) nor from the FHIR server."
        raise ChartUnavailable(message) from None


def _silent(found: Match, dismissed: Mapping[str, Sequence[str]]) -> frozenset[str]:
    """The trials that were set aside and would say nothing new."""
    return frozenset(
        trial.trial.id
        for trial in found.trials
        if any(says_the_same(said, trial) for said in dismissed.get(trial.trial.id, ()))
    )


def _link(trial: TrialMatch | None, services: Services, base: str, report_id: str, now: datetime) -> Link | None:
    """The way to the full explanation, where reports are kept at all."""
    if not services.settings.retention_days:
        return None
    return Link(signed_address(services.keys, base, report_id, now, trial.trial.id if trial else None))


def _to_keep(cards: Sequence[Card], services: Services) -> list[NewCard]:
    kept = [_new_card(card.uuid, card.trial) for card in cards if card.trial]
    for card in kept:
        services.metrics.cards.labels(card.trial, card.verdict).inc()
    return kept


def _new_card(card: str, found: TrialMatch) -> NewCard:
    return NewCard(
        id=card,
        trial=found.trial.id,
        definition_version=found.trial.version,
        definition_hash=found.trial.hash,
        verdict=found.verdict.value,
        said=what_it_said(found),
        evidence=tuple(dict.fromkeys(sources_of(found))),
    )


def _count(found: Match, services: Services) -> None:
    for trial in found.trials:
        services.metrics.matches.labels(trial.trial.id, trial.verdict.value).inc()

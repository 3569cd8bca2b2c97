"""Answers one hook call: the chart, the match, the cards, in the order in which it happens."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Sequence

from app.calls.call import Assessment, Call, assess, write_down
from app.calls.complete_chart import access_for, complete_chart
from app.calls.dismissed import Dismissed, silent_trials
from app.definitions.served import Served
from app.ehrs import Caller
from app.errors import ChartUnavailable, Unavailable, Unusable
from app.judge import effects_of_orders
from app.storage.records import NewCard, Shown
from app.wiring import Services
from cds_hooks.cards.dismissals import warns_of_the_same, what_it_said, what_the_order_would_do
from cds_hooks.cards.order_cards import order_cards_for
from cds_hooks.cards.trial_cards import Card, cards_for, has_unevaluated, ranked, response
from cds_hooks.protocol.models import NEEDS_SELECTIONS, HookRequest
from cds_hooks.protocol.services import Offer, Prefetch
from mappings.chart.chart import Chart, ChartBuilder, ChartError
from mappings.concepts.catalogue import Catalogue
from mappings.draft_orders import Drafts, planned, read_drafts
from trial_defs.engine.findings import Match, TrialMatch, Verdict, sources_of

KEPT_BACK = 0.15  # of the deadline, for matching and for writing down what was shown


async def answer(
    hook: HookRequest, offer: Offer, caller: Caller, services: Services, base: str, started: float
) -> bytes:
    """The body of the answer to a hook call. `base` is our own address, `started` the loop time at which it came in.

    412 when the Patient could not be read, when no record of the chart can be assigned to the patient, or when a cohort
    could not be evaluated and no card is left to say so.
    No cards for a patient whose chart says not to be approached for research.
    """
    served = services.definitions.now
    if not served.trials:
        raise Unavailable("No trial definition is loaded.")
    served = served.offered
    now = services.clock()
    drafts = _drafts(hook, offer)
    # An order that no trial can ask about changes nothing; then the EHR is spared all but what is always needed.
    parts = offer.prefetch if drafts is None or drafts.may_matter(served.catalogue) else offer.required
    until = started + services.settings.deadline * (1 - KEPT_BACK)
    shown = Shown(caller.ehr.name, caller.tenant, hook.patient_id, hook.user_id)
    call = Call(shown, offer.id, caller.ehr, services, served, base, now, caller.closing)
    try:
        with services.metrics.phase("chart"):
            chart = await _chart(hook, parts, drafts, caller, services, until)
        cards, assessment = await _cards(call, chart, drafts)
    except ChartUnavailable:
        await services.audit.note(call.audited("chart-unavailable"), now)
        raise
    if not cards:
        await services.audit.note(call.audited("no-cards"), now, (*call.closing, *call.listed(assessment.reading)))
        return response(())
    with services.metrics.phase("record"):
        await write_down(call, assessment, "cards", _to_keep(cards, services))
    return response([card for card, _ in cards], call.texts)


Said = tuple[Card, str]  # a card, and what must be remembered of what it said


async def _cards(call: Call, chart: Chart, drafts: Drafts | None) -> tuple[list[Said], Assessment]:
    """What is worth showing, and what it rests on; ChartUnavailable where an empty list would be a lie."""
    services, catalogue = call.services, call.served.catalogue
    # For an order that may change nothing the chart is not read as a whole.
    assessment = await assess(call, chart, is_whole=drafts is None)
    found = assessment.found
    if not found.approachable:
        return [], assessment
    with services.metrics.phase("cards"):
        if drafts is None:
            _count(found, call.served, services)
            cards = await _cards_of_matches(call, found, catalogue, assessment.dismissed)
        else:
            cards = await _cards_of_orders(call, assessment, catalogue, chart, drafts)
    if not cards and has_unevaluated(found):
        raise ChartUnavailable("The patient's conditions could not be read, so no trial could be evaluated.")
    return cards, assessment


async def _cards_of_matches(call: Call, found: Match, catalogue: Catalogue, dismissed: Dismissed) -> list[Said]:
    silent = await silent_trials(call, found, dismissed)
    cards = cards_for(
        found,
        catalogue,
        new_uuid=_new_uuid,
        link_to=call.link_to,
        most=call.services.settings.max_cards,
        silent=silent,
        match_extension=call.ehr.match_extension,
        texts=call.card_texts,
        contact_for=call.services.profile.contact_for,
    )
    call.services.metrics.snoozed.inc(len(silent))
    return [(card, what_it_said(card.trial, found.concepts_hash) if card.trial else "") for card in cards]


async def _cards_of_orders(
    call: Call, assessment: Assessment, catalogue: Catalogue, chart: Chart, drafts: Drafts
) -> list[Said]:
    """The effect of the orders; none on a trial that was set aside for good, or that was warned of already."""
    judged, found, dismissed = assessment.judged, assessment.found, assessment.dismissed
    orders = planned(drafts, judged.chart, catalogue, call.at)
    effects = effects_of_orders(judged, chart, call.served, call.at, orders, ranked(found, catalogue))
    if not effects:
        return []
    for_everyone = await call.services.records.dismissed(call.shown, call.now, for_everyone=True)
    everyone = await silent_trials(call, found, for_everyone)
    concepts = found.concepts_hash
    warned = {
        effect.now.trial.id
        for effect in effects
        if any(warns_of_the_same(said, effect, concepts) for said in dismissed.get(effect.now.trial.id, ()))
    }
    cards = order_cards_for(
        effects,
        found,
        catalogue,
        new_uuid=_new_uuid,
        link_to=call.link_to,
        most=call.services.settings.max_cards,
        silent=everyone | warned,
        match_extension=call.ehr.match_extension,
        texts=call.card_texts,
        contact_for=call.services.profile.contact_for,
    )
    call.services.metrics.snoozed.inc(len(warned))
    return [(card, what_the_order_would_do(effect, found.concepts_hash) if effect else "") for card, effect in cards]


def _new_uuid() -> str:
    return str(uuid.uuid4())


def _drafts(hook: HookRequest, offer: Offer) -> Drafts | None:
    """The orders that the call is about; None where it is about none."""
    if hook.draft_orders is None:
        return None
    selected = hook.selections if offer.hook in NEEDS_SELECTIONS else None
    try:
        return read_drafts(bytes(hook.draft_orders), hook.patient_id, selected)
    except ChartError as error:
        raise Unusable(error.message, "context.draftOrders") from None


async def _chart(
    hook: HookRequest,
    parts: Sequence[Prefetch],
    drafts: Drafts | None,
    caller: Caller,
    services: Services,
    deadline: float,
) -> Chart:
    builder = ChartBuilder(hook.patient_id, caller.ehr.servers(hook.fhir_server))
    if drafts and drafts.medications:
        builder.add(drafts.medications, "Medication")
    if drafts:
        builder.want_medications(drafts.wanted)
    access = access_for(hook, caller.ehr, services.outbound, deadline)
    try:
        await complete_chart(hook, parts, builder, caller.ehr, access, services.metrics, services.definitions.now)
        return builder.build()
    except ChartError as error:
        if error.code == "other-patient":
            raise Unusable("The Patient that was sent is not the patient of the context.", "prefetch.patient") from None
        if error.code == "none-assigned":
            raise ChartUnavailable(_capital(error.message) + _SERVERS_HINT) from None
        key = next(part.key for part in parts if part.resource_type == "Patient")
        message = f"The Patient could not be read, neither from the prefetch ({key}) nor from the FHIR server."
        raise ChartUnavailable(message) from None


_SERVERS_HINT = (
    ". References that hold a server's address are assigned only if fhir_servers of the EHR's entry lists that address."
)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _to_keep(cards: Sequence[Said], services: Services) -> list[NewCard]:
    kept = [_new_card(card.uuid, card.trial, said) for card, said in cards if card.trial]
    for card in kept:
        services.metrics.cards.labels(card.trial, card.verdict).inc()
    return kept


def _new_card(card: str, found: TrialMatch, said: str) -> NewCard:
    return NewCard(
        id=card,
        trial=found.trial.id,
        definition_version=found.trial.version,
        definition_hash=found.trial.hash,
        verdict=found.verdict.value,
        said=said,
        evidence=tuple(dict.fromkeys(sources_of(found))),
    )


def _count(found: Match, served: Served, services: Services) -> None:
    for trial in found.trials:
        services.metrics.matches.labels("*" if served.are_many else trial.trial.id, trial.verdict.value).inc()
    if served.are_many:
        rest = len(served.trials) - len(found.trials)
        services.metrics.matches.labels("*", Verdict.NOT_INDICATED.value).inc(rest)
    # Of many those that are out of the question were not worked out.
    known = [trial for trial in found.trials if not served.are_many or trial.verdict.is_candidate]
    findings = (finding for trial in known for cohort in trial.cohorts for finding in cohort.findings)
    for reason, count in Counter(finding.reason for finding in findings if finding.reason).items():
        services.metrics.unknowns.labels(reason.value).inc(count)
    for source in found.sources:
        if source.not_understood:
            count = sum(number for _, number in source.not_understood)
            services.metrics.not_understood.labels(source.resource_type).inc(count)

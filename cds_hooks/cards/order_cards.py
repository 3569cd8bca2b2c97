"""The cards of the order hooks: which match an order would close, until when, and what would keep it open.

A card informs, and never advises against treatment: that the patient needs the drug outweighs any trial, and every
card says so.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from cds_hooks.cards.detail import DetailWriter
from cds_hooks.cards.fitting import Part, fitted
from cds_hooks.cards.trial_cards import (
    EXTENSION,
    LONGEST_SUMMARY,
    Card,
    ContactFor,
    LinkTo,
    NewUuid,
    links_of,
    more_card,
    override_reasons_of,
    source_of,
)
from cds_hooks.fhir.fhir_drafts import referral
from cds_hooks.report import Json, trial_entry
from cds_hooks.words.brief import Brief
from cds_hooks.words.order_words import OrderWords
from cds_hooks.words.safe_text import markdown, plain, shortened
from cds_hooks.words.texts import Texts
from cds_hooks.words.titles import Titles, titles_of
from mappings.concepts.catalogue import Catalogue
from trial_defs.engine.findings import Match
from trial_defs.planning.order_effect import OrderEffect

EFFECT_EXTENSION = "org.trialcards.order-effect"


def order_cards_for(
    effects: Sequence[OrderEffect],
    match: Match,
    catalogue: Catalogue,
    *,
    new_uuid: NewUuid,
    link_to: LinkTo = lambda _: None,
    most: int = 3,
    silent: Collection[str] = (),
    match_extension: bool = True,
    contact_for: ContactFor = lambda _: None,
    texts: Texts | None = None,
) -> tuple[tuple[Card, OrderEffect | None], ...]:
    """One card for each effect on a trial that is not in `silent`, and one that says how many more there are."""
    titles = titles_of(catalogue, texts)
    writer = DetailWriter(match, catalogue, Brief(titles))
    maker = _Maker(match, titles, new_uuid, link_to, match_extension, writer, contact_for)
    shown = [effect for effect in effects if effect.now.trial.id not in silent]
    cards: list[tuple[Card, OrderEffect | None]] = [(maker.card(effect), effect) for effect in shown[:most]]
    if len(shown) > most:
        rest = [effect.now for effect in shown[most:]]
        summary = writer.texts.count("order.more", len(rest))
        cards.append((more_card(new_uuid(), summary, rest, link_to, writer), None))
    return tuple(cards)


@dataclass(frozen=True, slots=True)
class _Maker:
    match: Match
    titles: Titles
    new_uuid: NewUuid
    link_to: LinkTo
    match_extension: bool
    writer: DetailWriter
    contact_for: ContactFor

    def card(self, effect: OrderEffect) -> Card:
        uuid = self.new_uuid()
        suggestion = self._ask_first(effect)
        body: Json = {
            "uuid": uuid,
            "summary": summary_of(effect, self.writer.brief),
            "indicator": "info",
            "source": source_of(effect.now.trial, self.writer.texts),
            "detail": self._detail(effect),
            "suggestions": [suggestion],
            "selectionBehavior": "any",
            "overrideReasons": override_reasons_of(self.writer.texts),
        }
        if links := links_of(effect.now, self.link_to, self.writer.texts):
            body["links"] = links
        if self.match_extension:
            entry = trial_entry(effect.now, self.titles, indicated_only=True)
            body["extension"] = {EXTENSION: entry, EFFECT_EXTENSION: _effect(effect)}
        return Card(uuid, effect.now, (suggestion["uuid"],), body)

    def _detail(self, effect: OrderEffect) -> str:
        texts, words = self.writer.texts, OrderWords(effect, self.writer.brief)
        heading = "order.not-met" if effect.closes else "order.open"
        return fitted(
            [
                Part([markdown(words.closing(), 300)], 0),
                Part([texts("order.care-first")], 1),
                Part(_lists(texts, heading, words.changed()), 2),
                Part([texts("order.until", items=markdown(words.endings(), 300))], 3),
                Part(_lists(texts, "order.keeping", words.keeping_open()), 6),
                Part(_lists(texts, "order.read-as", words.orders()), 5),
                Part([self.writer.status(effect.now)], 7),
                Part(self.writer.contact(self.contact_for(effect.now.trial.id)), 8),
                Part(self.writer.unread(effect.now), 4),
            ]
        )

    def _ask_first(self, effect: OrderEffect) -> Json:
        trial, texts = effect.now.trial, self.writer.texts
        name = f"{texts.translated(trial.short_title)} ({trial.id})"
        label = plain(texts("order.ask-team", trial=name), 200)
        reason = texts("order.ask-reason", order=OrderWords(effect, self.writer.brief).names, trial=name)
        action = {
            "type": "create",
            "description": label,
            "resource": referral(trial, self.match.patient, reason, texts=texts),
        }
        return {"label": label, "uuid": self.new_uuid(), "actions": [action]}


def _lists(texts: Texts, key: str, items: Sequence[str]) -> list[str]:
    """The line with all items, then with fewer."""
    shown = [markdown(item, 240) for item in items]
    return [texts(key, items=texts.first_of(shown, most)) for most in range(len(shown), 0, -1)]


def summary_of(effect: OrderEffect, brief: Brief) -> str:
    """One sentence under 140 characters: the order, the trial, until when."""
    trial, texts = effect.now.trial, brief.texts
    order = shortened(plain(OrderWords(effect, brief).names), 40)
    key = "postpones" if effect.postpones else "closes" if effect.closes else "leaves-open"
    said = texts(f"order.summary.{key}", order=order, trial="\0", end=f"({trial.id}){_end(effect, texts)}")
    return said.replace("\0", shortened(plain(texts.translated(trial.short_title)), LONGEST_SUMMARY - len(said)))


def _end(effect: OrderEffect, texts: Texts) -> str:
    if effect.lasts_while_given:
        return texts("order.summary.while-given")
    if effect.until:
        key = "order.summary.until-at-least" if effect.goes_on else "order.summary.until"
        return texts(key, day=texts.day(effect.until))
    if effect.closes:
        return texts("order.summary.while-given" if effect.goes_on else "order.summary.no-end")
    return ""


def _effect(effect: OrderEffect) -> Json:
    """The same for machines; what does not apply is left out."""
    found: Json = {
        "cohort": effect.before.cohort.id,
        "verdict": effect.before.verdict.value,
        "verdictIfSigned": effect.after.verdict.value,
        "criteria": [finding.criterion.id for finding in effect.all_changed],
        "orders": [order.source for order in effect.orders],
        "since": effect.since.isoformat(),
        "goesOn": effect.goes_on,
    }
    return found | ({"until": effect.until.isoformat()} if effect.until else {})

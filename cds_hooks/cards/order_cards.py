"""The cards of the order hooks: which match an order would close, until when, and what would keep it open.

A card informs, and never advises against treatment: that the patient needs the drug outweighs any trial, and every
card says so.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from cds_hooks.cards.detail import Section, fitted, status_line, unread_sections, verdict_line
from cds_hooks.cards.trial_cards import (
    EXTENSION,
    LONGEST_SUMMARY,
    OVERRIDE_REASONS,
    Card,
    LinkTo,
    NewUuid,
    links_of,
    more_card,
    source_of,
)
from cds_hooks.fhir.fhir_drafts import referral
from cds_hooks.report import Json, trial_entry
from cds_hooks.words.order_words import changed_line, closing_words, endings, keeping_open, named, order_lines
from cds_hooks.words.safe_text import markdown, plain, shortened
from cds_hooks.words.wording import Titles, short_title, titles_of
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
) -> tuple[tuple[Card, OrderEffect | None], ...]:
    """One card for each effect on a trial that is not in `silent`, and one that says how many more there are."""
    maker = _Maker(match, titles_of(catalogue), new_uuid, link_to, match_extension)
    shown = [effect for effect in effects if effect.now.trial.id not in silent]
    cards: list[tuple[Card, OrderEffect | None]] = [(maker.card(effect), effect) for effect in shown[:most]]
    if len(shown) > most:
        rest = [effect.now for effect in shown[most:]]
        summary = f"The order would close {len(rest)} more trial{'s' if len(rest) > 1 else ''} to this patient"
        cards.append((more_card(new_uuid(), summary, rest, link_to), None))
    return tuple(cards)


@dataclass(frozen=True, slots=True)
class _Maker:
    match: Match
    titles: Titles
    new_uuid: NewUuid
    link_to: LinkTo
    match_extension: bool

    def card(self, effect: OrderEffect) -> Card:
        uuid = self.new_uuid()
        suggestion = self._ask_first(effect)
        body: Json = {
            "uuid": uuid,
            "summary": summary_of(effect, self.titles),
            "indicator": "info",
            "source": source_of(effect.now.trial),
            "detail": self._detail(effect),
            "suggestions": [suggestion],
            "selectionBehavior": "any",
            "overrideReasons": OVERRIDE_REASONS,
        }
        if links := links_of(effect.now, self.link_to):
            body["links"] = links
        if self.match_extension:
            entry = trial_entry(effect.now, self.titles, indicated_only=True)
            body["extension"] = {EXTENSION: entry, EFFECT_EXTENSION: _effect(effect)}
        return Card(uuid, effect.now, (suggestion["uuid"],), body)

    def _detail(self, effect: OrderEffect) -> str:
        def brief(concept: str) -> str:
            return short_title(self.titles(concept))

        heading = "Would no longer be met" if effect.closes else "Would be open"
        lines = [markdown(changed_line(finding, effect, brief), 300) for finding in effect.all_changed]
        sections = [
            Section("If signed", order_lines(effect, self.titles)),
            Section(heading, lines),
            Section("Until when", [markdown(line, 400) for line in endings(effect, self.titles)]),
            Section("What would keep it open", [markdown(line, 300) for line in keeping_open(effect, self.titles)]),
            Section("The match without the order", [verdict_line(effect.before)]),
            *unread_sections(self.match),
        ]
        closing = (
            "*What the patient needs comes first: this is no advice against the order, and the study team decides "
            "about the trial.*"
        )
        opening = [markdown(closing_words(effect, self.titles), 400), status_line(self.match, effect.now), closing]
        return fitted(opening, [section for section in sections if section.lines])

    def _ask_first(self, effect: OrderEffect) -> Json:
        trial = effect.now.trial
        name = f"{trial.short_title} ({trial.id})"
        label = plain(f"Ask the study team first: {name}", 200)
        reason = (
            f"Planned: {named(effect.orders, self.titles)}. It may close {name} to this patient: is timing possible?"
        )
        action = {"type": "create", "description": label, "resource": referral(trial, self.match.patient, reason)}
        return {"label": label, "uuid": self.new_uuid(), "actions": [action]}


def summary_of(effect: OrderEffect, titles: Titles) -> str:
    """One sentence under 140 characters: the order, the trial, until when."""
    trial = effect.now.trial
    order = shortened(plain(named(effect.orders, titles)), 40)
    verb = "put off" if effect.postpones else "close" if effect.closes else "leave open"
    end = f" ({trial.id}){_end(effect)}"
    start = f"{order} would {verb} "
    return start + shortened(plain(trial.short_title), LONGEST_SUMMARY - len(start) - len(end)) + end


def _end(effect: OrderEffect) -> str:
    if effect.lasts_while_given:
        return " while it is given"
    if effect.until:
        return f" until {'at least ' if effect.goes_on else ''}{effect.until}"
    if effect.closes:
        return " while it is given" if effect.goes_on else ", with no end in sight"
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

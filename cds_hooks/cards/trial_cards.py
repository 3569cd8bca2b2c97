"""From matches to cards: which trials are shown, in what order, and what each card says and offers.

One card for each trial worth a conversation, best first, and one that says how many more there are. What the detail
says, and in what order, is in `detail.py`; every word of a finding in `wording.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache
from itertools import islice
from typing import Any

import msgspec

from cds_hooks.cards.detail import DetailWriter
from cds_hooks.fhir.fhir_drafts import referral, test_order
from cds_hooks.protocol import override_reasons
from cds_hooks.protocol.contact import Contact
from cds_hooks.report import Json, trial_entry
from cds_hooks.words.brief import Brief
from cds_hooks.words.safe_text import plain, shortened
from cds_hooks.words.texts import Texts, capitalized, texts_of
from cds_hooks.words.titles import Titles, titles_of
from cds_hooks.words.wording import is_overdue
from mappings.concepts.catalogue import Catalogue
from mappings.facts import Reason
from trial_defs.definition import expressions as x
from trial_defs.engine.findings import CohortMatch, Finding, Match, Outcome, TrialMatch, Verdict
from trial_defs.planning.needs import Need, best_cohort, effort_of, needs_of

SOURCE = "TrialCards"
TRIAL_SYSTEM = "https://trialcards.org/fhir/CodeSystem/trial"
EXTENSION = "org.trialcards.match"

LONGEST_SUMMARY = 139  # CDS Hooks: under 140 characters
_SHORTEST_TITLE = 24  # characters that a trial's title keeps in it
MOST_SUGGESTIONS = 5
LARGEST_RESPONSE = 256 * 1024 - 1
MORE_TOPIC = "MORETRIALS"


@lru_cache
def override_reasons_of(texts: Texts) -> list[Json]:
    """The coded reasons for which a card may be set aside. Never to be changed."""
    return [
        {"code": each.code, "system": override_reasons.SYSTEM, "display": texts(f"override.{each.code}")}
        for each in override_reasons.OVERRIDES
    ]


@dataclass(frozen=True, slots=True)
class Link:
    """Where the full explanation opens: an absolute address, or a SMART app with its context."""

    url: str
    smart: bool = False
    app_context: str | None = None


@dataclass(frozen=True, slots=True)
class Card:
    """One card as sent, with what must be remembered of it. `trial` is None for the card that counts the others."""

    uuid: str
    trial: TrialMatch | None
    suggestions: tuple[str, ...]  # their uuids
    body: Json


NewUuid = Callable[[], str]
LinkTo = Callable[[TrialMatch | None], Link | None]
ContactFor = Callable[[str], Contact | None]  # the id of a trial -> whom to call about it


def cards_for(
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
) -> tuple[Card, ...]:
    """The cards of one answer, best first.

    `link_to` gives the address of the full explanation of one trial, or of all (None). `silent` are the ids of trials
    that a user has set aside; they are neither shown nor counted. `contact_for` says whom to call about a trial, by
    its id. `texts`: of the reader's language, default English. Only `new_uuid` differs between calls.
    """
    titles = titles_of(catalogue, texts)
    brief = Brief(titles)
    maker = _Maker(
        match,
        catalogue,
        titles,
        new_uuid,
        link_to,
        match_extension,
        needs_of(match.trials, catalogue),
        DetailWriter(match, catalogue, brief),
        contact_for,
    )
    shown = [trial for trial in ranked(match, catalogue) if trial.trial.id not in silent]
    cards = [maker.card(trial) for trial in shown[:most]]
    if len(shown) > most:
        rest = shown[most:]
        summary = brief.texts.count("summary.more", len(rest))
        cards.append(more_card(new_uuid(), summary, rest, link_to, maker.detail))
    return tuple(cards)


def has_unevaluated(match: Match) -> bool:
    """Whether some cohort could not be evaluated because something could not be read: no cards would then be a lie.

    Not so for a patient who is not to be approached: that there is no card is then the whole answer. A Condition that
    arrived and was not understood is counted elsewhere (`sources`, `trialcards gaps`).
    """
    unread = any(s.resource_type in ("Patient", "Condition") and s.state != "complete" for s in match.sources)
    return (
        match.approachable
        and unread
        and any(c.verdict is Verdict.COULD_NOT_EVALUATE for trial in match.trials for c in trial.cohorts)
    )


def ranked(match: Match, catalogue: Catalogue) -> list[TrialMatch]:
    """The trials worth a card: by verdict, then those that recruit, then the least work left, then by id.

    None for a patient who is not to be approached for research.
    """
    if not match.approachable:
        return []
    today = match.as_of.date()
    worth = [trial for trial in match.trials if trial.verdict.is_candidate]
    return sorted(worth, key=lambda trial: _rank(trial, today, catalogue))


def _rank(match: TrialMatch, today: date, catalogue: Catalogue) -> tuple[int, bool, int, str]:
    trial = match.trial
    waits = trial.status != "recruiting" or is_overdue(trial, today)
    return match.verdict.rank, waits, effort_of(best_cohort(match, catalogue), catalogue), trial.id


@dataclass(frozen=True, slots=True)
class _Maker:
    """Makes the cards of one answer."""

    match: Match
    catalogue: Catalogue
    titles: Titles
    new_uuid: NewUuid
    link_to: LinkTo
    match_extension: bool
    needs: Sequence[Need]
    detail: DetailWriter
    contact_for: ContactFor

    def card(self, trial: TrialMatch) -> Card:
        uuid = self.new_uuid()
        cohort = best_cohort(trial, self.catalogue)
        contact = self.contact_for(trial.trial.id)
        suggestions = self._suggestions(trial, cohort, contact.performer if contact else "")
        body: Json = {
            "uuid": uuid,
            "summary": summary_of(trial, cohort, self.detail.brief, self.match.as_of.date()),
            "indicator": "info",
            "source": source_of(trial.trial, self.detail.texts),
            "detail": self.detail.of_trial(trial, cohort, contact),
            "suggestions": suggestions,
            "selectionBehavior": "any",
            "overrideReasons": override_reasons_of(self.detail.texts),
        }
        if links := links_of(trial, self.link_to, self.detail.texts):
            body["links"] = links
        if self.match_extension:
            body["extension"] = {EXTENSION: trial_entry(trial, self.titles, indicated_only=True)}
        return Card(uuid, trial, tuple(s["uuid"] for s in suggestions), body)

    def _suggestions(self, trial: TrialMatch, cohort: CohortMatch, performer: str) -> list[Json]:
        texts = self.detail.texts
        name = f"{texts.translated(trial.trial.short_title)} ({trial.trial.id})"
        verdict = capitalized(texts(f"verdict.{cohort.verdict.value}"))
        reason = texts("suggest.refer-reason", verdict=verdict, name=name, day=texts.day(self.match.as_of.date()))
        draft = referral(trial.trial, self.match.patient, reason, performer, texts)
        suggestions = [self._suggestion(texts("suggest.refer", name=name), draft, recommended=True)]
        wanted = (n for n in self.needs if n.can_be_ordered and any(t == trial.trial.id for t, _, _ in n.settles))
        for need in islice(wanted, MOST_SUGGESTIONS - 1):
            why = texts("suggest.order-reason", name=name)
            order = test_order(need, self.catalogue, self.match.patient, why, texts)
            here = len({criterion for t, _, criterion in need.settles if t == trial.trial.id})
            label = texts.count("suggest.order", here, test=self.titles.test(need))
            suggestions.append(self._suggestion(label, order))
        return suggestions

    def _suggestion(self, label: str, resource: Json, *, recommended: bool = False) -> Json:
        label = plain(label, 200)
        suggestion: Json = {
            "label": label,
            "uuid": self.new_uuid(),
            "actions": [{"type": "create", "description": label, "resource": resource}],
        }
        return suggestion | ({"isRecommended": True} if recommended else {})


def more_card(uuid: str, summary: str, trials: Sequence[TrialMatch], link_to: LinkTo, detail: DetailWriter) -> Card:
    """The card that stands for the trials without one of their own."""
    topic = {"code": MORE_TOPIC, "system": TRIAL_SYSTEM, "display": detail.texts("topic.more")}
    body: Json = {
        "uuid": uuid,
        "summary": summary,
        "indicator": "info",
        "source": {"label": SOURCE, "topic": topic},
        "detail": detail.of_others(trials),
    }
    if link := link_to(None):
        body["links"] = [_link(detail.texts("link.all"), link)]
    return Card(uuid, None, (), body)


def source_of(trial: x.Trial, texts: Texts) -> Json:
    display = plain(f"{texts.translated(trial.short_title)} ({trial.id})", 200)
    return {"label": SOURCE, "topic": {"code": topic_code(trial.id), "system": TRIAL_SYSTEM, "display": display}}


def links_of(trial: TrialMatch, link_to: LinkTo, texts: Texts) -> list[Json]:
    """The registry entry, and the full explanation where one is kept."""
    links: list[Json] = []
    if trial.trial.registry_url:
        label = texts("link.registry", trial=trial.trial.id)
        links.append({"label": label, "url": trial.trial.registry_url, "type": "absolute"})
    if link := link_to(trial):
        links.append(_link(texts("link.explanation"), link))
    return links


def _link(label: str, link: Link) -> Json:
    made: Json = {"label": label, "url": link.url, "type": "smart" if link.smart else "absolute"}
    return made | ({"appContext": link.app_context} if link.smart and link.app_context else {})


def topic_code(trial_id: str) -> str:
    """The trial id in letters and digits only: EHRs that remember overrides by topic accept no hyphen."""
    return re.sub(r"[^A-Za-z0-9]", "", trial_id)


def summary_of(trial: TrialMatch, cohort: CohortMatch, brief: Brief, today: date) -> str:
    """One sentence under 140 characters: the trial, its verdict, what decides next, and doubts about recruiting."""
    texts = brief.texts
    label = texts(f"verdict.{cohort.verdict.value}")
    said = texts("summary", trial=trial.trial.id, verdict=label, next=_next(cohort, brief))
    doubt = ""
    if is_overdue(trial.trial, today):
        doubt = texts("summary.overdue", said=said)
    elif trial.trial.status == "not-yet-recruiting":
        doubt = texts("summary.not-yet-recruiting", said=said)
    # A phrase is left out rather than cut: the detail has the doubt too.
    said = next((each for each in (doubt, said) if each and len(each) <= LONGEST_SUMMARY - _SHORTEST_TITLE), said)
    said = shortened(plain(said, LONGEST_SUMMARY), LONGEST_SUMMARY - _SHORTEST_TITLE)
    title = shortened(plain(texts.translated(trial.trial.short_title)), LONGEST_SUMMARY - 1 - len(said))
    return f"{title} {said}"


def _next(cohort: CohortMatch, brief: Brief) -> str:
    texts = brief.texts
    unknown, judged = cohort.of(Outcome.UNKNOWN), len(cohort.of(Outcome.NEEDS_HUMAN))
    match cohort.verdict:
        case Verdict.NEAR_MISS:
            return _gap(cohort, brief)
        case Verdict.POSSIBLY_ELIGIBLE:
            return _count_open(unknown, texts)
        case _ if unknown or judged:
            return texts.count("summary.questions", judged)
        case _:
            return texts("summary.nothing-open")


def _count_open(unknown: Sequence[Finding], texts: Texts) -> str:
    pieces = [piece for finding in unknown for piece in finding.still_open if piece.reason]
    results = all(isinstance(p.leaf, x.Value | x.Change) and p.reason is Reason.MISSING for p in pieces)
    return texts.count("summary.results-missing" if pieces and results else "summary.points-open", len(unknown))


def _gap(cohort: CohortMatch, brief: Brief) -> str:
    texts, missed = brief.texts, cohort.of(Outcome.NOT_MET)
    names = list(dict.fromkeys(brief.subject(leaf) for finding in missed for leaf in finding.decided_by[:1]))
    what = texts.join(names) or texts.count("summary.criteria-missed", len(missed))
    if cohort.recheck_on:
        return texts("summary.gap-until", names=what, day=texts.day(cohort.recheck_on))
    return texts("summary.gap", names=what)


# -- the answer -------------------------------------------------------------------------------------------------------


def response(cards: Sequence[Card], texts: Texts | None = None) -> bytes:
    """The body of the answer. Where it would grow too large, the last cards lose their match extension, and say so."""
    texts = texts or texts_of()
    cards = list(cards)
    for index in reversed(range(len(cards))):
        body = msgspec.json.encode({"cards": [card.body for card in cards]})
        if len(body) <= LARGEST_RESPONSE:
            return body
        cards[index] = _without_extension(cards[index], texts)
    return msgspec.json.encode({"cards": [card.body for card in cards]})


def _without_extension(card: Card, texts: Texts) -> Card:
    if "extension" not in card.body:
        return card
    body: dict[str, Any] = {name: value for name, value in card.body.items() if name != "extension"}
    return replace(card, body=body | {"detail": f"{body['detail']}\n\n{texts('card.left-out')}"})

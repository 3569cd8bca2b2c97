"""The Markdown of a card: what a clinician with thirty seconds needs, the most decisive first (`fitting.py` says how
much). The explanation has the rest.

Every piece of text passes through `markdown`, so that neither a chart nor a definition can bring structure, links or
HTML of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from cds_hooks.cards.fitting import Part, fitted
from cds_hooks.protocol.contact import Contact
from cds_hooks.protocol.services import READ_TYPES
from cds_hooks.words.brief import Brief, Question
from cds_hooks.words.groups import absences, concerns, group_words
from cds_hooks.words.safe_text import markdown
from cds_hooks.words.texts import Texts, capitalized
from cds_hooks.words.wording import definition_words, recruiting_words
from mappings.concepts.catalogue import Catalogue
from mappings.facts import Reason, SourceReport
from mappings.resource_types import BY_NAME
from trial_defs.definition import expressions as x
from trial_defs.engine.findings import Basis, CohortMatch, Finding, Match, Open, Outcome, TrialMatch, Verdict
from trial_defs.planning.needs import Need, concepts_of_open, needs_of

MOST_QUESTIONS = 3
_MOST_UNREAD = 2  # of what was not read, the worst are named
_MOST_GROUPS = 6
_ITEM = 160  # characters of one item
_LONG_QUESTION = 12  # words; a shorter one is asked before it
# Said in the line of what was not read.
_OF_READING = (Reason.NOT_READABLE, Reason.NOT_UNDERSTOOD)


@dataclass(frozen=True, slots=True)
class DetailWriter:
    """Writes the details of the cards of one answer."""

    match: Match
    catalogue: Catalogue
    brief: Brief

    @property
    def texts(self) -> Texts:
        return self.brief.texts

    def of_trial(self, trial: TrialMatch, cohort: CohortMatch, contact: Contact | None = None) -> str:
        """The detail of one trial's card, about that cohort."""
        return fitted(
            [
                Part([self._verdict(trial, cohort)], 0),
                Part(self._not_met(cohort), 1),
                Part(self._missing(trial, cohort), 3),
                Part(self._questions(cohort), 7),
                Part(self.contact(contact), 4),
                Part(self.unread(trial), 2),
                Part(self._absent(cohort), 5),
                Part(self._answered(cohort), 6),
            ]
        )

    def of_others(self, trials: Iterable[TrialMatch]) -> str:
        """The trials that have no card of their own, one a line."""
        lines = [
            f"- {markdown(self.texts.translated(t.trial.short_title))} ({markdown(t.trial.id)}): {self._label(t)}"
            for t in trials
        ]
        more = (
            "\n".join([*lines[:most], f"- {self.texts('card.more', count=len(lines) - most)}"])
            for most in range(len(lines) - 1, 0, -1)
        )
        return fitted([Part(["\n".join(lines), *more, ""])])

    # Verdict

    def _label(self, found: TrialMatch | CohortMatch) -> str:
        return self.texts(f"verdict.{found.verdict.value}")

    def verdict(self, cohort: CohortMatch) -> str:
        """ "**Near miss** – Moderate lupus: 58 of 68 met."."""
        label = self._label(cohort)
        asked = len(cohort.findings) - len(cohort.of(Outcome.NOT_APPLICABLE))
        return self.texts(
            "card.verdict",
            verdict=capitalized(label),
            cohort=markdown(self.texts.translated(cohort.cohort.title), 120),
            met=len(cohort.of(Outcome.MET)),
            asked=asked,
        )

    def _verdict(self, trial: TrialMatch, cohort: CohortMatch) -> str:
        return f"{self.verdict(cohort)} {self.status(trial)}"

    def status(self, trial: TrialMatch) -> str:
        """Whether the trial recruits, and whether the study team has confirmed the definition."""
        recruiting = recruiting_words(trial.trial, self.match.as_of.date(), self.texts)
        definition = definition_words(trial.trial, self.texts)
        return markdown(self.texts("card.status", recruiting=recruiting, definition=definition), 300)

    # What is not met

    def _not_met(self, cohort: CohortMatch) -> Sequence[str]:
        missed = cohort.of(Outcome.NOT_MET)
        if not missed:
            return []
        said = [self.brief.missed(finding) for finding in missed]
        with_margin = [self.brief.margin(finding, each) for finding, each in zip(missed, said, strict=True)]
        recheck = self.texts("card.recheck", day=self.texts.day(cohort.recheck_on)) if cohort.recheck_on else ""
        longest = [" ".join(filter(None, [self._list(items, len(items)), recheck])) for items in (with_margin, said)]
        return [*longest, *(self._list(said, most) for most in range(len(said), 0, -1))]

    def _list(self, items: Sequence[str], most: int) -> str:
        return self.texts("card.not-met", items=self.texts.first_of([markdown(item, _ITEM) for item in items], most))

    # What is missing

    def _missing(self, trial: TrialMatch, cohort: CohortMatch) -> Sequence[str]:
        """What a test would bring, or somebody else has to settle; and the test that settles the most."""
        needs = needs_of([TrialMatch(trial.trial, cohort.verdict, (cohort,))], self.catalogue)
        items = [*self._failed(cohort), *self._results(cohort, needs)]
        if not items:
            return []
        order = [self._next(needs[0])] if needs else []
        names = [markdown(item, _ITEM) for item in items]
        shown = [self.texts("card.missing", items=self.texts.first_of(names, most)) for most in (9, 6, 4, 3, 2, 1)]
        return [*(" ".join([text, *order]) for text in dict.fromkeys(shown)), shown[-1]]

    def _failed(self, cohort: CohortMatch) -> list[str]:
        """Values that failed, and what may still allow them."""
        return [said for finding in cohort.of(Outcome.UNKNOWN) for said in self.brief.failed(finding)]

    def _results(self, cohort: CohortMatch, needs: Sequence[Need]) -> list[str]:
        """The results that are missing, those that tests bring first, each with why its present one does not do."""
        reasons: dict[str, Reason | None] = {}
        for piece in _pieces(cohort):
            if isinstance(piece.leaf, x.Value | x.Change) and piece.reason not in _OF_READING:
                reasons.setdefault(piece.leaf.concept, piece.reason)
        wanted = [concept for need in needs for concept in need.concepts]
        tested = {c for piece in _pieces(cohort) for c in concepts_of_open(piece)}
        others = [concept for concept in reasons if concept not in tested]
        return [self.brief.open(concept, reasons.get(concept)) for concept in dict.fromkeys([*wanted, *others])]

    def _next(self, need: Need) -> str:
        how = self.texts(f"how.{need.order.how}")
        return self.texts.count(
            "card.next", len(need.settles), test=markdown(self.brief.titles.test(need), 80), how=how
        )

    # Questions

    def _questions(self, cohort: CohortMatch) -> Sequence[str]:
        asked = list(dict.fromkeys(self._asked(cohort)))
        if not asked:
            return []
        best = sorted(asked, key=lambda question: len(question.asked.split()) > _LONG_QUESTION)
        elsewhere = self.texts.count("card.questions-elsewhere", len(asked))
        shown = range(min(MOST_QUESTIONS, len(best)), 0, -1)
        return [*(self._first(best, most, len(asked)) for most in shown), elsewhere]

    def _first(self, questions: Sequence[Question], most: int, count: int) -> str:
        key = "card.questions-all" if most == count else "card.questions"
        return "\n".join([self.texts(key, count=count), *map(_question, questions[:most])])

    def _asked(self, cohort: CohortMatch) -> Iterator[Question]:
        """What only somebody can say: first what keeps the verdict open, then entries to confirm, then judgements."""
        for finding, piece in self._open_pieces(cohort.of(Outcome.UNKNOWN)):
            is_result = isinstance(piece.leaf, x.Value | x.Change)
            if not is_result and piece.reason not in _OF_READING:
                yield self.brief.question(piece, finding.criterion)
        judged = list(self._open_pieces(cohort.of(Outcome.NEEDS_HUMAN)))
        judged.sort(key=lambda pair: isinstance(pair[1].leaf, x.Judgement))
        for finding, piece in judged:
            if not isinstance(piece.leaf, x.Consent):
                yield self.brief.question(piece, finding.criterion)

    def _open_pieces(self, findings: Iterable[Finding]) -> Iterator[tuple[Finding, Open]]:
        for finding in findings:
            for piece in finding.still_open:
                if concerns(x.concepts_of(piece.leaf), self.match.sex, self.catalogue):
                    yield finding, piece

    # Whom to call, what was not read, what was taken as absent

    def contact(self, contact: Contact | None) -> Sequence[str]:
        if contact is None:
            return []
        said = [", ".join(filter(None, parts)) for parts in ([contact.name, contact.phone], [contact.name])]
        return [self.texts("card.contact", contact=markdown(each, 120)) for each in dict.fromkeys(said)]

    def unread(self, trial: TrialMatch) -> Sequence[str]:
        """What was not read or not understood, for what it leaves open: the two worst, then a count."""
        items = [*self._unread(), *self._not_understood(), *self._not_evaluated(trial)]
        if not items:
            return []
        names = [markdown(item, 100) for item in items]
        return [self.texts("card.unread", items=self.texts.first_of(names, most)) for most in (_MOST_UNREAD, 1)]

    def _unread(self) -> list[str]:
        worst = sorted(filter(_matters, self.match.sources), key=lambda source: _WORST.index(source.state))
        return [self.texts(f"state.{s.state}", type=self._type(s)) for s in worst]

    def _not_understood(self) -> list[str]:
        counts = [(sum(n for _, n in s.not_understood), s) for s in self.match.sources if s.not_understood]
        counts.sort(key=lambda pair: -pair[0])
        return [self.texts.count("card.not-understood", number, type=self._type(s)) for number, s in counts]

    def _type(self, source: SourceReport) -> str:
        key = f"type.{source.resource_type}"
        return self.texts(key) if self.texts.has(key) else BY_NAME[source.resource_type].words

    def _not_evaluated(self, trial: TrialMatch) -> list[str]:
        here = [self.texts.translated(c.cohort.title) for c in trial.cohorts if c.verdict is Verdict.COULD_NOT_EVALUATE]
        elsewhere = [
            t.trial.id
            for t in self.match.trials
            if t.trial.id != trial.trial.id and any(c.verdict is Verdict.COULD_NOT_EVALUATE for c in t.cohorts)
        ]
        names = [*here, *elsewhere]
        return [self.texts("card.not-evaluated", names=self.texts.first_of(names, 2))] if names else []

    def _answered(self, cohort: CohortMatch) -> Sequence[str]:
        """How many criteria are met because a person says so; the explanation names each."""
        count = sum(finding.basis is Basis.ATTESTED for finding in cohort.of(Outcome.MET))
        return [self.texts.count("card.answered", count), ""] if count else []

    def _absent(self, cohort: CohortMatch) -> Sequence[str]:
        count, groups = absences(cohort, self.match.sex, self.catalogue)
        if not count:
            return []
        words = [markdown(word, 40) for word in group_words(groups, self.texts)]
        return [self._groups(count, words, most) for most in range(min(_MOST_GROUPS, len(words)), 0, -1)]

    def _groups(self, count: int, words: Sequence[str], most: int) -> str:
        said = self.texts("list.comma").join(words[:most])
        if len(words) > most:
            said = self.texts("card.absent-others", groups=said)
        return self.texts.count("card.absent", count, groups=said)


_WORST = ("failed", "incomplete", "not-requested", "complete")


def _pieces(cohort: CohortMatch) -> Iterator[Open]:
    """The open pieces of criteria that are unknown, but of those with a value that failed: `Brief.failed` says them."""
    for finding in cohort.of(Outcome.UNKNOWN):
        yield from (piece for piece in finding.still_open if piece.reason)


def _question(question: Question) -> str:
    return f"- {markdown(question.asked, _ITEM)}" + (f" *{question.yes}*" if question.yes else "")


def _matters(source: SourceReport) -> bool:
    """Whether something is missing that a criterion may need; what only adds evidence leaves nothing open."""
    name = source.resource_type
    return source.state != "complete" and name in READ_TYPES and BY_NAME[name].read_as != "drug-supply"

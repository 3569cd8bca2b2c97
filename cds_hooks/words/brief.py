"""The words of a card: each finding in a few words, values and limits in the chart's unit, with the limit's direction.

The explanation has the same in whole sentences (`wording.py`). All of it is plain text; the card makes Markdown of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from cds_hooks.words.chart_units import chart_unit
from cds_hooks.words.episodes import day_phrase, episode_phrase
from cds_hooks.words.limits import Needed, calculated, is_wanted
from cds_hooks.words.numbers import interval_in, number_words, period_in, quantity_in
from cds_hooks.words.safe_text import plain
from cds_hooks.words.texts import Texts
from cds_hooks.words.titles import Titles
from cds_hooks.words.wording import short_title
from mappings.facts import Episode, Polarity, Reason, Result
from mappings.time.times import Period
from trial_defs.definition import expressions as x
from trial_defs.engine.findings import Evidence, Failed, Finding, Open, PersonFact


@dataclass(frozen=True, slots=True)
class Question:
    """A question to a person. `yes`: what a yes means for the patient's enrolment; "" where the question says it."""

    asked: str
    yes: str = ""


@dataclass(frozen=True, slots=True)
class Brief:
    """The few words of one card, in one language."""

    titles: Titles

    @property
    def texts(self) -> Texts:
        return self.titles.texts

    def name(self, concept: str) -> str:
        """The abbreviation of a concept, or its title."""
        return short_title(self.titles(concept))

    # Values

    def evidence(self, evidence: Evidence, *, polarity: bool = False, beside: Decimal | None = None) -> str:
        """ "Hemoglobin 5.8 g/dL (2026-10-20)". `beside`: a limit that the number must not seem to equal."""
        match evidence:
            case Result():
                return self._result(evidence, self._value(evidence, polarity, beside))
            case Episode():
                return episode_phrase(evidence, self.name, self.texts, number_words)
            case PersonFact(concept="age", value=age):
                value = self.texts.number(number_words(age)) if age is not None else "?"
                return f"{self.name(evidence.concept)} {value}"
            case PersonFact():
                return f"{self.name(evidence.concept)} {self.texts.translated(evidence.recorded)}"

    def _result(self, result: Result, value: str) -> str:
        name = self.name(result.concept)
        if result.taken is None:
            return self.texts("brief.undated", name=name, value=value)
        return self.texts("brief.dated", name=name, value=value, day=day_phrase(result.taken, self.texts))

    def _value(self, result: Result, polarity: bool, beside: Decimal | None) -> str:
        if result.polarity is not None and (polarity or result.value is None):
            return self.texts(result.polarity.value)
        if unit := chart_unit(result):
            return unit.value(self.texts)
        if result.value is None:
            return plain(result.recorded, 40)
        value = calculated(result.value, beside) if result.formula else result.value
        return interval_in(self.texts, value, result.unit)

    def needed(self, leaf: x.Expression, wanted: bool, evidence: Evidence | None) -> str:
        """ "≥ 6.0": what the value needs to be, in the chart's unit; the opposite of what the text excludes."""
        return Needed(leaf, wanted, evidence, self.texts).short()

    # Findings

    def missed(self, finding: Finding) -> str:
        """What is not met: the value with what it needs, or the entry with the day on which it passes."""
        leaf = next(iter(finding.decided_by), None)
        first = self._of_leaf(finding, leaf)
        if leaf is None or first is None:
            found = self.texts.translated(finding.criterion.text)
        elif isinstance(leaf, x.Value | x.Change | x.Age) and not _is_unsteady(leaf, finding):
            beside = finding.margin.limit if finding.margin else None
            shown = self.evidence(first, polarity=isinstance(getattr(leaf, "test", None), Polarity), beside=beside)
            found = self.texts(
                "brief.needs", value=shown, limit=self.needed(leaf, is_wanted(finding.criterion, leaf), first)
            )
        elif isinstance(leaf, x.Value) and leaf.stable_for:
            limit = self.texts("brief.unchanged", period=self.period(leaf.stable_for))
            found = self.texts("brief.needs", value=self.evidence(first), limit=limit)
        else:
            found = self.evidence(first)
        return self._when(finding, found)

    def _of_leaf(self, finding: Finding, leaf: x.Expression | None) -> Evidence | None:
        """The evidence about a leaf; of a class of drugs the entry has another concept than the leaf."""
        concepts = x.concepts_of(leaf) if leaf else ()
        own = (each for each in finding.evidence if each.concept in concepts)
        return next(own, next(iter(finding.evidence), None))

    def _when(self, finding: Finding, found: str) -> str:
        if finding.turns_on:
            dated = all(isinstance(e, Episode) and e.start and e.start.is_one_day for e in finding.evidence)
            key = "brief.passes-on" if dated else "brief.may-pass-on"
            return self.texts(key, found=found, day=self.texts.day(finding.turns_on))
        after = next((leaf for leaf in finding.decided_by if isinstance(leaf, x.Treatment) and leaf.anchor), None)
        if finding.near and after and after.within:
            return self.texts("brief.repeat-later", found=found, period=self.period(after.within))
        if isinstance(next(iter(finding.decided_by), None), x.Condition | x.Treatment):
            return self.texts("brief.excludes", found=found) if finding.criterion.kind == "exclusion" else found
        return found

    def margin(self, finding: Finding, said: str) -> str:
        """The same with the margin inside which it is a near miss, where there is one."""
        leaf = next((leaf for leaf in finding.decided_by if isinstance(leaf, x.Value)), None)
        amount = self._tolerance(leaf, finding) if leaf and finding.near and not finding.turns_on else ""
        return self.texts("brief.margin", said=said, amount=amount) if amount else said

    def _tolerance(self, leaf: x.Value, finding: Finding) -> str:
        if leaf.tolerance_percent is not None:
            return quantity_in(self.texts, leaf.tolerance_percent, "%")
        if leaf.tolerance is None or not isinstance(leaf.test, x.Bound):
            return ""
        found = self._of_leaf(finding, leaf)
        if isinstance(found, Result) and (unit := chart_unit(found)):
            return quantity_in(self.texts, leaf.tolerance * unit.factor, unit.unit)
        ours = leaf.test.unit if leaf.test.canonical == leaf.test.number else ""
        return quantity_in(self.texts, leaf.tolerance, ours)

    def failed(self, finding: Finding) -> list[str]:
        """Values that failed while something else may still allow them: "Bilirubin 3 mg/dL, needs ≤ 2.4 unless …"."""
        others = self.texts.either(list(dict.fromkeys(self.subject(p.leaf) for p in finding.still_open))[:2])
        return [self._failed(each, others) for each in finding.failed]

    def _failed(self, failed: Failed, others: str) -> str:
        first = failed.evidence[0]
        limit = self.needed(failed.leaf, failed.wanted, first)
        polarity = isinstance(getattr(failed.leaf, "test", None), Polarity)
        value = self.evidence(first, polarity=polarity)
        key = "brief.needs-unless" if others else "brief.needs"
        return self.texts(key, value=value, limit=limit, others=others)

    def open(self, concept: str, reason: Reason | None) -> str:
        """ "Lipase", or "Lipase (too old)"."""
        if reason is None or reason is Reason.MISSING:
            return self.name(concept)
        return self.texts("brief.with-cause", name=self.name(concept), cause=self.texts(f"cause.{reason.value}"))

    def subject(self, leaf: x.Expression) -> str:
        """What a piece is about: its concept, or the first two of several."""
        match leaf:
            case x.Value() | x.Condition() | x.Change():
                return self.name(leaf.concept)
            case x.Treatment():
                names = [self.name(concept) for concept in leaf.concepts]
                return self.texts.either(names) if len(names) < 4 else self.texts.first_of(names, 2)
            case x.Judgement():
                return self.texts.translated(leaf.question).rstrip("?？")
            case x.Consent():
                return self.texts.translated(leaf.step)
            case _:
                return self.texts.either([self.name(concept) for concept in x.concepts_of(leaf)[:2]])

    # Questions

    def question(self, piece: Open, criterion: x.Criterion) -> Question:
        """One question with a clear yes and no, and what a yes would mean."""
        leaf = piece.leaf
        asked = self._asked(leaf, piece.note) if piece.reason or isinstance(leaf, x.Judgement) else self._entry(piece)
        return Question(asked, self.texts("card.yes-needed" if is_wanted(criterion, leaf) else "card.yes-excludes"))

    def _asked(self, leaf: x.Expression, note: str | None = None) -> str:
        name = self.subject(leaf)
        if isinstance(leaf, x.Judgement):
            return self.texts.translated(leaf.question)
        if isinstance(leaf, x.Treatment) and leaf.different > 1:
            known = self.texts("question.note", note=self._note(note)) if note else ""
            return self.texts("question.different", count=leaf.different, name=name, note=known)
        if isinstance(leaf, x.Condition | x.Treatment) and leaf.anchor:
            return self.texts("question.near", name=name)
        when = getattr(leaf, "when", "ever")
        within = getattr(leaf, "within", None)
        if when == "within" and within:
            return self.texts("question.within", name=name, period=self.period(within))
        return self.texts("question.ever" if when == "ever" else "question.now", name=name)

    def _note(self, note: str) -> str:
        return plain(self.texts.translated(note), 60)

    def _entry(self, piece: Open) -> str:
        shown = self.evidence(piece.evidence[0]) if piece.evidence else self.subject(piece.leaf)
        if piece.ask is None:
            return self.texts("question.confirm", name=shown)
        return self.texts("question.entry", name=shown, ask=self.texts.translated(piece.ask).rstrip("?？"))

    def period(self, period: Period) -> str:
        return period_in(self.texts, period)


def _is_unsteady(leaf: x.Expression, finding: Finding) -> bool:
    """Whether a dose within its limits does not pass because it was changed."""
    return isinstance(leaf, x.Value) and leaf.stable_for is not None and finding.margin is None

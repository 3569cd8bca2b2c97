"""What an inclusion asks for: limits, diagnoses, earlier treatment, and the other ways to meet them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from trial_defs.registry import phrases
from trial_defs.registry.criteria import Criteria, Drafted, restated, shortened
from trial_defs.registry.recognition import Reading, Words
from trial_defs.registry.remainder import frame_words
from trial_defs.registry.splitting import Clause

_PREGNANCY_TEST_LATEST = 1  # months; a longer look-back proves nothing, so the text is damaged


class Inclusions:
    """Drafts the clauses of the inclusion lists."""

    def __init__(self, criteria: Criteria) -> None:
        self.criteria = criteria

    def read(self, clause: Clause, readings: list[Reading]) -> None:
        base, extra = self._own_exceptions(clause, readings)
        groups = self._alternatives(clause, base)
        for group, following in zip(groups, [*groups[1:], None], strict=False):
            exception = self.criteria.exception(clause, group[-1].end, following[0].start if following else None)
            self._criterion(clause, group, exception)
        if extra:
            self.another_way(clause, extra)
        self._negated(clause, readings)
        self._diagnosed(clause, readings)
        self._taken(clause, readings)

    def another_way(self, clause: Clause, readings: Sequence[Reading]) -> None:
        """ "In Gilbert's syndrome bilirubin may be 3 × ULN": another way to meet the criteria just before."""
        diagnoses = list(
            self.criteria.lexicon.find(self.criteria.lexicon.diagnoses, self.criteria.low, clause.start, clause.end)
        )
        conditions: list[Words] = [{"condition": {"is": m.concept, "when": "ever"}} for m in diagnoses[:1]]
        if not conditions:
            conditions = [{"judgement": {"ask": f"Does this hold: “{self.criteria.quote(clause)}”?"}}]
        groups = _by_concept_met_before(readings, self.criteria.found)
        if not groups:
            self._in_some_case(clause, readings)
        for index, extra in groups:
            old = self.criteria.found[index]
            wider: Words = {"any": [old.asks, {"all": [*conditions, *(r.words for r in extra)]}]}
            asked = old.question or next((r.question for r in extra if r.question), None)
            self.criteria.found[index] = replace(
                old,
                asks=wider,
                text=f"{old.text}; or: {restated(extra, self.criteria.catalogue, ' and ')}",
                question=asked or f"Is this an exception to it: “{self.criteria.quote(clause)}”?",
            )

    def _in_some_case(self, clause: Clause, readings: Sequence[Reading]) -> None:
        """A limit for some patients only: met, or it does not apply."""
        ask = f"Does the case that the text names not apply: “{self.criteria.quote(clause)}”?"
        for group in self._alternatives(clause, readings):
            asks: Words = {"any": [*(reading.words for reading in group), {"judgement": {"ask": ask}}]}
            text = f"{restated(group, self.criteria.catalogue, ' or ')} (in the case that the text names)"
            span, name = (group[0].start, group[-1].end), group[0].concepts[0]
            question = "For whom does this limit hold? A guard (only_if) can say it."
            self.criteria.add("inclusion", clause.about, clause.place, asks, text, span, name, question)

    def _own_exceptions(
        self, clause: Clause, readings: Sequence[Reading]
    ) -> tuple[Sequence[Reading], Sequence[Reading]]:
        """Limits, and those behind an "except" about the same result: "1.5 × ULN (except Gilbert: 3 × ULN)"."""
        found = phrases.EXCEPTION.search(self.criteria.low, clause.start, clause.end)
        before = {r.concepts[0] for r in readings if found and r.end <= found.start()}
        extra = [r for r in readings if found and r.start > found.start() and r.concepts[0] in before]
        return [r for r in readings if r not in extra], extra

    def _alternatives(self, clause: Clause, readings: Sequence[Reading]) -> list[list[Reading]]:
        """Readings that the text joins by "or" stand together; all others each for itself."""
        groups: list[list[Reading]] = []
        for reading in readings:
            between = self.criteria.low[groups[-1][-1].end : reading.start] if groups else ""
            if groups and (reading.joined == "or" or _is_or(between)) and ": " not in between:
                groups[-1].append(reading)
            else:
                groups.append([reading])
        return groups

    def _criterion(self, clause: Clause, group: Sequence[Reading], exception: str | None) -> None:
        first = group[0]
        parts: list[Words] = [reading.words for reading in group]
        question = next((reading.question for reading in group if reading.question), None)
        if exception:
            parts.append({"judgement": {"ask": f"Does the exception of the text apply: “{shortened(exception)}”?"}})
        asks: Words = parts[0] if len(parts) == 1 else {"any": parts}
        text = restated(group, self.criteria.catalogue, " or ") + (" (with an exception)" if exception else "")
        span, name = (first.start, group[-1].end), first.concepts[0]
        question = question or self._damage(clause, first)
        self.criteria.add("inclusion", clause.about, clause.place, asks, text, span, name, question)

    def _damage(self, clause: Clause, reading: Reading) -> str | None:
        """A window that cannot be meant: a pregnancy test months before."""
        stated = re.search(r"\b(\d+) months? (?:prior|before)", self.criteria.low[clause.start : clause.end])
        if reading.concepts[0] == "hcg" and stated and int(stated[1]) > _PREGNANCY_TEST_LATEST:
            return "The time given for this pregnancy test is too long to exclude a pregnancy. Which is meant?"
        return None

    def _negated(self, clause: Clause, readings: Sequence[Reading]) -> None:
        """ "No pericardial effusion"; "no transfusion within 7 days": the thing itself is excluded."""
        for mention in self.criteria.reader.diagnoses(clause, readings):
            if re.search(
                r"\b(?:no|not)(?: clinically significant)?\s+$", self.criteria.low[clause.start : mention.start]
            ):
                self.criteria.condition(clause, mention, "exclusion", None)
        if phrases.NEGATED.search(self.criteria.low, clause.start, clause.end):
            self.criteria.treated(clause, readings)

    def _diagnosed(self, clause: Clause, readings: Sequence[Reading]) -> None:
        seen: set[str] = set()
        for mention in self.criteria.reader.diagnoses(clause, readings):
            before = self.criteria.low[clause.start : mention.start]
            is_named = phrases.DIAGNOSED.search(before) or not before.strip()
            if mention.concept not in seen and (is_named or phrases.CLASSIFIED.match(self.criteria.low, mention.end)):
                seen.add(mention.concept)
                self.criteria.condition(clause, mention, "inclusion", None)

    def _taken(self, clause: Clause, readings: Sequence[Reading]) -> None:
        """Earlier treatment that is asked for: one of the named is on record; how long and how well is a question."""
        low = self.criteria.low[clause.start : clause.end]
        listed = self.criteria.lines.treated
        if (
            not (phrases.TAKEN.search(low) or listed)
            or re.search(r"\brequiring|\bunless\b", low)
            or phrases.ALLERGY.search(low)
        ):
            return
        mentions = self.criteria.reader.treatments(clause, readings)
        if not mentions or phrases.NEGATED.search(low):
            return
        concepts = list(dict.fromkeys(m.concept for m in mentions))
        treatment: Words = {"treatment": {"of": concepts if len(concepts) > 1 else concepts[0], "when": "ever"}}
        ask = f"Was the treatment as the text asks: “{self.criteria.quote(clause)}”?"
        titles = [self.criteria.catalogue.concepts[concept].title for concept in concepts]
        text = f"Treated with {' or '.join(titles)}, as the text asks"
        if listed:
            span = (mentions[0].start, mentions[-1].end)
            name = concepts[0]
            self.criteria.add("inclusion", clause.about, clause.place, treatment, text, span, name)
            return
        question = "Drafted as: at least one of these on record at some time. Which of them together, and for how long?"
        asks: Words = {"all": [treatment, {"judgement": {"ask": ask}}]}
        span = (mentions[0].start, mentions[-1].end)
        self.criteria.add("inclusion", clause.about, clause.place, asks, text, span, concepts[0], question)


def _is_or(between: str) -> bool:
    """Whether only "or" stands between two readings, with words that change nothing."""
    outside = re.sub(r"\([^()]*\)", " ", between)
    words = re.findall(r"[a-z]+", outside)
    return "or" in words and all(word in frame_words("limit") for word in words)


def _by_concept_met_before(readings: Sequence[Reading], found: Sequence[Drafted]) -> list[tuple[int, list[Reading]]]:
    """For each drafted criterion that asks about the same result, the readings that are another way to meet it.

    Readings joined by "and" belong together: the first one says to which criterion.
    """
    targets = {
        reading.concepts[0]: index
        for reading in readings
        for index, each in enumerate(found)
        if each.name == reading.concepts[0] and each.side == "inclusion"
    }
    if len(targets) == 1 and len({r.concepts[0] for r in readings}) > 1:
        return [(next(iter(targets.values())), list(readings))]
    return [(targets[r.concepts[0]], [r]) for r in readings if r.concepts[0] in targets]

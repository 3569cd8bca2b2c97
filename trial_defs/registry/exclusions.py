"""What an exclusion names: limits, diagnoses with their window, and treatments."""

from __future__ import annotations

import re
from collections.abc import Sequence

from trial_defs.registry import phrases
from trial_defs.registry.criteria import Criteria, restated, shortened
from trial_defs.registry.lexicon import Mention
from trial_defs.registry.recognition import Reading, Window, Words
from trial_defs.registry.splitting import Clause


class Exclusions:
    """Drafts the clauses of the exclusion lists."""

    def __init__(self, criteria: Criteria) -> None:
        self.criteria = criteria

    def read(self, clause: Clause, readings: list[Reading]) -> None:
        mentions = self._present(clause, self.criteria.reader.diagnoses(clause, readings))
        low = self.criteria.low[clause.start : clause.end]
        if phrases.NOT_THE_PATIENT.search(low) or phrases.ALLOWED.search(low):
            return
        # "A negative pregnancy test is required": what the list excludes is never the negative result.
        readings = [r for r in readings if not _is_negative(r)]
        groups = self._together(readings)
        for group, following in zip(groups, [*groups[1:], None], strict=False):
            self._exclusion(clause, group, mentions, following[0].start if following else None)
        self.criteria.treated(clause, readings)
        for mention in self._present(clause, self.criteria.reader.infections(clause, readings)):
            self._infection(clause, mention)
        # Where limits are beside a disease they say how bad it must be: the limits are drafted, the disease is asked.
        if any(not set(reading.concepts) <= self.criteria.lexicon.qualitative for reading in readings):
            return
        windows = self.criteria.reader.windows(clause.start, clause.end)
        treated = [m.start for m in self.criteria.reader.treatments(clause, readings)]
        for mention in mentions:
            # "Took part in a study within 3 months, or …": a time that belongs to a treatment is not the disease's.
            elsewhere = any(place < window.end < mention.start for window in windows for place in treated)
            if not elsewhere:
                self.criteria.condition(clause, mention, "exclusion", _window_of(mention, windows))

    def _present(self, clause: Clause, mentions: Sequence[Mention]) -> list[Mention]:
        """Those that are not denied: "no infection", "infection ruled out"."""
        return [
            mention
            for mention in mentions
            if not phrases.DENIED.search(self.criteria.low[clause.start : mention.start])
            and not phrases.RULED_OUT.match(self.criteria.low, mention.end, clause.end)
        ]

    def _infection(self, clause: Clause, mention: Mention) -> None:
        """ "Hepatitis B infection": the test that shows it is positive."""
        asks: Words = {"value": {"of": mention.concept, "is": "positive"}}
        text = f"{self.criteria.catalogue.concepts[mention.concept].title} positive"
        span = (mention.start, mention.end)
        self.criteria.add("exclusion", clause.about, clause.place, asks, text, span, mention.concept)

    def _together(self, readings: Sequence[Reading]) -> list[list[Reading]]:
        """Readings joined by a plain "and" are meant together; everything else excludes by itself."""
        groups: list[list[Reading]] = []
        for reading in readings:
            between = self.criteria.low[groups[-1][-1].end : reading.start] if groups else ""
            joined = re.search(r"\band\b(?!\s*/)", between) and not re.search(r"\bor\b|;", between)
            qualitative = set(reading.concepts) <= self.criteria.lexicon.qualitative
            if groups and qualitative and (joined or reading.joined == "or"):
                groups[-1].append(reading)
            else:
                groups.append([reading])
        return groups

    def _follows(self, reading: Reading, mention: Mention) -> bool:
        """ "NYHA class III heart failure": the class is that of the disease."""
        between = self.criteria.low[reading.end : mention.start]
        return mention.start >= reading.end and not between.strip() and "nyha-class" in reading.concepts

    def _exclusion(
        self, clause: Clause, group: Sequence[Reading], mentions: Sequence[Mention], following: int | None
    ) -> None:
        parts = [reading.words for reading in group]
        question = next((reading.question for reading in group if reading.question), None)
        asks: Words
        if len(group) > 1:
            asks = {"all": _either(group)}
            question = question or "Does each of these exclude by itself, or only both together, as drafted?"
        elif graded := [m for m in mentions if self._follows(group[0], m)]:
            asks = {"all": [{"condition": {"is": graded[0].concept}}, *parts]}
        else:
            asks = parts[0]
        if exception := self.criteria.exception(clause, group[-1].end, following):
            ask = f"Does the exception of the text not apply: “{shortened(exception)}”?"
            asks = {"all": [asks, {"judgement": {"ask": ask}}]}
        text = restated(group, self.criteria.catalogue, " and ") + (" (with an exception)" if exception else "")
        span = (group[0].start, group[-1].end)
        name = group[0].concepts[0]
        self.criteria.add("exclusion", clause.about, clause.place, asks, text, span, name, question)


def _is_negative(reading: Reading) -> bool:
    value = reading.words.get("value")
    return isinstance(value, dict) and value.get("is") == "negative"


def _window_of(mention: Mention, windows: Sequence[Window]) -> Window | None:
    """The window that follows the name, or the only one of the clause."""
    following = next((window for window in windows if window.start >= mention.end), None)
    return following or (windows[0] if len(windows) == 1 else None)


def _either(group: Sequence[Reading]) -> list[Words]:
    """ "A or B and C" as (A or B) and C."""
    parts: list[list[Words]] = []
    for reading in group:
        if parts and reading.joined == "or":
            parts[-1].append(reading.words)
        else:
            parts.append([reading.words])
    return [each[0] if len(each) == 1 else {"any": each} for each in parts]

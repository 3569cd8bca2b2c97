"""The criteria that are drafted of one text: what is known of the text, and how a criterion comes onto the draft."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from mappings.concepts.catalogue import Catalogue
from mappings.yaml_files import DefinitionError
from trial_defs.definition.compiler import compile_criterion
from trial_defs.definition.language import CriterionWords
from trial_defs.registry import phrases
from trial_defs.registry.lexicon import Lexicon, Mention, lexicon_for
from trial_defs.registry.recognition import Reader, Reading, Window, Words
from trial_defs.registry.splitting import Clause, Side, plain

_LONGEST = 300  # characters of the document's words in a question


@dataclass(frozen=True, slots=True)
class Drafted:
    """One criterion of the draft. `sentence`: the span of the sentence it was read from; `under`: the lines over it."""

    side: Side
    about: str | None
    place: str
    asks: Words
    text: str
    start: int
    end: int
    name: str  # the word in its id
    question: str | None = None
    only_if: Words | None = None
    sentence: tuple[int, int] = (0, 0)
    under: tuple[tuple[int, int], ...] = ()

    @property
    def is_computed(self) -> bool:
        """Whether it asks something of the record, and not only of a person."""
        return self.name != "text"


@dataclass(frozen=True, slots=True)
class Lines:
    """What the lines over a point say: their spans, a window, "history of", and the words that may change a point."""

    spans: tuple[tuple[int, int], ...] = ()
    window: str | None = None
    ever: bool = False
    says_more: tuple[str, ...] = ()
    treated: bool = False  # they say that what is named was given


class Criteria:
    """The criteria drafted so far of one text; only what the language takes is added, and nothing twice."""

    def __init__(self, text: str, catalogue: Catalogue) -> None:
        self.text, self.low, self.catalogue = text, plain(text), catalogue
        self.lexicon: Lexicon = lexicon_for(catalogue)
        self.reader = Reader(self.low, catalogue, self.lexicon)
        self.found: list[Drafted] = []
        self.said_before: list[tuple[int, int]] = []  # clauses that only repeat what a field of the entry says
        self.lines = Lines()

    @contextmanager
    def apart(self) -> Iterator[list[Drafted]]:
        """What is drafted within is not added to the criteria, but to the list that is given."""
        outside, self.found = self.found, []
        try:
            yield self.found
        finally:
            self.found = outside

    @contextmanager
    def under(self, lines: Lines) -> Iterator[None]:
        """Within, every point is under these lines."""
        before, self.lines = self.lines, lines
        try:
            yield
        finally:
            self.lines = before

    def add(
        self,
        side: Side,
        about: str | None,
        place: str,
        asks: Words,
        text: str,
        span: tuple[int, int],
        name: str,
        question: str | None = None,
    ) -> None:
        """Put a criterion onto the draft. `span`: where the text says it; `name`: the word in its id."""
        if not self.compiles(asks):
            return
        if any(each.place == place and each.side == side and each.asks == asks for each in self.found):
            return  # the sentence names it twice
        only_if: Words | None = {"sex": "female"} if name in ("pregnancy", "lactation", "hcg") else None
        self.found.append(
            Drafted(side, about, place, asks, text, *span, name, question, only_if, span, self.lines.spans)
        )

    def compiles(self, asks: Words) -> bool:
        """Whether the language and the catalogue take it: a limit outside the plausible range is misread or damaged."""
        words = {"id": "I1", "source": "1", "text": "1", "include": asks}
        try:
            compile_criterion(CriterionWords.model_validate(words), self.catalogue)
        except (DefinitionError, ValueError):
            return False
        return True

    def condition(self, clause: Clause, mention: Mention, side: Side, window: Window | None) -> None:
        """A diagnosis that is asked for or excludes."""
        concept = self.catalogue.concepts[mention.concept]
        words: Words = {"is": mention.concept}
        lasting = mention.concept not in ("pregnancy", "lactation")
        when = None
        if side == "exclusion" and lasting:
            if window and window.until_now:
                when = f"within {window.length}"
            elif window is None and self._is_history(clause, mention):
                when = "ever"
            elif window is None and self.lines.window:
                when = f"within {self.lines.window}"
            elif window is None and self.lines.ever:
                when = "ever"
        if when:
            words["when"] = when
        text = concept.title + (f" {when}" if when else "")
        span = (mention.start, mention.end)
        self.add(side, clause.about, clause.place, {"condition": words}, text, span, mention.concept)

    def _is_history(self, clause: Clause, mention: Mention) -> bool:
        before = self.low[clause.start : mention.start]
        after = self.low[mention.end : clause.end]
        said = phrases.HISTORY.search(re.sub(r"\bhistory\s*(?=[,;/)]|or\b|and\b)", " ", before))
        # "Had prior exposure to A, inadequately controlled B": B is as it is now.
        if said and phrases.AS_IT_IS_NOW.search(before, said.end()):
            said = None
        return bool(said) or bool(re.match(r"[\s,]*(?:in the )?(?:medical )?(?:history|past)\b", after))

    def treated(self, clause: Clause, readings: Sequence[Reading]) -> None:
        """Treatments that exclude: with a window, "prior", or dialysis, which is now. Others are a question."""
        stretch = self.low[clause.start : clause.end]
        if phrases.ALLERGY.search(stretch) or phrases.DOSE.search(stretch):
            return
        mentions = self.reader.treatments(clause, readings)
        windows = self.reader.windows(clause.start, clause.end)
        ends = [*(following.start for following in mentions[1:]), clause.end]
        for mention, until in zip(mentions, ends, strict=False):
            after = [w for w in windows if mention.end <= w.start < until]
            later = [w for w in windows if w.start >= mention.end]
            when = None
            chosen = (after or later)[0] if after or (len(windows) == 1 and later) else None
            if chosen is not None:
                when = f"within {chosen.length}" if chosen.until_now else None
            elif windows:
                continue
            elif mention.concept == "dialysis":
                when = "current"
            elif clause.side == "exclusion" and self.lines.window:
                when = f"within {self.lines.window}"
            elif clause.side == "exclusion" and (
                phrases.HISTORY.search(self.low, clause.start, mention.start) or self.lines.ever
            ):
                when = "ever"
            if when is None:
                continue
            asks: Words = {"treatment": {"of": mention.concept, "when": when}}
            text = f"{self.catalogue.concepts[mention.concept].title}, {when}"
            span = (mention.start, mention.end)
            self.add("exclusion", clause.about, clause.place, asks, text, span, mention.concept)

    def exception(self, clause: Clause, last: int, following: int | None) -> str | None:
        """The words from "except" on that hold for what ends at `last`; None where there are none.

        An exception in brackets holds for what stands right before it, any other for the whole clause. `following`:
        where the next reading begins.
        """
        match = phrases.EXCEPTION.search(self.low, clause.start, clause.end) or phrases.ALLOWED.search(
            self.low, clause.start, clause.end
        )
        if match is None:
            return None
        opened = self.low.rfind("(", clause.start, match.start())
        if opened < 0 or ")" in self.low[opened : match.start()]:
            return self.text[match.start() : clause.end].strip()
        until = clause.end if following is None else following
        match = next((m for m in phrases.EXCEPTION.finditer(self.low, last, until)), None)
        if match is None:
            return None
        closed = self.low.find(")", match.start(), clause.end)
        return self.text[match.start() : closed if closed > 0 else clause.end].strip()

    def quote(self, clause: Clause) -> str:
        return shortened(self.text[clause.start : clause.end])

    def asked(self, index: int, question: str) -> None:
        """Put a question beside a criterion that has none."""
        each = self.found[index]
        self.found[index] = replace(each, question=each.question or question)

    def with_judgement(self, index: int, ask: str) -> None:
        """The criterion holds only where a person answers this with yes as well."""
        each = self.found[index]
        self.found[index] = replace(each, asks=joined_to(each.asks, ask))

    def excepted(self, index: int, exception: str) -> None:
        """The criterion with an exception that is in another sentence."""
        each = self.found[index]
        if each.side == "exclusion":
            asks = joined_to(each.asks, f"Does the exception of the text not apply: “{shortened(exception)}”?")
        else:
            ask = f"Does the exception of the text apply: “{shortened(exception)}”?"
            asks = {"any": [each.asks, {"judgement": {"ask": ask}}]}
        text = each.text if each.text.endswith("(with an exception)") else f"{each.text} (with an exception)"
        self.found[index] = replace(each, asks=asks, text=text)


def joined_to(asks: Words, ask: str) -> Words:
    """An expression and a judgement, both asked for."""
    judgement: Words = {"judgement": {"ask": ask}}
    match asks:
        case {"all": list(parts)}:
            return {"all": [*parts, judgement]}
        case _:
            return {"all": [asks, judgement]}


def restated(group: Sequence[Reading], catalogue: Catalogue, joined: str) -> str:
    """What was read, in our own words: "Platelets >= 50 10*9/L"."""
    return joined.join(_restated_one(reading.words, catalogue) for reading in group)


def _restated_one(words: Words, catalogue: Catalogue) -> str:
    match words:
        case {"value": {"of": str(concept), "is": str(limit)}}:
            return f"{catalogue.concepts[concept].title} {limit}"
        case {"all": [{"sex": str(sex)}, dict(inner)]}:
            return f"{_restated_one(inner, catalogue)} ({sex})"
        case {"age": {"is": str(limit)}}:
            return f"Age {limit}"
        case _:
            return str(words)


def shortened(text: str) -> str:
    """The document's words on one line, cut where they are longer than a question should be."""
    one_line = re.sub(r"\s+", " ", text).strip(" .;|")
    return one_line if len(one_line) <= _LONGEST else one_line[: _LONGEST - 1].rstrip() + "…"

"""The criteria that are drafted of one text: what is known of the text, and how a criterion comes onto the draft."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from mappings.concepts.catalogue import Catalogue
from mappings.yaml_files import DefinitionError
from trial_defs.definition.compiler import compile_criterion
from trial_defs.definition.language import CriterionWords
from trial_defs.registry import phrases
from trial_defs.registry.lexicon import Lexicon, Mention, lexicon_for
from trial_defs.registry.recognition import Reader, Reading, Words
from trial_defs.registry.splitting import Clause, Side, plain

_LONGEST = 300  # characters of the document's words in a question


@dataclass(frozen=True, slots=True)
class Drafted:
    """One criterion of the draft."""

    side: Side
    about: str | None
    place: str
    asks: Words
    text: str
    start: int
    end: int
    name: str  # the word in its id
    confidence: str
    question: str | None = None
    only_if: Words | None = None


class Criteria:
    """The criteria drafted so far of one text; only what the language takes is added, and nothing twice."""

    def __init__(self, text: str, catalogue: Catalogue) -> None:
        self.text, self.low, self.catalogue = text, plain(text), catalogue
        self.lexicon: Lexicon = lexicon_for(catalogue)
        self.reader = Reader(self.low, catalogue, self.lexicon)
        self.found: list[Drafted] = []

    def add(
        self,
        side: Side,
        about: str | None,
        place: str,
        asks: Words,
        text: str,
        span: tuple[int, int],
        name: str,
        confidence: str,
        question: str | None = None,
    ) -> None:
        """Put a criterion onto the draft. `span`: where the text says it; `name`: the word in its id."""
        if not self._compiles(asks):
            return
        if any(each.place == place and each.side == side and each.asks == asks for each in self.found):
            return  # the sentence names it twice
        only_if: Words | None = {"sex": "female"} if name in ("pregnancy", "lactation", "hcg") else None
        self.found.append(Drafted(side, about, place, asks, text, *span, name, confidence, question, only_if))

    def _compiles(self, asks: Words) -> bool:
        """Whether the language and the catalogue take it: a limit outside the plausible range is misread or damaged."""
        words = {"id": "I1", "source": "1", "text": "1", "include": asks}
        try:
            compile_criterion(CriterionWords.model_validate(words), self.catalogue)
        except (DefinitionError, ValueError):
            return False
        return True

    def condition(self, clause: Clause, mention: Mention, side: Side, window: str | None) -> None:
        """A diagnosis that is asked for or excludes; `window`: "3 mo" before now."""
        concept = self.catalogue.concepts[mention.concept]
        words: Words = {"is": mention.concept}
        stretch = self.low[clause.start : clause.end]
        if side == "exclusion" and window:
            words["when"] = f"within {window}"
        elif side == "exclusion" and phrases.HISTORY.search(stretch):
            words["when"] = "ever"
        condition: Words = {"condition": words}
        asks, confidence = condition, "high"
        limited = phrases.QUALIFIED.search(stretch) or phrases.EXCEPTION.search(stretch)
        if side == "exclusion" and clause.side == "exclusion" and limited:
            asks, confidence = self._as_the_text_says(clause, condition), "medium"
        text = concept.title + (f" within {window}" if window else "")
        span = (mention.start, mention.end)
        self.add(side, clause.about, clause.place, asks, text, span, mention.concept, confidence)

    def treated(self, clause: Clause, readings: Sequence[Reading]) -> None:
        """Treatments that exclude: with a window, "prior", or dialysis, which is now. Others are a question."""
        stretch = self.low[clause.start : clause.end]
        if phrases.ALLERGY.search(stretch) or phrases.DOSE.search(stretch):
            return
        mentions = self.reader.treatments(clause, readings)
        windows = self.reader.windows(clause.start, clause.end)
        ends = [*(following.start for following in mentions[1:]), clause.end]
        for mention, until in zip(mentions, ends, strict=False):
            after = [w for w in windows if mention.end <= w[1] < until]
            later = [w for w in windows if w[1] >= mention.end]
            when = None
            if after or (len(windows) == 1 and later):
                when = f"within {(after or later)[0][0]}"
            elif windows:
                continue
            elif mention.concept == "dialysis":
                when = "current"
            elif clause.side == "exclusion" and phrases.HISTORY.search(self.low, clause.start, clause.end):
                when = "ever"
            if when is None:
                continue
            asks: Words = {"treatment": {"of": mention.concept, "when": when}}
            confidence = "high" if after else "medium"
            if clause.side == "exclusion" and phrases.QUALIFIED.search(self.low, clause.start, clause.end):
                asks, confidence = self._as_the_text_says(clause, asks), "medium"
            text = f"{self.catalogue.concepts[mention.concept].title}, {when}"
            span = (mention.start, mention.end)
            self.add("exclusion", clause.about, clause.place, asks, text, span, mention.concept, confidence)

    def _as_the_text_says(self, clause: Clause, asks: Words) -> Words:
        return {"all": [asks, {"judgement": {"ask": f"Is it as the text says: “{self.quote(clause)}”?"}}]}

    def exception(self, clause: Clause) -> str | None:
        """The words of the clause from its "except" on; None where it has none."""
        match = phrases.EXCEPTION.search(self.low, clause.start, clause.end) or phrases.ALLOWED.search(
            self.low, clause.start, clause.end
        )
        return self.text[match.start() : clause.end].strip() if match else None

    def quote(self, clause: Clause) -> str:
        return shortened(self.text[clause.start : clause.end])


def restated(group: Sequence[Reading], catalogue: Catalogue, joined: str) -> str:
    """What was read, in our own words: "Platelets >= 50 10*9/L"."""
    return joined.join(_restated_one(reading.words, catalogue) for reading in group)


def _restated_one(words: Words, catalogue: Catalogue) -> str:
    match words:
        case {"value": {"of": str(concept), "is": str(limit)}}:
            return f"{catalogue.concepts[concept].title} {limit}"
        case {"all": [{"sex": str(sex)}, dict(inner)]}:
            return f"{_restated_one(inner, catalogue)} ({sex})"
        case _:
            return str(words)


def shortened(text: str) -> str:
    """The document's words on one line, cut where they are longer than a question should be."""
    one_line = re.sub(r"\s+", " ", text).strip(" .;|")
    return one_line if len(one_line) <= _LONGEST else one_line[: _LONGEST - 1].rstrip() + "…"

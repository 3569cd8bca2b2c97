"""A registry entry as a drafted definition: everything readable as criteria, everything else as questions for a person.

A draft is never served: it says `imported`, and is read as a draft until a named person has signed it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from mappings.catalogue import Catalogue
from mappings.yaml_files import DefinitionError
from trial_defs.language import TrialWords, compile_trial
from trial_defs.registry import phrases
from trial_defs.registry.lexicon import Lexicon, Mention, lexicon_for
from trial_defs.registry.recognition import Reader, Reading, Words
from trial_defs.registry.record import Record
from trial_defs.registry.splitting import Clause, Side, clauses, plain, sections

_LONGEST = 300  # characters of the document's words in a question
_PREGNANCY_TEST_LATEST = 1  # months; a longer look-back proves nothing, so the text is damaged


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


@dataclass
class Draft:
    """The whole draft: its criteria, and what the entry does not say."""

    record: Record
    criteria: list[Drafted] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    @property
    def questions(self) -> list[Drafted]:
        return [each for each in self.criteria if each.question]


def draft_of(record: Record, catalogue: Catalogue) -> Draft:
    """Everything that can be read of this entry, and questions for the rest."""
    return _Drafter(record, catalogue).draft()


class _Drafter:
    def __init__(self, record: Record, catalogue: Catalogue) -> None:
        self.record, self.catalogue = record, catalogue
        self.text = record.eligibility
        self.low = plain(self.text)
        self.lexicon: Lexicon = lexicon_for(catalogue)
        self.reader = Reader(self.low, catalogue, self.lexicon)
        self.found: list[Drafted] = []

    def draft(self) -> Draft:
        parts = clauses(self.text)
        self._registry_fields(parts)
        for clause in parts:
            self._read(clause)
        self._ask_for_cohorts()
        return Draft(self.record, self.found, _missing(self.record, self.reader, self.text))

    def _ask_for_cohorts(self) -> None:
        """Several diseases in one list open a cohort each, which no heading says."""
        places = [
            i
            for i, each in enumerate(self.found)
            if each.side == "inclusion" and each.about is None and set(each.asks) == {"condition"}
        ]
        if len({self.found[i].name for i in places}) < 2:
            return
        for i in places:
            asked = "Which part of the study is this disease for? Give each its cohort with its criteria."
            self.found[i] = replace(self.found[i], question=self.found[i].question or asked)

    # -- the registry's own fields

    def _registry_fields(self, parts: Sequence[Clause]) -> None:
        least, most, sex = self.record.least_age, self.record.most_age, self.record.sex
        place, span, confidence = "Registry field, ages", (0, 0), "high"
        if least is None and most is None:
            for clause in parts:
                match = phrases.AGE.search(self.low, clause.start, clause.end)
                if match and re.search(r"\bage", self.low[clause.start : clause.end]):
                    least, most = (int(number) for number in match.groups() if number)
                    place, span, confidence = clause.place, match.span(), "medium"
                    break
        if limit := _age_limit(least, most):
            self._add("inclusion", None, place, {"age": {"is": limit}}, f"Age {limit}", span, "age", confidence)
        if sex:
            self._add("inclusion", None, "Registry field, sex", {"sex": sex}, f"Sex: {sex}", (0, 0), "sex", "high")

    def _add(
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
        if not self._compiles(asks):
            return
        if any(each.place == place and each.side == side and each.asks == asks for each in self.found):
            return  # the sentence names it twice
        only_if: Words | None = {"sex": "female"} if name in ("pregnancy", "lactation", "hcg") else None
        self.found.append(Drafted(side, about, place, asks, text, *span, name, confidence, question, only_if))

    def _compiles(self, asks: Words) -> bool:
        """Whether the language and the catalogue take it: a limit outside the plausible range is misread or damaged."""
        try:
            compile_trial(
                _shell([{"id": "I1", "source": "1", "text": "1", "include": asks}]), self.catalogue, Path(), ""
            )
        except (DefinitionError, ValueError):
            return False
        return True

    # -- one clause

    def _read(self, clause: Clause) -> None:
        low = self.low[clause.start : clause.end]
        limits = self.reader.limits(clause)
        readings = limits + [p for p in self.reader.polarities(clause) if not _overlaps(p, limits)]
        readings.sort(key=lambda r: r.start)
        before = len(self.found)
        another_way = phrases.CONDITIONAL.match(low) or (
            phrases.PATIENTS_WITH.match(low) and phrases.ALLOWED.search(low)
        )
        if another_way and readings:
            if clause.side == "inclusion":
                self._alternative(clause, readings)
        elif clause.side == "inclusion":
            self._included(clause, readings)
        else:
            self._excluded(clause, readings)
        self._rest(clause, readings, drafted=len(self.found) > before)

    def _alternative(self, clause: Clause, readings: Sequence[Reading]) -> None:
        """ "In Gilbert's syndrome bilirubin may be 3 × ULN": another way to meet the criteria just before."""
        diagnoses = list(self.lexicon.find(self.lexicon.diagnoses, self.low, clause.start, clause.end))
        conditions: list[Words] = [{"condition": {"is": m.concept, "when": "ever"}} for m in diagnoses[:1]]
        if not conditions:
            conditions = [{"judgement": {"ask": f"Does this hold: “{self._quote(clause)}”?"}}]
        groups = _by_concept_met_before(readings, self.found)
        if not groups:
            self._in_some_case(clause, readings)
        for index, extra in groups:
            old = self.found[index]
            wider: Words = {"any": [old.asks, {"all": [*conditions, *(r.words for r in extra)]}]}
            asked = old.question or next((r.question for r in extra if r.question), None)
            self.found[index] = replace(
                old,
                asks=wider,
                text=f"{old.text}; or: {_restated(extra, self.catalogue, ' and ')}",
                confidence="low",
                question=asked or f"Is this an exception to it: “{self._quote(clause)}”?",
            )

    def _in_some_case(self, clause: Clause, readings: Sequence[Reading]) -> None:
        """A limit for some patients only: met, or it does not apply."""
        ask = f"Does the case that the text names not apply: “{self._quote(clause)}”?"
        for group in self._alternatives(clause, readings):
            asks: Words = {"any": [*(reading.words for reading in group), {"judgement": {"ask": ask}}]}
            text = f"{_restated(group, self.catalogue, ' or ')} (in the case that the text names)"
            span, name = (group[0].start, group[-1].end), group[0].concepts[0]
            question = "For whom does this limit hold? A guard (only_if) can say it."
            self._add("inclusion", clause.about, clause.place, asks, text, span, name, "low", question)

    def _included(self, clause: Clause, readings: list[Reading]) -> None:
        exception = self._exception(clause)
        base, extra = self._own_exceptions(clause, readings)
        for group in self._alternatives(clause, base):
            self._criterion(clause, group, exception)
        if extra:
            self._alternative(clause, extra)
        self._negated(clause, readings)
        self._diagnosed(clause, readings)
        self._taken(clause, readings)

    def _own_exceptions(
        self, clause: Clause, readings: Sequence[Reading]
    ) -> tuple[Sequence[Reading], Sequence[Reading]]:
        """Limits, and those behind an "except" about the same result: "1.5 × ULN (except Gilbert: 3 × ULN)"."""
        found = phrases.EXCEPTION.search(self.low, clause.start, clause.end)
        before = {r.concepts[0] for r in readings if found and r.end <= found.start()}
        extra = [r for r in readings if found and r.start > found.start() and r.concepts[0] in before]
        return [r for r in readings if r not in extra], extra

    def _taken(self, clause: Clause, readings: Sequence[Reading]) -> None:
        """Earlier treatment that is asked for: one of the named is on record; how long and how well is a question."""
        low = self.low[clause.start : clause.end]
        if not phrases.TAKEN.search(low) or re.search(r"\brequiring|\bunless\b", low) or phrases.ALLERGY.search(low):
            return
        mentions = self.reader.treatments(clause, readings)
        if not mentions or phrases.NEGATED.search(low):
            return
        concepts = list(dict.fromkeys(m.concept for m in mentions))
        treatment: Words = {"treatment": {"of": concepts if len(concepts) > 1 else concepts[0], "when": "ever"}}
        ask = f"Was the treatment as the text asks: “{self._quote(clause)}”?"
        titles = [self.catalogue.concepts[concept].title for concept in concepts]
        text = f"Treated with {' or '.join(titles)}, as the text asks"
        question = "Drafted as: at least one of these on record at some time. Which of them together, and for how long?"
        asks: Words = {"all": [treatment, {"judgement": {"ask": ask}}]}
        span = (mentions[0].start, mentions[-1].end)
        self._add("inclusion", clause.about, clause.place, asks, text, span, concepts[0], "low", question)

    def _alternatives(self, clause: Clause, readings: Sequence[Reading]) -> list[list[Reading]]:
        """Readings that the text joins by "or" stand together; all others each for itself."""
        groups: list[list[Reading]] = []
        for reading in readings:
            between = self.low[groups[-1][-1].end : reading.start] if groups else ""
            if groups and (reading.joined == "or" or re.search(r"\bor\b", between)) and ": " not in between:
                groups[-1].append(reading)
            else:
                groups.append([reading])
        return groups

    def _exception(self, clause: Clause) -> str | None:
        match = phrases.EXCEPTION.search(self.low, clause.start, clause.end) or phrases.ALLOWED.search(
            self.low, clause.start, clause.end
        )
        return self.text[match.start() : clause.end].strip() if match else None

    def _criterion(self, clause: Clause, group: Sequence[Reading], exception: str | None) -> None:
        first = group[0]
        parts: list[Words] = [reading.words for reading in group]
        question = next((reading.question for reading in group if reading.question), None)
        confidence = "low" if question else "high" if len(group) == 1 else "medium"
        if exception and clause.side == "inclusion":
            parts.append({"judgement": {"ask": f"Does the exception of the text apply: “{_short(exception)}”?"}})
            confidence = "low" if question else "medium"
        asks: Words = parts[0] if len(parts) == 1 else {"any": parts}
        text = _restated(group, self.catalogue, " or ") + (" (with an exception)" if exception else "")
        span = (first.start, group[-1].end)
        damaged = self._damage(clause, first)
        self._add(
            clause.side,
            clause.about,
            clause.place,
            asks,
            text,
            span,
            first.concepts[0],
            confidence,
            question or damaged,
        )

    def _damage(self, clause: Clause, reading: Reading) -> str | None:
        """A window that cannot be meant: a pregnancy test months before."""
        stated = re.search(r"\b(\d+) months? (?:prior|before)", self.low[clause.start : clause.end])
        if reading.concepts[0] == "hcg" and stated and int(stated[1]) > _PREGNANCY_TEST_LATEST:
            return "The time given for this pregnancy test is too long to exclude a pregnancy. Which is meant?"
        return None

    def _negated(self, clause: Clause, readings: Sequence[Reading]) -> None:
        """ "No pericardial effusion"; "no transfusion within 7 days": the thing itself is excluded."""
        for mention in self.reader.diagnoses(clause, readings):
            if re.search(r"\b(?:no|not)(?: clinically significant)?\s+$", self.low[clause.start : mention.start]):
                self._condition(clause, mention, "exclusion", None)
        if phrases.NEGATED.search(self.low, clause.start, clause.end):
            self._treated(clause, readings, "exclusion")

    def _diagnosed(self, clause: Clause, readings: Sequence[Reading]) -> None:
        seen: set[str] = set()
        for mention in self.reader.diagnoses(clause, readings):
            before = self.low[clause.start : mention.start]
            is_named = phrases.DIAGNOSED.search(before) or not before.strip()
            if mention.concept not in seen and (is_named or phrases.CLASSIFIED.match(self.low, mention.end)):
                seen.add(mention.concept)
                self._condition(clause, mention, "inclusion", None)

    def _condition(self, clause: Clause, mention: Mention, side: Side, window: str | None) -> None:
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
            ask = f"Is it as the text says: “{self._quote(clause)}”?"
            asks, confidence = {"all": [condition, {"judgement": {"ask": ask}}]}, "medium"
        text = concept.title + (f" within {window}" if window else "")
        self._add(
            side, clause.about, clause.place, asks, text, (mention.start, mention.end), mention.concept, confidence
        )

    # -- exclusions

    def _excluded(self, clause: Clause, readings: list[Reading]) -> None:
        mentions = self.reader.diagnoses(clause, readings)
        low = self.low[clause.start : clause.end]
        if phrases.NOT_THE_PATIENT.search(low) or phrases.ALLOWED.search(low):
            return
        for group in self._together(readings):
            self._exclusion(clause, group, mentions)
        self._treated(clause, readings, "exclusion")
        # Where limits stand beside a disease they say how bad it must be: the limits are drafted, the disease is asked.
        if any(not set(reading.concepts) <= self.lexicon.qualitative for reading in readings):
            return
        windows = self.reader.windows(clause.start, clause.end)
        treated = [m.start for m in self.reader.treatments(clause, readings)]
        for mention in mentions:
            # "Took part in a study within 3 months, or …": a time that belongs to a treatment is not the disease's.
            elsewhere = any(place < window[1] < mention.start for window in windows for place in treated)
            if len(windows) < 2 and not elsewhere:
                self._condition(clause, mention, "exclusion", windows[0][0] if windows else None)

    def _follows(self, reading: Reading, mention: Mention) -> bool:
        """ "NYHA class III heart failure": the class is that of the disease."""
        return 0 <= mention.start - reading.end <= 3 and "nyha-class" in reading.concepts

    def _together(self, readings: Sequence[Reading]) -> list[list[Reading]]:
        """Readings joined by a plain "and" are meant together; everything else excludes by itself."""
        groups: list[list[Reading]] = []
        for reading in readings:
            between = self.low[groups[-1][-1].end : reading.start] if groups else ""
            joined = re.search(r"\band\b(?!\s*/)", between) and not re.search(r"\bor\b|;", between)
            qualitative = set(reading.concepts) <= self.lexicon.qualitative
            if groups and qualitative and (joined or reading.joined == "or"):
                groups[-1].append(reading)
            else:
                groups.append([reading])
        return groups

    def _exclusion(self, clause: Clause, group: Sequence[Reading], mentions: Sequence[Mention]) -> None:
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
        if exception := self._exception(clause):
            ask = f"Does the exception of the text not apply: “{_short(exception)}”?"
            asks = {"all": [asks, {"judgement": {"ask": ask}}]}
        text = _restated(group, self.catalogue, " and ") + (" (with an exception)" if exception else "")
        span = (group[0].start, group[-1].end)
        confidence = "low" if question else "medium" if exception else "high"
        name = group[0].concepts[0]
        self._add("exclusion", clause.about, clause.place, asks, text, span, name, confidence, question)

    def _treated(self, clause: Clause, readings: Sequence[Reading], side: Side) -> None:
        """A treatment with its own window; "prior", and dialysis, which is now. Others are left to the question."""
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
                ask = f"Is it as the text says: “{self._quote(clause)}”?"
                asks, confidence = {"all": [asks, {"judgement": {"ask": ask}}]}, "medium"
            text = f"{self.catalogue.concepts[mention.concept].title}, {when}"
            self._add(
                side, clause.about, clause.place, asks, text, (mention.start, mention.end), mention.concept, confidence
            )

    # -- the rest

    def _rest(self, clause: Clause, readings: Sequence[Reading], *, drafted: bool) -> None:
        """What no reading covers becomes a question; a heading or a few joining words do not."""
        low = self.low[clause.start : clause.end]
        if not drafted and low.rstrip(" .").endswith(":"):
            return
        own = [each for each in self.found if each.start >= clause.start and each.end <= clause.end]
        left = re.findall(
            r"[a-z]{4,}",
            _without(self.low, clause, [*((r.start, r.end) for r in readings), *((d.start, d.end) for d in own)]),
        )
        if drafted and len(left) < 5:
            return
        helps = [m.concept for m in (*self.reader.diagnoses(clause), *self.reader.treatments(clause))]
        quote = self._quote(clause)
        if phrases.CONSENT.search(low):
            asks: Words = {"consent": quote}
        else:
            asks = {
                "judgement": {
                    "ask": f"Is this so: “{quote}”?",
                    **({"evidence": list(dict.fromkeys(helps))} if helps else {}),
                }
            }
        self._add(clause.side, clause.about, clause.place, asks, quote, (clause.start, clause.end), "text", "low")

    def _quote(self, clause: Clause) -> str:
        return _short(self.text[clause.start : clause.end])


def _either(group: Sequence[Reading]) -> list[Words]:
    """ "A or B and C" as (A or B) and C."""
    parts: list[list[Words]] = []
    for reading in group:
        if parts and reading.joined == "or":
            parts[-1].append(reading.words)
        else:
            parts.append([reading.words])
    return [each[0] if len(each) == 1 else {"any": each} for each in parts]


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


def _overlaps(one: Reading, others: Iterable[Reading]) -> bool:
    return any(one.start < other.end and other.start < one.end for other in others)


def _without(low: str, clause: Clause, spans: Iterable[tuple[int, int]]) -> str:
    kept = list(low[clause.start : clause.end])
    for start, end in spans:
        for place in range(max(start, clause.start), min(end, clause.end)):
            kept[place - clause.start] = " "
    return "".join(kept)


def _short(text: str) -> str:
    one_line = re.sub(r"\s+", " ", text).strip(" .;|")
    return one_line if len(one_line) <= _LONGEST else one_line[: _LONGEST - 1].rstrip() + "…"


def _restated(group: Sequence[Reading], catalogue: Catalogue, joined: str) -> str:
    return joined.join(_restated_one(reading.words, catalogue) for reading in group)


def _restated_one(words: Words, catalogue: Catalogue) -> str:
    match words:
        case {"value": {"of": str(concept), "is": str(limit)}}:
            return f"{catalogue.concepts[concept].title} {limit}"
        case {"all": [{"sex": str(sex)}, dict(inner)]}:
            return f"{_restated_one(inner, catalogue)} ({sex})"
        case _:
            return str(words)


def _age_limit(least: int | None, most: int | None) -> str | None:
    if least is not None and most is not None:
        return f"{least}..{most} a"
    if least is not None:
        return f">= {least} a"
    return f"<= {most} a" if most is not None else None


def _missing(record: Record, reader: Reader, text: str) -> list[str]:
    """What the entry does not say, and what is damaged in it."""
    said = (
        (record.id, "Registry number"),
        (record.phase, "Phase"),
        (record.sponsor, "Sponsor"),
        (record.status != "unknown", "Recruiting status"),
        (record.least_age is not None or record.most_age is not None, "Ages in a field of their own"),
        (record.sites, "Sites"),
        (record.completion, "Completion date"),
    )
    found = [what for is_there, what in said if not is_there]
    found += [f"Field {name} (its value is not understood)" for name in record.unread]
    for section in sections(text):
        if len(re.findall(r"\w+", text[section.start : section.end])) < 4:
            about = f" for {section.about}" if section.about else ""
            found.append(f"The list of {section.side} criteria{about} (its heading stands there, the list is empty)")
    if reader.is_damaged:
        found.append('The signs "at least" and "at most" before many limits ("=" stands in their place)')
    if re.search(r"x ?109 ?/", plain(text)):
        found.append("The raised 9 of 10⁹/L (it stands as 109; read as 10⁹)")
    if plain(text).count("(") != plain(text).count(")"):
        found.append("A bracket (as many are opened as closed nowhere near each other)")
    return found


def _shell(criteria: list[Words]) -> TrialWords:
    return TrialWords.model_validate(
        {
            "id": "A",
            "version": 1,
            "title": "A",
            "short_title": "A",
            "source": {"document": "a", "read_on": "2000-01-01"},
            "recruiting": {"status": "unknown"},
            "cohorts": {"a": {"title": "A", "gate": {"sex": "female"}, "criteria": criteria}},
        }
    )

"""What can be read safely of one clause: limits, positive and negative, windows, diagnoses and treatments.

Between a name and its limit only words from a short list may stand. Where anything else does, nothing is read: a
limit that is not drafted costs a reviewer a minute, one that is drafted wrong may cost a patient more.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from mappings.concepts.catalogue import Catalogue
from mappings.values.units import convert
from trial_defs.registry import phrases
from trial_defs.registry.lexicon import Lexicon, Mention
from trial_defs.registry.splitting import Clause

Words = dict[str, object]


@dataclass(frozen=True, slots=True)
class Reading:
    """One expression that was read, as words of the language, with its span.

    `question`: what a reviewer has to confirm. `joined`: how the text joins it to the one before ("or", "and").
    """

    words: Words
    start: int
    end: int
    concepts: tuple[str, ...]
    joined: str = ""
    question: str | None = None


@dataclass(frozen=True, slots=True)
class Window:
    """A length of time before now: "3 mo". `until_now` is false where the text counts it from another event."""

    length: str
    start: int
    end: int
    until_now: bool


_WITHOUT_UNIT = ("body-mass-index", "hba1c")  # mostly written without one; the plausible range keeps others out
_MONOVALENT = ("potassium", "sodium")  # a milliequivalent is a millimole
LOST = 'The sign before this number is lost ("="). It is drafted as {sign}; is that what the protocol says?'
ANOTHER = "Another number is in this sentence and was not read. Does it change this limit?"


class Reader:
    """Reads clauses of one text; `is_damaged` says whether the text has lost its signs."""

    def __init__(self, low: str, catalogue: Catalogue, lexicon: Lexicon) -> None:
        self.low, self.catalogue, self.lexicon = low, catalogue, lexicon
        self.is_damaged = phrases.has_lost_signs(low)

    def limits(self, clause: Clause) -> list[Reading]:
        """Every limit of the clause whose name, sign, number and unit all are there."""
        names = list(self.lexicon.find(self.lexicon.results, self.low, clause.start, clause.end))
        found = [
            *self._betweens(clause, names),
            *self._titres(clause, names),
            *self._ranges(clause, names),
            *self._pressures(clause),
            *self._classes(clause, names),
            *self._prolonged(clause, names),
        ]
        taken = [(r.start, r.end) for r in found]
        shared: list[Mention] = []
        used: list[int] = []
        for amount in self._amounts(clause):
            if any(start < amount.end() and amount.start() < end for start, end in taken):
                continue
            group = self._named(names, amount.start(), clause.start)
            if group and (self._is_denied(clause, group[0].start) or self._is_change(clause, group[0])):
                continue
            group = group or (shared if self._continues(clause, taken, amount.start()) else [])
            if not group or self._is_in_some_case(clause, amount.start()):
                continue
            shared = group
            now = list(self._read(clause, group, amount))
            used += [amount.start()] if now else []
            found += now
            taken.append((min(group[0].start, amount.start()), max(amount.end(), group[-1].end)))
        found = sorted(self._with_sexes(found, clause), key=lambda r: r.start)
        special = [(r.start, r.end) for r in found if not any(r.start <= at < r.end for at in used)]
        unread = [
            m
            for m in self._amounts(clause)
            if m.start() not in used and not any(a <= m.start() < b for a, b in special)
        ]
        if unread:
            found = [r if r.question else replace(r, question=ANOTHER) for r in found]
        return found

    def _amounts(self, clause: Clause) -> list[re.Match[str]]:
        signed = list(phrases.AMOUNT.finditer(self.low, clause.start, clause.end))
        spans = [m.span() for m in signed]
        bare = [
            m
            for m in phrases.BARE_AMOUNT.finditer(self.low, clause.start, clause.end)
            if not any(s <= m.start() < e for s, e in spans)
        ]
        return sorted((*signed, *bare), key=lambda m: m.start())

    def _named(self, names: Sequence[Mention], at: int, start: int) -> list[Mention]:
        """The names that end before this place with nothing but filler between, and those joined to them."""
        before = [m for m in names if m.end <= at]
        if not before or not phrases.FILLER.match(self._words(before[-1].end, at)):
            return []
        group = [before[-1]]
        for mention in reversed(before[:-1]):
            if not phrases.JOINED_NAMES.match(self.low[mention.end : group[0].start]):
                break
            group.insert(0, mention)
        return group

    def _is_denied(self, clause: Clause, at: int) -> bool:
        """ "No QTc above 480 ms", "who do not have an LVEF of 50 %": the sense is turned round, so nothing is read."""
        return phrases.DENIED.search(self.low[max(clause.start, at - 40) : at]) is not None

    def _words(self, start: int, end: int) -> str:
        """The text between, without what is in closed brackets when that names no number."""
        return re.sub(r"\((?:[^()0-9]*)\)", " ", self.low[start:end])

    def _is_change(self, clause: Clause, mention: Mention) -> bool:
        """ "A decline in FVC of 5 %" is no FVC of 5 %, and "FEV1/FVC" is another result than FVC."""
        before = self.low[max(clause.start, mention.start - 45) : mention.start]
        return bool(phrases.CHANGE.search(before) or phrases.RATIO_BEFORE.search(before)) or bool(
            phrases.RATIO_AFTER.match(self.low, mention.end, clause.end)
        )

    def _is_in_some_case(self, clause: Clause, at: int) -> bool:
        """Whether the amount is in a bracket that names a case: "(for patients with bilirubin > 1.5 x ULN)"."""
        opened = self.low.rfind("(", clause.start, at)
        if opened < 0 or ")" in self.low[opened:at]:
            return False
        return phrases.IN_SOME_CASE.match(self.low, opened + 1) is not None

    def _continues(self, clause: Clause, taken: Sequence[tuple[int, int]], at: int) -> bool:
        """Whether this amount follows right after another: "≥ 7.5 mg/day, and ≤ 60 mg/day"."""
        pattern = phrases.OR_THEN if clause.side == "exclusion" else phrases.AND_THEN
        return any(at - end >= 0 and pattern.match(self.low[end:at]) for _, end in taken)

    def _read(self, clause: Clause, group: Sequence[Mention], amount: re.Match[str]) -> Iterator[Reading]:
        for position, mention in enumerate(group):
            limit, question = self._limit(clause, mention.concept, amount)
            if limit is None:
                return
            before = self.low[group[position - 1].end : mention.start] if position else ""
            joined = "or" if re.search(r"\bor\b", before) else "and" if before.strip() else ""
            start = min(mention.start, amount.start())
            words: Words = {"value": {"of": mention.concept, "is": limit}}
            yield Reading(words, start, amount.end(), (mention.concept,), joined, question=question)

    def _limit(self, clause: Clause, concept: str, amount: re.Match[str]) -> tuple[str | None, str | None]:
        """The limit in the language's words, and what is to be asked about it."""
        groups = amount.groupdict()
        sign = next((phrases.SIGN_OF[name] for name in phrases.SIGN_OF if groups.get(name)), None)
        more = (groups.get("more") or "").strip()
        if more:
            sign = ">=" if more.split()[1] in ("higher", "more", "above", "greater") else "<="
        question = None
        if sign == "=":
            sign = self._proposed(clause, concept)
            question = LOST.format(sign=phrases.SIGN_WORDS.get(sign or "", ""))
        if sign is None:
            return None, None
        if normal := self._normal(amount, sign):
            return normal, question
        following = phrases.UNIT_OF_THE_NEXT.match(self.low, amount.end(), clause.end)
        unit = self._unit(groups.get("unit") or (following["unit"] if following else None), concept)
        if unit is None:
            return None, None
        if phrases.DURATION.match(self.low, amount.end()):
            return None, None  # so much for so long: more than a limit
        return f"{sign} {phrases.number(groups['plain'])} {unit}", question

    @staticmethod
    def _normal(amount: re.Match[str], sign: str) -> str | None:
        groups = amount.groupdict()
        for end, name in (("uln", "ULN"), ("lln", "LLN")):
            if groups.get(end):
                number = phrases.number(groups["number"])
                return f"{sign} {number} {name}" if float(number) != 1 else f"{sign} {name}"
            if groups.get(end + "1"):
                return f"{sign} {name}"
        return None

    def _proposed(self, clause: Clause, concept: str) -> str | None:
        """Which sign is meant where the text has lost it: the usual side; only to be asked about."""
        want = self.lexicon.wanted.get(concept)
        if not self.is_damaged or want is None:
            return None
        return "<=" if (want == "low") == (clause.side == "inclusion") else ">="

    def _unit(self, written: str | None, concept: str) -> str | None:
        """The unit in UCUM where it fits the concept; a missing one only for scores, counts and classes."""
        own = self.catalogue.concepts[concept].unit
        plain = re.sub(r"\s+", "", written or "")
        if own is None:
            return None
        if not plain and concept in _WITHOUT_UNIT:
            return own
        if plain.startswith("meq/") and concept in _MONOVALENT:
            plain = "mmol/l"
        if not plain or plain.startswith("point"):
            return own if own.startswith("{") or (own == "%" and plain) else None
        unit = phrases.ucum(plain)
        if unit is None:
            return None
        fits = unit == own or convert(Decimal(1), unit, own, self.catalogue.concepts[concept].molar_mass) is not None
        return unit if fits else None

    # -- special forms

    def _betweens(self, clause: Clause, names: Sequence[Mention]) -> Iterator[Reading]:
        """ "45% predicted ≤ forced vital capacity (FVC) ≤ 70% predicted"."""
        for mention in names:
            lefts = phrases.LIMIT_BEFORE.finditer(self.low, clause.start, mention.start)
            left = next((m for m in lefts if m.end() == mention.start), None)
            right = phrases.LIMIT_AFTER.match(self.low, mention.end, clause.end)
            if left and right:
                unit = self._unit(left["unit"], mention.concept)
                if unit and unit == self._unit(right["unit"], mention.concept):
                    low, high = phrases.number(left["plain"]), phrases.number(right["plain"])
                    words: Words = {"value": {"of": mention.concept, "is": f"{low}..{high} {unit}"}}
                    yield Reading(words, left.start(), right.end(), (mention.concept,))

    def _titres(self, clause: Clause, names: Sequence[Mention]) -> Iterator[Reading]:
        """ "ANA ≥ 1:80"."""
        for mention in names:
            if self.catalogue.concepts[mention.concept].unit != "{titer}":
                continue
            match = phrases.TITRE.match(self.low, mention.end, clause.end)
            said = phrases.SAID_BEFORE.search(self.low[max(clause.start, mention.start - 60) : mention.start])
            if match and not said and not self._is_denied(clause, mention.start):
                sign = next(sign for group, sign in phrases.SIGN_OF.items() if match[group])
                words: Words = {"value": {"of": mention.concept, "is": f"{sign} {match['titre']} {{titer}}"}}
                if sign != "=":
                    yield Reading(words, mention.start, match.end(), (mention.concept,))

    def _ranges(self, clause: Clause, names: Sequence[Mention]) -> Iterator[Reading]:
        """ "BMI 18.5-30 kg/m2", "ECOG 0 or 1": both ends belong to it."""
        for mention in names:
            match = phrases.RANGE.match(self.low, mention.end, clause.end)
            if match is None or self._is_denied(clause, mention.start) or self._is_change(clause, mention):
                continue
            unit = self._unit(match["unit"] or match["first"], mention.concept)
            low, high = phrases.number(match["low"]), phrases.number(match["high"])
            numbers = [Decimal(low), Decimal(high), *map(Decimal, re.findall(r"\d+", match["middle"] or ""))]
            if unit is None or Decimal(low) >= Decimal(high):
                continue
            whole = all(n == n.to_integral_value() for n in numbers)
            by = match["by"].strip()
            listed = by in ("or", "/", "and") and not (match["between"] and by == "and")
            one_by_one = unit.startswith("{") and whole and max(numbers) - min(numbers) == len(set(numbers)) - 1
            if listed and not one_by_one:
                continue
            limit = f"<= {high} {unit}" if low == "0" else f"{low}..{high} {unit}"
            yield Reading(
                {"value": {"of": mention.concept, "is": limit}}, mention.start, match.end(), (mention.concept,)
            )

    def _pressures(self, clause: Clause) -> Iterator[Reading]:
        """ "Blood pressure > 160/100 mmHg": the systolic and the diastolic one."""
        for match in phrases.PRESSURE.finditer(self.low, clause.start, clause.end):
            sign = next(sign for group, sign in phrases.SIGN_OF.items() if match[group])
            if sign == "=" or self._is_denied(clause, match.start()):
                continue
            for name, number in (("systolic", match["systolic"]), ("diastolic", match["diastolic"])):
                concept = f"{name}-blood-pressure"
                if concept in self.catalogue.concepts:
                    words: Words = {"value": {"of": concept, "is": f"{sign} {number} mm[Hg]"}}
                    yield Reading(words, match.start(), match.end(), (concept,))

    def _prolonged(self, clause: Clause, names: Sequence[Mention]) -> Iterator[Reading]:
        """ "PT extended by at most 4 s" is read as 4 s above the upper limit of normal, and asked about."""
        for mention in names:
            match = (
                phrases.PROLONGED.match(self.low, mention.end, clause.end)
                if mention.concept == "prothrombin-time"
                else None
            )
            if match:
                words: Words = {"value": {"of": mention.concept, "is": f"<= ULN + {match[1]} s"}}
                asked = "Is this meant as seconds above the laboratory's upper limit of normal, as drafted?"
                yield Reading(words, mention.start, match.end(), (mention.concept,), question=asked)

    def _classes(self, clause: Clause, names: Sequence[Mention]) -> Iterator[Reading]:
        """ "NYHA class III or IV", "grade I or II"."""
        for mention in names:
            if self.catalogue.concepts[mention.concept].unit != "{class}":
                continue
            match = phrases.CLASSES.match(self.low, mention.end, clause.end)
            if match is None:
                continue
            numbers = [phrases.class_number(text) for text in (match[1], match[2]) if text]
            if clause.side == "exclusion" and max(numbers) == 4:
                limit = f">= {min(numbers)} {{class}}"
            elif clause.side == "inclusion" and min(numbers) == 1:
                limit = f"<= {max(numbers)} {{class}}"
            elif clause.side == "inclusion" and len(numbers) == 2:
                limit = f"{min(numbers)}..{max(numbers)} {{class}}"
            else:
                continue
            words: Words = {"value": {"of": mention.concept, "is": limit}}
            yield Reading(words, mention.start, match.end(), (mention.concept,))

    def _with_sexes(self, found: Sequence[Reading], clause: Clause) -> Iterator[Reading]:
        """A limit "for males" holds for men."""
        for reading in found:
            match = phrases.FOR_SEX.match(self.low, reading.end, clause.end)
            if match is None:
                yield reading
                continue
            sex = "female" if match[1] in ("females", "women") else "male"
            words: Words = {"all": [{"sex": sex}, reading.words]}
            yield Reading(words, reading.start, match.end(), reading.concepts, "or", question=reading.question)

    # -- positive and negative

    def polarities(self, clause: Clause) -> list[Reading]:
        """ "HBsAg positive", "positive anti-dsDNA", "negative pregnancy test"; detectable nucleic acid is positive."""
        names = [
            m
            for m in self.lexicon.find(self.lexicon.results, self.low, clause.start, clause.end)
            if m.concept in self.lexicon.qualitative
        ]
        found: dict[int, Reading] = {}
        groups: list[list[Mention]] = []
        for mention in names:
            if groups and phrases.JOINED_NAMES.match(self.low[groups[-1][-1].end : mention.start]):
                groups[-1].append(mention)
            else:
                groups.append([mention])
        for group in groups:
            said = self._polarity_of(clause, group)
            if said is None:
                continue
            for position, mention in enumerate(group):
                before = self.low[group[position - 1].end : mention.start] if position else self._before(names, mention)
                joined = "or" if re.search(r"\bor\b", before) else "and" if re.search(r"\band\b", before) else ""
                words: Words = {"value": {"of": mention.concept, "is": said}}
                found.setdefault(mention.start, Reading(words, mention.start, mention.end, (mention.concept,), joined))
        return list(found.values())

    def _before(self, names: Sequence[Mention], mention: Mention) -> str:
        earlier = [m for m in names if m.end <= mention.start]
        return self.low[earlier[-1].end : mention.start] if earlier else ""

    def _polarity_of(self, clause: Clause, group: Sequence[Mention]) -> str | None:
        if self._is_denied(clause, group[0].start):
            return None
        after = phrases.SAID_AFTER.match(self.low, group[-1].end, clause.end)
        if after:
            return "negative" if after[1] == "negative" else "positive"
        before = phrases.SAID_BEFORE.search(self.low[max(clause.start, group[0].start - 60) : group[0].start])
        return before[1] if before else None

    # -- diagnoses and treatments

    def diagnoses(self, clause: Clause, taken: Sequence[Reading] = ()) -> list[Mention]:
        return self._free(self.lexicon.diagnoses, clause, taken)

    def treatments(self, clause: Clause, taken: Sequence[Reading] = ()) -> list[Mention]:
        return self._free(self.lexicon.treatments, clause, taken)

    def infections(self, clause: Clause, taken: Sequence[Reading] = ()) -> list[Mention]:
        """Infections that the catalogue knows by their tests: "hepatitis B infection", "HIV"."""
        return self._free(self.lexicon.infections, clause, taken)

    def _free(self, pattern: re.Pattern[str], clause: Clause, taken: Sequence[Reading]) -> list[Mention]:
        """Names that lie in no reading and in no other name, and behind no "except"."""
        masked = [(m.start, m.end) for m in self._tests(clause)] if pattern is not self.lexicon.infections else []
        found = []
        for mention in self.lexicon.find(pattern, self.low, clause.start, clause.end):
            inside = any(r.start <= mention.start < r.end for r in taken)
            inside = inside or any(first <= mention.start < last for first, last in masked)
            if not inside and not self._is_excepted(clause, mention) and not self.lexicon.is_barred(self.low, mention):
                found.append(mention)
        return found

    def _tests(self, clause: Clause) -> Iterator[Mention]:
        yield from self.lexicon.find(self.lexicon.infections, self.low, clause.start, clause.end)
        yield from self.lexicon.find(self.lexicon.results, self.low, clause.start, clause.end)

    def _is_excepted(self, clause: Clause, mention: Mention) -> bool:
        """Behind "except" up to the end of its bracket or sentence; right behind "not caused by" or "non-"."""
        before = self.low[clause.start : mention.start]
        if phrases.CAUSED_BY.search(before):
            return True
        exceptions = list(phrases.EXCEPT_FOR.finditer(before))
        if not exceptions:
            return False
        between = before[exceptions[-1].end() :]
        return between.count(")") <= between.count("(")

    def windows(self, start: int, end: int) -> list[Window]:
        """Every length of time "within" which something was, with its place."""
        found = []
        for match in phrases.WITHIN.finditer(self.low, start, end):
            count = next((match[f"count{n}"] for n in (1, 2, 4) if match[f"count{n}"]), "1")
            unit = next(match[f"unit{n}"] for n in (1, 2, 3, 4) if match[f"unit{n}"])
            if match["count4"] and phrases.FOR_SO_LONG.search(self.low, max(start, match.start() - 20), match.start()):
                continue
            number = count if count.isdigit() else str(phrases.COUNT_WORDS[count.replace("-", " ")])
            length = f"{number} {phrases.period_unit(unit)}"
            another = phrases.ANOTHER_EVENT.match(self.low, match.end()) is not None
            found.append(Window(length, match.start(), match.end(), not another and number != "0"))
        return found

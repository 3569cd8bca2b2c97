"""One clause as criteria: what is read of it, what is beside that, and a question for everything else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from trial_defs.registry import phrases
from trial_defs.registry.ages import AgeLimits
from trial_defs.registry.criteria import Criteria, shortened
from trial_defs.registry.exclusions import Exclusions
from trial_defs.registry.inclusions import Inclusions
from trial_defs.registry.own_disease import OwnDisease
from trial_defs.registry.recognition import Reading, Words
from trial_defs.registry.record import Record
from trial_defs.registry.remainder import Kind, Part, beside, parts_of, unread_parts
from trial_defs.registry.splitting import Clause


class ClauseDrafts:
    """Drafts one clause after the other."""

    def __init__(self, criteria: Criteria, record: Record) -> None:
        self.criteria = criteria
        self.inclusions, self.exclusions = Inclusions(criteria), Exclusions(criteria)
        self.ages = AgeLimits(criteria, record)
        self.own = OwnDisease(record, criteria.catalogue, criteria.lexicon)

    def read(self, clause: Clause) -> None:
        low = self.criteria.low[clause.start : clause.end]
        limits = self.criteria.reader.limits(clause)
        readings = limits + [p for p in self.criteria.reader.polarities(clause) if not _overlaps(p, limits)]
        readings.sort(key=lambda r: r.start)
        before = len(self.criteria.found)
        ages = self.ages.read(clause)
        another_way = phrases.CONDITIONAL.match(low) or (
            phrases.PATIENTS_WITH.match(low) and phrases.ALLOWED.search(low)
        )
        if another_way and readings:
            if clause.side == "inclusion":
                self.inclusions.another_way(clause, readings)
                ages = [*ages, *((r.start, r.end) for r in readings)]
        elif clause.side == "inclusion":
            self.inclusions.read(clause, readings)
        else:
            self.exclusions.read(clause, readings)
        self._settle(clause, before, ages, widened=bool(another_way and readings))

    def _settle(self, clause: Clause, before: int, also: Sequence[tuple[int, int]], *, widened: bool) -> None:
        """Nothing stays bare unless its clause holds nothing else; the members of which nothing was read are asked."""
        found = self.criteria.found
        windows = self.criteria.reader.windows(clause.start, clause.end)
        read = [
            *((each.start, each.end) for each in found[before:]),
            *((w.start, w.end) for w in windows if w.until_now),
            *also,
            *self._same_again(clause, {each.name for each in found[before:]}),
        ]
        parts = parts_of(self.criteria.low, clause.start, clause.end, read)
        joined = _joined_to_unread(parts, clause)
        for index in range(before, len(found)):
            self._beside(clause, index, parts)
            if joined and (clause.side == "inclusion" or kind_of(found[index].asks) in ("limit", "test")):
                self.criteria.asked(index, joined)
        if widened:
            parts = [part for part in parts if part.read]
        topic = 1 if len(parts) > 1 and parts[1].cut == ":" and not parts[0].read and len(parts[0].words) <= 7 else 0
        if len(found) == before and not (also and not unread_parts(parts)):
            if not (widened and also):
                self.ask(clause)
        elif len(found) == before:
            self.criteria.said_before.append((clause.start, clause.end))
        elif unread_parts(parts[topic:]):
            self.ask(clause)
        for index in range(before, len(found)):
            found[index] = replace(found[index], sentence=(clause.start, clause.end))

    def _same_again(self, clause: Clause, names: set[str]) -> list[tuple[int, int]]:
        """Other names of what was drafted: "deep vein thrombosis or pulmonary embolism" is one concept."""
        reader = self.criteria.reader
        mentions = (*reader.diagnoses(clause), *reader.treatments(clause), *reader.infections(clause))
        return [(m.start, m.end) for m in mentions if m.concept in names]

    def _beside(self, clause: Clause, index: int, parts: Sequence[Part]) -> None:
        """Ask about the words that may change what was read."""
        each = self.criteria.found[index]
        kind = kind_of(each.asks)
        if kind is None:
            return
        words = beside(parts, (each.start, each.end), kind)
        words = tuple(dict.fromkeys((*words, *self.criteria.lines.says_more)))
        if "within " in str(each.asks):
            words = tuple(w for w in words if w not in ("recent", "recently", "new", "newly"))
        if kind == "limit" and phrases.LONG_WINDOW.search(self.criteria.low, clause.start, clause.end):
            words = (*words, "the time that is named")
        if each.name in ("pregnancy", "lactation") and phrases.WITHIN.search(
            self.criteria.low, clause.start, clause.end
        ):
            words = (*words, "within")
        if phrases.FOR_A_GROUP.search(self.criteria.low, clause.start, clause.end):
            words = (*words, "for")
        if each.side != clause.side:  # "no transfusion" is drafted as its exclusion
            words = tuple(w for w in words if w not in ("no", "not", "without", "avoid", "free"))
        own = each.side == "exclusion" and kind in ("condition", "test") and self.own.covers(each.name)
        if own:
            self.criteria.with_judgement(
                index,
                f"Is it another than the disease of this trial, as the text says: “{self.criteria.quote(clause)}”?",
            )
        elif words and kind == "limit":
            asked = "The sentence says more than this limit (“{}”). Does it change what is drafted?"
            self.criteria.asked(index, asked.format(", ".join(words[:8])))
        elif words and not _has_judgement(each.asks):
            over = self.criteria.lines.spans[-1:] if self.criteria.lines.says_more else ()
            quote = " ".join(self.criteria.text[slice(*span)] for span in (*over, (clause.start, clause.end)))
            self.criteria.with_judgement(index, f"Is it as the text says: “{shortened(quote)}”?")

    def ask(self, clause: Clause) -> None:
        """The clause as a question for a person, with what helps to answer it."""
        reader = self.criteria.reader
        helps = [m.concept for m in (*reader.diagnoses(clause), *reader.treatments(clause), *reader.infections(clause))]
        quote = self.criteria.quote(clause)
        if phrases.CONSENT.search(self.criteria.low[clause.start : clause.end]):
            asks: Words = {"consent": quote}
        else:
            asks = {
                "judgement": {
                    "ask": f"Is this so: “{quote}”?",
                    **({"evidence": list(dict.fromkeys(helps))} if helps else {}),
                }
            }
        span = (clause.start, clause.end)
        self.criteria.add(clause.side, clause.about, clause.place, asks, quote, span, "text")


def _joined_to_unread(parts: Sequence[Part], clause: Clause) -> str | None:
    """A question where the text joins what was read to what was not: "A or X" asked for, "A and X" excluded."""
    word = "or" if clause.side == "inclusion" else "and"
    unread = unread_parts(parts)
    for number, part in enumerate(parts):
        beside_it = parts[number - 1] if number else None
        if part.cut == word and beside_it is not None and (part in unread) != (beside_it in unread):
            return f"The text joins this by “{word}” to something that was not read. Which holds: one of them, or both?"
    return None


def _has_judgement(asks: Words) -> bool:
    match asks:
        case {"all": list(parts)} | {"any": list(parts)}:
            return any("judgement" in part for part in parts)
        case _:
            return False


def kind_of(asks: Words) -> Kind | None:
    """What is drafted, apart from the judgement beside it."""
    match asks:
        case {"condition": _}:
            return "condition"
        case {"treatment": _}:
            return "treatment"
        case {"value": {"is": "positive" | "negative", **_rest}}:
            return "test"
        case {"value": _} | {"age": _}:
            return "limit"
        case {"all": [dict(first), *_]} | {"any": [dict(first), *_]}:
            return kind_of(first)
        case _:
            return None


def _overlaps(one: Reading, others: Iterable[Reading]) -> bool:
    return any(one.start < other.end and other.start < one.end for other in others)

"""A registry entry as a drafted definition: everything readable as criteria, everything else as questions for a person.

A draft is never served: it says `imported`, and is read as a draft until a named person has signed it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from mappings.concepts.catalogue import Catalogue
from trial_defs.registry import phrases
from trial_defs.registry.criteria import Criteria, Drafted
from trial_defs.registry.exclusions import Exclusions
from trial_defs.registry.inclusions import Inclusions
from trial_defs.registry.recognition import Reader, Reading, Words
from trial_defs.registry.record import Record
from trial_defs.registry.splitting import Clause, clauses, plain, sections


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
        self.record, self.criteria = record, Criteria(record.eligibility, catalogue)
        self.inclusions, self.exclusions = Inclusions(self.criteria), Exclusions(self.criteria)

    def draft(self) -> Draft:
        parts = clauses(self.criteria.text)
        self._registry_fields(parts)
        for clause in parts:
            self._read(clause)
        self._ask_for_cohorts()
        return Draft(self.record, self.criteria.found, _missing(self.record, self.criteria.reader, self.criteria.text))

    def _registry_fields(self, parts: Sequence[Clause]) -> None:
        least, most, sex = self.record.least_age, self.record.most_age, self.record.sex
        place, span, confidence = "Registry field, ages", (0, 0), "high"
        if least is None and most is None:
            for clause in parts:
                match = phrases.AGE.search(self.criteria.low, clause.start, clause.end)
                if match and re.search(r"\bage", self.criteria.low[clause.start : clause.end]):
                    least, most = (int(number) for number in match.groups() if number)
                    place, span, confidence = clause.place, match.span(), "medium"
                    break
        if limit := _age_limit(least, most):
            self.criteria.add("inclusion", None, place, {"age": {"is": limit}}, f"Age {limit}", span, "age", confidence)
        if sex:
            self.criteria.add(
                "inclusion", None, "Registry field, sex", {"sex": sex}, f"Sex: {sex}", (0, 0), "sex", "high"
            )

    def _read(self, clause: Clause) -> None:
        low = self.criteria.low[clause.start : clause.end]
        limits = self.criteria.reader.limits(clause)
        readings = limits + [p for p in self.criteria.reader.polarities(clause) if not _overlaps(p, limits)]
        readings.sort(key=lambda r: r.start)
        before = len(self.criteria.found)
        another_way = phrases.CONDITIONAL.match(low) or (
            phrases.PATIENTS_WITH.match(low) and phrases.ALLOWED.search(low)
        )
        if another_way and readings:
            if clause.side == "inclusion":
                self.inclusions.another_way(clause, readings)
        elif clause.side == "inclusion":
            self.inclusions.read(clause, readings)
        else:
            self.exclusions.read(clause, readings)
        self._rest(clause, readings, drafted=len(self.criteria.found) > before)

    def _rest(self, clause: Clause, readings: Sequence[Reading], *, drafted: bool) -> None:
        """What no reading covers becomes a question; a heading or a few joining words do not."""
        low = self.criteria.low[clause.start : clause.end]
        if not drafted and low.rstrip(" .").endswith(":"):
            return
        own = [each for each in self.criteria.found if each.start >= clause.start and each.end <= clause.end]
        left = re.findall(
            r"[a-z]{4,}",
            _without(
                self.criteria.low, clause, [*((r.start, r.end) for r in readings), *((d.start, d.end) for d in own)]
            ),
        )
        if drafted and len(left) < 5:
            return
        helps = [m.concept for m in (*self.criteria.reader.diagnoses(clause), *self.criteria.reader.treatments(clause))]
        quote = self.criteria.quote(clause)
        if phrases.CONSENT.search(low):
            asks: Words = {"consent": quote}
        else:
            asks = {
                "judgement": {
                    "ask": f"Is this so: “{quote}”?",
                    **({"evidence": list(dict.fromkeys(helps))} if helps else {}),
                }
            }
        self.criteria.add(
            clause.side, clause.about, clause.place, asks, quote, (clause.start, clause.end), "text", "low"
        )

    def _ask_for_cohorts(self) -> None:
        """Several diseases in one list open a cohort each, which no heading says."""
        places = [
            i
            for i, each in enumerate(self.criteria.found)
            if each.side == "inclusion" and each.about is None and set(each.asks) == {"condition"}
        ]
        if len({self.criteria.found[i].name for i in places}) < 2:
            return
        for i in places:
            asked = "Which part of the study is this disease for? Give each its cohort with its criteria."
            self.criteria.found[i] = replace(self.criteria.found[i], question=self.criteria.found[i].question or asked)


def _overlaps(one: Reading, others: Iterable[Reading]) -> bool:
    return any(one.start < other.end and other.start < one.end for other in others)


def _without(low: str, clause: Clause, spans: Iterable[tuple[int, int]]) -> str:
    kept = list(low[clause.start : clause.end])
    for start, end in spans:
        for place in range(max(start, clause.start), min(end, clause.end)):
            kept[place - clause.start] = " "
    return "".join(kept)


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

"""A registry entry as a drafted definition: everything readable as criteria, everything else as questions for a person.

A draft is never served: it says `imported`, and is read as a draft until a named person has signed it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from mappings.concepts.catalogue import Catalogue
from trial_defs.registry import phrases
from trial_defs.registry.accounted import Unaccounted, missing_of, unaccounted
from trial_defs.registry.clause_drafts import ClauseDrafts, kind_of
from trial_defs.registry.criteria import Criteria, Drafted, Lines, shortened
from trial_defs.registry.lists import says_more_of, together
from trial_defs.registry.recognition import Words
from trial_defs.registry.record import Record
from trial_defs.registry.splitting import Clause, Point, Side, clauses_of, outline

UNHEADED = "This stands before the first heading of the text. Is it an inclusion criterion?"


@dataclass
class Draft:
    """The whole draft: its criteria, what the entry does not say, and the words that are in no criterion."""

    record: Record
    criteria: list[Drafted] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unaccounted: Unaccounted = field(default_factory=Unaccounted)

    @property
    def questions(self) -> list[Drafted]:
        return [each for each in self.criteria if each.question]


def draft_of(record: Record, catalogue: Catalogue) -> Draft:
    """Everything that can be read of this entry, and questions for the rest."""
    return _Drafter(record, catalogue).draft()


class _Drafter:
    def __init__(self, record: Record, catalogue: Catalogue) -> None:
        self.record, self.criteria = record, Criteria(record.eligibility, catalogue)
        self.clauses = ClauseDrafts(self.criteria, record)

    def draft(self) -> Draft:
        self._registry_fields()
        self._points(outline(self.criteria.text))
        self._ask_for_cohorts()
        text, found = self.criteria.text, self.criteria.found
        missing = missing_of(self.record, text, is_damaged=self.criteria.reader.is_damaged)
        return Draft(self.record, found, missing, unaccounted(text, found, self.criteria.said_before))

    def _registry_fields(self) -> None:
        self.clauses.ages.of_the_registry()
        if sex := self.record.sex:
            self.criteria.add("inclusion", None, "Registry field, sex", {"sex": sex}, f"Sex: {sex}", (0, 0), "sex")

    # -- the tree

    def _points(self, points: Sequence[Point]) -> None:
        """Points in their order; a note belongs to the point before it."""
        drafted = (0, 0)
        for point in points:
            if drafted[1] > drafted[0] and not point.children and self._is_note(point):
                self._note(point, drafted)
                continue
            before = len(self.criteria.found)
            self._point(point)
            drafted = (before, len(self.criteria.found))

    def _is_note(self, point: Point) -> bool:
        low = self.criteria.low[point.start : point.end]
        clause = Clause(point.side, point.about, point.place, point.start, point.end)
        has_own_limit = not phrases.SURE_NOTE.match(low) and bool(self.criteria.reader.limits(clause))
        return phrases.NOTE.match(low) is not None and not has_own_limit

    def _note(self, point: Point, drafted: tuple[int, int]) -> None:
        """An exception to the point before, or something to read beside it."""
        text = self.criteria.text[point.start : point.end]
        self._attach(text, (point.start, point.end), drafted)

    def _attach(self, text: str, span: tuple[int, int], drafted: tuple[int, int]) -> None:
        low = self.criteria.low[slice(*span)]
        computed = [i for i in range(*drafted) if self.criteria.found[i].is_computed]
        for index in computed:
            if phrases.ALLOWED.search(low) or phrases.EXCEPTION.search(low):
                self.criteria.excepted(index, text)
            else:
                self.criteria.asked(index, f"Does this change what is drafted: “{shortened(text)}”?")
        for index in range(*drafted):
            each = self.criteria.found[index]
            self.criteria.found[index] = replace(
                each, sentence=(min(each.sentence[0], span[0]), max(each.sentence[1], span[1]))
            )
        if not computed:
            first = self.criteria.found[drafted[0]]
            self.clauses.ask(Clause(first.side, first.about, first.place, *span))

    def _point(self, point: Point) -> None:
        join = point.join
        if not point.children or join is None:
            self._leaf(point)
            return
        is_line = point.title or join.opens or point.end <= point.start or join.list_start is not None
        if not is_line:
            self._leaf(point)
        elif point.title and self._names_something(point):
            self.clauses.ask(Clause(point.side, point.about, point.place, point.start, point.end))
        elif not join.counts:
            self._read_line(point)
        lines, before = self._lines(point), len(self.criteria.found)
        with self.criteria.under(lines):
            if join.negated and point.side == "inclusion":
                for child in point.children:
                    _turn(child)
                self._points(point.children)
            elif join.negated:
                self._only_asked(point)
            elif join.counts and (point.side == "inclusion" or join.n > 1):
                self._group(point, join.n)
            elif (join.all_together and point.side == "exclusion" and join.list_start is not None) or (
                join.all_together and point.side == "exclusion" and len(point.children) > 1
            ):
                self._group(point, None)
            else:
                self._points(point.children)
        if join.list_start is not None:
            self._words_around(point, lines)
        if len(self.criteria.found) == before and point.end > point.start and not point.title:
            self.clauses.ask(Clause(point.side, point.about, point.place, point.start, point.end))

    def _read_line(self, point: Point) -> None:
        """What the line over a list asks for itself; the rest of its words stands over its points."""
        with self.criteria.apart() as found:
            for clause in clauses_of(self.criteria.low, point):
                self.clauses.read(clause)
        for each in found:
            alone = point.side == "exclusion" and each.side == "exclusion" and kind_of(each.asks) == "condition"
            if each.is_computed and not alone:  # a disease over a list of exclusions is the topic of the list
                self.criteria.found.append(each)

    def _names_something(self, point: Point) -> bool:
        """A title without a colon that names a disease or a drug may be a criterion."""
        clause = Clause(point.side, point.about, point.place, point.start, point.end)
        colon = self.criteria.low[point.start : point.end].rstrip().endswith(":")
        reader = self.criteria.reader
        return not colon and bool(reader.diagnoses(clause) or reader.treatments(clause) or reader.infections(clause))

    def _lines(self, point: Point) -> Lines:
        above = self.criteria.lines
        low = self.criteria.low[point.start : point.end]
        spans = above.spans if point.end <= point.start else (*above.spans, (point.start, point.end))
        treated = phrases.TREATED_LIST.search(low) is not None
        counts = point.join is not None and point.join.counts
        if point.flat and (point.side == "exclusion" or not counts):
            return replace(above, spans=spans)
        windows = [w for w in self.criteria.reader.windows(point.start, point.end) if w.until_now]
        return Lines(
            spans,
            windows[0].length if len(windows) == 1 and point.side == "exclusion" else above.window,
            above.ever or bool(re.search(r"\bhistory\b", low)),
            tuple(dict.fromkeys((*above.says_more, *says_more_of(self.criteria, point)))),
            treated,
        )

    def _words_around(self, point: Point, lines: Lines) -> None:
        """A list inside a sentence: what stands behind the list is asked."""
        end = point.last
        rest = re.match(r"[^\n]*", self.criteria.low[end:])
        if point.uncertain and rest and re.search(r"[a-z]{3}", rest[0]):
            whole = Clause(point.side, point.about, point.place, point.start, end + rest.end())
            self.clauses.ask(whole)

    def _only_asked(self, point: Point) -> None:
        """A list under a line that turns its sense round: a person reads it whole."""
        self.clauses.ask(Clause(point.side, point.about, point.place, point.start, point.last))

    def _group(self, point: Point, count: int | None) -> None:
        """ "At least two of the following": one criterion over all points of the list."""
        children: list[list[Drafted]] = []
        for child in point.children:
            if children and self._is_note(child) and not child.children:
                children[-1] += [self._asked_apart(child)]
                continue
            with self.criteria.apart() as found, self.criteria.under(replace(self.criteria.lines, says_more=())):
                self._point(child)
            if found:
                children.append(found)
        asks, question = together(children, point.side, count)
        if asks is None or not self.criteria.compiles(asks):
            self._only_asked(point)
            return
        more = self.criteria.lines.says_more
        name = {None: "all-of", 1: "one-of", 2: "two-of", 3: "three-of"}.get(count, "some-of")
        texts = [" and ".join(each.text for each in found) for found in children]
        head = "All of" if count is None else f"At least {count} of"
        computed = any(each.is_computed for found in children for each in found)
        before = len(self.criteria.found)
        self.criteria.add(
            point.side, point.about, point.place, asks, shortened(f"{head}: {'; '.join(texts)}"),
            (point.start, point.last), name if computed else "text", question or point.uncertain,
        )  # fmt: skip
        if len(self.criteria.found) > before and more and computed:
            quote = shortened(self.criteria.text[point.start : point.end])
            self.criteria.with_judgement(before, f"Is it as the line over the list says: “{quote}”?")
        self._settle_heading(before, point)

    def _asked_apart(self, point: Point) -> Drafted:
        with self.criteria.apart() as found:
            self.clauses.ask(Clause(point.side, point.about, point.place, point.start, point.end))
        return found[0]

    def _settle_heading(self, before: int, point: Point) -> None:
        if point.unheaded:
            for index in range(before, len(self.criteria.found)):
                self.criteria.asked(index, UNHEADED)

    def _leaf(self, point: Point) -> None:
        """A point without points below: its clauses, a later sentence of which may be an exception to the first."""
        if point.title:
            if self._names_something(point) and not point.children:
                self.clauses.ask(Clause(point.side, point.about, point.place, point.start, point.end))
            return
        before = len(self.criteria.found)
        for number, clause in enumerate(clauses_of(self.criteria.low, point)):
            drafted = (before, len(self.criteria.found))
            low = self.criteria.low[clause.start : clause.end]
            has_readings = bool(self.criteria.reader.limits(clause))
            if number and drafted[1] > drafted[0] and phrases.NOTE.match(low) and not has_readings:
                self._attach(self.criteria.text[clause.start : clause.end], (clause.start, clause.end), drafted)
            else:
                self.clauses.read(clause)
        self._settle_heading(before, point)
        if point.uncertain and len(self.criteria.found) > before:
            self.criteria.asked(before, point.uncertain)

    def _ask_for_cohorts(self) -> None:
        """Several diseases in one list open a cohort each, which no heading says."""
        places = [
            i
            for i, each in enumerate(self.criteria.found)
            if each.side == "inclusion" and each.about is None and _condition_of(each.asks)
        ]
        if len({self.criteria.found[i].name for i in places}) < 2:
            return
        for i in places:
            asked = "Which part of the study is this disease for? Give each its cohort with its criteria."
            self.criteria.found[i] = replace(self.criteria.found[i], question=self.criteria.found[i].question or asked)


def _turn(point: Point) -> None:
    point.side = "exclusion"
    for child in point.children:
        _turn(child)


def _condition_of(asks: Words) -> bool:
    match asks:
        case {"condition": _}:
            return True
        case {"all": [{"condition": _}, {"judgement": _}]}:
            return True
        case _:
            return False


__all__ = ["Draft", "Side", "draft_of"]

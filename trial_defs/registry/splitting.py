"""An eligibility text taken apart: its sections, the tree of its points, and the clauses of each point.

Every piece is a span of the text as it came, so that a reviewer can see exactly what was read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from trial_defs.registry.headings import Side, headings
from trial_defs.registry.joining import Join, join_of
from trial_defs.registry.lines import Item, items, plain

__all__ = ["Clause", "Point", "Section", "Side", "clauses", "outline", "plain", "sections"]


@dataclass(frozen=True, slots=True)
class Section:
    """One list of criteria; `about` is what its heading says it is for ("systemic sclerosis"), or None.

    `start` is where its heading ends. `unheaded`: the text before the first heading, whose side is assumed.
    """

    side: Side
    about: str | None
    start: int
    end: int
    unheaded: bool = False
    heading: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class Clause:
    """The smallest piece that is read at once; `place` is where it stands: "Inclusion 7, 4th point"."""

    side: Side
    about: str | None
    place: str
    start: int
    end: int


@dataclass(slots=True)
class Point:
    """One point of a list with the points below it.

    `join` says how those belong together, None where nothing stands below. `title`: a heading inside the list, which
    asks for nothing. `uncertain`: why a reviewer has to confirm where it belongs, or None.
    """

    side: Side
    about: str | None
    place: str
    start: int
    end: int
    children: list[Point] = field(default_factory=list)
    join: Join | None = None
    title: bool = False
    marked: bool = False
    unheaded: bool = False
    flat: bool = False
    uncertain: str | None = None

    @property
    def last(self) -> int:
        """Where its last child ends."""
        return max([self.end, *(child.last for child in self.children)])


def sections(text: str) -> list[Section]:
    """Every list of criteria, in order; text before the first heading is a list of inclusion criteria without one."""
    heads = headings(text)
    found: list[Section] = []
    first = heads[0].start if heads else len(text)
    if any(word not in _TITLE_WORDS for word in re.findall(r"[a-z]{2,}", plain(text[:first]))):
        found.append(Section("inclusion", None, 0, first, unheaded=True))
    ends = [*(head.start for head in heads[1:]), len(text)][: len(heads)]
    for head, end in zip(heads, ends, strict=True):
        found.append(Section(head.side, head.about, head.end, end, heading=(head.start, head.end)))
    return found


_TITLE_WORDS = frozenset(("key", "eligibility", "eligible", "criteria", "study", "trial", "patients", "for", "the"))


# -- the tree


def outline(text: str) -> list[Point]:
    """The points of every section, as a tree."""
    low = plain(text)
    return [point for section in sections(text) for point in _points(low, text, section)]


def _points(low: str, text: str, section: Section) -> list[Point]:
    roots: list[Point] = []
    stack: list[tuple[Item, Point]] = []
    about = section.about
    beside = each_group = False
    for item in items(low, section.start, section.end):
        each_group = each_group or (item.is_title and bool(_EACH.search(low, item.start, item.end)))
        if _is_population(low, item) or (each_group and item.is_title and not _EACH.search(low, item.start, item.end)):
            about = text[item.start : item.end].strip(" :;.")
            stack = []
            roots.append(Point(section.side, about, "", item.start, item.end, title=True))
            continue
        alone = is_joining_word(low, item.start, item.end)
        if alone:
            stack = [each for each in stack if each[0].indent < item.indent]
        while stack and not beside and not alone and not _is_below(low, item, stack):
            stack.pop()
        beside = alone is not None
        point = Point(section.side, about, "", item.start, item.end, unheaded=section.unheaded)
        point.title = item.is_title and not alone
        point.marked = bool(item.style)
        (stack[-1][1].children if stack else roots).append(point)
        if not alone:
            stack.append((item, point))
    if section.about is None and about is not None:
        _titles_first(roots)
    _grow(low, roots)
    heading = section.side.capitalize() + (f" for {section.about}" if section.about else "")
    lists = [root for root in roots if root.children and not root.marked and not (root.join and root.join.counts)]
    if len(lists) == len(roots):  # titles over the whole list: its points have the numbers
        for root in roots:
            root.place = heading
            _number(low, root.children, heading)
    else:
        _number(low, roots, heading)
    return roots


def _titles_first(roots: list[Point]) -> None:
    """Points before the first population heading stay common."""
    for point in roots:
        if point.title:
            return
        _set_about(point, None)


def _set_about(point: Point, about: str | None) -> None:
    point.about = about
    for child in point.children:
        _set_about(child, about)


def _is_population(low: str, item: Item) -> bool:
    """Whether an unmarked short line names whom the following points are for: "Healthy volunteers:"."""
    is_for_each = _EACH.search(low, item.start, item.end)
    return item.is_title and not is_for_each and POPULATION.search(low, item.start, item.end) is not None


_EACH = re.compile(r"\b(?:each|every|respective) (?:group|cohort|arm|disease|population)")
POPULATION = re.compile(
    r"\b(?:patients|subjects|participants|volunteers|donors?|controls?|cohorts?|groups?|arms?|children|adults?"
    r"|adolescents|juveniles?|p[a]?ediatric|caregivers?|(?:part|phase|stage|stratum) [0-9ivab]+|healthy)\b"
)


def _is_below(low: str, item: Item, stack: list[tuple[Item, Point]]) -> bool:
    """Whether the item belongs under the last one of the stack."""
    above = stack[-1][0]
    opens = low[above.start : above.end].rstrip(" .").endswith((":", "following", "below"))
    if item.inline:
        same = next((other for other, _ in reversed(stack) if other.style == item.style), None)
        return same is None or (same is not above and _deeper(above, same, stack))
    if item.indent > above.indent + 1 and (item.style != above.style or item.indent > above.indent + 1):
        return True
    if item.indent < above.indent - 1:
        return False
    if above.is_title and not item.is_title:
        return item.style != "" or opens
    styles = [other.style for other, _ in stack if abs(other.indent - item.indent) <= 1]
    return opens and item.style not in styles and (item.style != "" or above.style != "")


def is_joining_word(low: str, start: int, end: int) -> str | None:
    """ "or" and "and" where they are a line of their own."""
    word = low[start:end].strip(" .,;:")
    return word if word in ("or", "and") else None


def _deeper(above: Item, same: Item, stack: list[tuple[Item, Point]]) -> bool:
    order = [other for other, _ in stack]
    return order.index(above) < order.index(same)


def _grow(low: str, points: list[Point]) -> None:
    """Titles, lists written into one line, and lists whose points are beside their heading."""
    for index, point in enumerate(points):
        join = join_of(low, point.start, point.end)
        if not point.children and join and join.list_start is not None:
            _inline_list(low, point, join)
        elif len(point.children) == 1 and join and join.counts and not point.children[0].children:
            _split_only_child(low, point)
        elif not point.children and join and join.opens:
            following = _below_the_line(low, points[index + 1 :])
            if following and (join.counts or len(following) >= 1):
                if join.counts:
                    point.uncertain = (
                        "Which of the following lines belong to this list? All up to the end of the list are drafted."
                    )
                point.children, point.flat = following, True
                del points[index + 1 : index + 1 + len(following)]
        if point.children:
            point.join = join or Join()
            _grow(low, point.children)
        if index + 1 >= len(points):
            break
    _joined_by_or(low, points)


def _below_the_line(low: str, following: list[Point]) -> list[Point]:
    """The points after a line that opens a list and has none below it: up to the next that opens one."""
    found = []
    for point in following:
        if point.title or low[point.start : point.end].rstrip(" .").endswith(":"):
            break
        found.append(point)
    return found


def _joined_by_or(low: str, points: list[Point]) -> None:
    """ "A; or" before "B": one of them is asked for. A line with nothing but "OR" joins its neighbours."""
    index = 0
    while index < len(points):
        run = [points[index]]
        after = index + 1
        while after < len(points):
            if _ENDS_WITH_OR.search(low[run[-1].start : run[-1].end]) and not run[-1].children:
                run.append(points[after])
                after += 1
            elif is_joining_word(low, points[after].start, points[after].end) == "or" and after + 1 < len(points):
                run.append(points[after + 1])
                after += 2
            else:
                break
        if len(run) > 1:
            first = run[0]
            parent = Point(first.side, first.about, "", first.start, first.start, run, Join(counts=True), title=True)
            parent.unheaded = first.unheaded
            points[index:after] = [parent]
        index += 1


_ENDS_WITH_OR = re.compile(r"(?:[;,.\s])or\W*$")


def _inline_list(low: str, point: Point, join: Join) -> None:
    """ "At least one of: anti-dsDNA positive; anti-Sm positive" in one line."""
    start, end = join.list_start or point.end, join.list_end or point.end
    cuts = _cuts(low, start, end)
    if len(cuts) < 2:
        return
    point.children = [Point(point.side, point.about, "", first, last, unheaded=point.unheaded) for first, last in cuts]
    rest = low[end : point.end].strip(" .);,")
    if re.search(r"[a-z]{3}", rest):
        point.uncertain = "More stands behind this list. Does it change what is drafted?"
    point.end = start


def _cuts(low: str, start: int, end: int) -> list[tuple[int, int]]:
    stretch = low[start:end]
    mark = re.search(r";", stretch)
    pattern = r"[;]\s*(?:or\b|and\b)?" if mark else r",\s*(?:or\b|and\b)?|\bor\b"
    found, first, depth = [], start, 0
    for match in re.finditer(rf"[()]|{pattern}", stretch):
        if match[0] in "()":
            depth += 1 if match[0] == "(" else -1
        elif depth <= 0:
            found.append(_trim(low, first, start + match.start()))
            first = start + match.end()
    found.append(_trim(low, first, end))
    return [(a, b) for a, b in found if re.search(r"[a-z]{2}", low[a:b])]


def _split_only_child(low: str, point: Point) -> None:
    """A list that is one paragraph, its points parted by semicolons."""
    (child,) = point.children
    cuts = _cuts(low, child.start, child.end)
    if ";" in low[child.start : child.end] and len(cuts) > 1:
        point.children = [Point(child.side, child.about, "", a, b, unheaded=child.unheaded) for a, b in cuts]


_NUMBERED = re.compile(r"\(?(\d{1,2}(?:\.\d{1,2})*)[.),:]?\s*$")


def _number(low: str, points: list[Point], heading: str, above: str | None = None) -> None:
    """Places as a reader of the document counts: its own numbers at the top, then the 1st, 2nd … below."""
    count = 0
    for point in points:
        if above is None and point.about and f"for {point.about}" not in heading:
            heading, count = f"{point.side.capitalize()} for {point.about}", 0
        if point.title and not point.children:
            point.place = heading
            continue
        count += 1
        own = (
            _NUMBERED.search(low[max(0, point.start - 8) : point.start].rpartition("\n")[2]) if above is None else None
        )
        number = own[1] if own else str(count)
        if own:
            count = int(own[1].split(".")[0])
        place = f"{heading} {number}" if above is None else f"{above}, {_ordinal(count)} point"
        point.place = place
        _number(low, point.children, heading, place)


def _ordinal(number: int) -> str:
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th") if number % 100 not in (11, 12, 13) else "th"
    return f"{number}{ending}"


# -- clauses

_SENTENCE = re.compile(r";|[.!?](?=\s+[a-z(])|[.!?](?=\s*$)|。")
_ABBREVIATED = re.compile(r"(?:\b(?:e\.?g|i\.?e|vs|no|approx|etc|incl|resp|dr|n\.b|st)|(?<![/a-z0-9^\d])\b[a-z])$")


def clauses(text: str) -> list[Clause]:
    """Every clause of every point, with its place."""
    low = plain(text)
    return [clause for point in _walk(outline(text)) for clause in clauses_of(low, point)]


def _walk(points: list[Point]) -> Iterator[Point]:
    for point in points:
        yield point
        yield from _walk(point.children)


def clauses_of(low: str, point: Point) -> list[Clause]:
    """The clauses of the point's own words."""
    if point.title:
        return []
    pieces = [p for p in _sentences(low, point.start, point.end) if re.search(r"[a-z]{2}|\d", low[slice(*p)])]
    return [
        Clause(point.side, point.about, point.place + (f", part {n}" if len(pieces) > 1 else ""), first, last)
        for n, (first, last) in enumerate(pieces, 1)
    ]


def _sentences(low: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Spans between semicolons and full stops that stand outside brackets."""
    first = start
    for cut in _SENTENCE.finditer(low, start, end):
        if cut.start() < first:
            continue
        if low.count("(", first, cut.start()) > low.count(")", first, cut.start()):
            continue
        if cut[0] == "." and _ABBREVIATED.search(low[max(first, cut.start() - 8) : cut.start()]):
            continue
        yield _trim(low, first, cut.start())
        first = cut.end()
    yield _trim(low, first, end)


def _trim(low: str, start: int, end: int) -> tuple[int, int]:
    while start < end and low[start] in " \t\n,.":
        start += 1
    while end > start and low[end - 1] in " \t\n":
        end -= 1
    return start, end

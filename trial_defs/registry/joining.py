"""The line over a list: whether all of its points are asked for, one of them, or at least so many."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Join:
    """How the points of a list belong together.

    `counts`: at least `n` of them, otherwise all. `negated`: none may be so ("must not have any of the following").
    `all_together`: the text says that all must be so. `opens`: the line ends where its list begins.
    `list_start`, `list_end`: where the list is in the line itself.
    """

    counts: bool = False
    n: int = 1
    negated: bool = False
    all_together: bool = False
    opens: bool = False
    list_start: int | None = None
    list_end: int | None = None


_WORDS = {
    "one": 1,
    "two": 2,
    "three": 3,
    "four": 4,
    "five": 5,
    "six": 6,
    "1": 1,
    "2": 2,
    "3": 3,
    "4": 4,
    "5": 5,
    "6": 6,
}
_LIST = (
    r"(?:the |these |those |his |her |their )?(?:[a-z0-9\-]+ ){0,4}?"
    r"(?:following|below|listed|criteria|conditions|risk factors|features|characteristics|findings|requirements)\b"
)
_COUNT = re.compile(
    r"(?:(?P<least>at least|a minimum of|minimum|minimum of|≥|>=|=>|(?P<more>more than|>)|any|fulfil\w*|meet\w*"
    r"|by|as|have|has|with"
    rf"|:)\s*)?\b(?P<n>one|two|three|four|five|six|[1-6])(?: \(\d\))?(?: or more| or both| or several)? (?:or more )?"
    rf"(?:additional |other |out )?(?:of |from ){_LIST}"
    r"|(?:≥|>=) ?(?P<n2>[1-6]) of the\b"
)
_ANY = re.compile(rf"\b(?:any|either)(?: one| \(?\w+\)?)? (?:of )?{_LIST}|\beither of\b|\bany of\b|\bany one of\b")
_ALL = re.compile(rf"\b(?:all|both|each)(?: of)? {_LIST}|\ball of\b")
_NONE = re.compile(
    r"\b(?:none of|(?:must|should|do|does|may|can|will|shall|is|are) ?not\b|cannot|without\b|absence of"
    r"|free (?:of|from)|no evidence|\bnot\b|fail\w* to\b"
    r"|no history|no (?:known )?(?:presence|signs?)|lack of|not have|has no\b|have no\b|never had|no more than"
    r"|fewer than|less than|at most)"
)
_NEGATED_LINE = re.compile(
    r"^\W*(?:no|none|without|absence of|lack of|free (?:of|from)|not)\b|\b(?:must|should|may|shall|can|do|does) ?not\b"
)


def join_of(low: str, start: int, end: int) -> Join | None:
    """What a line says of a list below or behind it; None where it opens none."""
    line = low[start:end]
    opens = line.rstrip(" .").endswith((":", "following", "below", "as follows", "following criteria")) or bool(
        re.search(r"\bof the following(?: \w+){0,4}[.;]?$", line)
    )
    count, some, every = _COUNT.search(line), _ANY.search(line), _ALL.search(line)
    said = min((m for m in (count, some, every) if m), key=lambda m: m.start(), default=None)
    if said is None and not opens:
        return None
    negated = bool(_NONE.search(line[: said.start()]) if said else _NEGATED_LINE.search(line))
    negated = negated and not re.match(r"\W*(?:if|when|where)\b", line)
    negated = negated or bool(re.search(r"\bnone of\b", line))
    if re.search(r"\b(?:no|not) more than\b|\bat most\b", line[: said.start() + 14] if said else "") and count:
        negated = True
    inside = None if opens else _list_inside(line, said)
    if inside is None and not opens:
        return None
    n = 1
    counts = said is not None and said is not every
    if said is count and count is not None:
        n = _WORDS.get(count["n"] or count["n2"] or "", 1) + bool(count["more"])
    found = Join(counts, n, negated, said is every and said is not None, opens)
    if inside:
        return Join(counts, n, negated, found.all_together, False, start + inside[0], start + inside[1])
    return found


def _list_inside(line: str, said: re.Match[str] | None) -> tuple[int, int] | None:
    """The span of a list that stands behind a colon in the same line."""
    if said is None:
        return None
    colon = re.match(r"[^.;:<>≥≤]{0,60}:\s*", line[said.end() :])
    if colon is None:
        return None
    first = said.end() + colon.end()
    depth = line.count("(", 0, first) - line.count(")", 0, first)
    if depth <= 0:
        return first, len(line)
    for place in range(first, len(line)):
        depth += {"(": 1, ")": -1}.get(line[place], 0)
        if depth <= 0:
            return first, place
    return first, len(line)

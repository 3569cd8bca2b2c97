"""An eligibility text taken apart: its sections, its points with their place, and the clauses of each.

Every piece is a span of the text as it came, so that a reviewer can see exactly what was read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Side = Literal["inclusion", "exclusion"]

_LIKE = str.maketrans(
    {
        **dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789", strict=True)),
        **dict.fromkeys("\xa0\u2009\u202f\u3000\\", " "),
        **{"，": ",", "；": ";", "：": ":", "（": "(", "）": ")", "、": ",", "。": ".", "≦": "≤", "≧": "≥", "⩽": "≤"},
        **{"⩾": "≥", "＜": "<", "＞": ">", "＝": "=", "×": "x", "✕": "x", "μ": "u", "µ": "u", "’": "'", "‘": "'"},
        **dict.fromkeys("‐‑‒–—−", "-"),
    }
)


def plain(text: str) -> str:
    """Lower case, with one spelling of signs, digits and spaces; exactly as long as the text, so that places agree."""
    lowered = "".join(low if len(low := c.lower()) == 1 else c for c in text)
    return lowered.translate(_LIKE)


@dataclass(frozen=True, slots=True)
class Section:
    """One list of criteria; `about` is what its heading says it is for ("systemic sclerosis"), or None."""

    side: Side
    about: str | None
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Clause:
    """The smallest piece that is read at once; `point` is its place: "Inclusion 7, 4th item"."""

    side: Side
    about: str | None
    place: str
    start: int
    end: int


_HEADING = re.compile(
    r"(?:common\s+|key\s+|main\s+)?(inclusion|exclusion)\s+criteria"
    r"(?:\s+for\s+(?:the\s+)?([^:.;\n]{2,90}?))?\s*(?::|(?=\n))",
)
# A bullet or number at the head of a line, or a number within a text that came as one line.
_MARK = re.compile(
    r"(?:(?<=\n)|^)[ \t]*(?P<line>(?:[•*●▪]|o(?=\s)|-)?[ \t]*-?"
    r"(?:\d{1,2}(?:\.\d+)*[.),]?(?=\s|,|[a-z(])|[a-z][.)](?=\s))?)[ \t,]*"
    r"|(?<=[;.:,)\s])\s(?P<inline>\d{1,2}[.)]|[a-d]\.|-)\s+(?=[a-z(=])"
    r"|\s[*•]\s+(?=[a-z(])"
)
_SENTENCE = re.compile(r";|\.(?=\s+[a-z(])|\n")


def sections(text: str) -> list[Section]:
    """Every list of criteria, in order. A heading at the end of a sentence counts where a line or a colon ends it."""
    heads = list(_HEADING.finditer(plain(text)))
    found = []
    for head, following in zip(heads, [*heads[1:], None], strict=True):
        end = following.start() if following else len(text)
        side: Side = "inclusion" if head[1] == "inclusion" else "exclusion"
        about = text[slice(*head.span(2))].strip() if head[2] else None
        found.append(Section(side, about, head.end(), end))
    return found


def clauses(text: str) -> list[Clause]:
    """Every clause of every section, with its place."""
    return [clause for section in sections(text) for clause in _clauses(text, section)]


def _clauses(text: str, section: Section) -> Iterator[Clause]:
    low = plain(text)
    heading = section.side.capitalize() + (f" for {section.about}" if section.about else "")
    marks = [m for m in _MARK.finditer(low, section.start, section.end) if m.end() > m.start()]
    edges = [section.start, *(m.end() for m in marks)]
    ends = [*(m.start() for m in marks), section.end]
    for point, (start, end) in enumerate(zip(edges, ends, strict=True)):
        pieces = [piece for piece in _sentences(low, start, end) if re.search(r"[a-z]{2}", low[slice(*piece)])]
        for number, (first, last) in enumerate(pieces, 1):
            place = f"{heading}, point {point}" + (f", part {number}" if len(pieces) > 1 else "")
            yield Clause(section.side, section.about, place, first, last)


def _sentences(low: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Spans between semicolons, full stops and line ends that stand outside brackets."""
    first = start
    for cut in _SENTENCE.finditer(low, start, end):
        if low.count("(", first, cut.start()) > low.count(")", first, cut.start()) and cut[0] != "\n":
            continue
        yield _trimmed(low, first, cut.start())
        first = cut.end()
    yield _trimmed(low, first, end)


def _trimmed(low: str, start: int, end: int) -> tuple[int, int]:
    while start < end and low[start] in " \t\n,.":
        start += 1
    while end > start and low[end - 1] in " \t\n":
        end -= 1
    return start, end

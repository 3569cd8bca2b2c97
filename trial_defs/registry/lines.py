"""Lines and marks of an eligibility text: one spelling of its signs, and its points with their bullets and numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

_LIKE = str.maketrans(
    {
        **dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789", strict=True)),
        **dict(zip("₀₁₂₃₄₅₆₇₈₉", "0123456789", strict=True)),
        **dict.fromkeys("\xa0\u2009\u202f\u3000\\", " "),
        **{"，": ",", "；": ";", "：": ":", "（": "(", "）": ")", "、": ",", "。": ".", "≦": "≤", "≧": "≥", "⩽": "≤"},
        **{"⩾": "≥", "＜": "<", "＞": ">", "＝": "=", "×": "x", "✕": "x", "μ": "u", "µ": "u", "’": "'", "‘": "'"},
        **{"％": "%", "·": ".", "˂": "<", "˃": ">", "“": '"', "”": '"', "[": "(", "]": ")", "～": "~", "∼": "~"},
        **dict.fromkeys("‐‑‒–—−", "-"),
    }
)


@lru_cache(maxsize=16)
def plain(text: str) -> str:
    """Lower case, with one spelling of signs, digits and spaces; exactly as long as the text, so that places agree."""
    lowered = "".join(low if len(low := c.lower()) == 1 else c for c in text)
    return lowered.translate(_LIKE)


@dataclass(frozen=True, slots=True)
class Item:
    """A point as it is marked: its words, how far it is indented, and the kind of its mark ("*", "1.", "a)", "").

    `is_title`: a short unmarked line over others, without a verb or a number.
    """

    start: int
    end: int
    indent: int
    style: str
    inline: bool = False
    is_title: bool = False


_MARK = re.compile(
    r"(?P<bullet>[•*●▪◦‣·]|-(?!\d)|o(?=\s))?[ \t]*-?[ \t]*"
    r"(?P<number>\(?(?:\d{1,2}(?:\.\d{1,2})* ?[.),](?!\d)|\d{1,2}(?:\.\d{1,2})+(?=\s+[a-z(])|[ivx]{1,4}[.)](?=\s)"
    r"|[a-z]{1,2}\d{1,2}[.):](?=\s)|[a-z][.)](?=\s)"
    r"|(?(bullet)(?!)|\d{1,2}(?= [a-z](?!ears?\b|onths?\b|eeks?\b|ays?\b|nd\b|r\b|o\b)))))?[ \t,]*"
)
_INLINE = re.compile(
    r"(?<=[;.:,)\s])\s(?P<inline>\d{1,2}[.)]|\(\d{1,2}\)|[a-d]\.|-)\s*(?=[a-z(=])|\s(?P<star>[*•])\s+(?=[a-z(])"
)
_VERB = re.compile(
    r"\b(?:is|are|was|were|be|been|has|have|had|having|must|should|will|can|may|able|willing|received|receiving|using"
    r"|treated|confirmed|diagnosed|history|presence|evidence|known|prior|previous|use|active|no|not|without|any)\b"
)
_HARD_WRAP = (55, 110)  # characters of a line that may have been broken by its width


def items(low: str, start: int, end: int) -> Iterator[Item]:
    """The points of a stretch in order; a line that only goes on with the one before belongs to it."""
    whole = list(_lines(low, start, end))
    joined: list[tuple[int, int, int, str]] = []
    for number, (first, last) in enumerate(whole):
        mark = _MARK.match(low, first, last)
        begin = mark.end() if mark else first
        style = _style(mark) if mark else ""
        indent = first - low.rfind("\n", 0, first) - 1
        loose = not style or (mark is not None and not mark["bullet"] and low[begin - 1 : begin].strip(" ").isdigit())
        loose = loose or bool(mark and mark["number"] and re.fullmatch(r"[\d. ]*\d ?", low[mark.start() : begin]))
        if joined and loose and _goes_on(low, whole[number - 1], first, joined[-1]):
            joined[-1] = (joined[-1][0], last, *joined[-1][2:])
        else:
            joined.append((begin if begin < last else first, last, indent, style))
    for number, (begin, last, indent, style) in enumerate(joined):
        following = joined[number + 1] if number + 1 < len(joined) else None
        title = not style and _is_title(low, begin, last, following)
        yield from _with_inline(low, Item(begin, last, indent, style, is_title=title))


def _lines(low: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    for match in re.finditer(r"[^\n]+", low[start:end]):
        text = match[0]
        first = start + match.start() + len(text) - len(text.lstrip(" \t>#|"))
        last = start + match.end() - (len(text) - len(text.rstrip(" \t|")))
        if first < last and re.search(r"[a-z0-9]", low[first:last]) and not low.startswith("<!--", first):
            yield first, last


def _style(mark: re.Match[str]) -> str:
    if mark["number"]:
        kind = re.sub(r"\d+(?:\.\d+)*", "1", mark["number"]).replace(" ", "")
        return re.sub(r"[ivx]{2,}(?=[.)])|[ivx](?=[.)])", "i", re.sub(r"[a-hj-uwyz](?=[.)])", "a", kind))
    return mark["bullet"] or ""


def _goes_on(low: str, before: tuple[int, int], first: int, item: tuple[int, int, int, str]) -> bool:
    """Whether an unmarked line is the rest of the one before, broken by the width of the page."""
    if low.count("\n", before[1], first) != 1 or before[1] != item[1]:
        return False
    width = before[1] - low.rfind("\n", 0, before[0]) - 1
    indent = first - low.rfind("\n", 0, first) - 1
    if low[before[1] - 1] in ".;:":
        return False
    return indent > item[2] + 2 or low[first] in "<>≥≤=(" or _HARD_WRAP[0] <= width <= _HARD_WRAP[1]


def _is_title(low: str, start: int, end: int, following: tuple[int, int, int, str] | None) -> bool:
    """A short unmarked line over a list."""
    words = re.findall(r"[a-z']+", low[start:end])
    if words in (["or"], ["and"], ["and", "or"]):
        return False
    if following is None or not 1 <= len(words) <= 9 or re.search(r"\d\d|[<>≥≤=%]", low[start:end]):
        return False
    colon = low[start:end].rstrip().endswith((":", ";"))
    if _VERB.search(low, start, end) or (low[end - 1] == "." and len(words) > 3):
        return False
    blank = low.count("\n", end, following[0]) > 1 or low.count("\n", 0, start) == 0
    return colon or (bool(following[3]) and blank) or (len(words) <= 6 and bool(following[3]))


def _with_inline(low: str, item: Item) -> Iterator[Item]:
    """The item, and the points that are numbered within its line: "a. … b. …"."""
    marks = [m for m in _INLINE.finditer(low, item.start, item.end) if _counts_on(low, m)]
    if not marks or (len(marks) == 1 and marks[0]["inline"] == "-"):
        yield item
        return
    ends = [*(m.start() for m in marks), item.end]
    own = Item(item.start, ends[0], item.indent, item.style, is_title=item.is_title)
    if own.end > own.start:
        yield own
    for mark, last in zip(marks, ends[1:], strict=True):
        style = re.sub(r"\d+", "1", mark["inline"] or mark["star"])
        yield Item(mark.end(), last, item.indent, re.sub(r"[a-d]", "a", style), inline=True)


def _counts_on(low: str, mark: re.Match[str]) -> bool:
    """A number in a sentence is no mark: what follows "class 2." or "at least 3." is the same point."""
    before = low[max(0, mark.start() - 12) : mark.start()].rstrip()
    return before[-1:] in ";.:,)" or not re.search(
        r"\b(?:class|grade|stage|type|least|part|phase|than|to|or|and)$", before
    )

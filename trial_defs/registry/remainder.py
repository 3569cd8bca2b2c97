"""What is in a clause beside that which was read of it: the words that may change what it asks.

A diagnosis or a drug is drafted bare only where its clause holds nothing else. Joining words and the usual frame of a
criterion ("patients with a history of …") change nothing; every other word does.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from mappings.yaml_files import read_yaml

Kind = Literal["condition", "treatment", "limit", "test"]
Span = tuple[int, int]

_FILE = Path(__file__).parent / "frame_words.yaml"
# These begin a clause that says which of the things that are named before a list are meant.
_STRONG = frozenset(
    ("that", "which", "affect", "affecting", "affects", "interfere", "interfering", "interferes", "may", "might")
)
_WORD = re.compile(r"[a-z][a-z']*[a-z]|[a-z]")
_CUT = re.compile(
    r"[,;:()\[\]/]|\band/or\b|\bor\b|\band\b|\bas well as\b|\bsuch as\b|\bincluding\b|\be\.?g\b\.?|\bi\.?e\b\.?"
    r"|\blike\b"
)


@dataclass(frozen=True, slots=True)
class Part:
    """One member of the clause's list. `bracketed`: it is in brackets. `cut`: what parts it from the one before."""

    start: int
    end: int
    bracketed: bool
    cut: str
    read: tuple[Span, ...]
    words: tuple[tuple[str, int], ...]  # every word outside what was read, with its place


@lru_cache(maxsize=1)
def _lists() -> dict[str, frozenset[str]]:
    content = read_yaml(_FILE.read_bytes(), _FILE)
    return {name: frozenset(str(words).split()) for name, words in content.items()}


def frame_words(kind: Kind) -> frozenset[str]:
    """The words that change nothing beside what is read."""
    lists = _lists()
    if kind == "test":
        return lists["frame"] | lists["condition"] | (lists["limit"] - lists["qualifiers"])
    return lists["frame"] | lists[kind]


def parts_of(low: str, start: int, end: int, read: Sequence[Span]) -> list[Part]:
    """The clause as the members of its list, each with the words that were not read."""
    outside = (m for m in _CUT.finditer(low, start, end) if not any(a < m.end() and m.start() < b for a, b in read))
    edges, open_brackets = [], 0
    for match in outside:
        open_brackets += {"(": 1, "[": 1, ")": -1, "]": -1}.get(match[0], 0)
        if open_brackets < 0:  # the bracket was opened inside what was read: "chronic kidney disease (CKD)"
            open_brackets = 0
        else:
            edges.append((match.start(), match.end(), match[0]))
    found, depth, begin, cut = [], 0, start, ""
    for first, last, what in [*edges, (end, end, "")]:
        inside = [span for span in read if begin <= span[0] < first]
        words = [
            (m[0], m.start()) for m in _WORD.finditer(low, begin, first) if not any(a <= m.start() < b for a, b in read)
        ]
        if inside or words:
            found.append(Part(begin, first, depth > 0, cut, tuple(inside), tuple(words)))
        depth = max(0, depth + {"(": 1, "[": 1, ")": -1, "]": -1}.get(what, 0))
        begin, cut = last, what
    return found


def beside(parts: Sequence[Part], span: Span, kind: Kind) -> tuple[str, ...]:
    """The words that may change what was read at `span`: its own, those before a list, and those after it."""
    frame, lists = frame_words(kind), _lists()
    here = next((i for i, part in enumerate(parts) if span in part.read), None)
    if here is None:
        here = next((i for i, part in enumerate(parts) if part.start <= span[0] < part.end), 0)
    last = max((i for i, part in enumerate(parts) if part.start < span[1]), default=here)
    found: list[str] = []
    for part in parts[here : last + 1]:
        if kind == "limit":
            found += [w for w, at in part.words if w not in frame and _is_near(part, at, span)]
        else:
            found += [w for w, _ in part.words if w not in frame]
    if kind != "limit" and last + 1 < len(parts) and parts[last + 1].cut == ":":
        found.append("the list behind the colon")
    if kind != "limit":
        found += _before(parts[:here], lists["qualifiers"])
    found += _after(parts[last + 1 :], frame, lists, kind)
    return tuple(dict.fromkeys(found))


def _is_near(part: Part, at: int, span: Span) -> bool:
    """Behind the limit up to the next one, or before it up to the one before."""
    between = [s for s in part.read if s != span]
    if at >= span[1]:
        return not any(span[1] <= s[0] <= at for s in between)
    return (
        not any(at <= s[0] < span[0] for s in between)
        and at < span[0]
        and not any(s[1] > at and s[0] < span[0] for s in between)
    )


def _before(parts: Sequence[Part], qualifiers: frozenset[str]) -> list[str]:
    """ "Severe heart or kidney failure": what stands before the first member of a list holds for all."""
    found = []
    for part in parts:
        first = min((s[0] for s in part.read), default=part.end)
        found += [w for w, at in part.words if at < first and (w in qualifiers or w in _STRONG)]
    return found


def _after(parts: Sequence[Part], frame: frozenset[str], lists: dict[str, frozenset[str]], kind: Kind) -> list[str]:
    """What follows: a bracket, and a clause that begins with "requiring", "that", "unless"."""
    found: list[str] = []
    for number, part in enumerate(parts):
        outside = [w for w, _ in part.words if w not in frame]
        if not part.read:
            if number == 0 and _is_short_form(part, lists):
                continue
            first = part.words[0][0] if part.words else ""
            if part.cut in (")", "]") and all(not each.read for each in parts[:number]):
                found += outside  # the rest of the same member, behind a bracket
                continue
            follows = number == 0 and part.bracketed and part.cut in "(["
            if (follows and (kind != "limit" or first in lists["relatives"])) or first in lists["relatives"]:
                found += outside
            continue
        if kind == "limit":
            break
        tail = [w for w, at in part.words if at >= min(s[1] for s in part.read)]
        if part is parts[-1] and any(w in lists["relatives"] or w in lists["qualifiers"] for w in tail):
            found += [w for w in tail if w not in frame]
    return found


def _is_short_form(part: Part, lists: dict[str, frozenset[str]]) -> bool:
    """ "(SLE)" behind a name."""
    return (
        part.bracketed
        and len(part.words) == 1
        and len(part.words[0][0]) <= 6
        and part.words[0][0] not in lists["qualifiers"]
    )


def unread_parts(parts: Sequence[Part]) -> list[Part]:
    """Members of the list of which nothing was read, and which say more than the frame does."""
    frame = frame_words("condition") | frame_words("treatment") | frame_words("limit")
    frame -= _lists()["qualifiers"] - _lists()["frame"]
    return [
        part
        for number, part in enumerate(parts)
        if not part.read
        and any(w not in frame and len(w) > 1 for w, _ in part.words)
        and not (number and parts[number - 1].read and _is_short_form(part, _lists()))
    ]


def word_list(name: str) -> frozenset[str]:
    """One of the lists of `frame_words.yaml`."""
    return _lists()[name]

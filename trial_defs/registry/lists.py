"""Lists as one expression: "at least two of the following", and what the line over a list says beside that."""

from __future__ import annotations

import re
from collections.abc import Sequence

from trial_defs.registry.criteria import Criteria, Drafted
from trial_defs.registry.recognition import Words
from trial_defs.registry.remainder import frame_words, word_list
from trial_defs.registry.splitting import Point, Side

_COUNTS = frozenset(["one", "two", "three", "four", "five", "six"])


def together(children: Sequence[Sequence[Drafted]], side: Side, count: int | None) -> tuple[Words | None, str | None]:
    """The expression over the points of a list, and the first question that one of them asks.

    `count`: how many of them, None for all. None where nothing can be built of them.
    """
    parts = [part for found in children if (part := _one(found, side)) is not None]
    question = next((each.question for found in children for each in found if each.question), None)
    if not parts or (count is not None and count > len(parts)):
        return None, question
    if count is None:
        return ({"all": parts} if len(parts) > 1 else parts[0]), question
    if len(parts) == 1:
        return parts[0], question
    return ({"any": parts} if count == 1 else {"at_least": {"n": count, "of": parts}}), question


def _one(found: Sequence[Drafted], side: Side) -> Words | None:
    """What one point of the list asks for."""
    if side == "inclusion":
        parts: list[Words] = [each.asks if each.side == "inclusion" else {"not": each.asks} for each in found]
        return _join("all", parts)
    computed: list[Words] = [
        each.asks if each.side == "exclusion" else {"not": each.asks} for each in found if each.is_computed
    ]
    asked = [each.asks for each in found if not each.is_computed]
    one = _join("any", computed)
    return _join("all", [*([one] if one else []), *asked])


def _join(verb: str, parts: Sequence[Words]) -> Words | None:
    if not parts:
        return None
    return parts[0] if len(parts) == 1 else {verb: list(parts)}


def says_more_of(criteria: Criteria, point: Point) -> tuple[str, ...]:
    """The words of a line over a list that may change its points.

    Over inclusion criteria that is every word but the usual frame; over exclusion criteria the topic of the list
    ("cardiovascular disease, including:") changes nothing, and only qualifying words do ("uncontrolled").
    """
    low = criteria.low[point.start : point.end]
    for window in reversed(criteria.reader.windows(point.start, point.end)):
        if point.side == "exclusion" and window.until_now:
            low = low[: window.start - point.start] + " " + low[window.end - point.start :]
    words = re.findall(r"[a-z][a-z']*[a-z]", low)
    frame = frame_words("limit") | frame_words("condition") | frame_words("treatment") | word_list("line") | _COUNTS
    if point.side == "exclusion":
        qualifiers = word_list("qualifiers") - {"no", "not", "active", "different", "other", "another", "class", "type"}
        line = word_list("line") - word_list("qualifiers")
        return tuple(w for w in words if w in qualifiers and w not in line)
    if point.title and not low.rstrip().endswith(":"):
        return ()
    return tuple(w for w in words if w not in frame)

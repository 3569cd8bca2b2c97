"""Values of others as they may be printed on a terminal: one line, no control characters, of bounded length."""

from __future__ import annotations

import json

_LONGEST = 200  # characters of one value


def quoted(text: str) -> str:
    """A JSON string with every character escaped that is not printable; also one string of YAML, on one line."""
    return "".join(
        sign if sign.isprintable() else json.dumps(sign)[1:-1] for sign in json.dumps(text, ensure_ascii=False)
    )


def printable(value: object, longest: int = _LONGEST) -> str:
    """A value out of JSON on one line: a text as it is, control characters escaped; cut where it is longer."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    shown = "".join(each if each.isprintable() else json.dumps(each)[1:-1] for each in text[: longest + 1])
    return shown if len(shown) <= longest else f"{shown[:longest]}… ({len(text)} characters)"

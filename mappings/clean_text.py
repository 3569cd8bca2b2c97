"""Text of a record without what nobody sees in it."""

from __future__ import annotations

import re

_INVISIBLE = re.compile("[\u200b-\u200f\u2060\ufeff\u00ad]")


def clean(text: str) -> str:
    """Without invisible characters, and without space at either end."""
    return text.strip() if text.isascii() else _INVISIBLE.sub("", text).strip()

"""CSV files that a spreadsheet shows as text: no cell begins a formula."""

from __future__ import annotations

from collections.abc import Sequence

# The wide ones are what some spreadsheets make of the narrow ones, and the other way round.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def cell(value: object) -> object:
    """The value, with an apostrophe before a text that a spreadsheet would compute."""
    return "'" + value if isinstance(value, str) and value.startswith(_FORMULA) else value


def shortened(items: Sequence[str], most: int) -> str:
    """The first items as one text, and how many more there are."""
    more = len(items) - most
    return "; ".join(items[:most]) + (f"; and {more} more" if more > 0 else "")

"""CSV files that a spreadsheet shows as text: no cell begins a formula."""

from __future__ import annotations

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def cell(value: object) -> object:
    """The value, with an apostrophe before a text that a spreadsheet would compute."""
    return "'" + value if isinstance(value, str) and value.startswith(_FORMULA) else value

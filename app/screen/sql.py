"""Pieces of SQL that the tables of a screen are made with."""

from __future__ import annotations

from collections.abc import Sequence

CANDIDATE = "('likely-eligible', 'possibly-eligible', 'near-miss')"  # the verdicts of a candidate


def literal(value: str | Sequence[str]) -> str:
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return "[" + ", ".join(map(literal, value)) + "]"

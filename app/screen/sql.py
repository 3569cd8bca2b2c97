"""Pieces of SQL that the tables of a screen are made with."""

from __future__ import annotations

from collections.abc import Sequence

from trial_defs.engine.findings import Verdict

# The verdicts of a candidate, as the right side of IN.
CANDIDATE = f"({', '.join(f'{verdict.value!r}' for verdict in Verdict if verdict.is_candidate)})"
NOT_INDICATED = f"{Verdict.NOT_INDICATED.value!r}"  # the verdict of a cohort without a row


def literal(value: str | Sequence[str]) -> str:
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return "[" + ", ".join(map(literal, value)) + "]"

"""Restricted labels as the command line takes them, and how a screen and a worklist tell whether they know the same."""

from __future__ import annotations

import hashlib
from collections.abc import Collection

LABELS_VARIABLE = "TRIALCARDS_RESTRICTED_LABELS"
LABELS_HELP = "Security labels (system|code, comma separated) whose records nothing may show."


def labels_of(text: str) -> frozenset[tuple[str, str]]:
    """The labels of a comma-separated list as (system, code). ValueError: one is not written like system|code."""
    labels = [tuple(part.strip().split("|")) for part in text.split(",") if part.strip()]
    if not all(len(label) == 2 and all(label) for label in labels):
        raise ValueError("write each label as system|code")
    return frozenset((system, code) for system, code in labels)


def digest_of_labels(labels: Collection[tuple[str, str]]) -> str:
    """SHA-256 (hex) of restricted labels, given as (system, code), whatever their order."""
    return hashlib.sha256(repr(sorted(labels)).encode()).hexdigest()

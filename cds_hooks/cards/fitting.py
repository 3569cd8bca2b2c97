"""What fits on a card: at most 900 characters, and 100 words in languages that part words by blanks.

A card is parts in a fixed order. Each has variants, the longest first; the last is the least that must be said, and ""
says nothing. Every part begins with its least, then the parts grow, the most important first, while all still fits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cds_hooks.words.safe_text import length

MOST_CHARACTERS = 900
MOST_WORDS = 100


@dataclass(frozen=True, slots=True)
class Part:
    """One paragraph of a card. `weight`: which part grows first, and which is given up last; 0 is the first."""

    variants: Sequence[str]
    weight: int = 0


def fitted(parts: Sequence[Part]) -> str:
    """The parts in their order, each in the longest variant for which there is room."""
    parts = [part for part in parts if part.variants]
    chosen = [part.variants[-1] for part in parts]
    order = sorted(range(len(parts)), key=lambda place: parts[place].weight)
    for place in reversed(order):
        if fits(_join(chosen)):
            break
        chosen[place] = ""
    for place in order:
        for variant in parts[place].variants:
            tried = [*chosen[:place], variant, *chosen[place + 1 :]]
            if fits(_join(tried)):
                chosen = tried
                break
    return _join(chosen)


def fits(text: str) -> bool:
    return length(text) <= MOST_CHARACTERS and len(text.split()) <= MOST_WORDS


def _join(texts: Sequence[str]) -> str:
    return "\n\n".join(filter(None, texts))

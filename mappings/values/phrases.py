"""A text as words and separators, so that names and denials are found as whole words.

A hyphen, slash or underscore inside a word separates like a space: "Rituximab-Infusion" is two words. A comma, or a
dash beside a space, is a token of its own, because a denial reaches no further than its phrase.
"""

from __future__ import annotations

import re
import unicodedata

from mappings.chart import fhir

Tokens = tuple[str, ...]

SEPARATORS = frozenset(",;.:=()[]{}!?|-–—·•")

_APOSTROPHES = str.maketrans("’‘`´ʼ", "'" * 5)
_INSIDE_A_WORD = re.compile(r"(?<=[^\W_])[-‐‑–/_]+(?=[^\W_])")
_ABBREVIATION = re.compile(r"(?<!\w)(w/o|w/|r/o|h/o|s/p|f/h)(?=\W|\w)")
_FULL = {
    "w/o": "without ",
    "w/": "with ",
    "r/o": "rule out ",
    "h/o": "history of ",
    "s/p": "status post ",
    "f/h": "family history ",
}
_TOKEN = re.compile(r"[^\W_]+(?:'[^\W_]+)*|[^\w\s\"'„“”«»]")


def tokens_of(text: str) -> Tokens:
    """Lower-case words and punctuation: "Epilepsy, not intractable" -> ("epilepsy", ",", "not", "intractable")."""
    text = fhir.clean(text)
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text).translate(_APOSTROPHES)
    text = text.lower()
    if "/" in text:
        text = _ABBREVIATION.sub(lambda match: _FULL[match[1]], text)
    return tuple(_TOKEN.findall(_INSIDE_A_WORD.sub(" ", text)))

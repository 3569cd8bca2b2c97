"""Makes text from a chart safe to show: one line, no hidden characters, no link, no Markdown and no HTML of its own.

Clients render a card's `detail` as GitHub Markdown, some with raw HTML switched on, and most turn bare addresses into
links even where every Markdown character is escaped. So addresses are left out, not escaped.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

LONGEST_QUOTE = 200  # characters of chart text that are ever shown in one place
_MOST_MARKS = 2  # combining marks on one letter; more are a flood, not a language

_ADDRESS = re.compile(
    r"\S*://\S*"
    r"|\bwww\.\S*"
    r"|\b(?:mailto|xmpp|javascript|vbscript|data|file|tel):\S*"
    r"|[^\s@]+@[^\s@]+\.[^\s@]+"
    r"|\b[a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,}/\S*",
    re.IGNORECASE,
)
_ADDRESS_LEFT_OUT = "(address left out)"
# What an address cannot be without, each found by one character: most texts hold none, and are spared the long look.
_SCHEME = re.compile(
    r":(?:(?<=mailto:)|(?<=xmpp:)|(?<=javascript:)|(?<=vbscript:)|(?<=data:)|(?<=file:)|(?<=tel:))", re.IGNORECASE
)
_HOST_AND_PATH = re.compile(r"\.[a-z]{2,}/", re.IGNORECASE)
# Latin letters, punctuation, superscripts, arrows and signs: no mark that combines with a letter is among them.
_MAY_BE_MARK = re.compile("[^\u0000-\u02ff\u2000-\u20cf\u2100-\u2bff]")
_INLINE = re.compile(r"([\\`*_\[\]~|#$!^])")
_BLOCK_START = re.compile(r"^(?:([-+=:])|(\d+)([.)]))")


def plain(text: str, limit: int = LONGEST_QUOTE) -> str:
    """The text as one line of visible characters, at most `limit` of them."""
    if len(text) <= limit and text.isascii() and text.isprintable() and "  " not in text and text == text.strip(" "):
        return text  # as nearly all are
    text = text[: 4 * limit]  # what follows is bounded by this, whatever a chart holds
    if not text.isprintable():
        text = "".join(map(_shown, text))
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
        text = _without_floods(text) if _MAY_BE_MARK.search(text) else text
    return shortened(" ".join(text.split()), limit)


def _shown(char: str) -> str:
    kind = unicodedata.category(char)
    if kind in ("Zs", "Zl", "Zp") or char in "\t\n\r\v\f":
        return " "
    # Control, format (bidirectional, zero-width), surrogate, private and unassigned characters say nothing to a reader.
    return "" if kind.startswith("C") else char


def _without_floods(text: str) -> str:
    kept: list[str] = []
    marks = 0
    for char in text:
        marks = marks + 1 if unicodedata.combining(char) or unicodedata.category(char) in ("Mn", "Me") else 0
        if marks <= _MOST_MARKS:
            kept.append(char)
    return "".join(kept)


def markdown(text: str, limit: int = LONGEST_QUOTE) -> str:
    """The text as it may stand anywhere in a Markdown line; shown, it reads like `plain` without its addresses."""
    text = plain(text, limit)
    if _may_hold_address(text):
        text = _ADDRESS.sub(_ADDRESS_LEFT_OUT, text)
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = _INLINE.sub(r"\\\1", text)
    return _BLOCK_START.sub(lambda m: f"\\{m[1]}" if m[1] else f"{m[2]}\\{m[3]}", text)


def _may_hold_address(text: str) -> bool:
    if "://" in text or "@" in text or "www." in text.lower():
        return True
    return _SCHEME.search(text) is not None or _HOST_AND_PATH.search(text) is not None


@lru_cache(maxsize=4096)
def markdown_of_ours(text: str, limit: int = LONGEST_QUOTE) -> str:
    """The same for a text of a definition, which is met again and again. Never for one of a chart: it stays here."""
    return markdown(text, limit)


def length(text: str) -> int:
    """The length as the strictest client counts it: in UTF-16 code units, never less than in code points."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def shortened(text: str, limit: int) -> str:
    """The text in at most `limit` UTF-16 code units, cut between words where it can be, and marked with "…"."""
    if length(text) <= limit:
        return text
    kept = text[: limit - 1]
    while length(kept) > limit - 1:
        kept = kept[:-1]
    at_word = kept.rsplit(" ", 1)[0]
    return (at_word if len(at_word) > len(kept) // 2 else kept).rstrip(" ,;:–-") + "…"

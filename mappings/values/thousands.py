"""Separators of thousands in written numbers: "1'280", "150 000", "2.100 /µl", and which could be decimal points.

"2.100" is 2.1 to some laboratories and 2100 to others. In cells per microlitre, copies, titres and milligrams a day
nobody writes three decimals, so there it is 2100. Elsewhere both readings are possible, and the caller has to decide.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Literal

from mappings.values.units import canonical_unit

# "usual": 2.100 is 2.1 and 2,100 is 2100. "continental": the other way round. "grouped": both are 2100.
Style = Literal["usual", "continental", "grouped"]

# Apostrophes, and the no-break, figure, thin and narrow spaces; nobody writes them but for thousands.
_ONLY_FOR_THOUSANDS = "'’‘´`\u00a0\u2007\u2008\u2009\u202f"
_GROUPED = re.compile(rf"(?<![\d.,])(\d{{1,3}})((?:[{_ONLY_FOR_THOUSANDS}]\d{{3}})+)(?!\d)", re.ASCII)
# A common space only in a number that the text begins with: "150 000 /µL".
_SPACED = re.compile(r"^(\D{0,12})([1-9]\d{0,2})((?: \d{3})+)(?= ?[^\d\s.,:/]| ?/ ?[^\d\s]|,\d)", re.ASCII)

_AMBIGUOUS = re.compile(r"(?<![\d.,:])[1-9]\d{0,2}[.,]\d{3}(?![\d.,])", re.ASCII)
# A number whose dot or comma can only be a decimal one says it of the others too.
_DECIMAL = re.compile(r"(?<![\d.,])(?:0[.,]\d|\d+[.,](?:\d\d?|\d{4,})(?![\d.,]))", re.ASCII)
_PLAIN = re.compile(r"^-?(?:\d+(?:\.\d+)?|\.\d+)$", re.ASCII)
_DECIMAL_COMMA = re.compile(r"^-?\d+,\d+$", re.ASCII)
_BY_COMMA = re.compile(r"^-?[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?$", re.ASCII)
_BY_DOT = re.compile(r"^-?[1-9]\d{0,2}(?:\.\d{3})+(?:,\d+)?$", re.ASCII)

_COUNTS = frozenset({"/uL", "/mm3", "/mL", "10*6/L", "mg/d", "mg/(24.h)", "{titer}"})


def without_separators(text: str) -> str:
    """The text without the signs that can only separate thousands: "1:1'280" -> "1:1280"."""
    text = _GROUPED.sub(lambda match: match[1] + "".join(filter(str.isdigit, match[2])), text)
    return _SPACED.sub(lambda match: match[1] + match[2] + match[3].replace(" ", ""), " ".join(text.split()))


def is_ambiguous(text: str) -> bool:
    """Whether a number in it may be a decimal or a thousand times as much: "2.100", "2,100", but not "0.500-1.200"."""
    return _AMBIGUOUS.search(text) is not None and not _DECIMAL.search(text)


def is_counted(unit: str) -> bool:
    """Whether nobody writes three decimals in this unit: cells per µL, copies per mL, mg in 24 h, titres."""
    return unit == "{titer}" or canonical_unit(unit) in _COUNTS


def number_of(text: str, style: Style) -> Decimal | None:
    """The number that digits, dots and commas write in this style; None where they write none."""
    dot_groups = style != "usual" or "," in text or text.count(".") > 1
    if _PLAIN.match(text) and not (dot_groups and _BY_DOT.match(text)):
        return Decimal(text)
    if _BY_COMMA.match(text) and not (style == "continental" and text.count(",") == 1 and "." not in text):
        return Decimal(text.replace(",", ""))
    if _DECIMAL_COMMA.match(text):
        return Decimal(text.replace(",", "."))
    if _BY_DOT.match(text) and dot_groups:
        return Decimal(text.replace(".", "").replace(",", "."))
    return None

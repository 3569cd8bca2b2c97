"""Whether a text can be a UCUM unit at all, by the symbols in it: seen without the unit library, which loads slowly."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

FILE = Path(__file__).with_name("ucum_symbols.txt")
_ANNOTATION = re.compile(r"\{[^{}]*\}")
_TOKEN = re.compile(r"(?:\[[^\[\]]*\]|[^./()\[\]])+")  # what operators and brackets of UCUM leave between them
_EXPONENT = re.compile(r"[+-]?\d+$")


def may_be_ucum(text: str) -> bool:
    """False where a part of it is no symbol of UCUM ("tablet"); what is left may still be no unit."""
    return all(map(_is_known, _TOKEN.findall(_ANNOTATION.sub("", text))))


def _is_known(token: str) -> bool:
    base = _EXPONENT.sub("", token)
    return base in _symbols() or base.isdigit() or token in _symbols()


@cache
def _symbols() -> frozenset[str]:
    """Every symbol, with and without a prefix; "" is what an exponent, or a bare number, leaves."""
    prefixes, with_prefix, alone = (line.split() for line in FILE.read_text("utf-8").splitlines()[1:])
    return frozenset(["", *alone, *(prefix + symbol for prefix in ("", *prefixes) for symbol in with_prefix)])

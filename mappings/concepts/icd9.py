"""ICD-9-CM diagnoses by what the General Equivalence Mappings of CMS say of them in ICD-10-CM.

`icd9.txt` holds the codes of which some equivalent is of a concept here: with the codes of ICD-10-CM that stand for
the concepts of every equivalent, and after a `+` further ones that it may be. A code that is not in it is something
else. `generate_icd9.py` makes the file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple

FILE = Path(__file__).with_name("icd9.txt")
_FORM = re.compile(r"(?:\d{3}|V\d\d)\d{0,2}|E\d{3}\d?")


class Equivalents(NamedTuple):
    """Codes of ICD-10-CM without dot. All of `certain` apply where it has any; `possible` holds them too."""

    certain: tuple[str, ...]
    possible: tuple[str, ...]


NONE = Equivalents((), ())


def is_code(code: str) -> bool:
    """Whether a code without dot has the form of a diagnosis of ICD-9-CM, of a category too: "7100", "710", "V420"."""
    return bool(_FORM.fullmatch(code))


@lru_cache(maxsize=4096)
def equivalents(code: str) -> Equivalents:
    """Those of a code without dot; of a category all that its codes may be."""
    known = _known()
    for length in range(len(code), 2, -1):
        if found := known.get(code if length == len(code) else code[:length] + "*"):
            return found
    if found := known.get(code + "*"):
        return found
    under = [found for name, found in known.items() if name.startswith(code)] if len(code) >= 3 else []
    return Equivalents((), tuple(dict.fromkeys(each for found in under for each in found.possible)))


@cache
def _known() -> Mapping[str, Equivalents]:
    found = {}
    for line in FILE.read_text(encoding="ascii").splitlines():
        if not line.startswith("#"):
            code, _, rest = line.partition(" ")
            certain, _, others = rest.partition("+")
            sure = tuple(certain.split())
            found[code] = Equivalents(sure, sure + tuple(others.split()))
    return found

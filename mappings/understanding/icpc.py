"""The concepts that a code of ICPC-1 or ICPC-2 leaves open, by the structure of the classification alone.

A code is a letter for the chapter and two digits: 01-29 complaints, 30-69 what was done, 70-99 diagnoses (WONCA,
ICPC-2). The rubrics are too coarse to decide anything. A chapter leaves open the concepts of which a code of ICD-10
lies in the chapters of ICD-10 into which its rubrics can fall; complaints do so only where they may be a concept here.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_CODE = re.compile(r"(?P<chapter>[ABDFHKLNPRSTUWXYZ])(?P<number>\d\d)(?:\.?\d{1,2})?")
# Chapter of ICPC -> first letters of ICD-10. Tumours and infections are in every chapter that has diagnoses.
_OTHERS = "ABCD"
_LETTERS = {
    "B": "", "D": "KRT", "F": "HEGM", "H": "HRJ", "K": "IGMQRZ", "L": "MQST", "N": "FGIRSTM", "P": "FGRTXZ",
    "R": "IJMQRST", "S": "LMQST", "T": "EQR", "U": "MNIQRZ", "W": "NOZ", "X": "NOR", "Y": "NRZ",
}  # fmt: skip
_COMPLAINTS = frozenset("NPW")  # seizure, mood, pregnancy: a complaint that is a concept here
_NO_DISEASE = frozenset({"A97", "A98"})  # "no disease", "health maintenance"


def concepts_of(code: str, by_start: Callable[[str], frozenset[str]]) -> frozenset[str] | None:
    """The concepts that a code leaves open; None where it leaves all, or is no code of ICPC.

    `by_start`: the concepts of which a code of ICD-10 begins with this letter.
    """
    found = _CODE.fullmatch(code.strip().upper())
    if found is None:
        return None
    chapter, number = found["chapter"], int(found["number"])
    is_disease = number >= 70
    if chapter == "Z" or f"{chapter}{found['number']}" in _NO_DISEASE:
        return frozenset()
    if not is_disease and chapter != "W" and (chapter not in _COMPLAINTS or number >= 30):
        return frozenset()
    if chapter == "A":
        return None
    return frozenset[str]().union(*map(by_start, _OTHERS + _LETTERS[chapter]))

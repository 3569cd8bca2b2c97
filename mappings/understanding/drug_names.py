"""Names of drugs: which of 82,000 names and brands a word is, and which of our drugs it means.

`words/drug-names.bin` holds digests of the names, made by `generate_drugs.py` from the dictionary of the package
`drug-named-entity-recognition` (Fast Data Science, MIT licence), which joins DrugBank's open vocabulary, MeSH,
MedlinePlus and the NHS list; most are English. It says which drug a name means, never that a patient takes it.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from typing import Literal

import msgspec

from mappings.understanding.words import FOLDER, drug_form_words, read_list, words_of

FILE = FOLDER / "drug-names.bin"
_LONGEST = 6  # words of one name


def digest_of(name: str) -> int:
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "big")


class Table(msgspec.Struct, frozen=True):
    """The file's content: arrays of numbers, the lowest byte first.

    `names` are digests (64 bits) in ascending order, once for each drug that a name means; `drugs` the digests of the
    drugs' own names, lower case; `means` (16 bits) the place in `drugs` for each of the names.
    """

    names: bytes
    means: bytes
    drugs: bytes


@dataclass(frozen=True, slots=True)
class DrugNames:
    """`ours` are the drugs that were asked for at loading, by their places in the table, lower case."""

    names: array[int]
    means: array[int]
    ours: Mapping[int, str]
    more: frozenset[str]  # single words, drugs of none of ours

    def __contains__(self, name: str) -> bool:
        return name in self.more or any(True for _ in self._places_of(name))

    def _places_of(self, name: str) -> Iterator[int]:
        """The places of the drugs that a name means."""
        digest, names = digest_of(name), self.names
        place = bisect_left(names, digest)
        while place < len(names) and names[place] == digest:
            yield self.means[place]
            place += 1

    def drugs_of(self, texts: Iterable[str]) -> frozenset[str] | None:
        """The drugs among those asked for that these texts may mean; empty: known drugs and none of them.

        None where a word is no drug, no form and no unit that is known, or where a class of drugs is named.
        """
        found: set[str] = set()
        is_named = False
        for text in texts:
            for name in self._names_in(words_of(text)):
                if name is None:
                    return None
                is_named = True
                found.update(self.ours[place] for place in self._places_of(name) if place in self.ours)
        return frozenset(found) if is_named else None

    def _names_in(self, words: list[str]) -> Iterator[str | None]:
        """The drug names in these words, longest first; None for a word that is neither a name nor a form."""
        place = 0
        while place < len(words):
            length = next(
                (n for n in range(min(_LONGEST, len(words) - place), 0, -1) if self._is_name(words[place : place + n])),
                0,
            )
            if length:
                yield " ".join(words[place : place + length])
            elif words[place] in _pointers() or words[place] not in drug_form_words():
                yield None
            place += length or 1

    def _is_name(self, words: list[str]) -> bool:
        if all(word in drug_form_words() or word in _pointers() for word in words):
            return False  # the dictionary also holds classes: "monoclonal antibody"
        return " ".join(words) in self


@cache
def _pointers() -> frozenset[str]:
    return frozenset(read_list("drug-pointers.txt"))


def load_drug_names(ours: Iterable[str]) -> DrugNames:
    """Read the table. `ours`: the drug names whose synonyms are wanted."""
    table = msgspec.msgpack.decode(FILE.read_bytes(), type=Table)
    wanted = {digest_of(name): name for name in map(str.casefold, ours)}
    places = enumerate(_numbers("Q", table.drugs))
    return DrugNames(
        _numbers("Q", table.names),
        _numbers("H", table.means),
        {place: wanted[digest] for place, digest in places if digest in wanted},
        frozenset(read_list("drugs-more.txt")),
    )


def _numbers(kind: Literal["H", "Q"], raw: bytes) -> array[int]:
    numbers = array(kind, raw)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers

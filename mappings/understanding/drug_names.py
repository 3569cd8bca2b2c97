"""Names of drugs, from the dictionary of the package `drug-named-entity-recognition` (Fast Data Science, MIT licence).

The dictionary joins DrugBank's open vocabulary, MeSH, MedlinePlus and the NHS list: 107,000 names and brands, mostly
English. It says which drug a name means; it never says that a patient takes it.
"""

from __future__ import annotations

import bz2
import importlib.util
import pickle
import re
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from pathlib import Path

from mappings.understanding.words import drug_form_words, read_list, words_of

PACKAGE = "drug_named_entity_recognition"
_DICTIONARY = "drug_ner_dictionary.pkl.bz2"
_LONGEST = 6  # words of one name
_SPLIT = re.compile(r"[^\w]+")


def _key(name: str) -> int:
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "big")


@dataclass(frozen=True, slots=True)
class DrugNames:
    """Which names are drugs, as sorted 64-bit digests (1 MB in place of 20), and what the names of ours mean.

    `meanings` holds a digest's drug names, lower case, where one of them is a name that was asked for at loading.
    """

    digests: array[int]
    meanings: Mapping[int, tuple[str, ...]]

    def __contains__(self, name: str) -> bool:
        key = _key(name)
        place = bisect_left(self.digests, key)
        return place < len(self.digests) and self.digests[place] == key

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
                found.update(self.meanings.get(_key(name), ()))
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
    """Read the dictionary: 0.8 s, and 60 MB while it is read. `ours`: the drug names whose synonyms are wanted."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"the package {PACKAGE} is not installed")
    with bz2.open(Path(spec.origin).with_name(_DICTIONARY)) as file:
        # A file of a package whose hash the lock holds: as trustworthy as its code.
        variants: Mapping[str, list[str]] = pickle.load(file)["drug_variant_to_canonical"]
    wanted = {name.casefold() for name in ours}
    meanings: dict[int, tuple[str, ...]] = {}
    digests = array("Q", map(_key, read_list("drugs-more.txt")))
    for variant, drugs in variants.items():
        name = " ".join(words_of(variant))
        if not name:
            continue
        digests.append(_key(name))
        if hits := tuple(drug for drug in drugs if drug.casefold() in wanted):
            meanings[_key(name)] = hits
    return DrugNames(array("Q", sorted(set(digests))), meanings)

"""Makes `words/drug-names.bin` from the dictionary of the package `drug-named-entity-recognition`.

Run it with `python -m mappings.understanding.generate_drugs` when that package (a development dependency) is renewed;
with `--check` it says whether the file is that of the installed package. Only digests of names go into the file.
"""

from __future__ import annotations

import bz2
import importlib.util
import pickle
import sys
from array import array
from collections.abc import Mapping
from pathlib import Path

import msgspec

from mappings.understanding.drug_names import FILE, Table, digest_of
from mappings.understanding.words import words_of

PACKAGE = "drug_named_entity_recognition"
_DICTIONARY = "drug_ner_dictionary.pkl.bz2"


def dictionary() -> Mapping[str, list[str]]:
    """The drugs that each name or brand means."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"the package {PACKAGE} is not installed")
    with bz2.open(Path(spec.origin).with_name(_DICTIONARY)) as file:
        # A file of a package whose hash the lock holds: as trustworthy as its code.
        found: Mapping[str, list[str]] = pickle.load(file)["drug_variant_to_canonical"]
    return found


def table_of(variants: Mapping[str, list[str]]) -> Table:
    """The table of a dictionary: name -> drugs."""
    drugs = sorted({digest_of(drug.casefold()) for found in variants.values() for drug in found})
    places = {digest: place for place, digest in enumerate(drugs)}
    pairs = {
        (digest_of(name), places[digest_of(drug.casefold())])
        for variant, found in variants.items()
        if (name := " ".join(words_of(variant)))
        for drug in found
    }
    ordered = sorted(pairs)
    names, means = array("Q", [name for name, _ in ordered]), array("H", [place for _, place in ordered])
    return Table(_bytes(names), _bytes(means), _bytes(array("Q", drugs)))


def _bytes(numbers: array[int]) -> bytes:
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tobytes()


def content() -> bytes:
    """The file as it should be for the installed package."""
    return msgspec.msgpack.encode(table_of(dictionary()))


def main() -> None:
    made = content()
    if "--check" in sys.argv[1:]:
        sys.exit(FILE.read_bytes() != made and f"{FILE.name}: run python -m mappings.understanding.generate_drugs")
    FILE.write_bytes(made)


if __name__ == "__main__":
    main()

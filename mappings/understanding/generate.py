"""Makes `words/diagnosis-words.txt`: the words of ICD-10-CM's titles, and the concepts that some of them point to.

Run it with `python -m mappings.understanding.generate` after a change of the catalogue's ICD-10 codes; it needs the
package `simple-icd-10-cm` (a development dependency). ICD-10-CM is a work of the US Government (CDC/NCHS and CMS).
The list holds single words and counts made from them, no titles.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from mappings.concepts.catalogue import Catalogue, load_catalogue
from mappings.concepts.vocabulary import OUR_CONCEPTS, pack_folders
from mappings.understanding.words import FOLDER, read_list, words_of

OUT = FOLDER / "diagnosis-words.txt"
POINTS_FROM = 0.4  # share of a word's titles that lie in our codes, from which it points to them
SHARE_OF_A_CONCEPT = 0.1  # of those titles, from which the word points to that concept
ICD10CM = "http://hl7.org/fhir/sid/icd-10-cm"


def titles() -> Iterable[tuple[str, str]]:
    """(code, title or inclusion term) of every code of ICD-10-CM."""
    import simple_icd_10_cm as icd

    for code in icd.get_all_codes(with_dots=True):
        yield code, icd.get_description(code)
        for term in (*icd.get_inclusion_term(code), *icd.get_includes(code)):
            yield code, term


def lines(catalogue: Catalogue, found: Iterable[tuple[str, str]], generic: frozenset[str]) -> list[str]:
    """A line for each word: the word alone, or `word: concept ...` where it points to concepts of the catalogue."""
    uses: Counter[str] = Counter()
    ours: Mapping[str, Counter[str]] = defaultdict(Counter)
    concepts: dict[str, str | None] = {}
    for code, title in found:
        if code not in concepts:
            concepts[code] = next(iter(catalogue.find(ICD10CM, code)), None)
        for word in set(words_of(title)):
            uses[word] += 1
            if concept := concepts[code]:
                ours[word][concept] += 1
    return [_line(word, uses[word], ours.get(word, Counter()), generic) for word in sorted(uses)]


def _line(word: str, uses: int, ours: Counter[str], generic: frozenset[str]) -> str:
    if word in generic or ours.total() < POINTS_FROM * uses:
        return word
    least = SHARE_OF_A_CONCEPT * ours.total()
    return f"{word}: {' '.join(sorted(name for name, count in ours.items() if count >= least))}"


def text() -> str:
    """The list as it should be for the catalogue with all packs."""
    catalogue = load_catalogue([OUR_CONCEPTS, *pack_folders(None)])
    generic = frozenset(read_list("generic-disease-words.txt"))
    head = [
        "# Made by mappings/understanding/generate.py from ICD-10-CM (CDC/NCHS, CMS): words, and what they point to."
    ]
    return "\n".join([*head, *lines(catalogue, titles(), generic)]) + "\n"


def main() -> None:
    OUT.write_text(text(), encoding="utf-8")


if __name__ == "__main__":
    main()

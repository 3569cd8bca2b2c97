"""What the words of a record can mean when no code speaks: something known that is not ours, or something of ours.

A text is understood when every word of it is in a word list. A word that points to concepts (it names them, or most
ICD-10-CM titles that hold it are theirs) leaves those concepts open; a word that no list holds leaves all open.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "words"
_WORD = re.compile(r"[^\W\d_]+")
# A single letter or a number says nothing by itself: "B", "type 2", "(R)". In other scripts one character is a word.
_SAYS_NOTHING = re.compile(r"[a-z]", re.ASCII)
# British to American, as far as titles of ICD-10-CM need it.
_AMERICAN: tuple[tuple[str, str], ...] = (
    ("haem", "hem"),
    ("aemia", "emia"),
    ("tumour", "tumor"),
    ("oedema", "edema"),
    ("oesoph", "esoph"),
    ("diarrhoea", "diarrhea"),
    ("anaesth", "anesth"),
    ("paediatr", "pediatr"),
    ("orthopaed", "orthoped"),
    ("gynaec", "gynec"),
    ("caesar", "cesar"),
    ("faec", "fec"),
    ("coeliac", "celiac"),
    ("leucocyt", "leukocyt"),
    ("fibre", "fiber"),
    ("centre", "center"),
    ("colour", "color"),
    ("foetal", "fetal"),
)


def words_of(text: str) -> list[str]:
    """The words of a text in lower case, American spelling, without accents; numbers and single letters left out."""
    plain = text.casefold()
    if not plain.isascii():
        plain = unicodedata.normalize("NFKD", text).casefold()
        plain = "".join(sign for sign in plain if not unicodedata.combining(sign))
    return [_american(word) for word in _WORD.findall(plain) if not (len(word) == 1 and _SAYS_NOTHING.match(word))]


def _american(word: str) -> str:
    if not ("ae" in word or "oe" in word or "our" in word or "re" in word or "uc" in word):
        return word
    for british, american in _AMERICAN:
        word = word.replace(british, american)
    return word


def read_list(name: str) -> dict[str, frozenset[str]]:
    """A word list: word -> the concepts that it points to. Lines are words, or `word: concept ...`; `#`: a comment."""
    found: dict[str, frozenset[str]] = {}
    for line in (FOLDER / name).read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            continue
        head, colon, concepts = line.partition(":")
        for word in words_of(head):
            found[word] = found.get(word, frozenset()) | frozenset(concepts.split() if colon else ())
    return found


@dataclass(frozen=True, slots=True)
class WordList:
    """Words that are understood, each with the concepts that it points to."""

    words: Mapping[str, frozenset[str]]

    def concepts_left_open(self, texts: Iterable[str]) -> frozenset[str] | None:
        """The concepts that these texts leave possible; empty when they mean something else; None when not understood.

        Texts without any word (empty, numbers only) are not understood.
        """
        found: set[str] = set()
        words = [word for text in texts for word in words_of(text)]
        for word in words:
            concepts = self._concepts_of(word)
            if concepts is None:
                return None
            found |= concepts
        return frozenset(found) if words else None

    def _concepts_of(self, word: str) -> frozenset[str] | None:
        concepts = self.words.get(word)
        if concepts is None and word.endswith("s"):
            concepts = self.words.get(word[:-1])
        if concepts is None:
            concepts = self.words.get(word + "s")
        return concepts


def _merge(names: Iterable[str]) -> WordList:
    words: dict[str, frozenset[str]] = {}
    for name in names:
        for word, concepts in read_list(name).items():
            words[word] = words.get(word, frozenset()) | concepts
    return WordList(words)


@cache
def diagnosis_words() -> WordList:
    """English words of diagnoses, findings and circumstances of life."""
    return _merge(("general.txt", "diagnosis-words.txt", "diagnoses-more.txt", "disease-pointers.txt"))


@cache
def procedure_words() -> WordList:
    """English words of procedures. Diseases are known as far as diagnoses know them, and point to nothing here."""
    known = ("general.txt", "diagnosis-words.txt", "diagnoses-more.txt", "procedures.txt")
    words = {word: frozenset[str]() for name in known for word in read_list(name)}
    return WordList({**words, **dict.fromkeys(read_list("procedure-pointers.txt"), ANY_PROCEDURE)})


@cache
def vaccine_words() -> WordList:
    """Names of vaccines that hold nothing alive."""
    return _merge(("vaccines.txt",))


@cache
def drug_form_words() -> frozenset[str]:
    """Words beside a drug's name that name no drug."""
    return frozenset(read_list("drug-forms.txt"))


ANY_PROCEDURE = frozenset({"*"})  # stands for every concept of the record's own type

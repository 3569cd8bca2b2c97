"""How eligibility texts call what the catalogue knows: `words.yaml`, read and made ready to search with."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from mappings.concepts.catalogue import Catalogue
from mappings.yaml_files import read_yaml

_WORDS = Path(__file__).parent / "words.yaml"
Want = Literal["low", "high"]


@dataclass(frozen=True, slots=True)
class Mention:
    """A concept named in a text, with the place of its name."""

    concept: str
    start: int
    end: int


@dataclass(frozen=True)
class Lexicon:
    """Names of results, diagnoses and treatments, each as one pattern."""

    results: re.Pattern[str]
    diagnoses: re.Pattern[str]
    treatments: re.Pattern[str]
    infections: re.Pattern[str]  # named alone they mean the positive test: "HIV"
    barred: Mapping[str, re.Pattern[str]]  # words before a name that make another disease of it
    wanted: Mapping[str, Want]  # the side that an inclusion wants; concepts without one are not in it
    qualitative: frozenset[str]
    concept_of: Mapping[str, str]  # group name -> concept

    def find(self, pattern: re.Pattern[str], low: str, start: int, end: int) -> Iterator[Mention]:
        """Every name of this kind in a stretch of plain text, the longest where several begin at one place."""
        for group, first, last in _matches(pattern, low):
            if first >= end:
                return
            if first >= start and last <= end:
                yield Mention(self.concept_of[group], first, last)
            elif last > start:  # it crosses an edge of the stretch; shorter names may lie within
                for match in pattern.finditer(low, max(first, start), end):
                    if match.start() >= last:
                        break
                    yield Mention(self.concept_of[match.lastgroup or ""], *match.span())

    def is_barred(self, low: str, mention: Mention) -> bool:
        """Whether the word before the name makes another disease of it: "portal hypertension"."""
        if _OF_ANOTHER_KIND.match(low, mention.end):
            return True
        if mention.concept == "active-infection" and _OF_SOMETHING.match(low, mention.end):
            return True
        pattern = self.barred.get(mention.concept)
        return pattern is not None and pattern.search(low, max(0, mention.start - 60), mention.start) is not None


@lru_cache(maxsize=16)
def _matches(pattern: re.Pattern[str], low: str) -> tuple[tuple[str, int, int], ...]:
    """Every name in a whole text, found once: the stretches of a text are looked at many times."""
    return tuple((match.lastgroup or "", *match.span()) for match in pattern.finditer(low))


@lru_cache(maxsize=1)
def _content() -> Mapping[str, Mapping[str, object]]:
    return read_yaml(_WORDS.read_bytes(), _WORDS)  # type: ignore[return-value]


def lexicon_for(catalogue: Catalogue) -> Lexicon:
    """The names of those concepts that this catalogue has."""
    content = _content()
    concept_of: dict[str, str] = {}
    results = {name: entry["names"] for name, entry in content["results"].items()}  # type: ignore[index]
    treatments = {name: [*words, *_brands(name, catalogue)] for name, words in content["treatments"].items()}  # type: ignore[misc]
    known = [
        {name: words for name, words in names.items() if name in catalogue.concepts}
        for names in (results, content["diagnoses"], treatments, content["infections"])
    ]
    own = _own_names(catalogue, {name for names in known for name in names})
    known = [
        names | own.get(kind, {}) for names, kind in zip(known, ("result", "diagnosis", "treatment", ""), strict=True)
    ]
    wanted = {n: e["want"] for n, e in content["results"].items() if "want" in e}  # type: ignore[index,operator]
    qualitative = frozenset(n for n, e in content["results"].items() if "polarity" in e)  # type: ignore[operator]
    return Lexicon(
        results=_pattern(known[0], "r", concept_of),
        diagnoses=_pattern(known[1], "d", concept_of),
        treatments=_pattern(known[2], "t", concept_of),
        infections=_pattern(known[3], "i", concept_of),
        barred={name: re.compile(str(pattern)) for name, pattern in content["barred"].items()},
        wanted=wanted,
        qualitative=qualitative,
        concept_of=concept_of,
    )


def _own_names(catalogue: Catalogue, taken: set[str]) -> dict[str, dict[str, list[str]]]:
    """Kind -> concept -> the names that the catalogue itself lists, for concepts without an entry in `words.yaml`."""
    found: dict[str, dict[str, list[str]]] = {}
    for name, entry in catalogue.concepts.items():
        if name in taken or entry.kind == "patient":
            continue
        names = dict.fromkeys((re.sub(r"\s*\([^()]*\)", "", entry.title), *entry.names))
        words = [_as_pattern(each) for each in names if len(each) >= _SHORTEST]
        found.setdefault(entry.kind, {})[name] = [word for word in words if word]
    return found


_SHORTEST = 3  # letters; shorter ones are words too


def _as_pattern(name: str) -> str:
    return re.escape(name.lower().strip()).replace("\\ ", " ").replace("\\-", " ").replace("'", "'?")


def _brands(concept: str, catalogue: Catalogue) -> list[str]:
    """The names that the catalogue itself lists for a drug; short ones are left out, for they may be words."""
    entry = catalogue.concepts.get(concept)
    return (
        [re.escape(name.lower()).replace("\\ ", " ").replace("\\-", " ") for name in entry.names if len(name) > 4]
        if entry and {"rxnorm", "atc"} & set(entry.codes)
        else []
    )


def _pattern(names: Mapping[str, object], kind: str, concept_of: dict[str, str]) -> re.Pattern[str]:
    """One alternation, longest name first; a space matches any white space, hyphen or bracket."""
    found: list[tuple[str, str]] = []
    for number, (concept, words) in enumerate(names.items()):
        concept_of[f"{kind}{number}"] = concept
        found += [(str(word), f"{kind}{number}") for word in words]  # type: ignore[attr-defined]
    # The same group name may not stand twice, so every name is a pattern of its own and its group is numbered on. At a
    # word only the names with its first letter are tried: there are thousands.
    parts: dict[str, list[str]] = {}
    number = 0
    for word, group in sorted(found, key=lambda each: -len(each[0])):
        for first in sorted(_first_letters(word)):
            concept_of[f"{group}_{number}"] = concept_of[group]
            parts.setdefault(first, []).append(f"(?P<{group}_{number}>{word.replace(' ', _GAP)})")
            number += 1
    any_first = parts.pop(_ANY, [])
    of_letter = [f"(?={re.escape(first)})(?:{'|'.join(names)})" for first, names in sorted(parts.items())]
    of_letter += any_first
    return re.compile(r"(?<![a-z0-9])(?:" + "|".join(of_letter) + r")(?![a-z0-9])")


_ANY = ""  # a first letter that no other name of the lexicon has
_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")
_SPECIAL = frozenset("\\.^$*+?{}[]()| ")


def _first_letters(pattern: str) -> frozenset[str]:
    """The letters with which a text can begin that this pattern matches; all, and any other, where it is not plain."""
    head = re.match(r"\(\?:([^()]*)\)([?*]?)", pattern)
    if head is None:
        is_plain = pattern[:1] not in _SPECIAL and pattern[1:2] not in ("?", "*", "{")
        return frozenset(pattern[0]) if is_plain and "|" not in pattern.split("(")[0] else _LETTERS | {_ANY}
    found = frozenset[str]().union(*map(_first_letters, head[1].split("|")))
    return found | _first_letters(pattern[head.end() :]) if head[2] else found


_OF_ANOTHER_KIND = re.compile(r"\s+(?:vaccin\w*|exposure|contacts?|screening|risk)\b")
_OF_SOMETHING = re.compile(r"\s+(?:of|with|by|due to|caused by|involving|from)\s+(?!any\b|unknown)")
_GAP = r"(?:[\s\-()]{1,3})"

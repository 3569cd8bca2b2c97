"""Records that name a concept in words and carry no code that we know: a hint for a person, never an answer.

Silence may be read as absence; an entry "Hemodialysis" without a code is not silence. Where a code of a system that is
mapped whole speaks (ICD-10 for diagnoses, LOINC for results), the words beside it are not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from mappings.chart import fhir
from mappings.clean_text import clean
from mappings.concepts.catalogue import Catalogue, CatalogueKey, ConceptKind, system_name
from mappings.values.denials import denied_at
from mappings.values.phrases import Tokens, tokens_of

# Systems whose codes say all that the words would.
_SAID_BY_CODE: Mapping[type, frozenset[str]] = {
    fhir.Condition: frozenset({"icd10"}),
    fhir.Immunization: frozenset({"cvx"}),
    fhir.Observation: frozenset({"loinc"}),
}
_HISTORY = re.compile(r"^(?:personal )?(?:history of|hx(?: of)?|h/o|past|previous|prior|z\. ?n\.|zustand nach)\b", re.I)


def says_it_is_over(words: str) -> bool:
    """Whether an entry calls itself a history: "History of seizure", "Z. n. Apoplex"."""
    return bool(_HISTORY.match(words))


Kinds = frozenset[ConceptKind]


class _Mention(NamedTuple):
    """A name in a text, at `tokens[start:end]`."""

    concept: str
    start: int
    end: int


def named_in(
    concepts: Iterable[fhir.CodeableConcept], kinds: frozenset[ConceptKind], catalogue: Catalogue
) -> list[str]:
    """The concepts of these kinds whose names occur in texts and displays as whole words, in the order of the text."""
    names = _names(CatalogueKey(catalogue), kinds)
    return list(dict.fromkeys(m.concept for tokens in _texts_of(concepts) for m in _mentions(tokens, names)))


def named_by(record: fhir.Condition | fhir.Procedure | fhir.Immunization, catalogue: Catalogue) -> list[str]:
    """What a diagnosis, procedure or vaccination without a known code calls itself, and does not deny."""
    code = record.vaccine_code if isinstance(record, fhir.Immunization) else record.code
    return named_by_any(type(record), (code,) if code else (), catalogue)


def named_by_any(
    kind: type[fhir.Condition | fhir.Procedure | fhir.Immunization],
    codes: Sequence[fhir.CodeableConcept],
    catalogue: Catalogue,
) -> list[str]:
    """The same for a record of this kind that says what it is with several codes."""
    if any(_says_it_by_code(kind, code) for code in codes):
        return []
    return [
        name
        for name in _affirmed(codes, catalogue)
        if _may_be(kind, "Immunization" in catalogue.where(name), codes)
        and not any(_is_look_alike(code, name, catalogue) for code in codes)
    ]


def _may_be(
    kind: type[fhir.Condition | fhir.Procedure | fhir.Immunization],
    is_vaccine: bool,
    codes: Sequence[fhir.CodeableConcept],
) -> bool:
    """A vaccine is called by the disease that it is against, and is not the disease. It may be given as a Procedure."""
    if kind is fhir.Procedure:
        return not is_vaccine or is_vaccination(codes)
    return is_vaccine is (kind is fhir.Immunization)


def is_vaccination(codes: Sequence[fhir.CodeableConcept]) -> bool:
    """Whether texts or displays speak of a vaccine or its giving, or name one by a name that no disease has."""
    return any(
        _VACCINE_WORD.search(word) or word in _VACCINE_BRANDS
        for tokens in _texts_of(codes)
        if _INACTIVE.isdisjoint(tokens)
        for word in tokens
    )


_VACCINE_WORD = re.compile(
    r"vac[cu]in|vacun|vaksin|vaxination|immuni[sz]ation|impf|rokot|inoculat|^(?:jab|shot|vax)s?$"
)
_VACCINE_BRANDS = frozenset({
    "mmr", "mmrv", "proquad", "priorix", "varivax", "varilrix", "zostavax", "flumist", "fluenz", "laiv", "stamaril",
    "vivotif", "rotarix", "rotateq", "dengvaxia", "qdenga", "vaxchora", "ixchiq", "imojev", "acam2000", "opv",
})  # fmt: skip
_INACTIVE = frozenset(["inactivated", "recombinant", "killed", "subunit", "shingrix"])


def denied_by(code: fhir.CodeableConcept | None, catalogue: Catalogue) -> frozenset[str]:
    """The concepts that the words of a diagnosis or procedure name and deny, with all that they include."""
    denied = _affirmed_and_denied([code], catalogue)[1] if code else ()
    found = list(denied)
    for name in found:
        found += [child for child in catalogue.concepts[name].includes if child not in found]
    return frozenset(found)


def _affirmed(codes: Sequence[fhir.CodeableConcept], catalogue: Catalogue) -> list[str]:
    """The concepts that its texts name, without those that one of the texts only denies."""
    found, denied = _affirmed_and_denied(codes, catalogue)
    return [name for name in found if name not in denied]


def _affirmed_and_denied(
    codes: Sequence[fhir.CodeableConcept], catalogue: Catalogue
) -> tuple[list[str], frozenset[str]]:
    """The concepts that its texts name in earnest, and those that one of the texts only denies."""
    names = _names(CatalogueKey(catalogue), NAMED_EVENTS)
    found: dict[str, None] = {}
    denied: set[str] = set()
    for tokens in _texts_of(codes):
        mentions = list(_mentions(tokens, names))
        starts = frozenset(mention.start for mention in mentions)
        held = {m.concept for m in mentions if not _is_denied(tokens, starts, m, catalogue)}
        denied.update(m.concept for m in mentions if m.concept not in held)
        found.update(dict.fromkeys(m.concept for m in mentions if m.concept in held))
    return list(found), frozenset(denied)


def _is_denied(tokens: Tokens, starts: frozenset[int], mention: _Mention, catalogue: Catalogue) -> bool:
    is_treatment = catalogue.concepts[mention.concept].kind == "treatment"
    return denied_at(tokens, starts, mention.start, mention.end, is_treatment=is_treatment)


def result_named_by(code: fhir.CodeableConcept | None, catalogue: Catalogue) -> str | None:
    """The result that an Observation without a code of LOINC is called by: its whole name, not a part."""
    if code is None or _says_it_by_code(fhir.Observation, code):
        return None
    names = _names(CatalogueKey(catalogue), _RESULTS)
    for tokens in _texts_of([code]):
        for name, concept in names.get(tokens[0], ()):
            if name == tokens and not _is_look_alike(code, concept, catalogue):
                return concept
    return None


NAMED_EVENTS: Kinds = frozenset({"diagnosis", "treatment"})
_RESULTS: Kinds = frozenset({"result"})


# A code that is a word, sent in place of a display: "Dexamethasone".
_WORD = re.compile(r"[^\W\d_]{4}")


def _texts_of(concepts: Iterable[fhir.CodeableConcept]) -> list[Tokens]:
    texts = dict.fromkeys(text for concept in concepts for text in _words_in(concept) if text)
    return [tokens for text in texts if (tokens := tokens_of(text))]


def _words_in(concept: fhir.CodeableConcept) -> Iterator[str | None]:
    """Its text and displays; a code that is itself a word only where there is neither."""
    yield concept.text
    for coding in concept.coding:
        if coding.display or concept.text:
            yield coding.display
        elif coding.code and _WORD.search(coding.code):
            yield coding.code


def _says_it_by_code(kind: type, code: fhir.CodeableConcept) -> bool:
    systems = _SAID_BY_CODE.get(kind, frozenset())
    for coding in code.coding:
        if coding.code and coding.system and system_name(fhir.clean(coding.system)) in systems:
            return True
    return False


def _is_look_alike(code: fhir.CodeableConcept, concept: str, catalogue: Catalogue) -> bool:
    """Whether one of its codes was left out of the concept on purpose."""
    left_out = catalogue.concepts[concept].not_codes
    return any(
        fhir.clean(coding.code or "") in left_out.get(name, ())
        for coding in code.coding
        for name in left_out
        if name == system_name(fhir.clean(coding.system or ""))
    )


def is_taken_back(concept: str, codes: Iterable[fhir.CodeableConcept], catalogue: Catalogue) -> bool:
    """Whether one of these codes, or a word in their texts, says that a record is not of the concept after all."""
    entry = catalogue.concepts[concept]
    codes = tuple(codes)
    given = {(system_name(clean(c.system or "")), clean(c.code or "")) for code in codes for c in code.coding}
    if any((system, code) in given for system, listed in entry.unless.items() for code in listed):
        return True
    if not entry.unless_named:
        return False
    return any(token.startswith(entry.unless_named) for tokens in _texts_of(codes) for token in tokens)


_Names = Mapping[str, tuple[tuple[Tokens, str], ...]]  # by first word: (name, concept), the longest name first


@lru_cache(maxsize=32)
def _names(key: CatalogueKey, kinds: Kinds) -> _Names:
    found: dict[str, dict[Tokens, str]] = {}
    for concept, entry in key.catalogue.concepts.items():
        if entry.kind in kinds:
            for name in map(tokens_of, entry.names):
                found.setdefault(name[0], {})[name] = concept
    runs = {n: c for names in found.values() for n, c in names.items() if len(n) == 1 and _WITHOUT_SPACES.search(n[0])}
    by_length = {first: sorted(names.items(), key=lambda item: -len(item[0])) for first, names in found.items()}
    by_length[_RUNS] = sorted(runs.items(), key=lambda item: -len(item[0][0]))
    return {first: tuple(names) for first, names in by_length.items()}


def _mentions(tokens: Tokens, names: _Names) -> Iterator[_Mention]:
    """The names in a text, longest first and none inside another."""
    place = 0
    while place < len(tokens):
        if not tokens[place].isascii() and _WITHOUT_SPACES.search(tokens[place]):
            yield from (_Mention(concept, place, place + 1) for concept in _inside(tokens[place], names))
        mention = _mention_at(tokens, place, names)
        if mention:
            yield mention
        place = mention.end if mention else place + 1


def _mention_at(tokens: Tokens, place: int, names: _Names) -> _Mention | None:
    word = tokens[place]
    for name, concept in names.get(word, ()):
        end = place + len(name)
        found = tokens[place:end]
        if found == name or (len(found) == len(name) and found[:-1] == name[:-1] and _base(found[-1]) == name[-1]):
            return _Mention(concept, place, end)
    if base := _base(word):
        for name, concept in names.get(base, ()):
            if len(name) == 1:
                return _Mention(concept, place, place + 1)
    return None


def _inside(token: str, names: _Names) -> Iterator[str]:
    """The concepts whose Japanese or Chinese names are inside a run of signs, of names inside each other the longer."""
    for name, concept in names.get(_RUNS, ()):
        if name[0] in token:
            yield concept
            token = token.replace(name[0], " ")


# Han, Hiragana and Katakana: written without spaces between words.
_WITHOUT_SPACES = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]")
_RUNS = " "  # the key of names written so; no token is a space
# "strokes"; and what German, Dutch and Nordic text joins to a name: "Rituximabinfusion", "Methotrexattherapie".
_TAIL = re.compile(
    r"(?:s|infusion(?:en|er)?|infuus|infusjon|therapie|terapi|behandlung(?:en)?|behandeling|behandling|gaben?|"
    r"tablet(?:t|te|ten|ter)?|impfung(?:en)?|impfstoff(?:e)?|vaccinatie|vaccination(?:er)?|vaksine(?:r)?|vaccin(?:er)?|injektion(?:en|er)?|injectie|spritzen?|zyklus|kur)$"
)


def _base(word: str) -> str | None:
    """The word without a plural s or a second part; None where it has none, and for a word too short to part."""
    return _TAIL.sub("", word) if len(word) > 5 and _TAIL.search(word) else None

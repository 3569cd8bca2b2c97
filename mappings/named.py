"""Records that name a concept in words and carry no code that we know: a hint for a person, never an answer.

Silence may be read as absence; an entry "Hemodialysis" without a code is not silence. Where a code of a system that is
mapped whole speaks (ICD-10 for diagnoses, LOINC for results), the words beside it are not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

from mappings import fhir
from mappings.catalogue import Catalogue, ConceptKind, system_name

# Systems whose codes say all that the words would.
_SAID_BY_CODE: Mapping[type, frozenset[str]] = {
    fhir.Condition: frozenset({"icd10"}),
    fhir.Immunization: frozenset({"cvx"}),
    fhir.Observation: frozenset({"loinc", "snomed"}),
}
# Somebody else's disease, one that is looked for or vaccinated against, and one that is not there.
_NOT_THIS = re.compile(
    r"\b(family|mother|father|sister|brother|maternal|paternal|screening|screen for|vaccination|immuni[sz]ation|"
    r"risk|exposure|contact with|negative|denies|no|not|without|absence|excluded|ruled? out)\b"
)
_NOT_GIVEN = re.compile(r"\b(refused|declined|denies|no|not|without|contraindicated)\b")


_HISTORY = re.compile(r"^(?:personal )?(?:history of|hx(?: of)?|h/o|past|previous|prior|z\. ?n\.|zustand nach)\b", re.I)


def says_it_is_over(words: str) -> bool:
    """Whether an entry calls itself a history: "History of seizure", "Z. n. Apoplex"."""
    return bool(_HISTORY.match(words))


Kinds = frozenset[ConceptKind]


def named_in(
    concepts: Iterable[fhir.CodeableConcept], kinds: frozenset[ConceptKind], catalogue: Catalogue
) -> list[str]:
    """The concepts of these kinds whose names stand in texts and displays as whole words, in the order of the text."""
    text = _text_of(concepts)
    if not text:
        return []
    pattern, names = _names(_Key(catalogue), kinds)
    return list(dict.fromkeys(names[name] for name in pattern.findall(text)))


def named_by(record: fhir.Condition | fhir.Procedure | fhir.Immunization, catalogue: Catalogue) -> list[str]:
    """What a diagnosis, procedure or vaccination without a known code calls itself."""
    given = isinstance(record, fhir.Immunization)
    code = record.vaccine_code if isinstance(record, fhir.Immunization) else record.code
    denial = _NOT_GIVEN if given else _NOT_THIS
    if code is None or _says_it_by_code(type(record), code) or denial.search(_text_of([code])):
        return []
    return [
        name
        for name in named_in([code], NAMED_EVENTS, catalogue)
        # A vaccine is called by the disease that it is against, and is not the disease.
        if ("Immunization" in catalogue.where(name)) is given and not _is_look_alike(code, name, catalogue)
    ]


def result_named_by(code: fhir.CodeableConcept | None, catalogue: Catalogue) -> str | None:
    """The result that an Observation without a code of LOINC or SNOMED is called by: its whole name, not a part."""
    if code is None or _says_it_by_code(fhir.Observation, code):
        return None
    names = _names(_Key(catalogue), _RESULTS)[1]
    texts = (code.text, *(coding.display for coding in code.coding))
    found = (names.get(fhir.clean(text).lower()) for text in texts if text)
    return next((name for name in found if name), None)


NAMED_EVENTS: Kinds = frozenset({"diagnosis", "treatment"})
_RESULTS: Kinds = frozenset({"result"})


def _text_of(concepts: Iterable[fhir.CodeableConcept]) -> str:
    texts = [text for c in concepts for text in (c.text, *(coding.display for coding in c.coding)) if text]
    return " ".join(fhir.clean(text).lower() for text in texts)


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


class _Key:
    """A catalogue as a key: equal where its files are."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue

    def __hash__(self) -> int:
        return hash(self.catalogue.hash)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and other.catalogue.hash == self.catalogue.hash


@lru_cache(maxsize=32)
def _names(key: _Key, kinds: Kinds) -> tuple[re.Pattern[str], Mapping[str, str]]:
    concepts = {
        name.lower(): concept
        for concept, entry in key.catalogue.concepts.items()
        if entry.kind in kinds
        for name in entry.names
    }
    longest_first = sorted(concepts, key=len, reverse=True)
    words = "|".join(re.escape(name) for name in longest_first) or r"(?!)"
    # A biosimilar's four letters may follow ("rituximab-abbs"): it is the same drug.
    return re.compile(rf"(?<![\w-])({words})(?!\w|-(?![a-z]{{4}}(?![\w-])))"), concepts

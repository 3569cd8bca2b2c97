"""The concepts whose absence a record leaves open: none where it certainly is something else.

It is asked of records in which no code and no name of the catalogue was found. A record is something else when a coding
lies in a classification that the catalogue covers whole, or when every word is understood and none points to a concept.
A record that is not understood leaves open every concept that is recorded in its type of resource, or the narrower set
to which its code or words point (docs/safety.md has the table).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from typing import Literal

from mappings.chart import fhir
from mappings.concepts import icd9
from mappings.concepts.catalogue import Catalogue, CatalogueKey, plain_code, system_name
from mappings.resource_types import names_of
from mappings.understanding import icpc, shapes
from mappings.understanding.drug_names import DrugNames, load_drug_names
from mappings.understanding.words import (
    ANY_PROCEDURE,
    WordList,
    diagnosis_words,
    procedure_words,
    read_list,
    vaccine_words,
    words_of,
)

RecordKind = Literal["diagnosis", "drug", "procedure", "vaccine", "allergy"]
NOTHING: frozenset[str] = frozenset()

_RECORDED_IN: Mapping[RecordKind, tuple[str, ...]] = {
    "diagnosis": ("Condition",),
    "drug": names_of("drug-use"),
    "procedure": ("Procedure",),
    "vaccine": ("Immunization",),
    "allergy": ("AllergyIntolerance",),
}
# Classifications in which the catalogue holds every code of its concepts; the form of a code that is precise enough.
_HELD_WHOLE: Mapping[RecordKind, Mapping[str, re.Pattern[str]]] = {
    "diagnosis": {"icd10": re.compile(r"[A-Z]\d[0-9A-Z](?:[0-9A-Z]{1,4})?")},
    "drug": {"atc": re.compile(r"[A-Z]\d\d[A-Z](?:[A-Z](?:\d\d)?)?")},
    "procedure": {
        "icd10pcs": re.compile(r"[0-9A-HJ-NP-Z]{7}"),
        "icd9proc": re.compile(r"\d{3,4}"),
    },
    "vaccine": {"cvx": re.compile(r"\d{2,3}")},
    "allergy": {},
}
# A coarser code of these leaves open what lies under it: ATC "L04A", ICD-10 "K74".
_COARSE: Mapping[RecordKind, tuple[str, ...]] = {"diagnosis": ("icd10",), "drug": ("atc",)}
# Codes of those classifications that say nothing: "illness, unspecified"; "unknown vaccine".
# Of the procedures of ICD-9-CM "injection or infusion of other substance", "other vaccination" and the like.
_EMPTY_CODES: Mapping[str, frozenset[str]] = {
    "icd10": frozenset({"R69"}),
    "icd9": frozenset({"7999", "79999"}),
    "icd9proc": frozenset({"9925", "9928", "9929", "9955", "9959", "9999"}),
    "cvx": frozenset({"999"}),
}
_ICD10 = "http://hl7.org/fhir/sid/icd-10"
_CODE_AS_WORD = re.compile(r"[^\W\d_]{4}")  # "Paracetamol", sent in place of a display
# "Heart failure (HCC)", "[CMS/HCC]": a payer's mark behind a diagnosis. Alone, "HCC" is a carcinoma.
_RISK_CATEGORY = re.compile(r"[(\[](?:(?:CMS|HHS)[-/ ])?HCC[)\]]")
_FAMILY = re.compile(r"^(?:family history|fh|fhx|family hx|familienanamnese)\b")


@dataclass(frozen=True, slots=True)
class NotUnderstood:
    """A record in which nothing is known, and the concepts that it may be."""

    resource_type: str
    source: str  # "Condition/abc"
    system: str | None  # of its first code; None where it has words only, is masked or is empty
    code: str | None
    words: str  # as the chart has them: patient data
    left_open: frozenset[str]

    @staticmethod
    def of(
        resource_type: str, source: str, codes: Iterable[fhir.CodeableConcept | None], left_open: frozenset[str]
    ) -> NotUnderstood:
        given = [code for code in codes if code]
        codings = [c for code in given for c in code.coding if c.code and not shapes.says_nothing(c)]
        first = codings[0] if codings else fhir.Coding()
        words = next((text for code in given if (text := fhir.words_of(code))), "")
        return NotUnderstood(
            resource_type, source, first.system and fhir.clean(first.system), first.code, words, left_open
        )


@dataclass(frozen=True)
class Understanding:
    """What records without a known code leave open, by the catalogue and the word lists. One for each catalogue."""

    catalogue: Catalogue

    def prepare(self) -> None:
        """Read the word lists and the dictionary of drug names now, so that no call waits for them: 1 s."""
        for words in (diagnosis_words, procedure_words, vaccine_words):
            words()
        self.concepts_left_open("drug", [fhir.CodeableConcept(text="warm-up")])

    def concepts_left_open(self, kind: RecordKind, codes: Iterable[fhir.CodeableConcept | None]) -> frozenset[str]:
        """The concepts that a record of this kind may be, by all of its codes; empty where it is something else."""
        given = tuple(code for code in codes if code)
        every = self._recorded[kind]
        if not every or shapes.states_none_known(given):
            return NOTHING
        codings = [coding for code in given for coding in code.coding if not shapes.says_nothing(coding)]
        coarse: set[str] = set()
        limits: list[frozenset[str]] = []
        for coding in codings:
            answer = self._by_code(kind, coding)
            if answer is None and (limit := self._limit_by_code(kind, coding)) is not None:
                limits.append(limit)
            if answer is not None and not answer:
                return NOTHING
            coarse |= answer or NOTHING
        if coarse:
            return every & coarse
        texts = [
            text for code in given for text in (code.text, *(c.display for c in codings if c in code.coding)) if text
        ]
        texts = texts or [c.code for c in codings if c.code and _CODE_AS_WORD.search(c.code)]
        if limits:
            every = every.intersection(*limits)
            texts = [text for text in texts if words_of(text)]  # a code alone has no words to read
            if not every or not texts:
                return every
        return every & self._with_ancestors(self._by_words(kind, texts, every))

    def _limit_by_code(self, kind: RecordKind, coding: fhir.Coding) -> frozenset[str] | None:
        """The concepts among which a code of a coarse classification must be, whatever its words say."""
        if kind != "diagnosis" or self.catalogue.name_of_system(fhir.clean(coding.system or "")) != "icpc":
            return None
        found = icpc.concepts_of(fhir.clean(coding.code or ""), lambda letter: self._under("icd10", letter))
        if not found:
            return found
        known = self.catalogue.concepts
        without_codes = (name for name in self._recorded[kind] if name in known and "icd10" not in known[name].codes)
        parts = frozenset(name for name in without_codes if not found.isdisjoint(self.catalogue.ancestors(name)))
        return self._with_ancestors(found | parts)

    def _by_code(self, kind: RecordKind, coding: fhir.Coding) -> frozenset[str] | None:
        """The concepts under a coarse code; empty where the code is something else; None where it is unknown."""
        written = system_name(fhir.clean(coding.system or ""))
        if self.catalogue.stated.is_other(written, fhir.clean(coding.code or "")):
            return NOTHING
        name = self.catalogue.stated.name_of(written)
        name = "icd9proc" if name == "icd9" and kind == "procedure" else name
        code = plain_code(fhir.clean(coding.code or ""))
        if not code or code in _EMPTY_CODES.get(name, ()):
            return None
        if name == "icd9" and kind == "diagnosis":
            return self._of_icd9(code)
        if name in _COARSE.get(kind, ()) and (under := self._under(name, code)):
            return under
        form = _HELD_WHOLE[kind].get(name)
        if form and form.fullmatch(code.zfill(2)):
            return NOTHING
        return NOTHING if self._is_look_alike(name, fhir.clean(coding.code or "")) else None

    def _of_icd9(self, code: str) -> frozenset[str] | None:
        """What a diagnosis of ICD-9-CM without a certain equivalent may be."""
        if not icd9.is_code(code) or code in _EMPTY_CODES["icd9"]:
            return None
        chains = (self.catalogue.find(_ICD10, each) for each in icd9.equivalents(code).possible)
        return frozenset(name for chain in chains for name in chain)

    def _under(self, system: str, code: str) -> frozenset[str]:
        """The concepts of which a code lies under this one."""
        return self._by_start.get((system, code), NOTHING)

    @cached_property
    def _by_start(self) -> Mapping[tuple[str, str], frozenset[str]]:
        """(system, beginning of a code) -> the concepts of the codes that begin so, where coarse codes are read."""
        systems = {name for names in _COARSE.values() for name in names}
        found: dict[tuple[str, str], set[str]] = {}
        for known in (self.catalogue.by_prefix, self.catalogue.by_code):
            for (system, pattern), concepts in known.items():
                if system in systems:
                    for length in range(1, len(pattern) + 1):
                        found.setdefault((system, pattern[:length]), set()).update(concepts)
        return {start: frozenset(concepts) for start, concepts in found.items()}

    def _is_look_alike(self, system: str, code: str) -> bool:
        return (system, code) in self._look_alikes

    def _by_words(self, kind: RecordKind, texts: list[str], every: frozenset[str]) -> frozenset[str]:
        given = bool(texts)
        stated = self.catalogue.stated.other_names
        texts = (
            [text for text in texts if " ".join(fhir.clean(text).split()).casefold() not in stated] if stated else texts
        )
        if stated and given and not texts:
            return NOTHING
        texts = [_RISK_CATEGORY.sub(" ", text) for text in texts]
        words = [word for text in texts for word in words_of(text)]
        if all(word in _empty_words() for word in words):
            return every
        if kind == "diagnosis" and _FAMILY.match(" ".join(words)):
            return NOTHING
        found = self._readers[kind](texts)
        return every if found is None or found == ANY_PROCEDURE else found

    def _with_ancestors(self, concepts: frozenset[str]) -> frozenset[str]:
        known = self.catalogue.concepts
        return frozenset(above for name in concepts if name in known for above in self.catalogue.ancestors(name))

    def _drugs(self, texts: list[str]) -> frozenset[str] | None:
        drugs = self._drug_names.drugs_of(texts)
        return drugs if drugs is None else frozenset(self._concept_of_drug[drug] for drug in drugs)

    @cached_property
    def _readers(self) -> Mapping[RecordKind, Callable[[list[str]], frozenset[str] | None]]:
        def reader(words: Callable[[], WordList]) -> Callable[[list[str]], frozenset[str] | None]:
            return lambda texts: words().concepts_left_open(texts)

        return {
            "diagnosis": reader(diagnosis_words),
            "drug": self._drugs,
            "procedure": reader(procedure_words),
            "vaccine": reader(vaccine_words),
            "allergy": self._drugs,
        }

    @cached_property
    def _recorded(self) -> Mapping[RecordKind, frozenset[str]]:
        return {
            kind: frozenset(
                name for name in self.catalogue.concepts if not set(types).isdisjoint(self.catalogue.where(name))
            )
            for kind, types in _RECORDED_IN.items()
        }

    @cached_property
    def _look_alikes(self) -> frozenset[tuple[str, str]]:
        return frozenset(
            (str(system), code)
            for concept in self.catalogue.concepts.values()
            for system, codes in concept.not_codes.items()
            for code in codes
        )

    @cached_property
    def _concept_of_drug(self) -> Mapping[str, str]:
        return {
            name.casefold(): concept
            for concept, entry in self.catalogue.concepts.items()
            if entry.kind == "treatment"
            for name in entry.names
        }

    @cached_property
    def _drug_names(self) -> DrugNames:
        return load_drug_names(self._concept_of_drug)


@lru_cache(maxsize=8)
def _understanding(key: CatalogueKey) -> Understanding:
    return Understanding(key.catalogue)


def understanding_of(catalogue: Catalogue) -> Understanding:
    """The one of this catalogue."""
    return _understanding(CatalogueKey(catalogue))


@cache
def _empty_words() -> frozenset[str]:
    return frozenset(read_list("empty.txt"))

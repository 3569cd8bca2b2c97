"""In which salt or form a record doses its drug: 200 mg of hydroxychloroquine sulfate hold 155 mg of the base."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from mappings.chart import fhir
from mappings.concepts.catalogue import Concept, system_name

_NO_WORD = re.compile(r"[\W_]+")


def forms_of(concepts: Iterable[fhir.CodeableConcept], words: str, entry: Concept | None) -> tuple[str, ...]:
    """The forms of the drug that the record names: by its codes, else by its words; several where it names several."""
    if entry is None or len(entry.forms) < 2:
        return ()
    concepts = tuple(concepts)
    codes = {
        (system_name(fhir.clean(coding.system or "")), fhir.clean(coding.code or ""))
        for concept in concepts
        for coding in concept.coding
    }
    by_code = tuple(
        name
        for name, form in entry.forms.items()
        if any((system, code) in codes for system, known in form.codes.items() for code in known)
    )
    if by_code:
        return by_code
    text = " " + _NO_WORD.sub(" ", " ".join((words, *_texts(concepts))).casefold())
    return tuple(name for name, form in entry.forms.items() if any(f" {word}" in text for word in form.words))


def _texts(concepts: Iterable[fhir.CodeableConcept]) -> Iterator[str]:
    for concept in concepts:
        yield fhir.clean(concept.text or "")
        yield from (fhir.clean(coding.display or "") for coding in concept.coding)

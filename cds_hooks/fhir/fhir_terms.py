"""The concept catalogue as FHIR terminology: a ValueSet per concept, our two CodeSystems, a ConceptMap."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from cds_hooks.fhir.fhir_study import BASE, CHARACTERISTIC_KINDS, KINDS
from mappings.concepts.catalogue import OUR_SYSTEM, PREFIX_SYSTEMS, SYSTEMS, Catalogue, Concept
from trial_defs.engine.findings import Verdict

Json = dict[str, Any]

VERDICTS = f"{BASE}/CodeSystem/verdict"
CODE_SYSTEMS = ("concept", "characteristic", "verdict")
CONCEPT_MAP = "concepts"


def value_set_url(concept: str) -> str:
    return f"{BASE}/ValueSet/{concept}"


def version_of(catalogue: Catalogue) -> str:
    """The version of all terminology: the hash that every report names under `engine.concepts`."""
    return catalogue.hash


def value_set_of(concept: str, catalogue: Catalogue) -> Json:
    """The codes that stand for a concept, ours and the site's; narrower concepts by reference to their ValueSets."""
    entry = catalogue.concepts[concept]
    include: list[Json] = [{"system": OUR_SYSTEM, "concept": [{"code": concept, "display": entry.title}]}]
    include += _included(entry)
    include += [{"valueSet": [value_set_url(child)]} for child in entry.includes]
    exclude = list(_excluded(concept, entry, catalogue))
    return {
        "resourceType": "ValueSet",
        "id": concept,
        "url": value_set_url(concept),
        "identifier": [{"system": OUR_SYSTEM, "value": concept}],
        "version": version_of(catalogue),
        "name": "".join(word.capitalize() for word in concept.split("-")),
        "title": entry.title,
        "status": "active",
        **({"description": entry.note} if entry.note else {}),
        "compose": {"include": include, **({"exclude": exclude} if exclude else {})},
    }


def _included(entry: Concept) -> Iterator[Json]:
    for name, codes in entry.codes.items():
        listed = {code: what for code, what in codes.items() if not code.endswith("*")}
        for system in _addresses(name):
            if listed:
                yield {"system": system, "concept": [{"code": c, "display": w} for c, w in listed.items()]}
            for code in codes.keys() - listed.keys():
                yield _beginning_like(system, code.removesuffix("*"))
    for local in entry.local_codes:
        yield {"system": local.system, "concept": [{"code": local.code}]}


def _addresses(name: str) -> tuple[str, ...]:
    """Where a code system lives in FHIR; ICD-10 and ATC have national editions that are matched alike."""
    return tuple(address for address in SYSTEMS[name] if address.startswith("http"))[
        : None if _is_national(name) else 1
    ]


def _is_national(name: str) -> bool:
    return name in ("icd10", "atc")


def _beginning_like(system: str, start: str) -> Json:
    """Every code that begins like `start`, as a filter; a dot in it may be left out."""
    pattern = re.escape(start).replace(r"\.", r"\.?") + ".*"
    return {"system": system, "filter": [{"property": "code", "op": "regex", "value": pattern}]}


def _excluded(concept: str, entry: Concept, catalogue: Catalogue) -> Iterator[Json]:
    """Codes that a longer pattern gives to another concept: the longest one wins."""
    for name in PREFIX_SYSTEMS & entry.codes.keys():
        starts = [code[:-1].replace(".", "").upper() for code in entry.codes[name] if code.endswith("*")]  # type: ignore[index]
        for index, is_pattern in ((catalogue.by_prefix, True), (catalogue.by_code, False)):
            for (system, code), owners in index.items():
                if system == name and concept not in owners and any(code.startswith(start) for start in starts):
                    yield from (_left_out(address, code, is_pattern) for address in _addresses(name))


def _left_out(system: str, code: str, is_pattern: bool) -> Json:
    written = f"{code[:3]}.{code[3:]}" if len(code) > 3 and "icd-10" in system.lower() else code
    return _beginning_like(system, written) if is_pattern else {"system": system, "concept": [{"code": written}]}


def code_system_of(name: str, catalogue: Catalogue) -> Json:
    """Our own codes: every concept, the kinds of Group characteristics, the verdicts of a match."""
    if name == "concept":
        url, title = OUR_SYSTEM, "Clinical concepts of trial criteria"
        codes: Mapping[str, str] = {code: entry.title for code, entry in catalogue.concepts.items()}
    elif name == "characteristic":
        url, title, codes = KINDS, "Kinds of Group characteristics", CHARACTERISTIC_KINDS
    else:
        url, title = VERDICTS, "Verdicts of a match"
        codes = {verdict.value: verdict.value.replace("-", " ").capitalize() for verdict in Verdict}
    return {
        "resourceType": "CodeSystem",
        "id": name,
        "url": url,
        "version": version_of(catalogue),
        "name": "".join(word.capitalize() for word in title.split()),
        "title": title,
        "status": "active",
        "caseSensitive": True,
        "content": "complete",
        "count": len(codes),
        "concept": [{"code": code, "display": display} for code, display in codes.items()],
    }


def concept_map_of(catalogue: Catalogue) -> Json:
    """From each listed code to our concept. Patterns are left to the ValueSets: a map lists single codes."""
    return {
        "resourceType": "ConceptMap",
        "id": CONCEPT_MAP,
        "url": f"{BASE}/ConceptMap/{CONCEPT_MAP}",
        "version": version_of(catalogue),
        "name": "CodesToConcepts",
        "title": "Codes and the concepts that they stand for",
        "status": "active",
        "group": [
            {"source": SYSTEMS[name][0] if name in SYSTEMS else name, "target": OUR_SYSTEM, "element": elements}
            for name, elements in _elements(catalogue).items()
        ],
    }


def _elements(catalogue: Catalogue) -> dict[str, list[Json]]:
    found: dict[str, list[Json]] = {}
    for (name, code), owners in catalogue.by_code.items():
        if name != OUR_SYSTEM:
            target = {"code": owners[0], "equivalence": "wider"}
            found.setdefault(name, []).append({"code": code, "target": [target]})
    return found

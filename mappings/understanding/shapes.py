"""Codings that say something about knowing: nothing is known to be there, or nothing is said."""

from __future__ import annotations

import re

from mappings.chart import fhir

# IPS: "no-known-problems" states that there is none; "no-problem-info" states nothing.
_IPS = frozenset(
    {
        "http://hl7.org/fhir/uv/ips/codesystem/absent-unknown-uv-ips",
        "http://terminology.hl7.org/codesystem/absent-unknown-uv-ips",
    }
)
_SAYS_NOTHING = frozenset(
    {
        "http://terminology.hl7.org/codesystem/data-absent-reason",
        "http://hl7.org/fhir/data-absent-reason",
        "http://terminology.hl7.org/codesystem/v3-nullflavor",
        "http://hl7.org/fhir/v3/nullflavor",
        "urn:oid:2.16.840.1.113883.5.1008",
    }
)
_NONE_KNOWN = re.compile(
    r"(?:no|none|nil)(?: known| current| active| significant| relevant| chronic| regular| prior| previous)*"
    r"(?: problems?| conditions?| diagnos[ie]s| diseases?| medications?| drugs?| procedures?| surger(?:y|ies)|"
    r" operations?| immuni[sz]ations?| vaccinations?| allerg(?:y|ies)| (?:drug|food|medication) allergies|"
    r" medical history| known)?"
)


def states_none_known(codes: tuple[fhir.CodeableConcept, ...]) -> bool:
    """Whether the record states that nothing of its kind is known: silence, put into a record."""
    for code in codes:
        if any(_system(c) in _IPS and fhir.clean(c.code or "").startswith("no-known") for c in code.coding):
            return True
        texts = [
            fhir.clean(text).lower().rstrip(".") for text in (code.text, *(c.display for c in code.coding)) if text
        ]
        if texts and all(_NONE_KNOWN.fullmatch(text) for text in texts):
            return True
    return False


def says_nothing(coding: fhir.Coding) -> bool:
    """Whether a coding stands for a missing one: masked, unknown, "no information"."""
    return _system(coding) in _SAYS_NOTHING or (
        _system(coding) in _IPS and not fhir.clean(coding.code or "").startswith("no-known")
    )


def _system(coding: fhir.Coding) -> str:
    return fhir.clean(coding.system or "").partition("|")[0].rstrip("/").lower()

"""The searches by which a resource type can be read, for servers that refuse the plain one or have long lists.

A server may refuse (400) a search that names only the patient. US Core obliges it to answer others: Observation by
category, MedicationRequest by intent, Condition by category, without `_sort`. Which form a server answers is
remembered.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from urllib.parse import quote

from cds_hooks.protocol.services import Prefetch
from mappings.concepts.catalogue import Catalogue

REFUSALS = frozenset({"status-400", "status-422"})
# http://terminology.hl7.org/CodeSystem/observation-category (HL7, 9 codes), and what US Core adds.
_OBSERVATION_CATEGORIES = (
    "laboratory", "vital-signs", "survey", "social-history", "exam", "imaging", "procedure", "therapy", "activity",
    "sdoh", "functional-status", "cognitive-status",
)  # fmt: skip
_CONDITION_CATEGORIES = ("problem-list-item", "encounter-diagnosis", "health-concern")  # US Core
_INTENTS = "proposal,plan,order,original-order,reflex-order,filler-order,instance-order,option"  # FHIR R4, all of them
_CODES_AT_ONCE = 75  # in one address, which stays near a thousand characters
_PRESSURE_PANELS = ("85354-9", "55284-4", "35094-2")  # LOINC; the pressures are their components
# Concepts that monitors record by the thousand: each has a search of its own, so that nothing waits behind them.
_FREQUENT = ("heart-rate", "systolic-blood-pressure", "diastolic-blood-pressure", "oxygen-saturation", "body-weight")
_PRESSURES = frozenset({"systolic-blood-pressure", "diastolic-blood-pressure"})
_MOST_REMEMBERED = 1000

Form = tuple[str, ...]  # searches, relative to the FHIR base, that together read the type


class KnownForms:
    """Which form a server last answered for a type; kept in the memory of one process."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], int] = {}

    def first(self, base: str, resource_type: str) -> int:
        return self._known.get((base, resource_type), 0)

    def remember(self, base: str, resource_type: str, number: int) -> None:
        if len(self._known) >= _MOST_REMEMBERED:
            self._known.clear()
        self._known[base, resource_type] = number


def forms_of(part: Prefetch, patient_id: str) -> tuple[Form, ...]:
    """The forms in which to ask, the plain search first."""
    if "?" not in part.query(patient_id):
        return ((part.query(patient_id),),)
    plain = f"{part.resource_type}?patient={patient_id}"
    match part.resource_type:
        case "Observation":
            named = tuple(f"{plain}&category={category}" for category in _OBSERVATION_CATEGORIES)
            others: tuple[Form, ...] = ((f"{plain}&_count=200",), _count(named), named)
        case "Condition":
            named = tuple(f"{plain}&category={category}" for category in _CONDITION_CATEGORIES)
            others = (_count(named), named)
        case "MedicationRequest":
            others = (
                (f"{plain}&intent={_INTENTS}&_count=200",),
                (f"{plain}&intent={_INTENTS}",),
                (f"{plain}&intent=order,plan",),
            )
        case _:
            others = ((plain,),)
    return ((part.query(patient_id),), *others)


def _count(queries: Form) -> Form:
    return tuple(f"{query}&_count=200" for query in queries)


def by_code(patient_id: str, catalogue: Catalogue, wanted: Collection[str]) -> Form:
    """Searches for the Observations of these concepts by code, newest first, a piece of the codes in each.

    What no trial reads is not asked for: a monitor's respiratory rates would make the chart incomplete for nothing.
    """
    frequent = [sorted(set(_codes_of(name, catalogue))) for name in _FREQUENT if name in wanted]
    others = [name for name in catalogue.concepts if name in wanted and name not in _FREQUENT]
    codes = sorted({code for name in others for code in _codes_of(name, catalogue)}.difference(*frequent))
    pieces = [codes[start : start + _CODES_AT_ONCE] for start in range(0, len(codes), _CODES_AT_ONCE)]
    plain = f"Observation?patient={patient_id}"
    return tuple(
        f"{plain}&code={','.join(map(_escape, piece))}&_sort=-date&_count=200"
        for piece in (*pieces, *frequent, *([_PRESSURE_PANELS] if _PRESSURES & set(wanted) else []))
    )


def without_code(patient_id: str) -> str:
    """A search for the Observations that have words only; not every server answers it."""
    return f"Observation?patient={patient_id}&code:missing=true&_sort=-date&_count=200"


def _codes_of(name: str, catalogue: Catalogue) -> Iterator[str]:
    """Codes without their system, which servers write in several ways; panels too, whose components may be results."""
    concept = catalogue.concepts[name]
    yield name  # of our own code system
    for system in ("loinc", "snomed"):
        for listed in (concept.codes, concept.not_codes, concept.unless):
            yield from listed.get(system, ())
    yield from (local.code for local in concept.local_codes)
    if concept.order:
        yield from filter(None, (concept.order.loinc, concept.order.snomed))


def _escape(code: str) -> str:
    """A code in a search value: FHIR escapes `,`, `|`, `$` and a backslash by one of these."""
    for character in "\\,|$":
        code = code.replace(character, f"\\{character}")
    return quote(code, safe="")

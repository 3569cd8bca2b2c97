"""FHIR resources from JSON.

Well-formed input takes one typed pass. Where a shape is off but its meaning clear (an object where a list is expected,
a number in a string, an STU3 name), `decode` reshapes that one resource; what still does not fit is
`Unreadable`, and says where it stood, never what it said.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeVar, Union, get_args

import msgspec
from msgspec import Raw, Struct

from mappings.chart import fhir
from mappings.chart.reshaping import as_sent, listed, shaped, text_of
from mappings.resource_types import ROWS

S = TypeVar("S", bound=Struct)

_READ: tuple[type[Struct], ...] = (*get_args(fhir.PatientRecord), fhir.Patient, fhir.Medication, fhir.OperationOutcome)
_BY_NAME = {kind.__name__: kind for kind in _READ}
_ALIASES = {row.older_type: row.name for row in ROWS if row.older_type}

# Named so that whole charts, which are full of them, take the one typed pass. Any other type takes the slower one.
_COMMON_OTHERS = (
    "Account", "Appointment", "AuditEvent", "BodyStructure", "CarePlan", "CareTeam", "ChargeItem", "Claim",
    "ClaimResponse", "ClinicalImpression", "Communication", "CommunicationRequest", "Composition", "Coverage",
    "Device", "DeviceRequest", "DeviceUseStatement", "DocumentReference", "Encounter", "EpisodeOfCare",
    "ExplanationOfBenefit", "Goal", "Group", "HealthcareService", "ImagingStudy", "List", "Location", "Media",
    "MeasureReport", "NutritionOrder", "Organization", "Parameters", "Person", "Practitioner",
    "PractitionerRole", "Provenance", "Questionnaire", "QuestionnaireResponse", "RelatedPerson", "RequestGroup",
    "ResearchStudy", "RiskAssessment", "ServiceRequest", "Specimen", "SupplyDelivery", "Task", "VisionPrescription",
)  # fmt: skip
_others = tuple(msgspec.defstruct(n, [], bases=(fhir.Other,), tag=n, frozen=True, gc=False) for n in _COMMON_OTHERS)


# A Bundle inside a Bundle is rare, and takes the slower pass.
_AnyResource: Any = Union[(*_READ, *_others)]
_TypedEntry: Any = msgspec.defstruct(
    "_TypedEntry", [("resource", _AnyResource | None, None)], bases=(fhir.Entry,), frozen=True, gc=False
)
_TypedBundle: Any = msgspec.defstruct(
    "_TypedBundle", [("entry", tuple[_TypedEntry, ...], ())], bases=(fhir.Bundle,), tag="Bundle", frozen=True, gc=False
)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A resource that does not fit its form: its type and id as far as they could be read."""

    resource_type: str | None
    id: str | None


class NotJson(ValueError):
    """The bytes are not one JSON document."""


_typed: msgspec.json.Decoder[Any] = msgspec.json.Decoder(_AnyResource | _TypedBundle)
_untyped = msgspec.json.Decoder(float_hook=Decimal)


def decode(raw: bytes | Raw) -> Any:
    """The resource or Bundle that the bytes hold; `None` for JSON null; `Unreadable` where it does not fit its form.

    In a Bundle each entry's resource may be `Unreadable` on its own. NotJson when the bytes are not JSON.
    """
    try:
        return _typed.decode(raw)
    except msgspec.ValidationError:
        return _decode_loosely(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NotJson("is not readable JSON") from error


_content: msgspec.json.Decoder[fhir.Content] = msgspec.json.Decoder(fhir.Content)
_code: msgspec.json.Decoder[fhir.CodeableConcept | None] = msgspec.json.Decoder(fhir.CodeableConcept | None)


def content_of(observation: fhir.Observation) -> fhir.Content | None:
    """What the Observation says; None where it does not fit its form."""
    written = msgspec.json.encode(observation)
    try:
        return _content.decode(written)
    except _MISFITS:
        return _mend(written, fhir.Content)


def code_of(observation: fhir.Observation) -> fhir.CodeableConcept | None:
    """What it is a result of; None where it does not say, or does not fit its form."""
    if not fhir.is_given(observation.code):
        return None
    try:
        return _code.decode(observation.code)
    except _MISFITS:
        return _mend(observation.code, fhir.CodeableConcept)


# What was only skipped before may also prove to be no text, or too deep.
_MISFITS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def _mend(written: bytes | Raw, kind: type[S]) -> S | None:
    try:
        value = _untyped.decode(written)
    except _MISFITS:
        return None
    return shaped(value[0] if isinstance(value, list) and len(value) == 1 else value, kind)


def parts_of(observation: fhir.Observation) -> tuple[fhir.Component, ...] | None:
    """Its components; None where what it says does not fit its form."""
    if not fhir.is_given(observation.component):
        return ()
    content = content_of(observation)
    return content.component if content else None


class _LooseEntry(Struct, frozen=True, rename="camel"):
    full_url: Any = None
    resource: Raw = Raw(b"null")  # not optional: msgspec reads a union with None as null alone
    search: Any = None


class _LooseBundle(Struct, frozen=True, rename="camel"):
    resource_type: Any = None
    id: Any = None
    type: Any = None
    total: Any = None
    link: Any = None
    entry: tuple[_LooseEntry, ...] = ()


_loose: msgspec.json.Decoder[_LooseBundle] = msgspec.json.Decoder(_LooseBundle)


def _decode_loosely(raw: bytes | Raw) -> Any:
    """Second pass, resource by resource, so that one bad resource does not take the others with it."""
    try:
        loose = _loose.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _decode_by_shape(raw)
    if loose.resource_type != "Bundle":
        return _decode_by_shape(raw)
    entries = tuple(
        fhir.Entry(text_of(entry.full_url), _decode_entry(entry.resource), shaped(entry.search, fhir.Search))
        for entry in loose.entry
    )
    return _bundle(loose.id, loose.type, loose.total, loose.link, entries)


def _decode_entry(raw: Raw) -> Any:
    try:
        return _typed.decode(raw)
    except msgspec.ValidationError:
        return _decode_by_shape(raw)


def _decode_by_shape(raw: bytes | Raw) -> Any:
    """One resource whose form is off: reshaped where its meaning is clear, else `Unreadable`."""
    try:
        content = _untyped.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NotJson("is not readable JSON") from error
    if content is None:
        return None
    if not isinstance(content, dict):
        return Unreadable(None, None)
    name = text_of(content.get("resourceType"))
    if name == "Bundle":
        return _reshaped_bundle(content)
    kind = _BY_NAME.get(_ALIASES.get(name or "", name or ""))
    where = Unreadable(name, text_of(content.get("id")))
    if name is None or kind is None:
        return fhir.Other(where.id) if name else where
    return shaped(_with_current_names(name, content), kind) or where


def _reshaped_bundle(content: dict[str, Any]) -> fhir.Bundle:
    """A Bundle whose `entry` is one object, or whose entries are not all objects."""
    entries = []
    for item in listed(content.get("entry")):
        if not isinstance(item, dict):
            entries.append(fhir.Entry(None, Unreadable(None, None)))
            continue
        resource = item.get("resource")
        decoded = _decode_entry(as_sent(resource)) if resource is not None else None
        entries.append(fhir.Entry(text_of(item.get("fullUrl")), decoded, shaped(item.get("search"), fhir.Search)))
    return _bundle(content.get("id"), content.get("type"), content.get("total"), content.get("link"), tuple(entries))


def _bundle(identity: Any, kind: Any, total: Any, links: Any, entries: tuple[fhir.Entry, ...]) -> fhir.Bundle:
    read = (shaped(link, fhir.Link) for link in listed(links))
    count = int(total) if isinstance(total, int) or (isinstance(total, str) and total.strip().isdecimal()) else None
    return fhir.Bundle(text_of(identity), text_of(kind), count, tuple(link for link in read if link), entries)


def _with_current_names(name: str, content: dict[str, Any]) -> dict[str, Any]:
    """Names of DSTU2 and STU3 whose R4 name means the same."""
    renamed = dict(content)
    for old, new in _RENAMED.get(name, ()):
        if old in renamed and new not in renamed:
            renamed[new] = renamed.pop(old)
    medication = renamed.get("medication")
    if isinstance(medication, dict) and not ("concept" in medication or isinstance(medication.get("reference"), dict)):
        key = "medicationReference" if "reference" in medication else "medicationCodeableConcept"
        renamed.setdefault(key, renamed.pop("medication"))
    return renamed


_RENAMED = {row.older_type or row.name: row.older_names for row in ROWS}

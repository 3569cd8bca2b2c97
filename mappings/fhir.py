"""The parts of FHIR resources that TrialCards reads, as lean frozen structs, and their decoding from JSON.

Well-formed input takes one typed pass. Where a shape is off but its meaning clear (an object where a list is expected,
a number in a string, an STU3 name), `decode` reshapes that one resource; what still does not fit is
`Unreadable`, and says where it stood, never what it said. Numbers are `Decimal`, as written.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Raw, Struct


class _Part(Struct, frozen=True, gc=False, omit_defaults=True, rename="camel"):
    """A data type; unknown members are skipped, and what is absent is not written."""


class Coding(_Part, frozen=True):
    system: str | None = None
    code: str | None = None
    display: str | None = None


class CodeableConcept(_Part, frozen=True):
    coding: tuple[Coding, ...] = ()
    text: str | None = None


class Quantity(_Part, frozen=True):
    value: Decimal | None = None
    comparator: str | None = None
    unit: str | None = None
    system: str | None = None
    code: str | None = None


class Span(_Part, frozen=True):
    """FHIR's Period."""

    start: str | None = None
    end: str | None = None


class QuantityRange(_Part, frozen=True):
    """FHIR's Range."""

    low: Quantity | None = None
    high: Quantity | None = None


class Ratio(_Part, frozen=True):
    numerator: Quantity | None = None
    denominator: Quantity | None = None


class Reference(_Part, frozen=True):
    reference: str | None = None


class Annotation(_Part, frozen=True):
    text: str | None = None


class Extension(_Part, frozen=True):
    url: str | None = None
    value_code: str | None = None
    value_coding: Coding | None = None


class DiagnosisCoding(Coding, frozen=True):
    extension: tuple[Extension, ...] = ()


class DiagnosisCode(CodeableConcept, frozen=True):
    coding: tuple[DiagnosisCoding, ...] = ()


class Meta(_Part, frozen=True):
    version_id: str | None = None
    last_updated: str | None = None
    security: tuple[Coding, ...] = ()


class ReferenceRange(_Part, frozen=True):
    low: Quantity | None = None
    high: Quantity | None = None
    type: CodeableConcept | None = None
    applies_to: tuple[CodeableConcept, ...] = ()
    age: QuantityRange | None = None
    text: str | None = None


class TimingRepeat(_Part, frozen=True):
    bounds_period: Span | None = None
    bounds_duration: Quantity | None = None
    count: Decimal | None = None
    frequency: Decimal | None = None
    frequency_max: Decimal | None = None
    period: Decimal | None = None
    period_max: Decimal | None = None
    period_unit: str | None = None
    day_of_week: tuple[str, ...] = ()
    time_of_day: tuple[str, ...] = ()
    when: tuple[str, ...] = ()


class Timing(_Part, frozen=True):
    event: tuple[str, ...] = ()
    repeat: TimingRepeat | None = None
    code: CodeableConcept | None = None


class DoseAndRate(_Part, frozen=True):
    dose_quantity: Quantity | None = None
    dose_range: QuantityRange | None = None


class Dosage(_Part, frozen=True):
    modifier_extension: tuple[Extension, ...] = ()
    sequence: Decimal | None = None
    text: str | None = None
    patient_instruction: str | None = None
    timing: Timing | None = None
    as_needed_boolean: bool | None = None
    as_needed_codeable_concept: CodeableConcept | None = None
    as_needed: bool | None = None  # R5
    route: CodeableConcept | None = None
    dose_and_rate: tuple[DoseAndRate, ...] = ()
    dose_quantity: Quantity | None = None  # STU3
    dose_range: QuantityRange | None = None  # STU3
    dose: Quantity | None = None  # MedicationAdministration
    max_dose_per_period: tuple[Ratio, ...] = ()


class _Resource(Struct, frozen=True, gc=False, omit_defaults=True, rename="camel", tag=True, tag_field="resourceType"):
    id: str | None = None
    meta: Meta | None = None
    implicit_rules: str | None = None
    modifier_extension: tuple[Extension, ...] = ()


class Value(Struct, frozen=True, gc=False, omit_defaults=True, rename="camel"):
    """What an Observation says, or one of its components."""

    value_quantity: Quantity | None = None
    value_codeable_concept: CodeableConcept | None = None
    value_string: str | None = None
    value_boolean: bool | None = None
    value_integer: Decimal | None = None
    value_range: QuantityRange | None = None
    value_ratio: Ratio | None = None
    data_absent_reason: CodeableConcept | None = None
    interpretation: tuple[CodeableConcept, ...] = ()
    reference_range: tuple[ReferenceRange, ...] = ()


class Component(Value, frozen=True):
    code: CodeableConcept | None = None
    modifier_extension: tuple[Extension, ...] = ()


class Content(Value, frozen=True):
    """Those parts of an Observation of which most are never looked at; see `content_of`."""

    component: tuple[Component, ...] = ()
    method: CodeableConcept | None = None
    note: tuple[Annotation, ...] = ()


_ABSENT = Raw()


class Observation(_Resource, frozen=True):
    """With its `Content` as it was sent: a chart holds a thousand of them, of which a hundred are read."""

    status: str | None = None
    code: CodeableConcept | None = None
    subject: Reference | None = None
    effective_date_time: str | None = None
    effective_period: Span | None = None
    effective_instant: str | None = None
    effective_timing: Timing | None = None
    issued: str | None = None
    value_quantity: Raw = _ABSENT
    value_codeable_concept: Raw = _ABSENT
    value_string: Raw = _ABSENT
    value_boolean: Raw = _ABSENT
    value_integer: Raw = _ABSENT
    value_range: Raw = _ABSENT
    value_ratio: Raw = _ABSENT
    data_absent_reason: Raw = _ABSENT
    interpretation: Raw = _ABSENT
    reference_range: Raw = _ABSENT
    component: Raw = _ABSENT
    method: Raw = _ABSENT
    note: Raw = _ABSENT


class Condition(_Resource, frozen=True):
    clinical_status: CodeableConcept | None = None
    verification_status: CodeableConcept | None = None
    category: tuple[CodeableConcept, ...] = ()
    code: DiagnosisCode | None = None
    subject: Reference | None = None
    onset_date_time: str | None = None
    onset_age: Quantity | None = None
    onset_period: Span | None = None
    onset_range: QuantityRange | None = None
    abatement_date_time: str | None = None
    abatement_age: Quantity | None = None
    abatement_period: Span | None = None
    abatement_range: QuantityRange | None = None
    abatement_boolean: bool | None = None  # DSTU2, STU3
    abatement_string: str | None = None
    recorded_date: str | None = None
    asserted_date: str | None = None  # STU3
    date_recorded: str | None = None  # DSTU2


class CodeableReference(_Part, frozen=True):
    """R5; also reads an R4 CodeableConcept or Reference that stands in its place."""

    concept: CodeableConcept | None = None
    reference: Reference | None = None


class Ingredient(_Part, frozen=True):
    item_codeable_concept: CodeableConcept | None = None
    item_reference: Reference | None = None
    item: CodeableReference | None = None  # R5
    strength: Ratio | None = None
    strength_ratio: Ratio | None = None  # R5


class Contained(_Part, frozen=True):
    """A resource inside another; only a Medication matters."""

    resource_type: str | None = None
    id: str | None = None
    code: CodeableConcept | None = None
    ingredient: tuple[Ingredient, ...] = ()


class Medication(_Resource, frozen=True):
    code: CodeableConcept | None = None
    ingredient: tuple[Ingredient, ...] = ()


class MedicationUse(_Resource, frozen=True):
    status: str | None = None
    status_reason: tuple[CodeableConcept, ...] = ()
    medication_codeable_concept: CodeableConcept | None = None
    medication_reference: Reference | None = None
    medication: CodeableReference | None = None  # R5
    subject: Reference | None = None
    contained: tuple[Contained, ...] = ()


class DispenseRequest(_Part, frozen=True):
    validity_period: Span | None = None
    expected_supply_duration: Quantity | None = None
    number_of_repeats_allowed: Decimal | None = None


class MedicationRequest(MedicationUse, frozen=True):
    intent: str | None = None
    do_not_perform: bool | None = None
    authored_on: str | None = None
    category: tuple[CodeableConcept, ...] = ()
    course_of_therapy_type: CodeableConcept | None = None
    dosage_instruction: tuple[Dosage, ...] = ()
    dispense_request: DispenseRequest | None = None


class Adherence(_Part, frozen=True):
    code: CodeableConcept | None = None


class MedicationStatement(MedicationUse, frozen=True):
    effective_date_time: str | None = None
    effective_period: Span | None = None
    date_asserted: str | None = None
    dosage: tuple[Dosage, ...] = ()
    taken: str | None = None  # STU3
    adherence: Adherence | None = None  # R5


class MedicationAdministration(MedicationUse, frozen=True):
    effective_date_time: str | None = None
    effective_period: Span | None = None
    occurence_date_time: str | None = None  # R5, spelled so
    occurence_period: Span | None = None
    dosage: Dosage | None = None


class Procedure(_Resource, frozen=True):
    status: str | None = None
    code: CodeableConcept | None = None
    subject: Reference | None = None
    performed_date_time: str | None = None
    performed_period: Span | None = None
    occurrence_date_time: str | None = None  # R5
    occurrence_period: Span | None = None


class Immunization(_Resource, frozen=True):
    status: str | None = None
    vaccine_code: CodeableConcept | None = None
    patient: Reference | None = None
    occurrence_date_time: str | None = None
    date: str | None = None  # STU3
    not_given: bool | None = None  # STU3


class AllergyIntolerance(_Resource, frozen=True):
    clinical_status: CodeableConcept | None = None
    verification_status: CodeableConcept | None = None
    code: CodeableConcept | None = None
    patient: Reference | None = None
    onset_date_time: str | None = None
    recorded_date: str | None = None


class ResearchSubject(_Resource, frozen=True):
    status: str | None = None
    period: Span | None = None
    individual: Reference | None = None
    subject: Reference | None = None  # R5


class FamilyMemberHistory(_Resource, frozen=True):
    status: str | None = None
    patient: Reference | None = None
    date: str | None = None


class DiagnosticReport(_Resource, frozen=True):
    status: str | None = None
    subject: Reference | None = None
    effective_date_time: str | None = None


class PatientLink(_Part, frozen=True):
    type: str | None = None
    other: Reference | None = None


class Patient(_Resource, frozen=True):
    birth_date: str | None = None
    gender: str | None = None
    active: bool | None = None
    deceased_boolean: bool | None = None
    deceased_date_time: str | None = None
    link: tuple[PatientLink, ...] = ()
    extension: tuple[Extension, ...] = ()


class Provision(_Part, frozen=True):
    type: str | None = None


class Consent(_Resource, frozen=True):
    status: str | None = None
    scope: CodeableConcept | None = None
    category: tuple[CodeableConcept, ...] = ()
    patient: Reference | None = None
    subject: Reference | None = None  # R5
    decision: str | None = None  # R5
    provision: tuple[Provision, ...] = ()


class Flag(_Resource, frozen=True):
    status: str | None = None
    code: CodeableConcept | None = None
    subject: Reference | None = None
    period: Span | None = None


class Issue(_Part, frozen=True):
    severity: str | None = None
    expression: tuple[str, ...] = ()
    location: tuple[str, ...] = ()


class OperationOutcome(_Resource, frozen=True):
    issue: tuple[Issue, ...] = ()


class Search(_Part, frozen=True):
    mode: str | None = None


class Link(_Part, frozen=True):
    relation: str | None = None
    url: str | None = None


class Entry(_Part, frozen=True):
    full_url: str | None = None
    resource: Any = None
    search: Search | None = None


class Other(_Resource, frozen=True):
    """A resource of a type that says nothing to us."""


PatientRecord = (
    Observation | Condition | MedicationRequest | MedicationStatement | MedicationAdministration | Procedure
    | Immunization | AllergyIntolerance | ResearchSubject | FamilyMemberHistory | DiagnosticReport | Consent | Flag
)  # fmt: skip
_READ: tuple[type[Struct], ...] = (*get_args(PatientRecord), Patient, Medication, OperationOutcome)
_BY_NAME = {kind.__name__: kind for kind in _READ}
_ALIASES = {"MedicationOrder": "MedicationRequest"}  # DSTU2

# Named so that whole charts, which are full of them, take the one typed pass. Any other type takes the slower one.
_COMMON_OTHERS = (
    "Account", "Appointment", "AuditEvent", "BodyStructure", "CarePlan", "CareTeam", "ChargeItem", "Claim",
    "ClaimResponse", "ClinicalImpression", "Communication", "CommunicationRequest", "Composition", "Coverage",
    "Device", "DeviceRequest", "DeviceUseStatement", "DocumentReference", "Encounter", "EpisodeOfCare",
    "ExplanationOfBenefit", "Goal", "Group", "HealthcareService", "ImagingStudy", "List", "Location", "Media",
    "MedicationDispense", "MeasureReport", "NutritionOrder", "Organization", "Parameters", "Person", "Practitioner",
    "PractitionerRole", "Provenance", "Questionnaire", "QuestionnaireResponse", "RelatedPerson", "RequestGroup",
    "ResearchStudy", "RiskAssessment", "ServiceRequest", "Specimen", "SupplyDelivery", "Task", "VisionPrescription",
)  # fmt: skip
_others = tuple(msgspec.defstruct(n, [], bases=(Other,), tag=n, frozen=True, gc=False) for n in _COMMON_OTHERS)


class Bundle(Struct, frozen=True, gc=False, rename="camel", tag=True, tag_field="resourceType"):
    id: str | None = None
    type: str | None = None
    total: int | None = None
    link: tuple[Link, ...] = ()
    entry: tuple[Entry, ...] = ()


# A Bundle inside a Bundle is rare, and takes the slower pass.
_AnyResource: Any = Union[(*_READ, *_others)]
_TypedEntry: Any = msgspec.defstruct(
    "_TypedEntry", [("resource", _AnyResource | None, None)], bases=(Entry,), frozen=True, gc=False
)
_TypedBundle: Any = msgspec.defstruct(
    "_TypedBundle", [("entry", tuple[_TypedEntry, ...], ())], bases=(Bundle,), tag="Bundle", frozen=True, gc=False
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
_as_sent = msgspec.json.Encoder(decimal_format="number")


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


_content: msgspec.json.Decoder[Content] = msgspec.json.Decoder(Content)


def content_of(observation: Observation) -> Content | None:
    """What the Observation says; None where it does not fit its form."""
    written = msgspec.json.encode(observation)
    try:
        return _content.decode(written)
    except msgspec.ValidationError:
        return _shaped(_untyped.decode(written), Content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def parts_of(observation: Observation) -> tuple[Component, ...] | None:
    """Its components; None where what it says does not fit its form."""
    if not is_given(observation.component):
        return ()
    content = content_of(observation)
    return content.component if content else None


def is_given(member: object) -> bool:
    """Whether a member holds anything, as sent or as read; null and an empty list are nothing."""
    if type(member) is Raw:
        return member is not _ABSENT and member not in _NOTHING
    return member is not None and member != ()


_NOTHING = (Raw(b""), Raw(b"null"), Raw(b"[]"), Raw(b"[null]"))


class _LooseEntry(_Part, frozen=True):
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
        Entry(_text(entry.full_url), _decode_entry(entry.resource), _shaped(entry.search, Search))
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
    name = _text(content.get("resourceType"))
    if name == "Bundle":
        return _reshaped_bundle(content)
    kind = _BY_NAME.get(_ALIASES.get(name or "", name or ""))
    where = Unreadable(name, _text(content.get("id")))
    if name is None or kind is None:
        return Other(where.id) if name else where
    return _shaped(_with_current_names(name, content), kind) or where


def _reshaped_bundle(content: dict[str, Any]) -> Bundle:
    """A Bundle whose `entry` is one object, or whose entries are not all objects."""
    entries = []
    for item in _listed(content.get("entry")):
        if not isinstance(item, dict):
            entries.append(Entry(None, Unreadable(None, None)))
            continue
        resource = item.get("resource")
        decoded = _decode_entry(Raw(_as_sent.encode(resource))) if resource is not None else None
        entries.append(Entry(_text(item.get("fullUrl")), decoded, _shaped(item.get("search"), Search)))
    return _bundle(content.get("id"), content.get("type"), content.get("total"), content.get("link"), tuple(entries))


def _bundle(identity: Any, kind: Any, total: Any, links: Any, entries: tuple[Entry, ...]) -> Bundle:
    read = (_shaped(link, Link) for link in _listed(links))
    count = int(total) if isinstance(total, int) or (isinstance(total, str) and total.strip().isdecimal()) else None
    return Bundle(_text(identity), _text(kind), count, tuple(link for link in read if link), entries)


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


_RENAMED = {
    "Condition": (("patient", "subject"),),
    "MedicationOrder": (("patient", "subject"), ("dateWritten", "authoredOn")),
    "MedicationStatement": (("patient", "subject"),),
    "MedicationAdministration": (("patient", "subject"), ("effectiveTimeDateTime", "effectiveDateTime")),
    "Immunization": (("subject", "patient"),),
    "AllergyIntolerance": (("subject", "patient"), ("substance", "code"), ("assertedDate", "recordedDate")),
}


# Reshaping: a field's form is told by its struct, so one rule for each form mends every resource.


@dataclass(frozen=True, slots=True)
class _Form:
    name: str  # in Python
    kind: Any
    many: bool


class _Misfit(ValueError):
    """The value cannot be read as the form asks."""


@lru_cache(maxsize=128)
def _forms(kind: type[Struct]) -> Mapping[str, _Form]:
    hints = get_type_hints(kind)
    return {
        field.encode_name: _form(field.name, hints[field.name])
        for field in msgspec.structs.fields(kind)
        if hints[field.name] is not Any
    }


def _form(name: str, hint: Any) -> _Form:
    if hint is Raw:
        return _Form(name, Raw, False)
    if get_origin(hint) is tuple:
        return _Form(name, get_args(hint)[0], True)
    return _Form(name, next(part for part in get_args(hint) if part is not type(None)), False)


S = TypeVar("S", bound=Struct)


def _shaped(value: Any, kind: type[S]) -> S | None:
    """The struct that the value can be read as; None when it cannot, or there is none."""
    try:
        return _struct(value, kind) if value is not None else None
    except _Misfit:
        return None


def _struct(value: Any, kind: type[S]) -> S:
    value = _wrapped(value, kind)
    if not isinstance(value, dict):
        raise _Misfit
    forms = _forms(kind)
    fields = {}
    for name, item in value.items():
        form = forms.get(name)
        if form is None or item is None:
            continue
        try:
            fields[form.name] = _field(item, form)
        except _Misfit:
            if form.name not in _EXPENDABLE:
                raise
    return kind(**fields)


_EXPENDABLE = frozenset({"display", "issued", "meta", "method", "note", "patient_instruction", "security", "search"})


def _wrapped(value: Any, kind: type[Struct]) -> Any:
    """A code, text or address that stands where an object should."""
    if isinstance(value, str):
        if issubclass(kind, CodeableConcept | Annotation):
            return {"text": value}
        if kind is Reference:
            return {"reference": value}
    if issubclass(kind, CodeableConcept) and isinstance(value, dict) and "code" in value and "coding" not in value:
        return {"coding": [value]}
    return value


def _field(value: Any, form: _Form) -> Any:
    if form.kind is Raw:
        return Raw(_as_sent.encode(value))
    if form.many:
        return tuple(_one(item, form.kind) for item in _listed(value))
    if isinstance(value, list):
        if len(value) != 1:
            raise _Misfit
        value = value[0]
    return _one(value, form.kind)


def _one(value: Any, kind: Any) -> Any:
    if isinstance(kind, type) and issubclass(kind, Struct):
        return _struct(value, kind)
    if kind is str:
        return _string(value)
    if kind is bool:
        return _boolean(value)
    return _number(value)


def _string(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise _Misfit
    return str(value)


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and clean(value).lower() in ("true", "false"):
        return clean(value).lower() == "true"
    raise _Misfit


def _number(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
        raise _Misfit
    try:
        return Decimal(clean(value) if isinstance(value, str) else value)
    except InvalidOperation as error:
        raise _Misfit from error


def _listed(value: Any) -> list[Any]:
    items = value if isinstance(value, list) else [value]
    return [item for item in items if item is not None]


def _text(value: Any) -> str | None:
    return clean(value) if isinstance(value, str) else None


_INVISIBLE = re.compile("[\u200b-\u200f\u2060\ufeff\u00ad]")


def clean(text: str) -> str:
    """Without invisible characters, and without space at either end."""
    return text.strip() if text.isascii() else _INVISIBLE.sub("", text).strip()


def codes_of(concept: CodeableConcept | None) -> tuple[str, ...]:
    """The status codes that a CodeableConcept holds, in lower case; its text where it has no coding (STU3)."""
    if concept is None:
        return ()
    found = tuple(clean(coding.code).lower() for coding in concept.coding if coding.code)
    return found or ((clean(concept.text).lower(),) if concept.text else ())


def words_of(concept: CodeableConcept | None) -> str:
    """How a person would read it: its text, else the first display, else the first code."""
    if concept is None:
        return ""
    candidates = (concept.text, *(c.display for c in concept.coding), *(c.code for c in concept.coding))
    return next((clean(text) for text in candidates if text and clean(text)), "")

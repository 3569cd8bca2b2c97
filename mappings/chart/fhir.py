"""The parts of FHIR resources that TrialCards reads, as lean frozen structs. `decoding.py` reads them from JSON.

Numbers are `Decimal`, as written.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from msgspec import Raw, Struct, field

from mappings.clean_text import clean as clean  # also `fhir.clean`


class _Part(Struct, frozen=True, gc=False, omit_defaults=True, rename="camel"):
    """A data type; unknown members are skipped, and what is absent is not written."""


class Coding(_Part, frozen=True):
    system: str | None = None
    code: str | None = None
    display: str | None = None


class CodeableConcept(_Part, frozen=True, cache_hash=True):
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


class Annotation(_Part, frozen=True):
    text: str | None = None


class Extension(_Part, frozen=True):
    url: str | None = None
    value_code: str | None = None
    value_coding: Coding | None = None


ABSENT = Raw()


class Reference(_Part, frozen=True):
    reference: str | None = None
    identifier: Raw = ABSENT  # as sent: few references have one, and what is wrong with it makes nothing unreadable


class Given(_Part, frozen=True):
    """A member of which it matters only that it is there."""


class MedicationReference(Reference, frozen=True):
    """A reference to a Medication; of other references the display, often a person's name, is never read."""

    display: str | None = None


class DiagnosisCoding(Coding, frozen=True):
    extension: tuple[Extension, ...] = ()


class DiagnosisCode(CodeableConcept, frozen=True):
    coding: tuple[DiagnosisCoding, ...] = ()


UNREADABLE_LABEL = Coding()  # in place of security labels that do not fit their form


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
    bounds_range: QuantityRange | None = None
    count: Decimal | None = None
    count_max: Decimal | None = None
    duration: Decimal | None = None
    duration_max: Decimal | None = None
    duration_unit: str | None = None
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
    rate_quantity: Quantity | None = None
    rate_range: QuantityRange | None = None
    rate_ratio: Ratio | None = None


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
    rate_quantity: Quantity | None = None  # STU3, and MedicationAdministration
    rate_range: QuantityRange | None = None  # STU3
    rate_ratio: Ratio | None = None  # STU3, and MedicationAdministration
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


class Observation(_Resource, frozen=True):
    """With code and `Content` as they were sent: a chart holds a thousand of them, of which a hundred are read."""

    status: str | None = None
    code: Raw = ABSENT
    subject: Reference | None = None
    effective_date_time: str | None = None
    effective_period: Span | None = None
    effective_instant: str | None = None
    effective_timing: Timing | None = None
    issued: str | None = None
    value_quantity: Raw = ABSENT
    value_codeable_concept: Raw = ABSENT
    value_string: Raw = ABSENT
    value_boolean: Raw = ABSENT
    value_integer: Raw = ABSENT
    value_range: Raw = ABSENT
    value_ratio: Raw = ABSENT
    data_absent_reason: Raw = ABSENT
    interpretation: Raw = ABSENT
    reference_range: Raw = ABSENT
    component: Raw = ABSENT
    method: Raw = ABSENT
    contained: Raw = ABSENT  # until the results in it are taken out
    note: tuple[Annotation, ...] = ()  # of which the author is never kept


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
    """R5; also reads an R4 CodeableConcept or Reference that is in its place."""

    concept: CodeableConcept | None = None
    reference: MedicationReference | None = None


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
    medication_reference: MedicationReference | None = None
    medication: CodeableReference | None = None  # R5
    subject: Reference | None = None
    contained: tuple[Contained, ...] = ()


class DispenseRequest(_Part, frozen=True):
    validity_period: Span | None = None
    expected_supply_duration: Quantity | None = None
    number_of_repeats_allowed: Decimal | None = None


class MedicationRequest(MedicationUse, frozen=True):
    intent: str | None = None
    reported_boolean: bool | None = None
    reported_reference: Given | None = None
    reported: bool | None = None  # R5
    prior_prescription: Reference | None = None
    based_on: tuple[Reference, ...] = ()
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


class MedicationDispense(MedicationUse, frozen=True):
    when_prepared: str | None = None
    when_handed_over: str | None = None
    days_supply: Quantity | None = None
    dosage_instruction: tuple[Dosage, ...] = ()


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
    effective_period: Span | None = None
    issued: str | None = None
    result: tuple[Reference, ...] = ()
    contained: Raw = ABSENT  # until the results in it are taken out


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
    identifier: Raw = ABSENT  # as sent; only to assign records, so it is not kept in the chart


class Provision(_Part, frozen=True):
    """A rule of a Consent; the rules inside it are exceptions to it."""

    type: str | None = None
    period: Span | None = None
    actor: tuple[Given, ...] = ()
    action: tuple[CodeableConcept, ...] = ()
    security_label: tuple[Given, ...] = ()
    purpose: tuple[Coding, ...] = ()
    kind: tuple[Given, ...] = field(default=(), name="class")
    code: tuple[CodeableConcept, ...] = ()
    data_period: Given | None = None
    data: tuple[Given, ...] = ()
    provision: tuple[Provision, ...] = ()


class ConsentPolicy(_Part, frozen=True):
    uri: str | None = None


class Consent(_Resource, frozen=True):
    status: str | None = None
    scope: CodeableConcept | None = None
    category: tuple[CodeableConcept, ...] = ()
    patient: Reference | None = None
    subject: Reference | None = None  # R5
    date_time: str | None = None
    date: str | None = None  # R5
    policy: tuple[ConsentPolicy, ...] = ()
    policy_rule: CodeableConcept | None = None
    decision: str | None = None  # R5
    provision: tuple[Provision, ...] = ()


class Flag(_Resource, frozen=True):
    status: str | None = None
    category: tuple[CodeableConcept, ...] = ()
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
    Observation | Condition | MedicationRequest | MedicationStatement | MedicationAdministration | MedicationDispense
    | Procedure | Immunization | AllergyIntolerance | ResearchSubject | FamilyMemberHistory | DiagnosticReport | Consent
    | Flag
)  # fmt: skip


class Bundle(Struct, frozen=True, gc=False, rename="camel", tag=True, tag_field="resourceType"):
    id: str | None = None
    type: str | None = None
    total: int | None = None
    link: tuple[Link, ...] = ()
    entry: tuple[Entry, ...] = ()


def is_given(member: object) -> bool:
    """Whether a member holds anything, as sent or as read; null and an empty list are nothing."""
    if type(member) is Raw:
        return member is not ABSENT and not _NOTHING.fullmatch(member)
    return member is not None and member != ()


_NOTHING = re.compile(rb"(?:null|\[\s*(?:null[\s,]*)*\])?")


def codes_of(concept: CodeableConcept | None) -> tuple[str, ...]:
    """The status codes that a CodeableConcept holds, in lower case; its text where it has no coding (STU3)."""
    if concept is None:
        return ()
    found = tuple([clean(coding.code).lower() for coding in concept.coding if coding.code])
    return found or ((clean(concept.text).lower(),) if concept.text else ())


def words_of(concept: CodeableConcept | None) -> str:
    """How a person would read it: its text, else the first display, else the first code."""
    if concept is None:
        return ""
    if concept.text and (text := clean(concept.text)):
        return text
    candidates = (*(c.display for c in concept.coding), *(c.code for c in concept.coding))
    return next((clean(text) for text in candidates if text and clean(text)), "")

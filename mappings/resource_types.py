"""The FHIR resource types that a chart is made of: one row for each, from which every list of types is derived.

To add a type: a row here, its struct in `chart/fhir.py` (with its place in `PatientRecord`), and its reader in
`readers/index.py`. `tests/mappings/test_resource_types.py` says what is missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

# The types in which a concept may be recorded (`recorded_in` of a concept); the other rows say whom not to approach.
ResourceType = Literal[
    "Patient", "Observation", "Condition", "MedicationRequest", "MedicationStatement", "MedicationAdministration",
    "MedicationDispense", "Procedure", "Immunization", "AllergyIntolerance", "FamilyMemberHistory", "ResearchSubject",
    "DiagnosticReport",
]  # fmt: skip
# What the records of a type are read as; of those that are "counted" only the number of withdrawn ones is reported.
ReadAs = Literal[
    "person", "result", "diagnosis", "drug-use", "drug-supply", "procedure", "vaccination", "allergy", "participation",
    "counted", "research-consent",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """One resource type.

    `subject`: the members that may name the patient, the first that is there; empty for the patient itself.
    `code`: the FHIR path of the code by which its records are told apart, None where there is no such code.
    `prefetch`: the key under which an EHR sends its records; None where they are not asked for.
    `query`: what the search says beside the patient. `words`: what a clinician calls its records.
    `older_type`: its name in DSTU2. `older_names`: members of older versions (of `older_type`, where there is one),
    each with its R4 name, which means the same.
    """

    name: ResourceType | Literal["Consent", "Flag"]
    read_as: ReadAs
    subject: tuple[str, ...] = ("subject",)
    code: str | None = None
    prefetch: str | None = None
    query: str = ""
    is_required: bool = False
    words: str = ""
    older_type: str | None = None
    older_names: tuple[tuple[str, str], ...] = ()


_OF_PATIENT = (("patient", "subject"),)

# In the order in which reports name them.
ROWS: tuple[Row, ...] = (
    Row("Patient", "person", subject=(), prefetch="patient", is_required=True, words="patient record"),
    # Not narrowed by category: a score or a result without one must be found too, for what is not found counts as
    # missing.
    Row(
        "Observation", "result", code="code",
        prefetch="observations", query="&_sort=-date", words="results and observations",
    ),
    Row(
        "Condition", "diagnosis", code="code",
        prefetch="conditions", is_required=True, words="diagnoses", older_names=_OF_PATIENT,
    ),
    Row(
        "MedicationRequest", "drug-use", code="medication",
        prefetch="medicationRequests", words="prescriptions",
        older_type="MedicationOrder", older_names=(*_OF_PATIENT, ("dateWritten", "authoredOn")),
    ),
    Row(
        "MedicationStatement", "drug-use", code="medication",
        prefetch="medicationStatements", words="medication statements", older_names=_OF_PATIENT,
    ),
    Row(
        "MedicationAdministration", "drug-use", code="medication",
        prefetch="medicationAdministrations", words="administered medications",
        older_names=(*_OF_PATIENT, ("effectiveTimeDateTime", "effectiveDateTime")),
    ),
    # Evidence beside the others: few systems have it, so its absence leaves nothing open.
    Row(
        "MedicationDispense", "drug-supply", code="medication",
        prefetch="medicationDispenses", words="dispensed medications",
    ),
    Row("Procedure", "procedure", code="code", prefetch="procedures", words="procedures"),
    Row(
        "Immunization", "vaccination", ("patient",), "vaccineCode",
        prefetch="immunizations", words="vaccinations", older_names=(("subject", "patient"),),
    ),
    Row(
        "AllergyIntolerance", "allergy", ("patient",), "code",
        older_names=(("subject", "patient"), ("substance", "code"), ("assertedDate", "recordedDate")),
    ),
    Row("FamilyMemberHistory", "counted", ("patient",), "condition.code"),
    Row(
        "ResearchSubject", "participation", ("individual", "subject"),
        prefetch="researchSubjects", words="trial participations",
    ),
    Row("DiagnosticReport", "counted", code="code"),
    # Whether the patient may be approached for research at all.
    Row("Consent", "research-consent", ("patient", "subject"), prefetch="consents", words="consents"),
    Row("Flag", "research-consent", prefetch="flags", words="flags"),
)  # fmt: skip
BY_NAME: Mapping[str, Row] = {row.name: row for row in ROWS}
RESOURCE_TYPES: tuple[str, ...] = tuple(BY_NAME)


def names_of(*kinds: ReadAs) -> tuple[ResourceType, ...]:
    """The types whose records are read as one of these."""
    return tuple(row.name for row in ROWS if row.read_as in kinds and row.name != "Consent" and row.name != "Flag")

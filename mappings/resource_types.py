"""The types of FHIR resources in which a concept may be recorded."""

from __future__ import annotations

from typing import Literal

ResourceType = Literal[
    "Patient", "Observation", "Condition", "MedicationRequest", "MedicationStatement", "MedicationAdministration",
    "Procedure", "Immunization", "AllergyIntolerance", "FamilyMemberHistory", "ResearchSubject", "DiagnosticReport",
]  # fmt: skip

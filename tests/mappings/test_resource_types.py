"""Every list of resource types follows from one table, and every row of it has its struct and its reader."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import get_args

import pytest
from msgspec.structs import fields

from cds_hooks.protocol.services import CHART, READ_TYPES
from mappings.chart import fhir
from mappings.chart.chart import ChartBuilder
from mappings.concepts.catalogue import Catalogue
from mappings.patient_facts import facts_of
from mappings.resource_types import RESOURCE_TYPES, ROWS, ResourceType, Row
from tests.builders import PATIENT
from trial_defs.export.cql_functions import COURSES

WITHDRAWN = {
    "status": "entered-in-error",
    "verificationStatus": {"coding": [{"code": "entered-in-error"}]},
    "code": {"text": "anything"},
}


def test_every_row_has_a_struct_and_every_struct_a_row() -> None:
    structs = [kind.__name__ for kind in (fhir.Patient, *get_args(fhir.PatientRecord))]
    assert sorted(structs) == sorted(RESOURCE_TYPES)
    assert len(set(RESOURCE_TYPES)) == len(ROWS)


def test_a_concept_may_be_recorded_in_all_but_those_that_say_whom_not_to_approach() -> None:
    assert get_args(ResourceType) == tuple(row.name for row in ROWS if row.read_as != "research-consent")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_the_members_that_a_row_names_are_read(row: Row) -> None:
    read = {field.encode_name for field in fields(getattr(fhir, row.name))}
    assert set(row.subject) <= read
    assert {new for _, new in row.older_names} <= read


@pytest.mark.parametrize("row", [row for row in ROWS if row.read_as not in ("person", "research-consent")],
                         ids=lambda row: row.name)  # fmt: skip
def test_every_type_has_a_reader_which_counts_what_was_withdrawn(row: Row, catalogue: Catalogue) -> None:
    record = {"resourceType": row.name, "id": "r", **WITHDRAWN, row.subject[0]: {"reference": f"Patient/{PATIENT}"}}
    patient = {"resourceType": "Patient", "id": PATIENT}
    entries = [{"resource": resource} for resource in (patient, record)]
    builder = ChartBuilder(PATIENT)
    builder.add(json.dumps({"resourceType": "Bundle", "type": "collection", "entry": entries}).encode(), None)
    facts = facts_of(builder.build(), catalogue, datetime(2026, 1, 1, tzinfo=UTC), UTC)
    report = next(source for source in facts.sources if source.resource_type == row.name)
    assert dict(report.excluded) == {"entered-in-error": 1}


def test_what_is_asked_for_has_a_key_and_words() -> None:
    assert all(row.words for row in ROWS if row.prefetch)
    assert {row.name for row in ROWS if row.prefetch} == READ_TYPES
    assert [part.key for part in CHART][:2] == ["patient", "conditions"]


def test_cql_speaks_of_types_that_there_are() -> None:
    assert set(COURSES) <= set(RESOURCE_TYPES)

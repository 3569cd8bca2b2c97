"""A record without an id is named by its entry's fullUrl, which says nothing of its type; it counts like any other."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from mappings.chart.chart import ChartBuilder
from mappings.concepts.catalogue import Catalogue
from mappings.patient_facts import PatientFacts, facts_of
from tests.mappings.charts import a_bundle, a_dosage, a_patient, a_request, code

RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
Json = dict[str, Any]


def _facts(catalogue: Catalogue, *records: Json, has_ids: bool) -> PatientFacts:
    bundle = a_bundle(a_patient(), *(record if has_ids else {k: v for k, v in record.items() if k != "id"}
                                     for record in records))  # fmt: skip
    for number, entry in enumerate(bundle["entry"]):
        entry["fullUrl"] = f"urn:uuid:00000000-0000-4000-8000-{number:012}"
    builder = ChartBuilder(None)
    builder.add(json.dumps(bundle).encode(), None)
    builder.whole_chart()
    return facts_of(builder.build(), catalogue, datetime(2026, 11, 1, tzinfo=UTC), UTC)


def _statement(number: int) -> Json:
    return {
        "resourceType": "MedicationStatement",
        "id": f"s{number}",
        "status": "active",
        "subject": {"reference": "Patient/p1"},
        "effectivePeriod": {"start": "2026-09-01"},
        "medicationCodeableConcept": code(RXNORM, "8640"),
        "dosage": [a_dosage(15)],
    }


@pytest.mark.parametrize("has_ids", [True, False])
def test_an_order_of_an_infusion_that_is_open_for_long_is_old(catalogue: Catalogue, has_ids: bool) -> None:
    order = a_request("121191", authoredOn="2025-03-01")
    (episode,) = _facts(catalogue, order, has_ids=has_ids).episodes("rituximab")
    assert episode.is_old_order


@pytest.mark.parametrize("has_ids", [True, False])
def test_two_orders_may_add_up_and_statements_of_them_do_not(catalogue: Catalogue, has_ids: bool) -> None:
    morning, night = (a_request(id=f"m{mg}", dosageInstruction=[a_dosage(mg)]) for mg in (10, 5))
    facts = _facts(catalogue, morning, night, _statement(1), _statement(2), has_ids=has_ids)
    dose = facts.results("glucocorticoid-dose")[0].value
    assert dose is not None
    assert dose.low == 10
    assert dose.high == 15

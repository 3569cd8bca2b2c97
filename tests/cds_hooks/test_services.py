"""Discovery and the prefetch that it advertises."""

from __future__ import annotations

import json

from cds_hooks.protocol.services import CHART, OFFERS, discovery, find_offer
from tests.cds_hooks.oracle import check_discovery


def test_discovery_is_conformant_and_the_same_bytes_every_time() -> None:
    check_discovery(json.loads(discovery()))
    assert discovery() == discovery()


def test_no_service_is_an_empty_list() -> None:
    assert json.loads(discovery(())) == {"services": []}


def test_every_hook_is_offered_under_its_id() -> None:
    assert {offer.id: offer.hook for offer in OFFERS} == {
        "trial-match-patient-view": "patient-view",
        "trial-match-encounter-start": "encounter-start",
        "trial-match-order-select": "order-select",
        "trial-match-order-sign": "order-sign",
    }
    assert find_offer("no-such-service") is None


def test_only_patient_and_conditions_are_required() -> None:
    assert all(offer.required_keys == ("patient", "conditions") for offer in OFFERS)


def test_a_template_is_filled_with_the_patient() -> None:
    queries = [part.query("p-1") for part in CHART]
    assert queries[0] == "Patient/p-1"
    assert all("{{" not in query for query in queries)
    assert all(query.startswith(part.resource_type) for part, query in zip(CHART, queries, strict=True))

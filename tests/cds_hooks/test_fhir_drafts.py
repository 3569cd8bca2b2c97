"""The drafts that cards suggest are valid FHIR R4, by two validators that know nothing of each other."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import fhirkit
from fhir.resources.R4B.servicerequest import ServiceRequest

from cds_hooks.fhir.fhir_drafts import referral, test_order
from cds_hooks.words.texts import texts_of
from mappings.concepts.catalogue import Catalogue, Concept
from trial_defs.definition.expressions import Trial
from trial_defs.planning.needs import Need

ordered_test = test_order  # under a name that pytest does not collect
del test_order


def assert_valid(draft: Mapping[str, Any]) -> None:
    text = json.dumps(draft)
    assert fhirkit.validate(text) == []
    ServiceRequest.model_validate_json(text)


def test_the_independent_validator_can_refuse() -> None:
    assert fhirkit.validate('{"resourceType": "ServiceRequest", "status": "draft", "zzz": 1}')


def test_a_referral_is_a_draft_about_the_patient_for_every_trial(trials: Mapping[str, Trial]) -> None:
    for trial in trials.values():
        draft = referral(trial, "Patient/p1", "Possibly eligible, to be checked")
        assert_valid(draft)
        assert (draft["status"], draft["intent"], draft["subject"]) == (
            "draft",
            "proposal",
            {"reference": "Patient/p1"},
        )
        assert "id" not in draft
        assert trial.id in draft["code"]["text"]


def test_every_test_of_the_catalogue_can_be_ordered_as_a_valid_draft(catalogue: Catalogue) -> None:
    coded = 0
    for name, concept in catalogue.concepts.items():
        if concept.order is None:
            continue
        need = Need(concept.order, {name: None})
        if need.can_be_ordered:
            draft = ordered_test(need, catalogue, "Patient/p1", "Screening", texts_of())
            assert_valid(draft)
            assert all(coding["code"] and coding["display"] for coding in draft["code"]["coding"])
            coded += 1
    assert coded >= 20


def test_a_test_without_a_code_and_a_question_are_not_ordered(catalogue: Catalogue) -> None:
    uncoded = Concept.model_validate({"title": "T", "kind": "result", "order": {"how": "blood-test", "title": "T"}})
    asked = Concept.model_validate(
        {"title": "T", "kind": "result", "order": {"how": "ask", "title": "T", "loinc": "1"}}
    )
    assert uncoded.order
    assert asked.order
    assert not Need(uncoded.order).can_be_ordered
    assert not Need(asked.order).can_be_ordered


def test_one_draft_never_changes_another(trials: Mapping[str, Trial]) -> None:
    trial = next(iter(trials.values()))
    first = referral(trial, "Patient/a", "x")
    first["category"].clear()
    assert referral(trial, "Patient/b", "x")["category"]

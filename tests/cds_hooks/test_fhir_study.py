"""Definitions and matches as FHIR: valid by two validators, and nothing of a definition is lost on the way."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib import import_module
from typing import Any

import fhirkit
import pytest

from app.definitions.served import OUR_CONCEPTS
from cds_hooks.fhir.fhir_capabilities import capabilities, match_operation
from cds_hooks.fhir.fhir_study import group_id, group_of, matching, study_of
from cds_hooks.fhir.fhir_terms import CODE_SYSTEMS, code_system_of, concept_map_of, value_set_of
from mappings.concepts.catalogue import Catalogue, load_catalogue
from tests.small_trial import a_trial
from trial_defs.definition.expressions import Cohort, Trial
from trial_defs.definition.loader import OUR_TRIALS, load_trials

Json = dict[str, Any]

EXTENSIONS = "https://trialcards.org/fhir/StructureDefinition/"
BASE = "https://trialcards.example/fhir"


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load_catalogue([OUR_CONCEPTS])


@pytest.fixture(scope="module")
def trials(catalogue: Catalogue) -> dict[str, Trial]:
    return dict(load_trials([OUR_TRIALS], catalogue).trials)


def check(resource: Json) -> None:
    """Valid by fhir.resources and by a second validator that shares no code with it."""
    name = resource["resourceType"]
    model = getattr(import_module(f"fhir.resources.R4B.{name.lower()}"), name)
    model.model_validate(resource)
    assert fhirkit.validate(json.dumps(resource)) == []


def extensions(element: Json, name: str, member: str = "extension") -> list[Any]:
    return [e.get("valueString", e.get("valueCode")) for e in element.get(member, ()) if e["url"] == EXTENSIONS + name]


def a_group(criterion: Json, catalogue: Catalogue) -> Json:
    """The one characteristic that this criterion becomes."""
    trial = a_trial(catalogue, criterion)
    group = group_of(trial, trial.cohorts[0], catalogue)
    check(group)
    found: Json = group["characteristic"][1]
    return found


def test_every_study_and_every_cohort_is_valid(trials: dict[str, Trial], catalogue: Catalogue) -> None:
    for trial in trials.values():
        check(study_of(trial, catalogue))
        check(study_of(trial, catalogue, whole=True))
        for cohort in trial.cohorts:
            check(group_of(trial, cohort, catalogue))


def test_the_validators_object_to_what_fhir_does_not_know(trials: dict[str, Trial], catalogue: Catalogue) -> None:
    study = study_of(trials["NCT06711146"], catalogue) | {"gate": "lupus"}
    assert fhirkit.validate(json.dumps(study))
    with pytest.raises(ValueError, match="gate"):
        check(study)


def test_all_terminology_and_the_statements_are_valid(catalogue: Catalogue) -> None:
    for concept in catalogue.concepts:
        check(value_set_of(concept, catalogue))
    for name in CODE_SYSTEMS:
        check(code_system_of(name, catalogue))
    check(concept_map_of(catalogue))
    check(capabilities(BASE, {"ResearchStudy": ("_id", "condition", "status"), "ValueSet": ("url",)}))
    check(match_operation())


def test_a_cohort_holds_its_gate_and_every_criterion_once(trials: dict[str, Trial], catalogue: Catalogue) -> None:
    for trial in trials.values():
        for cohort in trial.cohorts:
            group = group_of(trial, cohort, catalogue)
            ids = [extensions(each, "criterion-id")[0] for each in group["characteristic"]]
            assert ids == ["gate", *(criterion.id for criterion in cohort.criteria)]


def test_what_a_characteristic_cannot_say_is_flagged(trials: dict[str, Trial], catalogue: Catalogue) -> None:
    for trial in trials.values():
        for cohort in trial.cohorts:
            for each in group_of(trial, cohort, catalogue)["characteristic"]:
                as_text = each["code"]["coding"][0]["code"] == "criterion"
                assert bool(extensions(each, "not-expressed")) == as_text
                assert extensions(each, "criterion-definition")


def test_a_plain_limit_becomes_a_quantity(catalogue: Catalogue) -> None:
    found = a_group({"include": {"value": {"of": "platelets", "is": ">= 25 10*9/L"}}}, catalogue)
    assert found["code"]["coding"][0]["code"] == "platelets"
    assert found["valueQuantity"] == {
        "value": 25,
        "comparator": ">=",
        "unit": "× 10⁹/L",
        "system": "http://unitsofmeasure.org",
        "code": "10*9/L",
    }
    assert found["exclude"] is False
    assert not extensions(found, "not-expressed")


def test_an_exclusion_is_the_bad_thing_excluded(catalogue: Catalogue) -> None:
    found = a_group({"exclude": {"value": {"of": "hiv", "is": "positive"}}}, catalogue)
    assert found["valueCodeableConcept"]["coding"][0]["code"] == "10828004"
    assert found["exclude"] is True


def test_an_age_range_becomes_a_range_in_years(catalogue: Catalogue) -> None:
    found = a_group({"include": {"age": {"is": "18..70 a"}}}, catalogue)
    assert [found["valueRange"][end]["value"] for end in ("low", "high")] == [18, 70]


@pytest.mark.parametrize(
    ("criterion", "why"),
    [
        ({"include": {"value": {"of": "alt", "is": "<= 3 ULN"}}}, "the laboratory's own limit"),
        ({"include": {"judgement": {"ask": "So?"}}}, "a person answers"),
        ({"include": {"any": [{"sex": "male"}, {"sex": "female"}]}}, "joined by"),
        ({"include": {"consent": "Sign"}}, "the patient takes"),
        ({"include": {"treatment": {"of": ["ivig", "rituximab"], "when": "ever"}}}, "several treatments"),
        ({"include": {"change": {"of": "mrss", "is": ">= 5 {score}", "over": "6 mo"}}}, "between two results"),
        ({"exclude": {"value": {"of": "hcg", "is": "positive"}}, "only_if": {"sex": "female"}}, "some patients only"),
    ],
)
def test_a_criterion_that_no_characteristic_can_hold_says_why(criterion: Json, why: str, catalogue: Catalogue) -> None:
    found = a_group(criterion, catalogue)
    assert found["code"]["coding"][0]["code"] == "criterion"
    assert why in extensions(found, "not-expressed")[0]


@pytest.mark.parametrize(
    ("asks", "what"),
    [
        ({"condition": {"is": "epilepsy", "when": "ever"}}, "also in the past"),
        ({"condition": {"is": "epilepsy", "lasting": "6 mo"}}, "at least 6 mo"),
        ({"treatment": {"of": "live-vaccine", "when": "within 6 wk"}}, "within the last 6 wk"),
        ({"value": {"of": "platelets", "is": "< 50 10*9/L", "runs": 2}}, "2 consecutive"),
    ],
)
def test_what_narrows_a_characteristic_is_a_modifier_that_no_reader_may_overlook(
    asks: Json, what: str, catalogue: Catalogue
) -> None:
    found = a_group({"exclude": asks}, catalogue)
    assert any(what in text for text in extensions(found, "qualified", "modifierExtension"))


def test_a_status_that_is_unknown_is_said_to_be_unknown(trials: dict[str, Trial], catalogue: Catalogue) -> None:
    study = study_of(trials["CT1190B-SLE-SSC"], catalogue)
    assert "status" not in study
    assert study["_status"]["extension"][0]["valueCode"] == "unknown"
    assert extensions(study, "recruiting-status") == ["unknown"]


def test_a_group_id_is_always_one_that_fhir_allows(trials: dict[str, Trial]) -> None:
    trial = trials["NCT06711146"]
    cohort = trial.cohorts[0]
    assert group_id(trial, cohort) == "NCT06711146.sle"
    names = {group_id(trial, replace(cohort, id=name)) for name in ("a b", "a/b", "x" * 70)}
    assert len(names) == 3
    assert all(len(name) <= 64 and name.replace(".", "").isalnum() for name in names)


def test_the_whole_form_contains_its_groups(trials: dict[str, Trial], catalogue: Catalogue) -> None:
    study = study_of(trials["CNCT19-AID"], catalogue, whole=True)
    groups = {each["id"] for each in study["contained"] if each["resourceType"] == "Group"}
    assert {each["reference"] for each in study["enrollment"]} == {f"#{name}" for name in groups}
    assert groups == {"sle-ln", "sle-itp", "aav", "dm"}


def test_contained_ids_are_ones_that_fhir_allows(trials: dict[str, Trial], catalogue: Catalogue) -> None:
    trial = trials["NCT06711146"]
    odd: Cohort = replace(trial.cohorts[0], id="SLE (adults)")
    check(study_of(replace(trial, cohorts=(odd,)), catalogue, whole=True))


@pytest.mark.parametrize(
    ("token", "found"),
    [
        ("http://snomed.info/sct|69896004", ["NCT06464679"]),
        ("rheumatoid-arthritis", ["NCT06464679"]),
        ("http://hl7.org/fhir/sid/icd-10-cm|M32.14", ["CNCT19-AID", "CT1190B-SLE-SSC", "NCT06680388", "NCT06711146"]),
        (
            "https://trialcards.org/fhir/CodeSystem/concept|systemic-lupus-erythematosus",
            ["CNCT19-AID", "CT1190B-SLE-SSC", "NCT06680388", "NCT06711146"],
        ),
        ("http://snomed.info/sct|38341003", []),
        ("http://snomed.info/sct|0", []),
    ],
)
def test_studies_are_found_by_the_codes_of_their_disease(
    token: str, found: list[str], trials: dict[str, Trial], catalogue: Catalogue
) -> None:
    assert [t.id for t in matching(trials.values(), catalogue, conditions=(token,))] == found


def test_a_value_set_leaves_out_what_a_longer_pattern_gives_to_another_concept(catalogue: Catalogue) -> None:
    found = value_set_of("hypertension", catalogue)
    left_out = {code["code"] for part in found["compose"]["exclude"] for code in part.get("concept", ())}
    assert "I12.0" in left_out
    assert "hypertension" not in catalogue.find("http://hl7.org/fhir/sid/icd-10-cm", "I12.0")

"""Stage and receptors of the oncology pack: what a chart's result of each says, and what is left open."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from mappings.chart.chart import ChartBuilder
from mappings.concepts.catalogue import Catalogue, load_catalogue
from mappings.concepts.vocabulary import OUR_CONCEPTS, pack_folders
from tests.small_trial import a_trial
from trial_defs.engine.evaluation import match
from trial_defs.registry.draft import draft_of
from trial_defs.registry.record import read_record

AS_OF = datetime(2026, 11, 1, tzinfo=UTC)
SNOMED = "http://snomed.info/sct"
POSITIVE: dict[str, Any] = {"valueCodeableConcept": {"coding": [{"system": SNOMED, "code": "10828004"}]}}
NEGATIVE: dict[str, Any] = {"valueCodeableConcept": {"coding": [{"system": SNOMED, "code": "260385009"}]}}


@pytest.fixture(scope="module")
def whole() -> Catalogue:
    return load_catalogue((OUR_CONCEPTS, *pack_folders(None)))


def percent(number: int) -> dict[str, Any]:
    return {"valueQuantity": {"value": number, "unit": "%", "system": "http://unitsofmeasure.org", "code": "%"}}


def outcome(catalogue: Catalogue, asked: tuple[str, str], *results: tuple[str, dict[str, Any]]) -> str:
    """What a criterion comes to for a chart with these results, by LOINC code."""
    code = {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "M32.9"}]}
    resources: list[dict[str, Any]] = [
        {"resourceType": "Patient", "id": "p"},
        {"resourceType": "Condition", "id": "c", "subject": {"reference": "Patient/p"}, "code": code},
    ]
    for number, (loinc, value) in enumerate(results):
        resources.append(
            {
                "resourceType": "Observation",
                "id": f"o{number}",
                "status": "final",
                "subject": {"reference": "Patient/p"},
                "effectiveDateTime": "2026-10-20",
                "code": {"coding": [{"system": "http://loinc.org", "code": loinc}]},
                **value,
            }
        )
    builder = ChartBuilder(None)
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": each} for each in resources]}
    builder.add(json.dumps(bundle).encode(), None)
    builder.whole_chart()
    trial = a_trial(catalogue, {"include": {"value": {"of": asked[0], "is": asked[1]}}})
    (finding,) = match([trial], builder.build(), catalogue, AS_OF, UTC).trials[0].cohorts[0].findings
    return finding.outcome.value


@pytest.mark.parametrize(
    ("asked", "results", "expected"),
    [
        (("her2", "positive"), [("31150-6", POSITIVE)], "met"),
        (("her2", "positive"), [("85318-4", NEGATIVE)], "not-met"),
        # An immune stain of 1+ is negative and one of 2+ is equivocal; elsewhere both are positive.
        (("her2", "positive"), [("85319-2", {"valueString": "2+"})], "unknown"),
        (("her2", "negative"), [("48676-1", {"valueString": "1+"})], "unknown"),
        (("estrogen-receptor", "positive"), [("85337-4", percent(90))], "met"),
        (("estrogen-receptor", "positive"), [("16112-5", percent(0))], "not-met"),
        (("progesterone-receptor", "positive"), [("85339-0", POSITIVE)], "met"),
        (("hormone-receptor", "positive"), [("85337-4", NEGATIVE), ("85339-0", POSITIVE)], "met"),
        (("hormone-receptor", "positive"), [("85337-4", NEGATIVE)], "unknown"),
        (("cancer-stage", ">= 3 {class}"), [("21908-9", {"valueString": "Stage IIIA"})], "met"),
        (("cancer-stage", ">= 3 {class}"), [("21902-2", {"valueString": "IIB"})], "not-met"),
        (("cancer-stage", ">= 3 {class}"), [("21908-9", {"valueString": "extensive"})], "unknown"),
    ],
)
def test_a_result_of_a_tumour_marker(
    asked: tuple[str, str], results: list[tuple[str, dict[str, Any]]], expected: str, whole: Catalogue
) -> None:
    assert outcome(whole, asked, *results) == expected


def test_the_importer_drafts_the_markers(whole: Catalogue) -> None:
    text = "Inclusion Criteria:\n* HER2-negative\n* Hormone receptor positive\n* HER2 3+ by IHC\n"
    text += "Exclusion Criteria:\n* Epilepsy"
    found = [each.asks for each in draft_of(read_record(text.encode()), whole).criteria if each.side == "inclusion"]
    assert found[:2] == [
        {"value": {"of": "her2", "is": "negative"}},
        {"value": {"of": "hormone-receptor", "is": "positive"}},
    ]
    assert "judgement" in found[2]  # a score is for a person

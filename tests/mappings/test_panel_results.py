"""A panel of antibodies: one positive member answers, a negative member does not."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from mappings.chart.chart import ChartBuilder
from mappings.concepts.catalogue import Catalogue
from mappings.facts import Polarity
from mappings.patient_facts import PatientFacts, facts_of
from tests.mappings.charts import AS_OF, Json, a_chart, an_observation

JO1, MI2 = "8076-2", "82997-8"
WHOLE = "myositis-antibodies"


def said_of_the_panel(catalogue: Catalogue, **answers: str) -> list[Polarity | None]:
    """What the panel is taken to say where the chart holds these antibodies, all of one day."""
    systems = {"whole": ("https://trialcards.org/fhir/CodeSystem/concept", WHOLE)}
    codes = {"jo1": ("http://loinc.org", JO1), "mi2": ("http://loinc.org", MI2)} | systems
    entries = [{"resource": {"resourceType": "Patient", "id": "p1"}}]
    for name, answer in answers.items():
        system, code = codes[name]
        observation: dict[str, object] = {
            "resourceType": "Observation",
            "id": name,
            "status": "final",
            "subject": {"reference": "Patient/p1"},
            "code": {"coding": [{"system": system, "code": code}]},
            "effectiveDateTime": "2026-10-20",
            "valueString": answer,
        }
        entries.append({"resource": observation})  # type: ignore[dict-item]
    builder = ChartBuilder(None)
    builder.add(json.dumps({"resourceType": "Bundle", "type": "collection", "entry": entries}).encode(), None)
    builder.whole_chart()
    facts = facts_of(builder.build(), catalogue, datetime(2026, 11, 1, tzinfo=UTC), UTC)
    return [result.polarity for result in facts.results(WHOLE)]


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({"jo1": "positive"}, [Polarity.POSITIVE]),
        ({"jo1": "positive", "mi2": "negative"}, [Polarity.POSITIVE]),
        ({"jo1": "negative"}, []),
        ({"jo1": "negative", "mi2": "negative"}, []),
        ({"whole": "negative"}, [Polarity.NEGATIVE]),
    ],
)
def test_one_positive_antibody_answers_and_only_the_whole_panel_denies(
    catalogue: Catalogue, answers: dict[str, str], said: list[Polarity]
) -> None:
    assert said_of_the_panel(catalogue, **answers) == said


def test_a_negative_member_still_answers_for_itself(catalogue: Catalogue) -> None:
    assert catalogue.find("http://loinc.org", JO1) == ("anti-jo1", WHOLE)


VIRAL_LOAD, ANTIBODY = "10351-5", "56888-1"


def facts(catalogue: Catalogue, *resources: Json) -> PatientFacts:
    return facts_of(a_chart(*resources), catalogue, AS_OF, UTC)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"valueString": "Detected"}, [Polarity.POSITIVE]),
        ({"valueQuantity": {"value": 4500, "unit": "copies/mL"}}, [Polarity.POSITIVE]),
        ({"valueQuantity": {"value": 4500, "unit": "IU/mL"}}, [Polarity.POSITIVE]),
        ({"valueString": "Not detected"}, []),
        ({"valueQuantity": {"value": 20, "comparator": "<", "unit": "copies/mL"}}, []),
    ],
)
def test_hiv_rna_that_is_found_is_an_infection_and_none_found_is_no_answer(
    catalogue: Catalogue, value: dict[str, object], said: list[Polarity]
) -> None:
    viral_load = an_observation(VIRAL_LOAD, value)
    assert [result.polarity for result in facts(catalogue, viral_load).results("hiv")] == said


def test_hiv_rna_that_is_not_found_leaves_an_older_antibody_its_word(catalogue: Catalogue) -> None:
    suppressed = an_observation(VIRAL_LOAD, {"valueString": "Not detected"})
    found = an_observation(ANTIBODY, {"valueString": "Reactive"}, id="o2", effectiveDateTime="2026-09-01")
    answers = facts(catalogue, suppressed, found).results("hiv")
    assert [result.source for result in answers] == ["Observation/o2"]

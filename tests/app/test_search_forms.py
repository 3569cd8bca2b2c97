"""Servers that refuse the plain searches, and charts too long to be read page by page."""

from __future__ import annotations

import copy
import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import pytest

from app.calls.search_forms import by_code, forms_of
from app.definitions.served import Definitions
from app.judge import Site, judge
from app.web.examples import PATIENT, WHOLE_CHART, hook_call
from cds_hooks.protocol.services import CHART
from mappings.chart.chart import ChartBuilder
from mappings.patient_facts import PatientFacts
from mappings.time.clock import Clock
from tests.app.conftest import demo_settings, services_with, serving
from tests.fhir_server import FhirServer
from tests.support.ehr import call, criteria

RESOURCES: list[dict[str, Any]] = [copy.deepcopy(entry["resource"]) for entry in WHOLE_CHART["entry"]]
for _resource in RESOURCES:
    if _resource["resourceType"] == "Observation":
        _resource["category"] = [{"coding": [{"code": "laboratory"}]}]
    if _resource["resourceType"] == "Condition":
        _resource["category"] = [{"coding": [{"code": "problem-list-item"}]}]
MANY = 10_000
DEMANDS: dict[str, dict[str, list[tuple[str, ...]]]] = {
    "category or code": {"Observation": [("category", "code")]},
    "intent": {"MedicationRequest": [("intent",)]},
    "category of diagnoses": {"Condition": [("category", "code")]},
    "all of them": {"Observation": [("category",)], "MedicationRequest": [("intent",)], "Condition": [("category",)]},
}


@pytest.mark.parametrize("demands", DEMANDS.values(), ids=DEMANDS)
async def test_a_server_that_refuses_the_plain_search_is_asked_as_us_core_obliges_it_to_answer(
    tmp_path: Any, definitions: Definitions, demands: dict[str, list[tuple[str, ...]]]
) -> None:
    async with (
        FhirServer(RESOURCES, demands=demands) as server,
        serving(services_with(demo_settings(tmp_path, deadline=4), definitions)) as client,
    ):
        first = await criteria(client, call(server))
        assert first == await criteria(client, hook_call("patient-view"))
        server.requests.clear()
        assert await criteria(client, call(server)) == first
    # The second time the server is asked at once in the form that it answers.
    for kind, groups in demands.items():
        asked = [each for each in server.requests if each.path.endswith(f"/{kind}")]
        assert asked
        assert all(any(name in each.query for name in names) for each in asked for names in groups)


async def test_a_server_that_refuses_every_search_leaves_the_type_unread(
    tmp_path: Any, definitions: Definitions
) -> None:
    async with (
        FhirServer(RESOURCES, demands={"Observation": [("nothing-that-we-know",)]}) as server,
        serving(services_with(demo_settings(tmp_path, deadline=4), definitions)) as client,
    ):
        found = await criteria(client, call(server))
    assert any(reason == "not-readable" for _, reason in found.values())


def vital_signs(count: int, code: str = "8289-1") -> list[dict[str, Any]]:
    """Percentiles of head circumference, which no concept reads, all newer than the results that matter."""
    newest = date(2026, 10, 31)
    return [
        {
            "resourceType": "Observation",
            "id": f"v-{number}",
            "status": "final",
            "category": [{"coding": [{"code": "vital-signs"}]}],
            "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
            "subject": {"reference": f"Patient/{PATIENT}"},
            "effectiveDateTime": (newest - timedelta(number // 500)).isoformat(),
            "valueQuantity": {"value": 70, "unit": "/min", "system": "http://unitsofmeasure.org", "code": "/min"},
        }
        for number in range(count)
    ]


async def test_a_chart_of_ten_thousand_results_is_read_by_the_codes_that_matter(
    tmp_path: Any, definitions: Definitions
) -> None:
    async with (
        FhirServer([*vital_signs(MANY), *RESOURCES]) as server,
        serving(services_with(demo_settings(tmp_path, deadline=8), definitions)) as client,
    ):
        found = await criteria(client, call(server))
        whole = await criteria(client, hook_call("patient-view"))
    assert found == whole
    assert len([kind for kind in server.asked_for if kind == "Observation"]) <= 24


async def test_what_is_recorded_by_the_thousand_hides_no_other_result(tmp_path: Any, definitions: Definitions) -> None:
    """Heart rates are read for QTc. Of ten thousand some are missing, and the type says so; what came still decides."""
    async with (
        FhirServer([*vital_signs(MANY, "8867-4"), *RESOURCES]) as server,
        serving(services_with(demo_settings(tmp_path, deadline=8), definitions)) as client,
    ):
        found = await criteria(client, call(server))
        whole = await criteria(client, hook_call("patient-view"))
    differing = {name: answer for name, answer in found.items() if name in whole and answer != whole[name]}
    assert set(differing.values()) <= {("unknown", "not-readable")}
    assert sum(found[name][0] in ("met", "not-met") for name in whole if name in found) > 20
    assert len([kind for kind in server.asked_for if kind == "Observation"]) <= 24


async def test_a_code_that_cannot_be_asked_for_leaves_the_pages_to_be_read(
    client_of_long: tuple[httpx.AsyncClient, FhirServer],
) -> None:
    client, server = client_of_long
    assert any(reason == "not-readable" for _, reason in (await criteria(client, call(server))).values())
    assert len([kind for kind in server.asked_for if kind == "Observation"]) > 20


@pytest.fixture
async def client_of_long(tmp_path: Any, definitions: Definitions) -> Any:
    class WithoutCode(FhirServer):
        async def _search(self, writer: Any, kind: str, query: Any) -> None:
            if "code" in query:
                await self.send(writer, 400, b"{}", {})
            else:
                await super()._search(writer, kind, query)

    async with (
        WithoutCode([*vital_signs(MANY), *RESOURCES]) as server,
        serving(services_with(demo_settings(tmp_path, deadline=8), definitions)) as client,
    ):
        yield client, server


async def test_what_no_trial_reads_makes_a_long_chart_not_incomplete(tmp_path: Any, definitions: Definitions) -> None:
    """Respiratory rates are a concept of a pack, and no trial that is served reads them."""
    async with (
        FhirServer([*vital_signs(MANY, "9279-1"), *RESOURCES]) as server,
        serving(services_with(demo_settings(tmp_path, deadline=8), definitions)) as client,
    ):
        assert await criteria(client, call(server)) == await criteria(client, hook_call("patient-view"))


def test_every_result_that_is_looked_up_is_asked_for(definitions: Definitions, monkeypatch: pytest.MonkeyPatch) -> None:
    served = definitions.now
    asked: set[str] = set()
    results, called = PatientFacts.results, PatientFacts.called

    def noting_results(facts: PatientFacts, concept: str) -> Any:
        asked.add(concept)
        return results(facts, concept)

    def noting_called(facts: PatientFacts, concept: str) -> Any:
        asked.add(concept)
        return called(facts, concept)

    monkeypatch.setattr(PatientFacts, "results", noting_results)
    monkeypatch.setattr(PatientFacts, "called", noting_called)
    builder = ChartBuilder(PATIENT)
    builder.add(json.dumps(WHOLE_CHART).encode(), None)
    builder.whole_chart()
    judge(builder.build(), served, Clock(datetime(2026, 11, 1, tzinfo=UTC), UTC), Site())
    assert {"platelets", "creatinine", "body-weight"} <= asked
    assert {name for name in asked if "Observation" in served.catalogue.where(name)} <= served.results_read


def test_addresses_stay_short_and_hold_every_code_of_a_result(definitions: Definitions) -> None:
    catalogue, wanted = definitions.now.catalogue, definitions.now.results_read
    queries = by_code("p", catalogue, wanted)
    assert not any("9279-1" in query for query in queries)
    assert max(map(len, queries)) < 1100
    asked = {code for query in queries for code in query.partition("code=")[2].partition("&")[0].split(",")}
    assert {"777-3", "2160-0", "85354-9", "sledai-2k"} <= asked
    assert all("Observation?patient=p&code=" in query and "_sort=-date" in query for query in queries)


def test_the_plain_search_comes_first_and_a_read_has_no_other_form() -> None:
    for part in CHART:
        forms = forms_of(part, "p")
        assert forms[0] == (part.query("p"),)
        assert (len(forms) == 1) == (part.resource_type == "Patient")

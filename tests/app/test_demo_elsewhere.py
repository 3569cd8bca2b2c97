"""The demo EHR's pages over another FHIR server (TRIALCARDS_DEMO_FHIR); a real one is in tests/clients."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.definitions.served import Definitions
from tests.app.conftest import demo_settings, services_with, serving
from tests.fhir_server import FhirServer, page, status

Json = dict[str, Any]
PATIENT = {"resourceType": "Patient", "id": "p", "name": [{"family": "Elsewhere"}], "birthDate": "1990"}
OUTCOME = {"resourceType": "OperationOutcome", "issue": [{"severity": "warning", "code": "processing"}]}


def condition(number: int) -> Json:
    return {
        "resourceType": "Condition",
        "id": f"c{number}",
        "code": {"text": f"Problem {number}"},
        "subject": {"reference": "Patient/p"},
    }


def bundle(*resources: Json, more: str | None = None) -> Json:
    found: Json = {"resourceType": "Bundle", "type": "searchset"}
    found["entry"] = [{"resource": resource} for resource in resources]
    return found | ({"link": [{"relation": "next", "url": more}]} if more else {})


@pytest.fixture
async def other() -> AsyncIterator[FhirServer]:
    async with FhirServer() as server:
        server.faults["Patient"] = page(bundle(PATIENT))
        yield server


@pytest.fixture
async def client(tmp_path: Path, definitions: Definitions, other: FhirServer) -> AsyncIterator[httpx.AsyncClient]:
    settings = demo_settings(tmp_path, demo_fhir=other.base + "/")
    async with serving(services_with(settings, definitions)) as client:
        yield client


async def problems(client: httpx.AsyncClient) -> list[str]:
    """The ids of the conditions in the chart page."""
    answer = await client.get("/demo/patients/p")
    assert answer.status_code == 200, answer.text
    (content,) = re.findall(r'id="chart-data">(.+?)</script>', answer.text, re.S)
    return [each["id"] for each in json.loads(content)["resources"]["Condition"]]


async def test_the_patients_of_the_other_server_are_listed(client: httpx.AsyncClient) -> None:
    listed = (await client.get("/demo")).text
    assert "Elsewhere" in listed
    assert "demo-lupus-near-miss" not in listed


async def test_a_chart_says_where_it_is_and_that_nothing_is_written_there(
    client: httpx.AsyncClient, other: FhirServer
) -> None:
    text = (await client.get("/demo/patients/p")).text
    assert f"<code>{other.base}</code>. Edits stay in this tab; nothing is written there." in text


@pytest.mark.parametrize("link", ["{base}?_getpages=1", "?_getpages=1", "{base}/Condition?page=2"])
async def test_a_chart_is_read_to_its_last_page_wherever_under_the_base_it_is(
    client: httpx.AsyncClient, other: FhirServer, link: str
) -> None:
    """HAPI FHIR's `next` is the base itself with a query."""
    last = page(bundle(condition(2)))
    more = link.format(base=other.base)

    async def first_then_last(server: FhirServer, writer: Any) -> None:
        other.faults["Condition"] = last
        await page(bundle(condition(1), more=more))(server, writer)

    other.faults |= {"Condition": first_then_last, "": last}
    assert await problems(client) == ["c1", "c2"]


async def test_what_a_server_says_beside_its_answers_is_no_record(client: httpx.AsyncClient, other: FhirServer) -> None:
    other.faults |= {"Condition": page(bundle(OUTCOME, condition(1))), "Patient": page(bundle(OUTCOME, PATIENT))}
    assert await problems(client) == ["c1"]
    assert "Elsewhere" in (await client.get("/demo")).text


@pytest.mark.parametrize("link", ["https://elsewhere.example/fhir?page=2", "{base}x?page=2", "{base}/Condition?page=2"])
async def test_a_chart_that_cannot_be_read_whole_is_not_shown(
    client: httpx.AsyncClient, other: FhirServer, link: str
) -> None:
    """An edited chart is sent as the whole of it: what was not read would count as missing."""
    other.faults["Condition"] = page(bundle(condition(1), more=link.format(base=other.base)))
    answer = await client.get("/demo/patients/p")
    assert answer.status_code == 502
    assert "shown whole or not at all" in answer.text
    assert len(other.requests) < 50


async def test_a_long_list_of_patients_is_cut(client: httpx.AsyncClient, other: FhirServer) -> None:
    other.faults["Patient"] = page(bundle(PATIENT, more=f"{other.base}/Patient?page=2"))
    answer = await client.get("/demo")
    assert (answer.status_code, len(other.requests)) == (200, 5)


@pytest.mark.parametrize("path", ["/demo", "/demo/patients/p"])
async def test_a_server_that_does_not_answer_is_named(client: httpx.AsyncClient, other: FhirServer, path: str) -> None:
    other.faults["Patient"] = status(503)
    answer = await client.get(path)
    assert answer.status_code == 502
    assert other.base in answer.text


async def test_a_patient_that_is_not_there_is_404(client: httpx.AsyncClient, other: FhirServer) -> None:
    other.faults["Patient"] = page(bundle())
    answer = await client.get("/demo/patients/p")
    assert answer.status_code == 404
    assert "has no patient of this id" in " ".join(answer.text.split())

"""Reading what was not prefetched, from a FHIR server on a real socket, in all the ways in which that fails."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from app.calls.complete_chart import MOST_PAGES
from app.definitions.served import Definitions
from app.web.examples import PATIENT, WHOLE_CHART, hook_call
from tests import fhir_server
from tests.app.conftest import demo_settings, services_with, serving
from tests.fhir_server import FhirServer, a_drug_by_reference, body, page, status
from tests.support.ehr import SERVICE, TOKEN, call, criteria

RESOURCES = [entry["resource"] for entry in WHOLE_CHART["entry"]]


@pytest.fixture
async def server() -> AsyncIterator[FhirServer]:
    async with FhirServer(RESOURCES) as server:
        yield server


@pytest.fixture
async def client(tmp_path: Any, definitions: Definitions) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(services_with(demo_settings(tmp_path, deadline=1.2), definitions)) as client:
        yield client


async def not_readable(client: httpx.AsyncClient, server: FhirServer) -> bool:
    """Whether some criterion is open because something was not read."""
    return any(reason == "not-readable" for _, reason in (await criteria(client, call(server))).values())


async def test_what_is_read_from_the_ehr_says_the_same_as_what_is_prefetched(
    client: httpx.AsyncClient, server: FhirServer
) -> None:
    prefetched = await criteria(client, hook_call("patient-view"))
    assert await criteria(client, call(server)) == prefetched
    assert f"Patient/{PATIENT}" in server.asked_for


async def test_a_full_prefetch_asks_nothing_of_the_ehr(client: httpx.AsyncClient, server: FhirServer) -> None:
    await criteria(client, call(server, *hook_call("patient-view")["prefetch"]))
    assert server.requests == []


async def test_every_query_carries_the_token_and_asks_for_fhir(client: httpx.AsyncClient, server: FhirServer) -> None:
    await criteria(client, call(server))
    for asked in server.requests:
        assert asked.headers["authorization"] == f"Bearer {TOKEN}"
        assert asked.headers["accept"] == "application/fhir+json"
        assert "cookie" not in asked.headers


async def test_every_query_asks_for_what_is_true_now(client: httpx.AsyncClient, server: FhirServer) -> None:
    """HAPI FHIR answers an equal search out of its memory for a minute, unless it is told not to."""
    await criteria(client, call(server))
    assert {asked.headers.get("cache-control") for asked in server.requests} == {"no-cache"}


async def test_only_what_is_missing_is_asked_for(client: httpx.AsyncClient, server: FhirServer) -> None:
    keys = set(hook_call("patient-view")["prefetch"]) - {"observations"}
    await criteria(client, call(server, *keys))
    assert server.asked_for == ["Observation"]


async def test_every_page_is_read(client: httpx.AsyncClient, server: FhirServer) -> None:
    server.page_size = 1
    assert await criteria(client, call(server)) == await criteria(client, hook_call("patient-view"))


async def test_a_prefetched_page_is_followed(client: httpx.AsyncClient, server: FhirServer) -> None:
    request = call(server, *hook_call("patient-view")["prefetch"])
    results = request["prefetch"]["observations"]
    request["prefetch"]["observations"] = results | {
        "entry": results["entry"][:1],
        "link": [{"relation": "next", "url": f"{server.base}/Observation?patient={PATIENT}&start=1"}],
    }
    assert await criteria(client, request) == await criteria(client, hook_call("patient-view"))


async def test_a_prefetched_page_that_cannot_be_followed_leaves_the_type_incomplete(client: httpx.AsyncClient) -> None:
    request = hook_call("patient-view")
    request["prefetch"]["procedures"] = {
        "resourceType": "Bundle",
        "type": "searchset",
        "link": [{"relation": "next", "url": "http://127.0.0.1:1/fhir/Procedure?page=2"}],
    }
    assert any(reason == "not-readable" for _, reason in (await criteria(client, request)).values())


FAILURES = {
    "401": status(401),
    "403": status(403),
    "404": status(404),
    "500": status(500),
    "302": status(302, Location="http://127.0.0.1:1/"),
    "503 twice": status(503),
    "429 with a long wait": status(429, Retry_After="60"),
    "reset": fhir_server.reset,
    "truncated": fhir_server.truncated,
    "HTML": body(b"<html>Please log in</html>", "text/html"),
    "no JSON": body(b'{"resourceType": "Bundle", '),
    "another resource": body(b'{"resourceType": "Patient", "id": "x"}'),
    "an outcome": body(b'{"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "x"}]}'),
    "deep": body(b'{"resourceType":"Bundle","x":' + b"[" * 50_000 + b"]" * 50_000 + b"}"),
    "endless": fhir_server.endless,
}


@pytest.mark.parametrize("fault", FAILURES.values(), ids=FAILURES)
async def test_an_optional_part_that_fails_leaves_its_criteria_open(
    client: httpx.AsyncClient, server: FhirServer, fault: fhir_server.Fault
) -> None:
    server.faults["Observation"] = fault
    assert await not_readable(client, server)
    assert len(server.requests) < 20 + MOST_PAGES


@pytest.mark.parametrize("fault", FAILURES.values(), ids=FAILURES)
@pytest.mark.parametrize("required", ["Patient", "Condition"])
async def test_a_required_part_that_fails_is_412(
    client: httpx.AsyncClient, server: FhirServer, fault: fhir_server.Fault, required: str
) -> None:
    server.faults[required] = fault
    answer = await client.post(SERVICE, json=call(server))
    # A resource that is none of ours where the Patient was asked for is no chart of another patient.
    assert answer.status_code in (412, 422)
    assert answer.json()["resourceType"] == "OperationOutcome"
    assert TOKEN not in answer.text


@pytest.mark.parametrize(
    "fault", [status(503, times=1), status(502, times=1), status(504, times=1), status(429, times=1, Retry_After="0")]
)
async def test_a_passing_fault_is_tried_once_more(
    client: httpx.AsyncClient, server: FhirServer, fault: fhir_server.Fault
) -> None:
    server.faults["Observation"] = fault
    assert not await not_readable(client, server)


async def test_a_server_that_drips_does_not_stretch_the_deadline(client: httpx.AsyncClient, server: FhirServer) -> None:
    server.faults["Observation"] = fhir_server.drip
    started = time.monotonic()
    assert await not_readable(client, server)
    assert time.monotonic() - started < 1.8


async def test_a_next_page_elsewhere_is_not_asked_for(client: httpx.AsyncClient, server: FhirServer) -> None:
    async with FhirServer(RESOURCES) as other:
        link = {"relation": "next", "url": f"{other.base}/Observation?patient={PATIENT}"}
        server.faults["Observation"] = page({"resourceType": "Bundle", "type": "searchset", "link": [link]})
        assert await not_readable(client, server)
        assert other.requests == []


async def test_a_next_page_that_points_to_itself_ends(client: httpx.AsyncClient, server: FhirServer) -> None:
    link = {"relation": "next", "url": f"{server.base}/Observation?again"}
    server.faults["Observation"] = page({"resourceType": "Bundle", "type": "searchset", "link": [link]})
    assert await not_readable(client, server)
    assert server.asked_for.count("Observation") == 2


async def test_a_drug_named_by_reference_is_read(client: httpx.AsyncClient) -> None:
    coded = {"coding": [{"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "121191"}]}
    drug = {"resourceType": "Medication", "id": "m", "code": coded}
    request = a_drug_by_reference(PATIENT)
    async with FhirServer([*RESOURCES, request, drug]) as server:
        found = await criteria(client, call(server))
        assert "Medication/m" in server.asked_for
    async with FhirServer([*RESOURCES, request]) as server:
        assert await criteria(client, call(server)) != found


UNTRUSTED = [
    "http://169.254.169.254/latest",
    "http://2130706433/fhir",
    "http://0/fhir",
    "https://example.org/fhir",
    "file:///etc/passwd",
    "httpsx://127.0.0.1/fhir",
]


@pytest.mark.parametrize("address", UNTRUSTED)
async def test_a_server_that_is_not_trusted_is_not_called(client: httpx.AsyncClient, address: str) -> None:
    request = hook_call("patient-view") | {"fhirServer": address, "prefetch": {}}
    started = time.monotonic()
    assert (await client.post(SERVICE, json=request)).status_code == 412
    assert time.monotonic() - started < 0.5


async def test_a_token_that_has_ended_is_not_used(client: httpx.AsyncClient, server: FhirServer) -> None:
    ended = {"access_token": TOKEN, "token_type": "Bearer", "expires_in": 0}
    answer = await client.post(SERVICE, json=call(server, fhirAuthorization=ended))
    assert answer.status_code == 412
    assert server.requests == []

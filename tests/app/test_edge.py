"""What every answer has: ids, headers, CORS, errors in the form of their address, and silence about the rest."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from app.logs import configure_logs
from app.main import create_app
from app.web.examples import hook_call
from app.wiring import Services

SERVICE = "/cds-services/trial-match-patient-view"
SANDBOX = "https://sandbox.cds-hooks.org"
PREFLIGHT = {"access-control-request-method": "POST", "access-control-request-headers": "authorization,content-type"}


@pytest.mark.parametrize("path", [SERVICE + "/", "/cds-services/", "/cds-services/none", "/cds-services/none/feedback"])
async def test_an_unknown_service_or_a_trailing_slash_is_404_and_never_a_redirect(
    client: httpx.AsyncClient, path: str
) -> None:
    answer = await client.post(path, json=hook_call("patient-view"))
    assert answer.status_code in (404, 405)
    assert answer.json()["resourceType"] == "OperationOutcome"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", SERVICE, "POST"),
        ("PUT", SERVICE, "POST"),
        ("POST", "/cds-services", "GET"),
        ("GET", "/api/v1/match", "POST"),
    ],
)
async def test_another_method_is_405_and_names_the_right_one(
    client: httpx.AsyncClient, method: str, path: str, allowed: str
) -> None:
    answer = await client.request(method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)


async def test_an_address_that_is_not_there_is_a_problem_document(client: httpx.AsyncClient) -> None:
    answer = await client.get("/canary")
    assert answer.json() == {
        "type": "about:blank",
        "title": "Not found",
        "status": 404,
        "detail": "There is nothing at this address.",
    }


@pytest.mark.parametrize("origin", [SANDBOX, "http://localhost:8080", "http://127.0.0.1:3000"])
async def test_an_allowed_origin_may_ask_before_it_calls(client: httpx.AsyncClient, origin: str) -> None:
    for path in ("/cds-services", SERVICE, SERVICE + "/feedback"):
        answer = await client.options(path, headers=PREFLIGHT | {"origin": origin})
        assert answer.status_code == 204
        assert answer.headers["access-control-allow-origin"] == origin
        assert "authorization" in answer.headers["access-control-allow-headers"]
        assert "Origin" in answer.headers["vary"]


@pytest.mark.parametrize(
    "origin", ["null", f"{SANDBOX}.evil.example", "http://sandbox.cds-hooks.org", "https://evil.example"]
)
async def test_a_foreign_origin_is_told_nothing(client: httpx.AsyncClient, origin: str) -> None:
    asked = await client.options(SERVICE, headers=PREFLIGHT | {"origin": origin})
    called = await client.post(SERVICE, json=hook_call("patient-view"), headers={"origin": origin})
    for answer in (asked, called):
        assert "access-control-allow-origin" not in answer.headers


async def test_in_the_demo_its_fhir_endpoint_may_be_read_by_the_same_origins(client: httpx.AsyncClient) -> None:
    """So a client in a browser can play the EHR."""
    for path in ("/demo/fhir/metadata", "/demo/fhir/Patient?_count=1"):
        own, foreign = [await client.get(path, headers={"origin": one}) for one in (SANDBOX, "https://evil.example")]
        assert own.headers["access-control-allow-origin"] == SANDBOX
        assert "access-control-allow-origin" not in foreign.headers
    page = await client.get("/demo", headers={"origin": SANDBOX})
    assert "access-control-allow-origin" not in page.headers


async def test_the_demos_fhir_endpoint_is_searched_by_form_as_by_address(client: httpx.AsyncClient) -> None:
    params = {"patient": "demo-lupus-near-miss", "_count": "20"}
    searched = (await client.get("/demo/fhir/Observation", params=params)).json()
    form = (await client.post("/demo/fhir/Observation/_search", data=params)).json()
    assert form == searched
    (more,) = (link["url"] for link in form["link"] if link["relation"] == "next")
    assert len((await client.get(more)).json()["entry"]) == 20


async def test_errors_carry_the_cors_headers_too(client: httpx.AsyncClient) -> None:
    for body in (b"{", b"[]"):
        headers = {"origin": SANDBOX, "content-type": "application/json"}
        answer = await client.post(SERVICE, content=body, headers=headers)
        assert answer.headers["access-control-allow-origin"] == SANDBOX


async def test_request_ids_are_our_own_and_differ(client: httpx.AsyncClient) -> None:
    ids = {(await client.get("/healthz", headers={"x-request-id": "canary"})).headers["x-request-id"] for _ in range(3)}
    assert len(ids) == 3
    assert "canary" not in ids


@pytest.fixture
async def broken(services: Services) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(services)

    async def fail() -> None:
        raise ValueError("canary in an exception")

    app.add_api_route("/cds-services/broken", fail, methods=["POST"])
    app.add_api_route("/broken", fail)
    transport = httpx.ASGITransport(app, raise_app_exceptions=True)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        yield client
    await services.outbound.close()
    await services.records.close()


async def test_a_fault_of_ours_is_500_with_an_opaque_reference(broken: httpx.AsyncClient) -> None:
    lines = io.StringIO()
    configure_logs(lines)
    outcome = await broken.post("/cds-services/broken", headers={"origin": SANDBOX})
    problem = await broken.get("/broken")
    assert (outcome.status_code, problem.status_code) == (500, 500)
    assert outcome.headers["access-control-allow-origin"] == SANDBOX
    assert outcome.headers["x-request-id"] in outcome.json()["issue"][0]["diagnostics"]
    assert problem.headers["x-request-id"] in problem.json()["detail"]
    assert "canary" not in outcome.text + problem.text + lines.getvalue()
    logged = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert any("ValueError" in entry.get("where", ()) for entry in logged)


async def test_nothing_of_the_patient_and_no_token_reaches_the_log_or_the_counters(client: httpx.AsyncClient) -> None:
    lines = io.StringIO()
    configure_logs(lines)
    body: dict[str, Any] = hook_call("patient-view")
    body["fhirServer"] = "https://ehr.example/fhir"
    body["fhirAuthorization"] = {"access_token": "canary-token", "token_type": "Bearer"}
    text = json.dumps(body).replace("example-patient", "canary-patient")
    headers = {"content-type": "application/json", "authorization": "Bearer canary-jwt"}
    assert (await client.post(SERVICE + "?canary", content=text, headers=headers)).status_code == 200
    assert (await client.post(SERVICE, content=text[:-5], headers=headers)).status_code == 400
    counters = (await client.get("/metrics")).text
    assert "trialcards_requests_total" in counters
    assert lines.getvalue()
    assert "canary" not in lines.getvalue() + counters

"""CDS Hooks at the door of a production service: what the checklist asks for and no other test shows over HTTP."""

from __future__ import annotations

import asyncio
import copy
import json
import re
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import Request

from app.definitions.served import Definitions
from app.errors import TooSlow
from app.web.examples import PATIENT, WHOLE_CHART, hook_call
from app.web.strict_json import read_body
from cds_hooks.protocol.services import OFFERS
from tests.app.conftest import demo_settings, services_with, serving
from tests.cds_hooks.oracle import check_discovery, check_response
from tests.fhir_server import FhirServer, a_drug_by_reference
from tests.hospital import BASE, OPERATOR, VIEW, bearer, signed
from tests.support.protocol import JSON, ask, production_settings

CANARY = "canary-4711"


@pytest.fixture
async def hospital(tmp_path: Path, definitions: Definitions) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(services_with(production_settings(tmp_path), definitions), BASE) as client:
        yield client


def outcome(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/fhir+json"
    assert answer.json()["resourceType"] == "OperationOutcome"
    assert CANARY not in answer.text
    return str(answer.json()["issue"][0]["diagnostics"])


def sending(**changes: object) -> dict[str, Any]:
    return copy.deepcopy(hook_call("patient-view")) | changes


# -- discovery


async def test_discovery_is_open_conformant_and_the_same_with_any_authorization(hospital: httpx.AsyncClient) -> None:
    plain = await hospital.get("/cds-services")
    check_discovery(plain.json())
    for header in (bearer(signed("/cds-services")), bearer("broken"), {"authorization": "Basic eDp5"}):
        assert (await hospital.get("/cds-services", headers=header)).content == plain.content


async def test_every_service_that_is_listed_can_be_called(hospital: httpx.AsyncClient) -> None:
    listed = (await hospital.get("/cds-services")).json()["services"]
    assert len({(entry["id"], entry["hook"]) for entry in listed}) == len({entry["id"] for entry in listed})
    for entry in listed:
        path = f"/cds-services/{entry['id']}"
        answer = await hospital.post(path, json={}, headers=bearer(signed(path)))
        assert answer.status_code == 422


async def test_templates_need_nothing_but_the_patient(hospital: httpx.AsyncClient) -> None:
    for entry in (await hospital.get("/cds-services")).json()["services"]:
        for template in entry["prefetch"].values():
            assert set(re.findall(r"\{\{(.*?)\}\}", template)) == {"context.patientId"}


async def test_the_head_of_discovery_is_answered_or_refused_by_name(hospital: httpx.AsyncClient) -> None:
    answer = await hospital.head("/cds-services")
    assert answer.status_code == 200 or (answer.status_code, answer.headers["allow"]) == (405, "GET")


# -- calls


@pytest.mark.parametrize("body", [b"[]", b'"x"', b"null", b"3"])
async def test_json_that_is_no_object_is_422(hospital: httpx.AsyncClient, body: bytes) -> None:
    outcome(await ask(hospital, body), 422)


@pytest.mark.parametrize("body", [b"", b'{"hook":', b"{'a':1}", '{"a":1}'.encode("utf-16"), b'{"a":1}//x', b'{"a":1,}'])
async def test_a_body_that_cannot_be_parsed_is_400(hospital: httpx.AsyncClient, body: bytes) -> None:
    outcome(await ask(hospital, body), 400)


@pytest.mark.parametrize("accept", ["text/html", "*/*", "application/json", "image/png"])
async def test_the_answer_is_json_whatever_is_accepted(hospital: httpx.AsyncClient, accept: str) -> None:
    answer = await ask(hospital, Accept=accept)
    assert answer.headers["content-type"] == "application/json"
    check_response(answer.json(), f"Patient/{PATIENT}")


async def test_in_production_a_plain_http_fhir_server_is_not_called(hospital: httpx.AsyncClient) -> None:
    async with FhirServer() as server:
        outcome(await ask(hospital, sending(prefetch={}, fhirServer=server.base)), 412)
        assert server.requests == []


async def test_a_token_of_another_patient_is_refused_before_any_call(client: httpx.AsyncClient) -> None:
    async with FhirServer() as server:
        authorization = {"access_token": CANARY, "token_type": "Bearer", "expires_in": 300, "patient": "another"}
        body = sending(prefetch={}, fhirServer=server.base, fhirAuthorization=authorization)
        answer = await client.post(VIEW, json=body)
        assert "fhirAuthorization.patient" in outcome(answer, 422)
        assert server.requests == []


async def test_what_the_ehr_looked_for_in_vain_or_answered_with_an_error_is_not_asked_for_again(
    client: httpx.AsyncClient,
) -> None:
    refusal = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "exception"}]}
    async with FhirServer() as server:
        body = sending(fhirServer=server.base)
        body["prefetch"] |= {"procedures": None, "immunizations": refusal}
        assert (await client.post(VIEW, json=body)).status_code == 200
        assert server.requests == []


@pytest.mark.parametrize("key", ["patient", "conditions", "observations", "procedures", "consents"])
async def test_a_prefetched_value_of_another_kind_is_as_good_as_none(client: httpx.AsyncClient, key: str) -> None:
    others: list[object] = [3, "x", [], {}, True, {"resourceType": "Organization"}, {"resourceType": 7}]
    for value in others:
        body = sending()
        body["prefetch"][key] = value
        answer = await client.post(VIEW, json=body)
        assert answer.status_code == (412 if key in ("patient", "conditions") else 200), value


async def test_a_prefetch_under_keys_that_nobody_asked_for_is_passed_over(client: httpx.AsyncClient) -> None:
    body = sending()
    empty = {"resourceType": "Bundle", "type": "searchset"}
    body["prefetch"] |= {"user": empty, "{{userPractitionerRoleId}}": empty, "": None}
    plain, more = await client.post(VIEW, json=sending()), await client.post(VIEW, json=body)
    assert [card["detail"] for card in plain.json()["cards"]] == [card["detail"] for card in more.json()["cards"]]


async def test_two_patients_at_once_get_their_own_answers(client: httpx.AsyncClient) -> None:
    nobody = sending()
    nobody["prefetch"]["conditions"] = None
    bodies = [sending(), nobody] * 10
    answers = await asyncio.gather(*(client.post(VIEW, json=body) for body in bodies))
    assert [bool(answer.json()["cards"]) for answer in answers] == [True, False] * 10


async def test_no_link_of_a_card_says_anything_of_the_patient(client: httpx.AsyncClient) -> None:
    text = json.dumps(sending()).replace(PATIENT, CANARY)
    cards = (await client.post(VIEW, content=text, headers=JSON)).json()["cards"]
    assert cards
    for card in cards:
        assert CANARY not in json.dumps([card["source"], card.get("links"), card["overrideReasons"]])


# -- hostile bodies


def with_observations(*entries: dict[str, Any]) -> dict[str, Any]:
    body = sending()
    body["prefetch"]["observations"]["entry"] += [{"resource": entry} for entry in entries]
    return body


def result(**more: object) -> dict[str, Any]:
    found: dict[str, Any] = copy.deepcopy(WHOLE_CHART["entry"][2]["resource"])
    return found | {"id": "x"} | more


HOSTILE: dict[str, Callable[[], bytes]] = {
    "a number beyond all bounds": lambda: _raw_value("1e999"),
    "a number of five thousand digits": lambda: _raw_value("9" * 5000),
    "a very small number": lambda: _raw_value("1e-999"),
    "half a character": lambda: json.dumps(with_observations(result(note=[{"text": "\ud800"}]))).encode(),
    "NUL and C1 controls": lambda: json.dumps(with_observations(result(valueString="\x00\x85"))).encode(),
    "fifty thousand keys": lambda: json.dumps(
        sending(prefetch=hook_call("patient-view")["prefetch"] | {f"k{n}": None for n in range(50_000)})
    ).encode(),
    "ten thousand entries": lambda: json.dumps(
        with_observations(*(result(id=f"r{n}") for n in range(10_000)))
    ).encode(),
    "a text of five megabytes": lambda: json.dumps(with_observations(result(valueString="9 " * 2_500_000))).encode(),
    "ten thousand codings": lambda: json.dumps(
        with_observations(result(code={"coding": [{"system": "x", "code": str(n)} for n in range(10_000)]}))
    ).encode(),
    "units and dates that would tire a reader": lambda: json.dumps(
        with_observations(
            result(valueQuantity={"value": 1, "unit": "a" * 50_000 + "!"}),
            result(effectiveDateTime="1" * 50_000 + "-"),
            result(valueString="<" + "1." * 30_000),
            result(referenceRange=[{"text": "0-" * 30_000}]),
        )
    ).encode(),
    "a resource that contains itself": lambda: json.dumps(
        with_observations(result(contained=[result(contained=[{"resourceType": "Observation", "id": "x"}])]))
    ).encode(),
    "levels that brackets in texts hide": lambda: _levels_in_texts(900),
    "more of these than a reader can follow": lambda: _levels_in_texts(5000),
    "drugs that are made of themselves": lambda: json.dumps(_cyclic_drugs()).encode(),
}


def _raw_value(number: str) -> bytes:
    return json.dumps(with_observations(result(valueQuantity={"value": 424242}))).replace("424242", number).encode()


def _levels_in_texts(depth: int) -> bytes:
    hidden = '["]",' * depth + "1" + ',"["]' * depth
    body = with_observations(*(result(id=name, **{name: "here"}) for name in ("component", "extension", "code")))
    return json.dumps(body).replace('"here"', hidden).encode()


def _cyclic_drugs() -> dict[str, Any]:
    drug = {
        "resourceType": "Medication",
        "id": "m",
        "ingredient": [{"itemReference": {"reference": "Medication/m"}}],
    }
    request = a_drug_by_reference(PATIENT, contained=[drug])
    body = sending()
    entries = [{"resource": request}, {"resource": drug}]
    body["prefetch"]["medicationRequests"] = {"resourceType": "Bundle", "type": "searchset", "entry": entries}
    return body


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_chart_is_answered_or_refused_in_bounded_time(client: httpx.AsyncClient, name: str) -> None:
    body = HOSTILE[name]()
    started = time.monotonic()
    answer = await client.post(VIEW, content=body, headers=JSON)
    assert answer.status_code in (200, 400, 413, 422)
    assert time.monotonic() - started < 6
    if answer.status_code == 200:
        check_response(answer.json(), f"Patient/{PATIENT}")


@pytest.mark.parametrize("depth", [200, 900, 100_000])
async def test_a_prefetched_value_that_is_nested_too_deep_is_refused(client: httpx.AsyncClient, depth: int) -> None:
    text = json.dumps(sending()).replace('"prefetch": {', '"prefetch": {"x": ' + "[" * depth + "]" * depth + ", ", 1)
    assert "levels deep" in outcome(await client.post(VIEW, content=text.encode(), headers=JSON), 400)


@pytest.mark.parametrize("name", ["context", "prefetch", "hook", "fhirServer"])
async def test_a_member_that_stands_twice_is_refused(hospital: httpx.AsyncClient, name: str) -> None:
    text = json.dumps(sending())[:-1] + f', "{name}": {{}}}}'
    if f'"{name}"' not in json.dumps(sending()):
        text = text[:-1] + f', "{name}": 1}}'
    assert "stands twice" in outcome(await ask(hospital, text.encode()), 400)


@pytest.mark.parametrize("instance", ["a\r\nX-Forged: 1", "=cmd()|x", "a b", ""])
async def test_a_hook_instance_that_could_forge_a_line_is_refused(hospital: httpx.AsyncClient, instance: str) -> None:
    answer = await ask(hospital, sending(hookInstance=instance))
    assert answer.status_code in (200, 422)
    if "\n" in instance or " " in instance or not instance:
        assert answer.status_code == 422
    assert "X-Forged" not in answer.headers


async def test_a_body_that_drips_is_408() -> None:
    async def receive() -> dict[str, Any]:
        await asyncio.sleep(0.02)
        return {"type": "http.request", "body": b" ", "more_body": True}

    headers = [(b"content-type", b"application/json")]
    request = Request({"type": "http", "method": "POST", "path": VIEW, "headers": headers}, receive)
    with pytest.raises(TooSlow, match=r"within 0\.2 seconds"):
        await read_body(request, 4096, within=0.2)


async def test_references_of_a_chart_lead_nowhere_outside(client: httpx.AsyncClient) -> None:
    async with FhirServer() as evil, FhirServer() as server:
        documents = [{"reference": f"{evil.base}/DocumentReference/1"}]
        request = a_drug_by_reference(PATIENT, f"{evil.base}/Medication/m", supportingInformation=documents)
        body = sending(fhirServer=server.base)
        entry = [{"fullUrl": f"{evil.base}/MedicationRequest/r", "resource": request}]
        body["prefetch"]["medicationRequests"] = {"resourceType": "Bundle", "type": "searchset", "entry": entry}
        assert (await client.post(VIEW, json=body)).status_code == 200
        assert evil.requests == []


# -- feedback


async def test_a_batch_of_a_hundred_is_stored_and_repeated_without_effect(hospital: httpx.AsyncClient) -> None:
    cards = (await ask(hospital)).json()["cards"]
    items = [
        {
            "card": cards[0]["uuid"] if n == 0 else f"unknown-{n}",
            "outcome": "overridden",
            "outcomeTimestamp": f"2026-10-{1 + n % 28:02}T11:00:{n % 60:02}+02:00",
        }
        for n in range(100)
    ]
    path = VIEW + "/feedback"
    for _ in range(2):
        answer = await hospital.post(path, json={"feedback": items}, headers=bearer(signed(path)))
        assert (answer.status_code, answer.json()) == (200, {})
    summary = (await hospital.get("/api/v1/feedback/summary", headers=bearer(OPERATOR))).json()
    assert sum(row["count"] for row in summary["feedback"]) == 100


async def test_feedback_needs_a_token_and_its_body_is_capped(hospital: httpx.AsyncClient) -> None:
    path = VIEW + "/feedback"
    assert (await hospital.post(path, json={"feedback": []})).status_code == 401
    large = b'{"feedback": [' + b" " * 1_100_000 + b"]}"
    assert (await hospital.post(path, content=large, headers=JSON | bearer(signed(path)))).status_code == 413


# -- transport


async def test_in_production_browsers_are_told_to_come_by_tls_only(hospital: httpx.AsyncClient) -> None:
    for path in ("/healthz", "/cds-services", "/nowhere"):
        assert "max-age" in (await hospital.get(path)).headers["strict-transport-security"]


async def test_every_answer_but_discovery_is_not_stored(hospital: httpx.AsyncClient) -> None:
    answers = [await ask(hospital), await ask(hospital, b"["), await hospital.get("/api/v1/trials")]
    answers += [await hospital.post(VIEW, json={}), await hospital.get("/nowhere")]
    assert {answer.headers["cache-control"] for answer in answers} == {"no-store"}
    assert len({answer.headers["x-request-id"] for answer in answers}) == len(answers)


async def test_in_production_there_is_no_demo(hospital: httpx.AsyncClient) -> None:
    for path in ("/demo", "/demo/", "/demo/fhir/Patient"):
        assert (await hospital.get(path)).status_code == 404


async def test_health_is_green_while_every_slot_is_taken(tmp_path: Path, definitions: Definitions) -> None:
    services = services_with(demo_settings(tmp_path, max_concurrent=2), definitions)
    async with serving(services) as client:
        with services.slots, services.slots:
            started = time.monotonic()
            answers = await asyncio.gather(*(client.post(VIEW, json=sending()) for _ in range(50)))
            assert {answer.status_code for answer in answers} == {503}
            assert (time.monotonic() - started) / 50 < 0.1
            assert (await client.get("/healthz")).status_code == 200
            assert (await client.get("/readyz")).status_code == 200
        assert (await client.post(VIEW, json=sending())).status_code == 200


def test_only_hooks_of_the_contract_are_offered() -> None:
    assert {offer.hook for offer in OFFERS} <= {"patient-view", "encounter-start", "order-select", "order-sign"}


async def test_a_reference_to_another_address_of_the_ehr_counts_only_where_the_entry_lists_it(
    tmp_path: Path, definitions: Definitions
) -> None:
    body = json.loads(
        json.dumps(hook_call("patient-view")).replace('"Patient/', '"https://ehr.example:443/fhir/Patient/')
    )
    listed = 'fhir_servers = ["https://EHR.example/fhir/"]'
    async with serving(services_with(production_settings(tmp_path, listed), definitions), BASE) as client:
        assert (await ask(client, body)).json()["cards"]
    async with serving(services_with(production_settings(tmp_path), definitions), BASE) as client:
        assert "fhir_servers" in outcome(await ask(client, body), 412)

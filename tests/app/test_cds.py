"""CDS Hooks over HTTP: discovery, calls with a full prefetch, feedback and what it silences."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import create_engine

from app.definitions.served import Definitions
from app.storage.database import url_of
from app.web.examples import PATIENT, hook_call
from tests.app.conftest import demo_settings, services_with, serving
from tests.support.cds import SERVICE, call, prefetching

CANARY = "canary-4711"


def without(*keys: str) -> dict[str, Any]:
    body = call()
    for key in keys:
        del body["prefetch"][key]
    return body


def lab(name: str, code: str, value: float, unit: str, day: str = "2026-10-20") -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": name,
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
        "subject": {"reference": f"Patient/{PATIENT}"},
        "effectiveDateTime": day,
        "valueQuantity": {"value": value, "unit": unit},
        "referenceRange": [{"high": {"value": 2 * value, "unit": unit}}],
    }


async def test_discovery_is_the_same_bytes_and_cacheable(client: httpx.AsyncClient) -> None:
    first, second = await client.get("/cds-services"), await client.get("/cds-services")
    assert first.status_code == 200
    assert first.headers["content-type"].startswith("application/json")
    assert first.content == second.content
    assert first.headers["etag"] == second.headers["etag"]
    again = await client.get("/cds-services", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


async def test_a_full_prefetch_is_answered_with_cards_and_nothing_is_cached(client: httpx.AsyncClient) -> None:
    answer = await client.post(SERVICE, json=call())
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-request-id"]
    cards = answer.json()["cards"]
    assert cards
    assert all(card["indicator"] == "info" for card in cards)


async def test_the_same_call_gives_the_same_content_but_for_uuids_and_addresses(client: httpx.AsyncClient) -> None:
    first, second = [(await client.post(SERVICE, json=call())).json() for _ in range(2)]
    assert _said(first) == _said(second)


def _said(answer: dict[str, Any]) -> list[tuple[object, ...]]:
    return [(c["summary"], c.get("detail"), c["source"], c.get("extension")) for c in answer["cards"]]


async def test_a_patient_with_none_of_the_diseases_gets_an_empty_list(client: httpx.AsyncClient) -> None:
    answer = await client.post(SERVICE, json=prefetching(conditions=None))
    assert (answer.status_code, answer.json()) == (200, {"cards": []})


async def test_no_card_for_a_patient_who_denies_research(client: httpx.AsyncClient) -> None:
    consent = {
        "resourceType": "Consent",
        "id": "c",
        "status": "active",
        "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "research"}]},
        "patient": {"reference": f"Patient/{PATIENT}"},
        "provision": {"type": "deny"},
    }
    bundle = {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": consent}]}
    answer = await client.post(SERVICE, json=prefetching(consents=bundle))
    assert (answer.status_code, answer.json()) == (200, {"cards": []})


async def test_no_card_shows_a_result_whose_label_the_site_has_restricted(
    tmp_path: Path, definitions: Definitions
) -> None:
    label = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}
    body = call()
    body["prefetch"]["observations"]["entry"][0]["resource"]["meta"] = {"security": [label]}
    settings = demo_settings(tmp_path, restricted_labels=(f"{label['system']}|R",))
    async with serving(services_with(settings, definitions)) as client:
        allowed, restricted = await client.post(SERVICE, json=call()), await client.post(SERVICE, json=body)
    assert "Observation/result-1" in allowed.text
    assert restricted.status_code == 200
    assert "Observation/result-1" not in restricted.text


async def test_records_that_are_not_understood_are_counted_by_type_without_their_words(
    tmp_path: Path, definitions: Definitions
) -> None:
    body = call()
    unknown = {
        "resourceType": "Condition", "id": "x", "subject": {"reference": f"Patient/{PATIENT}"},
        "code": {"coding": [{"system": "urn:oid:1.2.3", "code": "K1"}], "text": "Choroba"},
    }  # fmt: skip
    body["prefetch"]["conditions"]["entry"].append({"resource": unknown})
    services = services_with(demo_settings(tmp_path), definitions)
    async with serving(services) as client:
        assert (await client.post(SERVICE, json=body)).status_code == 200
    counted = services.metrics.text().decode()
    assert 'trialcards_not_understood_records_total{resource_type="Condition"} 1.0' in counted
    assert "K1" not in counted
    assert "Choroba" not in counted


async def test_encounter_start_is_answered_by_its_own_service(client: httpx.AsyncClient) -> None:
    body = hook_call("encounter-start", encounterId="e")
    assert (await client.post("/cds-services/trial-match-encounter-start", json=body)).json()["cards"]
    assert (await client.post(SERVICE, json=body)).status_code == 422


UNUSABLE = [
    ([], "the body"),
    (call(hook=None), "hook"),
    (call(hook="order-sign"), "hook"),
    (call(hookInstance=None), "hookInstance"),
    (call(context=None), "context"),
    (call(context={"userId": "Practitioner/1", "patientId": f"Patient/{CANARY}"}), "context.patientId"),
    (call(context={"userId": "Practitioner/1", "patientId": f"{CANARY}&_include=*"}), "context.patientId"),
    (call(context={"patientId": "1"}), "context.userId"),
    (call(fhirAuthorization={"access_token": CANARY, "token_type": "Bearer"}), "fhirServer"),
]


@pytest.mark.parametrize(("body", "place"), UNUSABLE)
async def test_what_does_not_conform_is_422_and_names_the_place_only(
    client: httpx.AsyncClient, body: object, place: str
) -> None:
    answer = await client.post(SERVICE, json=body)
    assert answer.status_code == 422
    assert place in _diagnostics(answer)
    assert CANARY not in answer.text


async def test_another_patients_resource_is_422(client: httpx.AsyncClient) -> None:
    answer = await client.post(SERVICE, json=prefetching(patient={"resourceType": "Patient", "id": CANARY}))
    assert answer.status_code == 422
    assert "not the patient of the context" in _diagnostics(answer)
    assert CANARY not in answer.text


def _diagnostics(answer: httpx.Response) -> str:
    outcome = answer.json()
    assert answer.headers["content-type"] == "application/fhir+json"
    assert outcome["resourceType"] == "OperationOutcome"
    return str(outcome["issue"][0]["diagnostics"])


FAULTS: list[tuple[dict[str, Any], int, str]] = [
    ({"content": b'{"hook":', "headers": {"content-type": "application/json"}}, 400, "not JSON"),
    ({"content": b'{"hook":1,"hook":2}', "headers": {"content-type": "application/json"}}, 400, "stands twice"),
    ({"content": b"{}", "headers": {"content-type": "text/plain"}}, 415, "application/json"),
    ({"content": b"{}"}, 415, "application/json"),
    (
        {"content": b"{}", "headers": {"content-type": "application/json", "content-encoding": "gzip"}},
        415,
        "without a content coding",
    ),
    ({"content": b" " * 5000, "headers": {"content-type": "application/json"}}, 413, "at most 4096 bytes"),
]


@pytest.mark.parametrize(("request_", "status", "message"), FAULTS)
async def test_a_body_that_cannot_be_read_says_why(
    tmp_path: Path, definitions: Definitions, request_: dict[str, Any], status: int, message: str
) -> None:
    services = services_with(demo_settings(tmp_path, max_hook_bytes=4096), definitions)
    async with serving(services) as client:
        answer = await client.post(SERVICE, **request_)
    assert answer.status_code == status
    assert message in _diagnostics(answer)


async def test_a_body_without_a_length_is_capped_while_it_streams(tmp_path: Path, definitions: Definitions) -> None:
    async def parts() -> Any:
        for _ in range(100):
            yield b" " * 1024

    services = services_with(demo_settings(tmp_path, max_hook_bytes=4096), definitions)
    async with serving(services) as client:
        answer = await client.post(SERVICE, content=parts(), headers={"content-type": "application/json"})
    assert answer.status_code == 413


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "Application/JSON", "application/fhir+json"])
async def test_json_is_accepted_in_its_spellings(client: httpx.AsyncClient, kind: str) -> None:
    body = json.dumps(call()).encode()
    assert (await client.post(SERVICE, content=body, headers={"content-type": kind})).status_code == 200


async def test_without_the_patient_the_answer_is_412_and_names_the_key(client: httpx.AsyncClient) -> None:
    for body in (without("patient"), prefetching(patient=None), call(prefetch={})):
        answer = await client.post(SERVICE, json=body)
        assert answer.status_code == 412
        assert "(patient)" in _diagnostics(answer)


async def test_without_the_conditions_the_answer_is_412(client: httpx.AsyncClient) -> None:
    outcome = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "exception"}]}
    for body in (without("conditions"), prefetching(conditions=outcome)):
        answer = await client.post(SERVICE, json=body)
        assert answer.status_code == 412
        assert "conditions could not be read" in _diagnostics(answer)


async def test_a_chart_of_which_no_record_can_be_assigned_is_412_and_names_the_option(
    client: httpx.AsyncClient,
) -> None:
    elsewhere = json.dumps(call()).replace(f'"Patient/{PATIENT}"', f'"https://inner.example/fhir/Patient/{PATIENT}"')
    answer = await client.post(SERVICE, json=json.loads(elsewhere))
    assert answer.status_code == 412
    assert "records can be assigned to the Patient" in _diagnostics(answer)
    assert "fhir_servers" in _diagnostics(answer)
    assert "inner.example" not in answer.text


async def test_without_the_results_the_cards_say_so(client: httpx.AsyncClient) -> None:
    answer = await client.post(SERVICE, json=without("observations"))
    assert answer.status_code == 200
    for card in answer.json()["cards"]:
        if "extension" not in card:  # the card that counts the others
            continue
        found = card["extension"]["org.trialcards.match"]["cohorts"][0]["criteria"]
        hemoglobin = [criterion for criterion in found if criterion["concepts"] == ["hemoglobin"]]
        assert {(c["outcome"], c["reason"]) for c in hemoglobin} <= {("unknown", "not-readable")}
        assert "could not be read" in card["detail"]


async def test_null_and_an_empty_bundle_and_one_with_a_warning_say_the_same(client: httpx.AsyncClient) -> None:
    warning = {"resourceType": "OperationOutcome", "issue": [{"severity": "warning", "code": "processing"}]}
    empty: dict[str, Any] = {"resourceType": "Bundle", "type": "searchset", "total": 0}
    warned = empty | {"entry": [{"resource": warning, "search": {"mode": "outcome"}}]}
    said = [
        _said((await client.post(SERVICE, json=prefetching(procedures=value))).json())
        for value in (None, empty, empty | {"entry": []}, warned)
    ]
    assert said[0] == said[1] == said[2] == said[3]


async def test_unknown_members_and_extensions_change_nothing(client: httpx.AsyncClient) -> None:
    body = call(zzz=1, extension={"com.example": {"a": 1}})
    body["context"] |= {"zzz": [1]}
    body["prefetch"] |= {"zzz": {"resourceType": "Bundle"}}
    plain, extended = (await client.post(SERVICE, json=call())), (await client.post(SERVICE, json=body))
    assert _said(plain.json()) == _said(extended.json())


async def test_too_many_calls_at_once_are_told_so_at_once(tmp_path: Path, definitions: Definitions) -> None:
    services = services_with(demo_settings(tmp_path, max_concurrent=1), definitions)
    async with serving(services) as client:
        with services.slots:
            answer = await client.post(SERVICE, json=call())
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert (await client.post(SERVICE, json=call())).status_code == 200


# -- feedback


def override(card: str, reason: str | None = "not-appropriate", at: str = "2026-11-01T11:00:00Z") -> dict[str, Any]:
    item: dict[str, Any] = {"card": card, "outcome": "overridden", "outcomeTimestamp": at}
    return item | ({"overrideReason": {"reason": {"code": reason}}} if reason else {})


async def send(client: httpx.AsyncClient, *items: object) -> httpx.Response:
    return await client.post(SERVICE + "/feedback", json={"feedback": items})


async def topics(client: httpx.AsyncClient, body: Mapping[str, Any] | None = None) -> dict[str, str]:
    answer = await client.post(SERVICE, json=body or call())
    assert answer.status_code == 200
    return {card["source"]["topic"]["code"]: card["uuid"] for card in answer.json()["cards"]}


async def test_an_overridden_card_stays_away_until_its_open_criteria_change(client: httpx.AsyncClient) -> None:
    shown = await topics(client)
    assert (await send(client, override(shown["NCT06711146"]))).status_code == 200
    assert "NCT06711146" not in await topics(client)
    more = prefetching()
    more["prefetch"]["observations"]["entry"].append({"resource": lab("x", "1742-6", 20, "U/L")})
    assert "NCT06711146" in await topics(client, more)


async def test_results_that_could_not_be_read_do_not_bring_a_card_back(client: httpx.AsyncClient) -> None:
    shown = await topics(client)
    await send(client, override(shown["NCT06711146"]))
    assert "NCT06711146" not in await topics(client, without("observations"))


async def test_when_every_card_is_set_aside_the_list_is_empty(client: httpx.AsyncClient) -> None:
    while shown := await topics(client):
        await send(client, *(override(uuid) for uuid in shown.values()))
    assert shown == {}


async def test_feedback_is_counted_by_trial_and_reason(client: httpx.AsyncClient) -> None:
    shown = await topics(client)
    item = override(shown["NCT06711146"], "data-wrong")
    assert (await send(client, item, item, override("no-card-of-ours", None))).status_code == 200
    summary = (await client.get("/api/v1/feedback/summary")).json()["feedback"]
    assert summary == [
        {"trial": None, "outcome": "overridden", "reason": None, "count": 1},
        {"trial": "NCT06711146", "outcome": "overridden", "reason": "data-wrong", "count": 1},
    ]


async def test_feedback_is_counted_by_the_week_in_utc_on_either_database(
    tmp_path: Path, database: str, definitions: Definitions
) -> None:
    _far_east_of_utc(database)
    async with serving(services_with(demo_settings(tmp_path, database_url=database), definitions)) as client:
        card = (await topics(client))["NCT06711146"]
        sunday = ["2026-11-01T23:59:59.999Z", "2026-11-02T00:30:00+01:00", "2026-10-26T00:00:00Z"]
        monday = ["2026-11-02T00:00:00Z", "2026-11-01T23:30:00-01:00"]
        early = "0001-01-01T00:00:00Z"
        sent = [override(card, "ask-later", at) for at in [*sunday, *monday, "2027-01-01T12:00:00Z", early]]
        accepted: dict[str, Any] = {"card": card, "outcome": "accepted", "outcomeTimestamp": sunday[0]}
        accepted["acceptedSuggestions"] = [{"id": "s"}]
        assert (await send(client, *sent, accepted)).status_code == 200
        summary = (await client.get("/api/v1/feedback/summary")).json()
    said = [(row["week"], row["trial"], row["outcome"], row["reason"], row["count"]) for row in summary["byWeek"]]
    assert said == [
        ("0001-W01", "NCT06711146", "overridden", "ask-later", 1),
        ("2026-W44", "NCT06711146", "accepted", None, 1),
        ("2026-W44", "NCT06711146", "overridden", "ask-later", 3),
        ("2026-W45", "NCT06711146", "overridden", "ask-later", 2),
        ("2026-W53", "NCT06711146", "overridden", "ask-later", 1),
    ]
    assert [(row["outcome"], row["count"]) for row in summary["feedback"]] == [("accepted", 1), ("overridden", 7)]


def _far_east_of_utc(database: str) -> None:
    """The days of a PostgreSQL database begin hours before those of UTC; SQLite has none of its own."""
    if not database.startswith("sqlite"):
        engine = create_engine(url_of(database))
        with engine.begin() as connection:
            name = engine.url.database
            connection.exec_driver_sql(f"ALTER DATABASE {name} SET timezone = 'Pacific/Kiritimati'")
        engine.dispose()


async def test_one_bad_item_stores_nothing_of_the_batch(client: httpx.AsyncClient) -> None:
    answer = await send(client, override("a"), {"card": CANARY, "outcome": "liked"})
    assert answer.status_code == 422
    assert "feedback[1].outcome" in _diagnostics(answer)
    assert CANARY not in answer.text
    assert (await client.get("/api/v1/feedback/summary")).json() == {"feedback": [], "byWeek": []}


async def test_the_explanation_opens_by_its_signed_address_and_says_nothing_of_the_patient(
    client: httpx.AsyncClient,
) -> None:
    card = (await client.post(SERVICE, json=call())).json()["cards"][0]
    address = next(link["url"] for link in card["links"] if "/reports/" in link["url"])
    assert PATIENT not in address
    page = await client.get(address)
    assert page.status_code == 200
    assert (page.headers["referrer-policy"], page.headers["cache-control"]) == ("no-referrer", "no-store")
    assert "Platelets" in page.text
    forged = await client.get(address.replace("expires=", "expires=1"))
    assert forged.status_code == 403
    assert "not valid any more" in forged.text


async def test_the_explanation_counts_what_was_not_understood(client: httpx.AsyncClient) -> None:
    body = call()
    subject = {"reference": f"Patient/{PATIENT}"}
    foreign = {"resourceType": "Condition", "id": "foreign", "subject": subject, "code": {"text": "Choroba"}}
    body["prefetch"]["conditions"]["entry"].append({"resource": foreign})
    card = (await client.post(SERVICE, json=body)).json()["cards"][0]
    page = await client.get(next(link["url"] for link in card["links"] if "/reports/" in link["url"]))
    assert "1 record not understood among Condition" in page.text
    assert "Choroba" not in page.text


async def test_without_retention_a_card_has_no_explanation_to_open(tmp_path: Path, definitions: Definitions) -> None:
    services = services_with(demo_settings(tmp_path, retention_days=0), definitions)
    async with serving(services) as client:
        card = (await client.post(SERVICE, json=call())).json()["cards"][0]
    assert not [link for link in card.get("links", ()) if "/reports/" in link["url"]]

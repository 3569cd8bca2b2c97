"""The JSON API over HTTP."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.definitions.served import Definitions
from app.web.examples import TRIAL, WHOLE_CHART
from tests.app.conftest import demo_settings, services_with, serving

MATCH = "/api/v1/match"
CANARY = "canary-4711"
JSON = {"content-type": "application/json"}


async def report(client: httpx.AsyncClient, chart: dict[str, Any] = WHOLE_CHART, **query: Any) -> dict[str, Any]:
    answer = await client.post(MATCH, json=chart, params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def problem(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    said = answer.json()
    assert said["status"] == status
    assert CANARY not in answer.text
    return str(said["detail"])


async def test_the_same_chart_and_moment_give_the_same_report_but_for_its_id(client: httpx.AsyncClient) -> None:
    first, second = [await report(client, asOf="2026-11-01") for _ in range(2)]
    assert first.pop("id") != second.pop("id")
    assert json.dumps(first) == json.dumps(second)


async def test_as_of_is_a_day_or_an_instant_and_now_without_it(client: httpx.AsyncClient) -> None:
    assert (await report(client))["asOf"] == "2026-11-01T12:00:00Z"
    assert (await report(client, asOf="2026-10-30"))["asOf"] == "2026-10-30T00:00:00Z"
    assert (await report(client, asOf="2026-10-30T08:00:00+02:00"))["asOf"] == "2026-10-30T06:00:00Z"
    unescaped = await client.post(f"{MATCH}?asOf=2026-10-30T08:00:00+02:00", json=WHOLE_CHART)
    assert unescaped.json()["asOf"] == "2026-10-30T06:00:00Z"


@pytest.mark.parametrize("day", ["1900-01-01", "2199-12-31"])
async def test_a_chart_can_be_read_on_every_day_of_three_centuries(client: httpx.AsyncClient, day: str) -> None:
    assert (await report(client, asOf=day))["asOf"] == f"{day}T00:00:00Z"


async def test_a_day_begins_in_the_time_zone_of_the_site(tmp_path: Path, definitions: Definitions) -> None:
    services = services_with(demo_settings(tmp_path, timezone="Asia/Tokyo"), definitions)
    async with serving(services) as client:
        assert (await report(client, asOf="2026-10-30"))["asOf"] == "2026-10-29T15:00:00Z"


NO_MOMENTS = [
    "2026",
    "2026-10",
    "2026-13-01",
    "2026-10-30T08:00:00",
    "0001-01-01",
    "1899-12-31",
    "2200-01-01",
    CANARY,
    "",
]


@pytest.mark.parametrize("text", NO_MOMENTS)
async def test_an_unusable_as_of_is_422(client: httpx.AsyncClient, text: str) -> None:
    assert "asOf is a date" in problem(await client.post(MATCH, json=WHOLE_CHART, params={"asOf": text}), 422)


async def test_a_trial_may_be_chosen_and_repeated(client: httpx.AsyncClient) -> None:
    assert [t["trial"] for t in (await report(client, trial=TRIAL))["trials"]] == [TRIAL]
    assert len((await report(client, trial=[TRIAL, "CNCT19-AID"]))["trials"]) == 2
    answer = await client.post(MATCH, json=WHOLE_CHART, params={"trial": [TRIAL, CANARY]})
    assert "id of a trial that is served" in problem(answer, 422)


PATIENT = {"resource": {"resourceType": "Patient", "id": "a"}}
OF_ANOTHER = {"resource": {"resourceType": "Condition", "id": "c", "subject": {"reference": f"Patient/{CANARY}"}}}
UNUSABLE: list[tuple[Any, str]] = [
    ([], "Bundle"),
    ({"resourceType": "Patient", "id": CANARY}, "Bundle"),
    ({"resourceType": "Bundle", "type": "collection"}, "no Patient"),
    ({"resourceType": "Bundle", "entry": [PATIENT, {"resource": {"resourceType": "Patient", "id": CANARY}}]}, "one"),
    ({"resourceType": "Bundle", "entry": [PATIENT, OF_ANOTHER]}, "none of the 1 records can be assigned"),
]


@pytest.mark.parametrize(("chart", "message"), UNUSABLE)
async def test_what_is_no_chart_of_one_patient_is_422(client: httpx.AsyncClient, chart: Any, message: str) -> None:
    assert message in problem(await client.post(MATCH, json=chart), 422)


NOT_JSON: list[tuple[bytes, str]] = [
    (b"{", "not JSON"),
    (b'{"a": NaN}', "NaN and Infinity"),
    (b'{"entry": [{"id": "a", "id": "b"}]}', "stands twice"),
    (b'{"a": "\xff"}', "not UTF-8"),
    (b"[" * 5000 + b"]" * 5000, "levels deep"),
]


@pytest.mark.parametrize(("body", "message"), NOT_JSON)
async def test_what_is_not_json_is_400(client: httpx.AsyncClient, body: bytes, message: str) -> None:
    assert message in problem(await client.post(MATCH, content=body, headers=JSON), 400)


async def test_another_media_type_is_415_and_too_large_a_body_413(tmp_path: Path, definitions: Definitions) -> None:
    services = services_with(demo_settings(tmp_path, max_match_bytes=2048), definitions)
    async with serving(services) as client:
        problem(await client.post(MATCH, content=b"{}", headers={"content-type": "application/xml"}), 415)
        problem(await client.post(MATCH, content=b" " * 2049, headers=JSON), 413)


async def test_a_large_chart_is_worked_on_beside_the_event_loop(client: httpx.AsyncClient) -> None:
    chart = copy.deepcopy(WHOLE_CHART)
    chart["entry"][1]["resource"]["note"] = [{"text": "x" * 300_000}]
    small, large = await report(client), await report(client, chart)
    assert small["trials"] == large["trials"]


async def test_the_trials_are_listed_with_version_and_hash(client: httpx.AsyncClient) -> None:
    listed = (await client.get("/api/v1/trials")).json()["trials"]
    assert [trial["trial"] for trial in listed] == sorted(trial["trial"] for trial in listed)
    one = (await client.get(f"/api/v1/trials/{TRIAL}")).json()
    assert one["definition"]["hash"].startswith("sha256:")
    assert {cohort["cohort"] for cohort in one["cohorts"]} == {"sle"}
    problem(await client.get(f"/api/v1/trials/{CANARY}"), 404)

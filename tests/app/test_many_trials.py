"""A service with hundreds of definitions answers as one with few, without a list of hundreds anywhere."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from threading import Event

import httpx
import msgspec
import pytest

from app.definitions.compiled import Compiled
from app.definitions.served import Definitions, Served
from app.main import create_app
from app.storage.kept import from_kept
from app.wiring import Services
from benchmarks.hook_body import hook_body
from benchmarks.many_trials import write_trials
from tests.app.conftest import NOW, demo_settings, services_with, serving
from trial_defs.engine.gates import MANY

SERVICE = "/cds-services/trial-match-patient-view"
JSON = {"content-type": "application/json"}
BODY = hook_body(300, NOW.date())
NUMBERS = range(0, 12_000, 50)  # half of them for lupus, a fifth of these worth looking at


@pytest.fixture(scope="module")
def definitions(tmp_path_factory: pytest.TempPathFactory) -> Definitions:
    folder = tmp_path_factory.mktemp("many")
    write_trials(folder / "trials", NUMBERS)
    found = Definitions(site_trials=folder / "trials", compiled=Compiled(folder / "cache"))
    assert len(found.now.trials) > MANY
    return found


@pytest.fixture
def services(tmp_path: Path, definitions: Definitions) -> Services:
    return services_with(demo_settings(tmp_path), definitions)


@pytest.fixture
async def client(services: Services) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(services) as client:
        yield client


async def asked(client: httpx.AsyncClient, body: bytes = BODY) -> list[dict[str, object]]:
    answer = await client.post(SERVICE, content=body, headers=JSON)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["cards"])


def stored(services: Services, statement: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(services.settings.database_url.partition("///")[2])) as database:
        return database.execute(statement).fetchall()


async def test_the_cards_are_the_best_of_what_the_whole_match_finds(client: httpx.AsyncClient) -> None:
    cards = await asked(client)
    prefetch = msgspec.json.decode(BODY)["prefetch"]
    entries = [e for value in prefetch.values() for e in value.get("entry", ()) if value["resourceType"] == "Bundle"]
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": prefetch["patient"]}, *entries]}
    whole = (await client.post(f"/api/v1/match?asOf={NOW:%Y-%m-%dT%H:%M:%SZ}", json=bundle)).json()["trials"]
    worth = [t for t in whole if t["verdict"] in ("likely-eligible", "possibly-eligible", "near-miss")]
    assert len(worth) > 10
    assert len(whole) == len(NUMBERS) + 5
    shown, more = cards[:-1], str(cards[-1]["summary"])
    assert len(shown) + int(re.match(r"\d+", more)[0]) == len(worth)  # type: ignore[index]
    by_id = {entry["trial"]: entry for entry in worth}
    for card in shown:
        said = card["extension"]["org.trialcards.match"]  # type: ignore[index]
        indicated = [c for c in by_id[said["trial"]]["cohorts"] if c["verdict"] != "not-indicated"]
        assert said == by_id[said["trial"]] | {"cohorts": indicated}


async def test_what_is_kept_holds_the_trials_worth_a_card_and_is_repeated(
    client: httpx.AsyncClient, services: Services
) -> None:
    await asked(client)
    report = str(stored(services, "SELECT report FROM issued_card")[0][0])
    again = await client.get(f"/api/v1/reports/{report}/replay")
    assert again.status_code == 200, again.text
    content = await services.records.report(report, NOW)
    assert content
    assert again.content == from_kept(content).report_bytes
    verdicts = {entry["verdict"] for entry in again.json()["trials"]}
    assert verdicts <= {"likely-eligible", "possibly-eligible", "near-miss"}
    assert 10 < len(again.json()["trials"]) < 100


async def test_only_texts_that_are_needed_to_repeat_it_are_stored(
    client: httpx.AsyncClient, services: Services
) -> None:
    await asked(client)
    kept = stored(services, "SELECT count(*) FROM definition_text")[0][0]
    assert isinstance(kept, int)
    assert 10 < kept < 100


async def test_the_explanation_opens(client: httpx.AsyncClient) -> None:
    cards = await asked(client)
    address = next(link["url"] for link in cards[0]["links"] if "/reports/" in link["url"])  # type: ignore[attr-defined]
    page = await client.get(address)
    assert page.status_code == 200
    assert len(page.content) < 1_000_000


async def test_the_trail_names_what_was_shown_and_one_hash_over_all(
    client: httpx.AsyncClient, services: Services
) -> None:
    await asked(client)
    (written,) = stored(services, "SELECT definitions FROM audited_call WHERE outcome = 'cards'")
    named = msgspec.json.decode(str(written[0]))
    assert re.fullmatch(rf"{len(NUMBERS) + 5} definitions, sha256:[0-9a-f]{{64}}", named.pop("*"))
    assert 10 < len(named) < 100


async def test_verdicts_are_counted_without_names(client: httpx.AsyncClient, services: Services) -> None:
    await asked(client)
    counted = re.findall(
        r'trialcards_matches_total\{trial="(.*?)",verdict="(.*?)"\} (\S+)', services.metrics.text().decode()
    )
    assert {trial for trial, _, _ in counted} == {"*"}
    assert sum(float(count) for _, _, count in counted) == len(NUMBERS) + 5
    assert {verdict: float(count) for _, verdict, count in counted}["not-indicated"] > len(NUMBERS) / 3


async def test_diagnoses_that_were_not_read_leave_nothing_unsaid(client: httpx.AsyncClient) -> None:
    """Then no gate is known to be closed, so that every trial is looked at."""
    call = msgspec.json.decode(BODY)
    call["prefetch"]["conditions"] = None
    call["prefetch"] = {key: value for key, value in call["prefetch"].items() if "onditions" not in key}
    answer = await client.post(SERVICE, json=call)
    assert answer.status_code == 412
    assert "conditions" in answer.text


# -- pages


async def test_the_page_of_trials_is_given_in_parts(client: httpx.AsyncClient) -> None:
    first, last = (await client.get("/trials")).text, (await client.get("/trials?page=3")).text
    assert first.count("<tr>") == 101
    assert "245 trials, page 1 of 3" in first
    assert 'href="?page=2"' in first
    assert last.count("<tr>") == 46
    assert "Next page" not in last
    for number in ("0", "4", "-1", "x", "9" * 30, "²"):
        assert (await client.get("/trials", params={"page": number})).status_code == 200


async def test_a_trial_is_found_by_words(client: httpx.AsyncClient) -> None:
    found = (await client.get("/trials", params={"q": "lupus MANY-00100"})).text
    assert "1 trial<" in found
    assert "/trials/MANY-00100" in found
    paged = (await client.get("/trials", params={"q": "systemic lupus"})).text
    assert 'href="?q=systemic+lupus&amp;page=2"' in paged
    none = (await client.get("/trials", params={"q": "<script>alert(1)</script>"})).text
    assert "No trial has these words." in none
    assert "<script>alert" not in none


# -- while definitions are read


class Slow(Definitions):
    """Reads when it is let."""

    let: Event

    def read(self) -> Served:
        self._is_being_read = True
        self.let.wait(10)
        return super().read()


async def test_while_definitions_are_read_the_service_lives_and_says_what_it_waits_for(tmp_path: Path) -> None:
    slow = Slow()
    slow.let = Event()
    services = services_with(demo_settings(tmp_path), slow)
    await services.records.prepare()
    reading = asyncio.create_task(asyncio.to_thread(slow.read))
    transport = httpx.ASGITransport(create_app(services))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
        await asyncio.sleep(0.1)
        assert (await client.get("/healthz")).status_code == 200
        ready = await client.get("/readyz")
        assert (ready.status_code, ready.json()["trials"]) == (503, 0)
        assert ready.json()["problems"] == ["The trial definitions are still being read."]
        refused = await client.post(SERVICE, content=BODY, headers=JSON)
        assert refused.status_code == 503
        assert refused.headers["retry-after"] == "5"
        slow.let.set()
        await reading
        assert (await client.get("/readyz")).status_code == 200
        assert (await client.post(SERVICE, content=BODY, headers=JSON)).status_code == 200
    await services.records.close()

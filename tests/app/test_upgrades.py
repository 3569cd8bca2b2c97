"""What an upgrade changes: no dismissed card comes back through it, and `replay --diff` tells which answers differ.

`rows_of_aa6019f.json` holds what commit aa6019f stored for one synthetic patient: three cards, each set aside, and the
sealed report behind them, with the hook call that it answered. That commit took an antinuclear antibody that is only
called positive for 1:80, and passed over "Epilepsy, not intractable".
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa

from app.definitions.served import Definitions
from app.storage.tables import KeptReport
from app.wiring import Services
from tests.app.conftest import NOW, demo_settings, services_with, serving
from tests.support.upgrades import Json, stored, upgraded

VIEW = "/cds-services/trial-match-patient-view"


@pytest.fixture
async def services(tmp_path: Path, definitions: Definitions) -> Services:
    return await upgraded(tmp_path, definitions)


@pytest.fixture
async def client(services: Services) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(services) as client:
        yield client


async def topics(client: httpx.AsyncClient, call: Json) -> set[str]:
    answer = await client.post(VIEW, json=call)
    assert answer.status_code == 200, answer.text
    return {card["source"]["topic"]["code"] for card in answer.json()["cards"]}


def without(call: Json, record: str) -> Json:
    """The call whose chart lacks this result."""
    observations = call["prefetch"]["observations"]
    entries = [entry for entry in observations["entry"] if entry["resource"]["id"] != record]
    assert len(entries) < len(observations["entry"])
    return call | {"prefetch": call["prefetch"] | {"observations": observations | {"entry": entries}}}


async def test_a_card_that_only_an_upgrade_changed_stays_dismissed(client: httpx.AsyncClient) -> None:
    assert await topics(client, stored()["call"]) == set()


async def test_the_upgrade_does_change_what_these_cards_say(tmp_path: Path, definitions: Definitions) -> None:
    """Otherwise the test above would hold without doing anything for it."""
    async with serving(services_with(demo_settings(tmp_path, max_cards=9), definitions)) as client:
        answer = await client.post(VIEW, json=stored()["call"])
    now = {card["source"]["topic"]["code"]: card["summary"] for card in answer.json()["cards"]}
    assert "likely eligible" not in now["NCT06680388"]


async def test_a_changed_chart_brings_the_card_back_after_an_upgrade_too(client: httpx.AsyncClient) -> None:
    call = stored()["call"]
    some = next(e["resource"]["id"] for e in call["prefetch"]["observations"]["entry"] if "platelets" in str(e))
    assert "NCT06680388" in await topics(client, without(call, some))


async def test_without_the_chart_of_that_day_the_card_stays_away_until_its_snooze_ends(
    services: Services, client: httpx.AsyncClient
) -> None:
    call = stored()["call"]
    await services.records.write(lambda connection: connection.execute(sa.delete(KeptReport)))
    assert await topics(client, call) == set()
    services.clock = lambda: NOW + timedelta(31)
    assert await topics(client, call)

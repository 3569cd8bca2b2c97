"""A person signs a definition off: exactly this text, for every worker, until it changes or that is taken back."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from fhir.resources.R4B.auditevent import AuditEvent

from app.definitions.served import Definitions
from app.definitions.sign_offs import SignOffs
from app.definitions.signatures import signed
from app.login.people import DEMO_COORDINATOR
from app.people import Person
from app.storage.audit import Question, audit_event
from app.storage.records import Records
from app.wiring import Services
from tests.app.conftest import NOW, demo_settings, services_with, serving
from tests.authorization_server import AuthorizationServer
from tests.hospital import BASE, OPERATOR, bearer
from tests.support.attestations import TRIAL, card_of
from tests.support.login import CLIENT, GROUP, SIGNERS, at_provider, log_in, oidc, sent_to_provider
from tests.support.protocol import production_settings
from trial_defs.definition.expressions import SignOff, Trial

PAGE = "/trials/DEMO-JUDGED"
NORA = Person("Nora Nord", "subject-1")
NOT_CONFIRMED, CONFIRMED = "definition not confirmed by the study team", "definition confirmed by the study team on"


def site(tmp_path: Path, text: str = TRIAL) -> Path:
    folder = tmp_path / "trials"
    folder.mkdir(exist_ok=True)
    (folder / "DEMO-JUDGED.yaml").write_text(text)
    return folder


@pytest.fixture
def judged(tmp_path: Path) -> Services:
    return services_with(demo_settings(tmp_path, max_cards=9), Definitions(None, site(tmp_path)))


@pytest.fixture
async def client(judged: Services) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(judged) as client:
        yield client


async def sign(client: httpx.AsyncClient, does: str = "sign", **changes: str) -> httpx.Response:
    """The form of the page, sent."""
    hidden = dict(
        re.findall(r'<input type="hidden" name="(hash|action)" value="([^"]*)">', (await client.get(PAGE)).text)
    )
    assert changes or hidden["action"] == does
    return await client.post(f"{PAGE}/sign-off", data=hidden | changes)


async def status_line(client: httpx.AsyncClient) -> str:
    card = await card_of(client)
    assert card
    return str(card["detail"])


async def test_a_signature_changes_cards_lists_and_page_at_once(client: httpx.AsyncClient) -> None:
    assert NOT_CONFIRMED in await status_line(client)
    saved = await sign(client)
    assert (saved.status_code, saved.headers["location"]) == (303, f"{PAGE}#definition")
    assert f"{CONFIRMED} 2026-11-01" in (await status_line(client)).replace("\\", "")
    page = (await client.get(PAGE)).text
    assert "by Demo coordinator on 2026-11-01, this very text" in page
    assert (await client.get("/api/v1/trials/DEMO-JUDGED")).json()["signedOff"] == {
        "by": "Demo coordinator",
        "on": "2026-11-01",
    }


async def test_a_signature_that_is_taken_back_no_longer_counts_and_stays_on_record(client: httpx.AsyncClient) -> None:
    await sign(client)
    await sign(client, "withdraw")
    assert NOT_CONFIRMED in await status_line(client)
    page = (await client.get(PAGE)).text
    assert "version 1 signed by Demo coordinator on 2026-11-01, taken back on 2026-11-01" in page


async def test_a_changed_definition_is_not_confirmed_by_an_earlier_signature(
    client: httpx.AsyncClient, judged: Services, tmp_path: Path
) -> None:
    await sign(client)
    site(tmp_path, TRIAL.replace("An invented trial", "A reworded trial"))
    assert await judged.definitions.reload_if_changed()
    assert NOT_CONFIRMED in await status_line(client)
    assert "the text has changed since" in (await client.get(PAGE)).text
    site(tmp_path)
    assert await judged.definitions.reload_if_changed()
    assert CONFIRMED in (await status_line(client)).replace("\\", "")


async def test_what_was_not_shown_is_not_signed(client: httpx.AsyncClient, judged: Services) -> None:
    for changes, status in (({"hash": "sha256:0"}, 409), ({"action": "canary"}, 422)):
        refused = await sign(client, **changes)
        assert refused.status_code == status
        assert "canary" not in refused.text
    assert await judged.sign_offs.current() == {}
    assert (await client.post("/trials/canary/sign-off", data={"hash": "x", "action": "sign"})).status_code == 404


async def test_a_form_of_another_site_signs_nothing(client: httpx.AsyncClient, judged: Services) -> None:
    digest = judged.definitions.now.trials["DEMO-JUDGED"].hash
    form = {"hash": digest, "action": "sign"}
    for headers in ({"sec-fetch-site": "cross-site"}, {"origin": "https://evil.example"}):
        assert (await client.post(f"{PAGE}/sign-off", data=form, headers=headers)).status_code == 403
    assert await judged.sign_offs.current() == {}


async def test_a_signature_is_in_the_audit_trail_and_names_no_patient(
    client: httpx.AsyncClient, judged: Services
) -> None:
    await sign(client)
    trial = judged.definitions.now.trials["DEMO-JUDGED"]
    entry = (await judged.audit.entries(Question()))[-1]
    assert (entry.action, entry.outcome, entry.patient) == ("sign-off", "signed", "")
    assert entry.definitions == {trial.id: f"version 1, {trial.hash}"}
    event = audit_event(entry)
    AuditEvent.model_validate(event)
    assert [agent["requestor"] for agent in event["agent"]] == [True]
    assert DEMO_COORDINATOR.name not in str(event)


async def test_another_worker_serves_the_signature_when_it_looks(judged: Services, tmp_path: Path) -> None:
    other = services_with(judged.settings, Definitions(None, tmp_path / "trials"))
    async with serving(judged) as client, serving(other) as elsewhere:
        await sign(client)
        assert NOT_CONFIRMED in await status_line(elsewhere)
        await other.take_signatures()  # as its upkeep does every few seconds
        assert CONFIRMED in (await status_line(elsewhere)).replace("\\", "")


async def test_a_signature_is_there_after_a_restart(judged: Services, tmp_path: Path) -> None:
    async with serving(judged) as client:
        await sign(client)
    again = services_with(judged.settings, Definitions(None, tmp_path / "trials"))
    async with serving(again) as client:
        assert CONFIRMED in (await status_line(client)).replace("\\", "")


async def test_a_signature_in_the_file_counts_like_one_that_was_given_here(tmp_path: Path) -> None:
    text = TRIAL.replace("version: 1", "version: 1\nsigned_off: {by: Study team, on: 2026-10-01}")
    services = services_with(demo_settings(tmp_path, max_cards=9), Definitions(None, site(tmp_path, text)))
    async with serving(services) as client:
        assert f"{CONFIRMED} 2026-10-01" in (await status_line(client)).replace("\\", "")
        page = (await client.get(PAGE)).text
        assert "by Study team on 2026-10-01, in the definition’s file" in page
        assert "/sign-off" not in page


# -- in production, where people log in

OURS = {"sec-fetch-site": "same-origin"}


def form_of(hospital: Services) -> dict[str, str]:
    return {"hash": hospital.definitions.now.trials["DEMO-JUDGED"].hash, "action": "sign"}


@pytest.fixture
def provider() -> Iterator[AuthorizationServer]:
    with AuthorizationServer(CLIENT, claims={"groups": [GROUP, SIGNERS], "name": NORA.name}) as server:
        yield server


@pytest.fixture
def hospital(tmp_path: Path, provider: AuthorizationServer) -> Services:
    return services_with(production_settings(tmp_path, **oidc(provider)), Definitions(None, site(tmp_path)))


async def test_somebody_who_logged_in_signs_and_others_see_that_it_is_confirmed_and_not_by_whom(
    hospital: Services,
) -> None:
    ours = {"sec-fetch-site": "same-origin"}
    async with serving(hospital, BASE) as client:
        asked = (await client.get(PAGE)).text
        assert f'<a href="/login?next={PAGE}&amp;to=sign">Log in</a> to sign this definition off' in asked
        form = {"hash": hospital.definitions.now.trials["DEMO-JUDGED"].hash, "action": "sign"}
        assert (await client.post(f"{PAGE}/sign-off", data=form, headers=ours)).status_code == 401
        assert (await log_in(client, PAGE, to="sign")).headers["location"] == PAGE
        mine = await client.get(PAGE)
        assert mine.headers["cache-control"] == "no-store"
        assert (await client.post(f"{PAGE}/sign-off", data=form)).status_code == 403  # no browser says where it is from
        assert (await client.post(f"{PAGE}/sign-off", data=form, headers=ours)).status_code == 303
        assert "by Nora Nord on 2026-11-01, this very text" in (await client.get(PAGE)).text
    async with serving(hospital, BASE) as stranger:
        page = await stranger.get(PAGE)
        assert CONFIRMED.capitalize() in page.text
        assert "Nora Nord" not in page.text


async def test_only_a_group_of_its_own_signs(hospital: Services, provider: AuthorizationServer) -> None:
    provider.claims["groups"] = [GROUP]
    async with serving(hospital, BASE) as client:
        await log_in(client, PAGE, to="sign")
        assert "of which you are no member" in (await client.get(PAGE)).text
        refused = await client.post(f"{PAGE}/sign-off", data=form_of(hospital), headers=OURS)
        assert (refused.status_code, "TRIALCARDS_OIDC_SIGNERS" in refused.text) == (403, True)
    assert await hospital.sign_offs.current() == {}


async def test_a_signature_needs_a_login_of_the_last_minutes(hospital: Services) -> None:
    async with serving(hospital, BASE) as client:
        await log_in(client, PAGE)  # the provider may have answered this from a session of its own
        assert f'<a href="/login?next={PAGE}&amp;to=sign">log in again</a>' in (await client.get(PAGE)).text
        refused = await client.post(f"{PAGE}/sign-off", data=form_of(hospital), headers=OURS)
        assert (refused.status_code, "log in again" in refused.text) == (403, True)
        await log_in(client, PAGE, to="sign")
        hospital.clock = lambda: NOW + timedelta(minutes=16)
        assert (await client.post(f"{PAGE}/sign-off", data=form_of(hospital), headers=OURS)).status_code == 403
        hospital.clock = lambda: NOW + timedelta(minutes=14)
        assert (await client.post(f"{PAGE}/sign-off", data=form_of(hospital), headers=OURS)).status_code == 303


@pytest.mark.parametrize("auth_time", [None, NOW.timestamp() - 61, "1793491200", True])
async def test_a_login_to_sign_asks_for_the_password_and_believes_nothing_else(
    hospital: Services, provider: AuthorizationServer, auth_time: object
) -> None:
    provider.claims["auth_time"] = auth_time
    async with serving(hospital, BASE) as client:
        back = await client.get(at_provider(await sent_to_provider(client, PAGE, to="sign")))
        assert (back.status_code, "set-cookie" in back.headers) == (403, False)
    assert provider.authorized[-1]["prompt"] == "login"
    assert provider.authorized[-1]["max_age"] == "0"


async def test_a_token_that_names_nobody_signs_nothing(hospital: Services) -> None:
    async with serving(hospital, BASE) as client:
        form = {"hash": hospital.definitions.now.trials["DEMO-JUDGED"].hash, "action": "sign"}
        refused = await client.post(f"{PAGE}/sign-off", data=form, headers=bearer(OPERATOR))
        assert (refused.status_code, "names nobody" in refused.text) == (403, True)
        assert await hospital.sign_offs.current() == {}


# -- the store


async def test_signatures_are_read_again_only_when_there_is_another(records: Records, trials: dict[str, Trial]) -> None:
    one, other = list(trials.values())[:2]
    writer, reader = SignOffs(records), SignOffs(records)
    assert await reader.current() == {}
    await writer.sign(one, NORA, NOW, NOW.date())
    first = await reader.current()
    assert first == {(one.id, one.hash): SignOff("Nora Nord", "2026-11-01")}
    assert await reader.current() is first
    await writer.sign(other, NORA, NOW, NOW.date())
    assert len(await reader.current()) == 2
    assert await writer.withdraw(one.id, one.hash, NOW + timedelta(hours=1))
    assert not await writer.withdraw(one.id, one.hash, NOW)
    assert list(await reader.current()) == [(other.id, other.hash)]


async def test_of_two_signatures_the_first_is_the_day_since_when_it_is_confirmed(
    records: Records, trials: dict[str, Trial]
) -> None:
    trial, store = next(iter(trials.values())), SignOffs(records)
    for days in (2, 0, 1):
        day = NOW + timedelta(days=days)
        await store.sign(trial, NORA, day, day.date())
    assert (await store.current())[trial.id, trial.hash].on == "2026-11-01"


def test_a_signature_is_of_one_text(trials: dict[str, Trial]) -> None:
    trial = next(iter(trials.values()))
    by = SignOff("Nora Nord", "2026-11-01")
    assert signed(trial, {(trial.id, trial.hash): by}).signed_off == by
    assert signed(trial, {(trial.id, "sha256:0"): by}) is trial
    in_file = replace(trial, signed_off=SignOff("Study team", "2026-01-01"))
    assert signed(in_file, {(trial.id, trial.hash): by}) is in_file

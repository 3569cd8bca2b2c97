"""The end of a login: here and at the provider, begun by the person, by the provider, or to log in as somebody else."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc.jwk import ECKey
from structlog.testing import capture_logs

from app.definitions.served import Definitions
from app.login.people import COOKIE
from app.settings import Settings
from app.storage.audit import Question
from app.storage.tables import UsedToken
from app.wiring import Services
from tests.app.conftest import NOW, demo_settings, services_with, serving
from tests.authorization_server import AuthorizationServer
from tests.hospital import BASE
from tests.support.login import CLIENT, GROUP, at_provider, is_in, log_in, oidc, sent_to_provider
from tests.support.protocol import production_settings
from tests.support.records import everything_in, rows_of

BACKCHANNEL = "/logout/backchannel"
OTHER_KEY = ECKey.generate_key("P-256", {"kid": "of the authorization server", "use": "sig"}, private=True)


@pytest.fixture
def provider() -> Iterator[AuthorizationServer]:
    with AuthorizationServer(CLIENT, claims={"groups": [GROUP], "name": "N. N.", "sid": "session-1"}) as server:
        yield server


@pytest.fixture
def settings(tmp_path: Path, provider: AuthorizationServer) -> Settings:
    return production_settings(tmp_path, **oidc(provider))


@pytest.fixture
def services(settings: Settings, definitions: Definitions) -> Services:
    return services_with(settings, definitions)


@pytest.fixture
async def client(services: Services) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(services, BASE) as client:
        yield client


# -- by the person


async def log_out(client: httpx.AsyncClient) -> httpx.Response:
    return await client.post("/logout", headers={"sec-fetch-site": "same-origin"})


def onward(page: httpx.Response) -> str | None:
    """Where a page goes by itself; it has the same address as a link."""
    found = re.search(r'<meta http-equiv="refresh" content="0; url=([^"]*)">', page.text)
    if not found:
        return None
    assert f'<a href="{found[1]}">' in page.text
    return unescape(found[1])


async def test_logging_out_ends_the_session_at_the_provider_too(
    client: httpx.AsyncClient, provider: AuthorizationServer
) -> None:
    await log_in(client)
    out = await log_out(client)
    assert out.status_code == 200
    assert not await is_in(client)
    address = onward(out)
    assert address is not None
    assert address.startswith(f"{provider.issuer}/logout?")
    query = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
    assert query.pop("id_token_hint").count(".") == 2
    assert query == {"client_id": CLIENT.id, "post_logout_redirect_uri": f"{BASE}/logout"}
    back = await client.get("/logout")
    assert (back.status_code, "You are not logged in here" in back.text) == (200, True)


async def test_the_id_token_is_sealed_in_the_database(client: httpx.AsyncClient, services: Services) -> None:
    await log_in(client)
    address = onward(await log_out(client))
    await log_in(client)
    assert address is not None
    hint = parse_qs(urlsplit(address).query)["id_token_hint"][0]
    content = everything_in(services.settings.database_url)
    assert hint.split(".")[1].encode() not in content
    assert b"session-1" not in content


async def test_whose_session_is_over_is_sent_to_the_provider_without_a_hint(client: httpx.AsyncClient) -> None:
    address = onward(await log_out(client))
    assert address is not None
    assert "id_token_hint" not in address


async def test_a_hint_that_fits_no_address_is_left_out(
    client: httpx.AsyncClient, provider: AuthorizationServer
) -> None:
    provider.claims["groups"] = [GROUP, *(f"group-{number}" for number in range(500))]
    await log_in(client)
    address = onward(await log_out(client))
    assert address is not None
    assert len(address) < 500


@pytest.mark.parametrize("metadata", [{"end_session_endpoint": None}, {"end_session_endpoint": "javascript:alert(1)"}])
async def test_without_a_logout_at_the_provider_the_page_says_that_it_may_go_on(
    client: httpx.AsyncClient, provider: AuthorizationServer, metadata: dict[str, Any]
) -> None:
    provider.metadata = metadata
    await log_in(client)
    out = await log_out(client)
    assert onward(out) is None
    assert "may still be logged in at the hospital" in out.text


async def test_opening_the_page_ends_no_session(client: httpx.AsyncClient) -> None:
    await log_in(client)
    assert (await client.get("/logout")).headers["location"] == "/worklist"
    assert await is_in(client)


# -- as somebody else


ASKS: list[tuple[dict[str, Any], str]] = [
    ({"end_session_endpoint": None}, "login"),
    ({"prompt_values_supported": ["none", "select_account"]}, "select_account"),
]


@pytest.mark.parametrize(("metadata", "asked"), ASKS)
async def test_who_may_not_work_here_can_log_in_as_somebody_else(
    client: httpx.AsyncClient, provider: AuthorizationServer, metadata: dict[str, Any], asked: str
) -> None:
    provider.metadata = metadata
    provider.claims["groups"] = ["others"]
    refused = await log_in(client)
    assert refused.status_code == 403
    assert "prompt" not in provider.authorized[-1]
    (button,) = re.findall(r'<a class="button" href="([^"]*)">Log in as somebody else</a>', refused.text)
    provider.claims["groups"] = [GROUP]
    again = await client.get(unescape(button))
    back = await client.get(at_provider(again.headers["location"]))
    assert provider.authorized[-1]["prompt"] == asked
    assert back.status_code == 303
    assert await is_in(client)


async def test_a_provider_that_cannot_ask_for_another_account_ends_its_session_first(
    client: httpx.AsyncClient, provider: AuthorizationServer
) -> None:
    provider.metadata = {"prompt_values_supported": ["none", "login"]}
    provider.claims["groups"] = ["others"]
    refused = await log_in(client)
    (button,) = re.findall(r'<a class="button" href="([^"]*)">Log in as somebody else</a>', refused.text)
    assert unescape(button).startswith(f"{provider.issuer}/logout?client_id=")
    assert "id_token_hint=" in button
    assert "logged out at the hospital’s login first" in refused.text


# -- which failure wants another attempt, and which the administrator


@pytest.mark.parametrize(
    ("status", "words", "change"),
    [
        (403, "Try again", {"denied": "access_denied"}),
        (403, "Tell\nthis service's administrator", {"denied": "invalid_scope"}),
        (403, "Tell\nthis service's administrator", {"claims": {"nonce": "another"}}),
        (403, "Tell\nthis service's administrator", {"token_status": 400}),
        (503, "Try again in a moment", {"token_status": 502}),
        (503, "Try again in a moment", {"denied": "server_error"}),
    ],
)
async def test_a_login_that_fails_says_who_can_mend_it(
    client: httpx.AsyncClient, provider: AuthorizationServer, status: int, words: str, change: dict[str, Any]
) -> None:
    for name, value in change.items():
        setattr(provider, name, value)
    failed = await log_in(client)
    assert (failed.status_code, words in failed.text) == (status, True)


# -- by the provider


async def said(client: httpx.AsyncClient, token: str) -> httpx.Response:
    answer = await client.post(BACKCHANNEL, data={"logout_token": token})
    assert answer.headers["cache-control"] == "no-store"
    return answer


@pytest.mark.parametrize("claims", [{"sid": "session-1"}, {"sid": "session-1", "sub": None}, {}, {"iat": time.time()}])
async def test_the_provider_ends_a_session_or_all_of_a_person(
    client: httpx.AsyncClient, provider: AuthorizationServer, services: Services, claims: dict[str, Any]
) -> None:
    await log_in(client)
    answer = await said(client, provider.logout_token(**claims))
    assert (answer.status_code, answer.content) == (200, b"")
    assert not await is_in(client)
    outcomes = [row.outcome for row in await services.audit.entries(Question())]
    assert sorted(outcomes) == ["logged-in", "logged-out"]


@pytest.mark.parametrize("claims", [{"sid": "session-2"}, {"sub": "another"}, {"sid": "session-2", "sub": None}])
async def test_the_provider_ends_no_other_session(
    client: httpx.AsyncClient, provider: AuthorizationServer, claims: dict[str, Any]
) -> None:
    await log_in(client)
    assert (await said(client, provider.logout_token(**claims))).status_code == 200
    assert await is_in(client)


async def test_of_a_provider_that_names_no_sessions_the_person_is_logged_out(
    client: httpx.AsyncClient, provider: AuthorizationServer
) -> None:
    del provider.claims["sid"]
    await log_in(client)
    assert (await said(client, provider.logout_token(sid="session-9"))).status_code == 200
    assert not await is_in(client)


async def test_a_logout_token_is_good_once(client: httpx.AsyncClient, provider: AuthorizationServer) -> None:
    token = provider.logout_token()
    assert (await said(client, token)).status_code == 200
    await log_in(client)
    assert (await said(client, token)).status_code == 400
    assert await is_in(client)


async def test_a_logout_that_the_database_did_not_take_can_be_sent_again(
    client: httpx.AsyncClient, provider: AuthorizationServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await log_in(client)
    token = provider.logout_token()
    with monkeypatch.context() as patch:
        patch.setattr("app.login.sessions.all_of", lambda *_: lambda connection: connection.exec_driver_sql("broken"))
        assert (await client.post(BACKCHANNEL, data={"logout_token": token})).status_code == 503
    assert (await said(client, token)).status_code == 200
    assert not await is_in(client)


NOW_SECONDS = int(time.time())
_EVENT = "http://schemas.openid.net/event/backchannel-logout"
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "issuer": ({"iss": "https://another.example"}, "issuer"),
    "audience": ({"aud": "another-client"}, "audience"),
    "without events": ({"events": None}, "events"),
    "another event": ({"events": {"http://example.org/event": {}}}, "events"),
    "events as a list": ({"events": [_EVENT]}, "events"),
    "event without an object": ({"events": {_EVENT: True}}, "events"),
    "a nonce": ({"nonce": "x"}, "nonce"),
    "without jti": ({"jti": None}, "no jti"),
    "jti as a number": ({"jti": 7}, "no jti"),
    "without iat": ({"iat": None}, "iat"),
    "of the future": ({"iat": NOW_SECONDS + 86_400}, "not within its time"),
    "over": ({"iat": NOW_SECONDS - 900, "exp": NOW_SECONDS - 600}, "not within its time"),
    "about nobody": ({"sub": None}, "no subject"),
    "sid as a number": ({"sid": 7}, "no subject"),
    "another key": ({"key": OTHER_KEY}, "signature"),
    "an ID token's type": ({"typ": "at+jwt"}, "typ"),
}


@pytest.mark.parametrize(("claims", "reason"), WRONG.values(), ids=WRONG)
async def test_any_other_logout_token_ends_nothing(
    client: httpx.AsyncClient, provider: AuthorizationServer, claims: dict[str, Any], reason: str
) -> None:
    await log_in(client)
    with capture_logs() as logs:
        answer = await said(client, provider.logout_token(**claims))
    assert answer.status_code == 400
    assert answer.json() == {"error": "invalid_request", "error_description": "The logout token is not accepted."}
    assert {"event": "logout refused", "reason": f"logout: {reason}", "log_level": "warning"} in logs
    assert await is_in(client)


async def test_an_id_token_is_no_logout_token(client: httpx.AsyncClient, provider: AuthorizationServer) -> None:
    await log_in(client)
    assert (await said(client, provider.id_token("nonce"))).status_code == 400
    assert await is_in(client)


@pytest.mark.parametrize("content", ["", "x", "a.b.c", "=.=.="])
async def test_what_is_no_token_is_refused(client: httpx.AsyncClient, content: str) -> None:
    assert (await said(client, content)).status_code == 400


async def test_a_logout_is_posted_as_a_form_of_bounded_size(client: httpx.AsyncClient) -> None:
    assert (await client.post(BACKCHANNEL, json={"logout_token": "x"})).status_code == 415
    assert (await client.post(BACKCHANNEL, data={"logout_token": "x" * 70_000})).status_code == 413


async def test_a_provider_whose_keys_cannot_be_read_may_send_it_again(
    client: httpx.AsyncClient, provider: AuthorizationServer
) -> None:
    token = provider.logout_token()
    provider.__exit__()
    assert (await client.post(BACKCHANNEL, data={"logout_token": token})).status_code == 503
    provider.__enter__()


async def test_where_nobody_logs_in_nobody_is_logged_out(tmp_path: Path, definitions: Definitions) -> None:
    for settings in (production_settings(tmp_path), demo_settings(tmp_path)):
        async with serving(services_with(settings, definitions), BASE) as client:
            assert (await client.post(BACKCHANNEL, data={"logout_token": "x"})).status_code == 404
            assert (await client.get("/logout")).status_code == 404


async def test_sessions_are_found_while_secrets_rotate(
    tmp_path: Path, definitions: Definitions, provider: AuthorizationServer, services: Services
) -> None:
    async with serving(services, BASE) as client:
        await log_in(client)
        cookie = client.cookies[COOKIE]
    new = "the next secret, also long enough to be one"
    rotated = production_settings(tmp_path, **oidc(provider), secret_key=(new, *services.settings.secret_key))
    async with serving(services_with(rotated, definitions), BASE) as client:
        client.cookies.set(COOKIE, cookie, domain="cards.example")
        assert await is_in(client)
        assert (await said(client, provider.logout_token())).status_code == 200
        assert not await is_in(client)


async def test_used_logout_tokens_are_deleted_when_they_are_over(
    client: httpx.AsyncClient, provider: AuthorizationServer, services: Services
) -> None:
    await said(client, provider.logout_token())
    table = UsedToken.__tablename__
    assert len(rows_of(services.settings.database_url, table)) == 1
    await services.records.purge(NOW + timedelta(365))
    assert rows_of(services.settings.database_url, table) == []


async def test_the_address_that_a_login_begins_with_has_no_prompt(client: httpx.AsyncClient) -> None:
    assert "prompt" not in await sent_to_provider(client)

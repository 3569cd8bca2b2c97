"""Logging in at an OpenID Connect provider on a real socket, and who may open what."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc.jwk import ECKey

from app.definitions.served import Definitions
from app.login.people import COOKIE, local_path
from app.routes.login import BROWSER
from app.settings import SettingsError
from app.wiring import Services
from tests.app.conftest import NOW, demo_settings, services_with, serving
from tests.authorization_server import AuthorizationServer
from tests.hospital import BASE, OPERATOR, bearer
from tests.support.login import CLIENT, GROUP, at_provider, is_in, log_in, oidc, sent_to_provider
from tests.support.protocol import production_settings
from tests.support.records import everything_in

OPERATORS = (
    ("GET", "/worklist"),
    ("GET", "/docs"),
    ("GET", "/openapi.json"),
    ("GET", "/metrics"),
    ("GET", "/api/v1/feedback/summary"),
    ("GET", "/api/v1/reports/unknown/replay"),
    ("POST", "/api/v1/audit"),
)


@pytest.fixture
def provider() -> Iterator[AuthorizationServer]:
    with AuthorizationServer(CLIENT, claims={"groups": ["others", GROUP], "name": "N. N."}) as server:
        yield server


@pytest.fixture
def services(tmp_path: Path, definitions: Definitions, provider: AuthorizationServer) -> Services:
    return services_with(production_settings(tmp_path, **oidc(provider)), definitions)


@pytest.fixture
async def client(services: Services) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(services, BASE) as client:
        yield client


async def test_a_person_of_the_group_logs_in_and_is_on_the_page_that_was_asked_for(
    client: httpx.AsyncClient, provider: AuthorizationServer
) -> None:
    asked = await client.get("/worklist?list=all&due=14", headers={"accept": "text/html"})
    assert (asked.status_code, asked.headers["location"]) == (303, "/login?next=/worklist%3Flist%3Dall%26due%3D14")
    there = await client.get(asked.headers["location"])
    (query,) = [parse_qs(urlsplit(there.headers["location"]).query)]
    assert query["code_challenge_method"] == ["S256"]
    assert query["redirect_uri"] == [f"{BASE}/login/callback"]
    back = await client.get(at_provider(there.headers["location"]))
    assert (back.status_code, back.headers["location"]) == (303, "/worklist?list=all&due=14")
    page = await client.get(back.headers["location"])
    assert page.status_code == 200
    assert "N. N." in page.text
    assert "Log out" in page.text


async def test_the_cookies_are_for_us_alone(client: httpx.AsyncClient) -> None:
    begun = await client.get("/login")
    back = await client.get(at_provider(begun.headers["location"]))
    (browser,) = begun.headers.get_list("set-cookie")
    session, dropped = sorted(back.headers.get_list("set-cookie"), key=lambda each: each.startswith(BROWSER))
    for cookie, name in ((browser, BROWSER), (session, COOKIE), (dropped, BROWSER)):
        assert cookie.startswith(f"{name}=")
        for word in ("HttpOnly", "Path=/", "SameSite=lax", "Secure"):
            assert word in cookie
        assert "Domain" not in cookie
    assert "Max-Age=28800" in session
    assert "Max-Age=0" in dropped


@pytest.mark.parametrize(("method", "path"), OPERATORS)
async def test_a_login_opens_what_an_operators_token_opens(client: httpx.AsyncClient, method: str, path: str) -> None:
    origin = {"origin": BASE, "content-type": "application/json"}

    async def asked(headers: dict[str, str]) -> int:
        content = b"{}" if method == "POST" else None
        return (await client.request(method, path, headers=headers, content=content)).status_code

    assert await asked(origin) == 401
    by_token = await asked(bearer(OPERATOR) | {"content-type": "application/json"})
    assert by_token in (200, 404)
    await log_in(client)
    assert await asked(origin) == by_token


async def test_a_login_opens_nothing_of_an_ehr(client: httpx.AsyncClient) -> None:
    await log_in(client)
    answer = await client.post("/cds-services/trial-match-patient-view", json={}, headers={"origin": BASE})
    assert answer.status_code == 401


async def test_a_wrong_token_is_not_saved_by_a_good_session(client: httpx.AsyncClient) -> None:
    await log_in(client)
    assert (await client.get("/worklist", headers=bearer("wrong"))).status_code == 401


# What makes a login fail


TRY_AGAIN = "The login was not finished"
TELL = "The hospital’s login could not be checked"


async def refused(client: httpx.AsyncClient, back: httpx.Response, heading: str = TRY_AGAIN) -> None:
    assert back.status_code == 403
    assert f"<h1>{heading}</h1>" in back.text
    assert COOKIE + "=" not in str(back.headers.get_list("set-cookie"))
    assert not await is_in(client)


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "another"},
        {"nonce": None},
        {"aud": "another-client"},
        {"aud": None},
        {"aud": [CLIENT.id, "another-client"]},  # without azp
        {"azp": "another-client"},
        {"iss": "https://another.example"},
        {"exp": int(time.time()) - 120},
        {"exp": None},
        {"iat": int(time.time()) + 86_400},
        {"sub": None},
        {"sub": ""},
    ],
    ids=lambda claims: f"{next(iter(claims))}={next(iter(claims.values()))}"[:40],
)
async def test_an_identity_that_is_not_ours_of_now_logs_nobody_in(
    client: httpx.AsyncClient, provider: AuthorizationServer, claims: dict[str, Any]
) -> None:
    provider.claims = provider.claims | claims
    await refused(client, await log_in(client), TELL)


@pytest.mark.parametrize("algorithm", ["none", "HS256"])
async def test_an_identity_without_a_signature_of_the_provider_logs_nobody_in(
    client: httpx.AsyncClient, provider: AuthorizationServer, algorithm: str
) -> None:
    address = await sent_to_provider(client)
    back = at_provider(address)
    _, payload, signature = provider.id_token(provider.authorized[-1]["nonce"]).split(".")
    header = json.dumps({"alg": algorithm, "kid": provider.signs_with.kid}).encode()
    forged = base64.urlsafe_b64encode(header).rstrip(b"=").decode()
    provider.tokens = {"id_token": f"{forged}.{payload}.{'' if algorithm == 'none' else signature}"}
    await refused(client, await client.get(back), TELL)


async def test_an_identity_signed_by_another_key_of_the_same_name_logs_nobody_in(
    client: httpx.AsyncClient, provider: AuthorizationServer
) -> None:
    back = at_provider(await sent_to_provider(client))
    other = ECKey.generate_key("P-256", {"kid": str(provider.signs_with.kid), "use": "sig"}, private=True)
    published, provider.signs_with = provider.signs_with, other
    provider.tokens = {"id_token": provider.id_token(provider.authorized[-1]["nonce"])}
    provider.signs_with = published
    await refused(client, await client.get(back), TELL)


async def test_a_state_is_good_once(client: httpx.AsyncClient) -> None:
    back = at_provider(await sent_to_provider(client))
    assert (await client.get(back)).status_code == 303
    await client.post("/logout", headers={"origin": BASE})
    await refused(client, await client.get(back))


async def test_a_state_that_we_did_not_give_is_refused_before_the_provider_is_asked(
    client: httpx.AsyncClient, provider: AuthorizationServer
) -> None:
    for query in ({}, {"state": "x", "code": "y", "iss": provider.issuer}):
        await refused(client, await client.get("/login/callback", params=query))
    assert provider.paths("/token") == []


async def test_a_state_of_ten_minutes_ago_is_refused(client: httpx.AsyncClient, services: Services) -> None:
    back = at_provider(await sent_to_provider(client))
    services.clock = lambda: NOW + timedelta(minutes=11)
    await refused(client, await client.get(back))


async def test_nobody_is_logged_in_as_another_by_a_link(client: httpx.AsyncClient) -> None:
    """The attacker begins, and lets the victim's browser finish."""
    back = at_provider(await sent_to_provider(client))
    client.cookies.clear()
    await refused(client, await client.get(back))
    back = at_provider(await sent_to_provider(client))
    client.cookies.clear()
    await sent_to_provider(client)  # the victim's browser has begun a login of its own
    await refused(client, await client.get(back))


async def test_an_answer_that_names_another_server_is_refused(
    client: httpx.AsyncClient, provider: AuthorizationServer
) -> None:
    provider.issuer_sent = "https://another.example"
    await refused(client, await log_in(client), TELL)


async def test_who_says_no_at_the_provider_is_not_logged_in(
    client: httpx.AsyncClient, provider: AuthorizationServer
) -> None:
    provider.denied = "access_denied"
    await refused(client, await log_in(client))


async def test_a_provider_that_gives_no_token_logs_nobody_in(
    client: httpx.AsyncClient, provider: AuthorizationServer
) -> None:
    provider.token_status = 400
    await refused(client, await log_in(client), TELL)
    provider.token_status = 500
    assert (await log_in(client)).status_code == 503
    assert not await is_in(client)


@pytest.mark.parametrize("groups", [None, [], ["others"], "trial", {"trial-team": 1}, [["trial-team"]], GROUP.upper()])
async def test_who_is_not_in_the_group_is_told_so(
    client: httpx.AsyncClient, provider: AuthorizationServer, groups: object
) -> None:
    provider.claims = provider.claims | {"groups": groups}
    back = await log_in(client)
    assert back.status_code == 403
    assert "but not for this" in back.text
    assert not await is_in(client)


@pytest.mark.parametrize(
    ("claim", "claims"),
    [("roles", {"roles": GROUP}), ("realm_access.roles", {"realm_access": {"roles": [GROUP]}}),
     ("https://x.example/groups", {"https://x.example/groups": [GROUP]})],
)  # fmt: skip
async def test_the_groups_stand_where_the_site_says(
    tmp_path: Path, definitions: Definitions, provider: AuthorizationServer, claim: str, claims: dict[str, Any]
) -> None:
    provider.claims = claims
    settings = production_settings(tmp_path, **oidc(provider, oidc_groups_claim=claim))
    async with serving(services_with(settings, definitions), BASE) as client:
        assert (await log_in(client)).status_code == 303
        assert await is_in(client)


async def test_a_provider_that_does_not_answer_is_told_as_such(
    client: httpx.AsyncClient, provider: AuthorizationServer
) -> None:
    provider.__exit__()
    answer = await client.get("/login")
    assert answer.status_code == 503
    assert "The login does not answer" in answer.text
    provider.__enter__()


async def test_a_provider_that_lacks_an_address_is_for_the_administrator(
    client: httpx.AsyncClient, provider: AuthorizationServer
) -> None:
    provider.metadata = {"token_endpoint": None}
    answer = await client.get("/login")
    assert (answer.status_code, TELL in answer.text) == (503, True)


async def test_metadata_of_another_issuer_is_not_believed(
    client: httpx.AsyncClient, provider: AuthorizationServer
) -> None:
    provider.metadata = {"issuer": "https://another.example"}
    assert (await client.get("/login")).status_code == 503


# Where a login leads


@pytest.mark.parametrize(
    "wanted",
    [
        "https://evil.example", "//evil.example", "/\\evil.example", "\\\\evil.example", "/worklist/../../x",
        "/worklist//evil.example", "javascript:alert(1)", "/logout", "/login", "/worklist\r\nSet-Cookie: a=b",
        "/worklist@evil.example", "/worklist/%2e%2e/", "/worklist#x", "", "/worklist?" + "a" * 600, "/cds-services",
        "https:/worklist", " /worklist", "/worklist?next=https://evil.example",
    ],
)  # fmt: skip
async def test_a_login_leads_to_no_other_site(client: httpx.AsyncClient, wanted: str) -> None:
    back = await log_in(client, wanted)
    assert (back.status_code, back.headers["location"]) == (303, "/worklist")


@pytest.mark.parametrize(
    "wanted",
    ["/worklist", "/worklist?list=all&page=2", "/worklist/7d0f6c1e-0000-4000-8000-000000000000", "/docs/connect",
     "/openapi.json", "/trials/NCT06711146", "/worklist/export.csv?due=14"],
)  # fmt: skip
def test_our_own_pages_are_reached(wanted: str) -> None:
    assert local_path(wanted) == wanted


# The end of a session


async def test_logging_out_ends_the_session_for_every_copy_of_the_cookie(client: httpx.AsyncClient) -> None:
    await log_in(client)
    value = client.cookies[COOKIE]
    out = await client.post("/logout", headers={"sec-fetch-site": "same-origin"})
    assert out.status_code == 200
    assert COOKIE not in client.cookies
    client.cookies.set(COOKIE, value, domain="cards.example")
    assert not await is_in(client)


async def test_another_site_can_neither_log_out_nor_post_as_the_person(client: httpx.AsyncClient) -> None:
    await log_in(client)
    for headers in ({"sec-fetch-site": "cross-site"}, {"origin": "https://evil.example"}, {}):
        assert (await client.post("/logout", headers=headers)).status_code == 403
        assert (await client.post("/worklist/search", data={"patient": "x"}, headers=headers)).status_code == 403
        asked = await client.post("/api/v1/audit", json={}, headers=headers)
        assert asked.status_code == 403
    assert await is_in(client)


async def test_a_session_ends_after_half_an_hour_without_a_click(client: httpx.AsyncClient, services: Services) -> None:
    await log_in(client)
    for minutes in (29, 58):
        services.clock = lambda minutes=minutes: NOW + timedelta(minutes=minutes)  # type: ignore[misc]
        assert await is_in(client)
    services.clock = lambda: NOW + timedelta(minutes=58 + 31)
    assert not await is_in(client)


async def test_a_session_ends_after_eight_hours_however_busy(client: httpx.AsyncClient, services: Services) -> None:
    await log_in(client)
    for quarter in range(1, 32):
        services.clock = lambda quarter=quarter: NOW + timedelta(minutes=15 * quarter)  # type: ignore[misc]
        assert await is_in(client)
    services.clock = lambda: NOW + timedelta(hours=8)
    assert not await is_in(client)
    late = await client.post("/worklist/search", data={"patient": "x"}, headers={"accept": "text/html", "origin": BASE})
    assert late.status_code == 401
    assert "Your session is over" in late.text


async def test_a_new_login_takes_the_place_of_the_old_session(client: httpx.AsyncClient) -> None:
    await log_in(client)
    first = client.cookies[COOKIE]
    await log_in(client)
    assert client.cookies[COOKIE] != first
    client.cookies.clear()
    client.cookies.set(COOKIE, first, domain="cards.example")
    assert not await is_in(client)


async def test_what_is_over_is_deleted_and_nobody_is_named_in_the_file(
    client: httpx.AsyncClient, services: Services
) -> None:
    await log_in(client)
    content = everything_in(services.settings.database_url)
    assert client.cookies[COOKIE].encode() not in content
    assert b"N. N." not in content
    await services.sessions.purge(NOW + timedelta(minutes=31))
    assert not await is_in(client)


# Without a provider


async def test_without_a_provider_the_worklist_says_which_setting_is_missing(
    tmp_path: Path, definitions: Definitions
) -> None:
    async with serving(services_with(production_settings(tmp_path), definitions), BASE) as client:
        page = await client.get("/worklist", headers={"accept": "text/html"})
        assert page.status_code == 401
        assert page.headers["www-authenticate"] == "Bearer"
        assert "TRIALCARDS_OIDC_ISSUER" in page.text
        problem = await client.get("/worklist")
        assert problem.status_code == 401
        assert "TRIALCARDS_OIDC_ISSUER" in problem.json()["detail"]
        assert (await client.get("/worklist", headers=bearer(OPERATOR))).status_code == 200
        assert (await client.get("/login")).status_code == 404
        assert (await client.get("/login/callback?state=x")).status_code == 404


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"oidc_client_id": None}, "TRIALCARDS_OIDC_CLIENT_ID"),
        ({"oidc_groups": ()}, "TRIALCARDS_OIDC_GROUPS"),
        ({"oidc_issuer": "http://login.example"}, "TRIALCARDS_OIDC_ISSUER"),
        ({"oidc_issuer": "login"}, "TRIALCARDS_OIDC_ISSUER"),
        ({"oidc_scopes": "profile"}, "TRIALCARDS_OIDC_SCOPES"),
    ],
)
def test_a_login_that_cannot_work_is_named_at_the_start(tmp_path: Path, given: dict[str, Any], named: str) -> None:
    whole = {"oidc_issuer": "https://login.example", "oidc_client_id": "x", "oidc_groups": (GROUP,)} | given
    with pytest.raises(SettingsError) as raised:
        production_settings(tmp_path, **whole)
    assert named in str(raised.value)


async def test_the_demo_is_open_and_says_who_one_is(tmp_path: Path, definitions: Definitions) -> None:
    async with serving(services_with(demo_settings(tmp_path), definitions)) as client:
        page = await client.get("/worklist")
        assert "Demo coordinator" in page.text
        assert "Log out" not in page.text
        assert (await client.get("/login?next=/docs")).headers["location"] == "/docs"

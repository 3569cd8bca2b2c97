"""What SMART launches and logins share: discovery, the way there and back, the code, the identity, the kept state."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from joserfc.jwk import ECKey, RSAKey

from app.client_key import key_id, public_key_set, read_key
from app.oauth import pending
from app.oauth.flow import Attempt, Client, Net, OAuthError, Registration, Servers, new_attempt
from app.oauth.pending import LIVES, Pending, TooMany
from app.outbound import Outbound
from app.storage.records import Records
from app.storage.signing import Keys
from app.tokens.key_sets import KeySets
from tests.app.conftest import SECRET
from tests.authorization_server import AuthorizationServer, Registered
from tests.fhir_server import FhirServer, body, drip, status

CLIENT = Registered("trialcards")
LOCAL = Net(private_network=True, allow_http=True)
BACK = "https://cards.example/back"
NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
async def outbound() -> AsyncIterator[Outbound]:
    made = Outbound()
    yield made
    await made.close()


@pytest.fixture
def server() -> Iterator[AuthorizationServer]:
    with AuthorizationServer(CLIENT) as running:
        yield running


async def registered(server: AuthorizationServer, outbound: Outbound, client: Client | None = None) -> Registration:
    described = await Servers(outbound).openid(server.issuer, LOCAL)
    return Registration(described, client or Client(CLIENT.id), BACK, LOCAL, outbound, KeySets(outbound))


async def sent_back(ours: Registration, attempt: Attempt) -> dict[str, str]:
    """The query with which a browser comes back."""
    async with httpx.AsyncClient(trust_env=False) as browser:
        answer = await browser.get(ours.address("openid", "a state of at least 22 letters", attempt))
    assert answer.status_code == 302, answer.text
    assert answer.headers["location"].startswith(BACK + "?")
    return dict(parse_qsl(urlsplit(answer.headers["location"]).query))


async def signed_in(ours: Registration) -> Any:
    attempt = new_attempt()
    tokens = await ours.redeem(ours.code_in(await sent_back(ours, attempt)), attempt)
    return await ours.identity(tokens["id_token"], attempt)


async def test_a_browser_comes_back_as_the_user_that_the_server_names(
    server: AuthorizationServer, outbound: Outbound
) -> None:
    claims = await signed_in(await registered(server, outbound))
    assert (claims["sub"], claims["iss"]) == (server.subject, server.issuer)


async def test_each_attempt_has_secrets_of_its_own(server: AuthorizationServer, outbound: Outbound) -> None:
    ours = await registered(server, outbound)
    for _ in range(2):
        await signed_in(ours)
    first, second = server.authorized
    assert first["code_challenge"] != second["code_challenge"]
    assert first["nonce"] != second["nonce"]


async def test_what_a_server_says_of_itself_is_asked_once(server: AuthorizationServer, outbound: Outbound) -> None:
    servers = Servers(outbound)
    for _ in range(3):
        await servers.openid(server.issuer, LOCAL)
    assert len(server.asked) == 1


# -- discovery


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        ({"issuer": "http://other.example"}, "metadata of another issuer"),
        ({"jwks_uri": None}, "metadata of another issuer"),
        ({"token_endpoint": None}, "metadata: no usable token_endpoint"),
        ({"token_endpoint": "ftp://a.example/x"}, "metadata: no usable token_endpoint"),
        ({"authorization_endpoint": "https://user@a.example/"}, "metadata: no usable authorization_endpoint"),
        ({"authorization_endpoint": "javascript:alert(1)"}, "metadata: no usable authorization_endpoint"),
    ],
)
async def test_a_server_that_describes_itself_wrongly_is_not_used(
    server: AuthorizationServer, outbound: Outbound, said: dict[str, Any], cause: str
) -> None:
    server.metadata = said
    with pytest.raises(OAuthError) as caught:
        await Servers(outbound).openid(server.issuer, LOCAL)
    assert caught.value.cause == cause


async def test_an_address_without_tls_is_only_used_where_the_entry_allows_it(
    server: AuthorizationServer, outbound: Outbound
) -> None:
    with pytest.raises(OAuthError, match="no usable authorization_endpoint"):
        await Servers(outbound).openid(server.issuer, replace(LOCAL, allow_http=False))


async def test_a_private_address_is_only_called_where_the_entry_allows_it(
    server: AuthorizationServer, outbound: Outbound
) -> None:
    with pytest.raises(OAuthError, match="no connection"):
        await Servers(outbound).openid(server.issuer, replace(LOCAL, private_network=False))
    assert server.asked == []


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (status(302, location="http://127.0.0.1:9/"), "metadata: status 302"),
        (status(503), "metadata: status 503"),
        (body(b"[" * 300_000), "metadata: not usable JSON"),
        (body(b'{"issuer": "a", "issuer": "b"}'), "metadata: not usable JSON"),
        (body(b"[]"), "metadata: not usable JSON"),
    ],
)
async def test_metadata_that_are_no_small_json_object_are_refused(outbound: Outbound, answer: Any, cause: str) -> None:
    async with FhirServer(path="", faults={".well-known": answer}) as server:
        with pytest.raises(OAuthError) as caught:
            await Servers(outbound).openid(server.base, LOCAL)
    assert caught.value.cause == cause


async def test_a_server_that_drips_is_given_up(outbound: Outbound) -> None:
    started = time.monotonic()
    async with FhirServer(path="", faults={".well-known": drip}) as server:
        with pytest.raises(OAuthError, match="not within the time"):
            await Servers(outbound).smart(server.base, LOCAL)
    assert time.monotonic() - started < 5


async def test_a_server_that_failed_is_not_asked_again_at_once(outbound: Outbound) -> None:
    servers = Servers(outbound)
    async with FhirServer(path="", faults={".well-known": status(503)}) as server:
        for _ in range(3):
            with pytest.raises(OAuthError):
                await servers.smart(server.base, LOCAL)
        assert len(server.requests) == 1


async def test_keys_that_the_smart_configuration_leaves_out_are_found_at_the_issuer(
    server: AuthorizationServer, outbound: Outbound
) -> None:
    described = await Servers(outbound).smart(server.fhir, LOCAL)
    assert described.jwks_uri == f"{server.issuer}/jwks.json"
    async with FhirServer() as fhir:
        said = server.described() | {"jwks_uri": None}
        fhir.faults[".well-known"] = _json(said)
        described = await Servers(outbound).smart(fhir.base, LOCAL)
    assert described.jwks_uri == f"{server.issuer}/jwks.json"


def _json(content: Any) -> Any:
    return body(json.dumps({name: value for name, value in content.items() if value}).encode(), "application/json")


# -- the code


async def test_a_code_is_good_for_the_browser_that_began(server: AuthorizationServer, outbound: Outbound) -> None:
    ours = await registered(server, outbound)
    code = ours.code_in(await sent_back(ours, new_attempt()))
    with pytest.raises(OAuthError, match="token endpoint: status 400"):
        await ours.redeem(code, new_attempt())


@pytest.mark.parametrize("name", ["wrong", None])
async def test_an_answer_of_another_server_is_refused(
    server: AuthorizationServer, outbound: Outbound, name: str | None
) -> None:
    ours = await registered(server, outbound)
    back = await sent_back(ours, new_attempt())
    back = {key: value for key, value in back.items() if key != "iss"} | ({"iss": name} if name else {})
    with pytest.raises(OAuthError, match="answer of another server"):
        ours.code_in(back)


async def test_a_server_that_never_names_itself_need_not(server: AuthorizationServer, outbound: Outbound) -> None:
    server.metadata = {"authorization_response_iss_parameter_supported": None}
    server.issuer_sent = ""
    assert await signed_in(await registered(server, outbound))


@pytest.mark.parametrize(
    ("query", "cause"),
    [
        ({"error": "access_denied", "code": "x"}, "access_denied"),
        ({"error": "Jane Doe"}, "error of the server"),
        ({}, "no code"),
        ({"code": ""}, "no code"),
        ({"code": "x" * 5000}, "no code"),
    ],
)
async def test_an_error_is_told_in_words_of_ours(
    server: AuthorizationServer, outbound: Outbound, query: dict[str, str], cause: str
) -> None:
    ours = await registered(server, outbound)
    with pytest.raises(OAuthError) as caught:
        ours.code_in(query | {"iss": server.issuer})
    assert caught.value.cause == cause


@pytest.mark.parametrize("tokens", [{"access_token": None}, {"access_token": 7}, {"token_type": "mac"}])
async def test_a_response_without_a_bearer_token_is_refused(
    server: AuthorizationServer, outbound: Outbound, tokens: dict[str, Any]
) -> None:
    server.tokens = tokens
    with pytest.raises(OAuthError, match="token endpoint: no bearer token"):
        await signed_in(await registered(server, outbound))


async def test_a_client_with_a_secret_shows_it(server: AuthorizationServer, outbound: Outbound) -> None:
    secret = "a secret with: colon, % and +"
    server.client = replace(CLIENT, secret=secret)
    assert await signed_in(await registered(server, outbound, Client(CLIENT.id, secret)))
    with pytest.raises(OAuthError, match="token endpoint: status 400"):
        await signed_in(await registered(server, outbound, Client(CLIENT.id, "another")))


@pytest.mark.parametrize("kind", ["EC", "RSA", "EC with an id"])
async def test_a_client_with_a_key_signs_with_it(
    server: AuthorizationServer, outbound: Outbound, tmp_path: Path, kind: str
) -> None:
    made = RSAKey.generate_key(2048) if kind == "RSA" else ECKey.generate_key("P-384")
    jwk = json.dumps(dict(made.as_dict(private=True)) | {"kid": "ours"}).encode()
    (tmp_path / "key").write_bytes(jwk if kind == "EC with an id" else made.as_pem(private=True))
    key = read_key(tmp_path / "key")
    shown = public_key_set([key, key])
    assert [each["kid"] for each in shown["keys"]] == [key_id(key)]
    assert not {"d", "p", "q"} & shown["keys"][0].keys()
    server.client = replace(CLIENT, keys=shown)
    assert await signed_in(await registered(server, outbound, Client(CLIENT.id, key=key)))


def test_the_text_of_a_client_and_of_an_attempt_shows_no_secret() -> None:
    attempt = new_attempt()
    said = f"{Client('name', 'canary-secret')!r} {attempt!r}"
    assert not [secret for secret in ("canary-secret", attempt.nonce, attempt.verifier) if secret in said]


# -- the identity

NOT_GOOD = [
    ({"iss": "http://other.example"}, "issuer"),
    ({"aud": "another client"}, "audience"),
    ({"aud": None}, "audience"),
    ({"aud": ["trialcards", "another"]}, "authorized party"),
    ({"azp": "another"}, "authorized party"),
    ({"exp": int(time.time()) - 120}, "not within its time"),
    ({"iat": int(time.time()) + 86_400}, "not within its time"),
    ({"exp": "soon"}, "exp"),
    ({"nonce": "of another browser"}, "nonce"),
    ({"nonce": None}, "nonce"),
    ({"sub": None}, "no subject"),
]


@pytest.mark.parametrize(("claims", "cause"), NOT_GOOD)
async def test_an_identity_that_is_not_for_us_now_is_refused(
    server: AuthorizationServer, outbound: Outbound, claims: dict[str, Any], cause: str
) -> None:
    server.claims = claims
    with pytest.raises(OAuthError) as caught:
        await signed_in(await registered(server, outbound))
    assert caught.value.cause == f"identity: {cause}"


async def test_an_identity_for_several_names_us_as_its_party(server: AuthorizationServer, outbound: Outbound) -> None:
    server.claims = {"aud": ["trialcards", "another"], "azp": "trialcards"}
    assert await signed_in(await registered(server, outbound))


async def test_an_identity_signed_by_somebody_else_is_refused(server: AuthorizationServer, outbound: Outbound) -> None:
    ours = await registered(server, outbound)
    attempt = new_attempt()
    stranger = AuthorizationServer(CLIENT, signs_with=ECKey.generate_key("P-256", {"kid": server.signs_with.kid or ""}))
    stranger.issuer = server.issuer
    stranger.fhir = server.fhir
    with pytest.raises(OAuthError, match="identity: signature"):
        await ours.identity(stranger.id_token(attempt.nonce), attempt)
    unknown = replace(stranger, signs_with=ECKey.generate_key("P-256", {"kid": "unknown"}))
    unknown.issuer, unknown.fhir = server.issuer, server.fhir
    with pytest.raises(OAuthError, match="identity: unknown key"):
        await ours.identity(unknown.id_token(attempt.nonce), attempt)


async def test_an_identity_that_nobody_signed_is_refused(server: AuthorizationServer, outbound: Outbound) -> None:
    ours = await registered(server, outbound)
    attempt = new_attempt()
    _, claims, _ = server.id_token(attempt.nonce).split(".")
    for token in (f"eyJhbGciOiJub25lIn0.{claims}.x", f"eyJhbGciOiJub25lIn0.{claims}.", "", "x", None, 7):
        with pytest.raises(OAuthError, match="identity"):
            await ours.identity(token, attempt)


# -- what is remembered meanwhile


@pytest.fixture
def kept(records: Records) -> Pending:
    return Pending(records, Keys([SECRET]))


async def test_what_was_kept_is_given_back_once(kept: Pending) -> None:
    state = await kept.keep("launch", b"content", NOW)
    assert await kept.take("launch", state, NOW + timedelta(minutes=9)) == b"content"
    assert await kept.take("launch", state, NOW + timedelta(minutes=9)) is None


async def test_what_was_kept_ends(kept: Pending) -> None:
    state = await kept.keep("launch", b"content", NOW)
    assert await kept.take("launch", state, NOW + LIVES) is None


async def test_a_launch_is_not_finished_as_a_login(kept: Pending) -> None:
    state = await kept.keep("launch", b"content", NOW)
    assert await kept.take("login", state, NOW) is None
    assert await kept.take("launch", state, NOW) == b"content"


async def test_a_state_that_nobody_gave_is_worth_nothing(kept: Pending) -> None:
    await kept.keep("launch", b"content", NOW)
    for state in ("", "x", "\ud800", "%"):
        assert await kept.take("launch", state, NOW) is None


async def test_another_worker_gives_back_what_one_kept(kept: Pending, records: Records, database: str) -> None:
    state = await kept.keep("launch", b"content", NOW)
    other = Records(database, Keys([SECRET]), timedelta(30), timedelta(30))
    await other.prepare()
    try:
        found = [await Pending(each, Keys([SECRET])).take("launch", state, NOW) for each in (other, records)]
    finally:
        await other.close()
    assert found == [b"content", None]


async def test_neither_the_state_nor_the_content_can_be_read_in_the_table(kept: Pending, records: Records) -> None:
    state = await kept.keep("launch", b"canary", NOW)
    rows = await records.read(lambda connection: connection.execute(pending.PENDING.select()).all())
    assert len(rows) == 1
    assert state not in str(rows)
    assert "canary" not in str(rows)


async def test_what_has_ended_is_deleted(kept: Pending, records: Records) -> None:
    await kept.keep("launch", b"old", NOW)
    state = await kept.keep("launch", b"new", NOW + timedelta(minutes=5))
    await kept.purge(NOW + LIVES)
    assert len(await records.read(lambda connection: connection.execute(pending.PENDING.select()).all())) == 1
    assert await kept.take("launch", state, NOW + LIVES) == b"new"


async def test_nobody_fills_the_database_by_beginning(records: Records) -> None:
    kept = Pending(records, Keys([SECRET]), most=2)
    for _ in range(2):
        await kept.keep("launch", b"content", NOW)
    with pytest.raises(TooMany):
        await kept.keep("launch", b"content", NOW)
    assert await kept.keep("launch", b"content", NOW + LIVES)

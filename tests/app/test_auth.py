"""Tokens of EHRs and operators: what opens the door, and what does not, without saying why."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc.jwk import ECKey, RSAKey
from structlog.testing import capture_logs

from app.definitions.served import Definitions
from app.settings import Settings, read_settings
from app.web.examples import hook_call
from tests import fhir_server
from tests.app.conftest import SECRET, services_with, serving
from tests.fhir_server import FhirServer, body, drip, status
from tests.support.auth import BASE, EC, ENCRYPTS, ISSUER, SERVICE, key_set, token

OPERATOR = "an operator's token"

RSA = RSAKey.generate_key(2048, {"kid": "rsa"}, private=True)
EC256 = ECKey.generate_key("P-256", {"kid": "p256"}, private=True)
STRANGER = ECKey.generate_key("P-384", {"kid": "ec/+="}, private=True)


@pytest.fixture
async def jwks() -> AsyncIterator[FhirServer]:
    async with FhirServer(path="") as server:
        server.faults["jwks.json"] = body(key_set(EC, RSA, EC256, ENCRYPTS), "application/json")
        yield server


def production(folder: Path, jwks: str, more: str = "") -> Settings:
    (folder / "ehrs.toml").write_text(
        f'[[ehr]]\nname = "st"\nissuer = "{ISSUER}"\njwks_url = "{jwks}/jwks.json"\nallow_http = true\n'
        f'private_network = true\ncors_origins = ["https://ehr.example"]\n{more}'
    )
    return read_settings(
        "production",
        ehrs=folder / "ehrs.toml",
        public_url=BASE,
        secret_key=(SECRET,),
        operator_tokens=(hashlib.sha256(OPERATOR.encode()).hexdigest(),),
        database_url=f"sqlite:///{folder}/records.db",
    )


@pytest.fixture
async def client(tmp_path: Path, jwks: FhirServer, definitions: Definitions) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(services_with(production(tmp_path, jwks.base), definitions), BASE) as client:
        yield client


async def call(client: httpx.AsyncClient, bearer: str | None, url: str = SERVICE) -> httpx.Response:
    headers = {"authorization": f"Bearer {bearer}"} if bearer is not None else {}
    return await client.post(url, json=hook_call("patient-view"), headers=headers)


@pytest.mark.parametrize(("key", "alg"), [(EC, "ES384"), (RSA, "RS384")])
async def test_a_good_token_opens_the_door_once(client: httpx.AsyncClient, key: Any, alg: str) -> None:
    bearer = token(key, alg)
    assert (await call(client, bearer)).status_code == 200
    assert (await call(client, bearer)).status_code == 401


async def test_instants_of_a_token_may_have_a_fraction(client: httpx.AsyncClient) -> None:
    now = time.time()
    assert (await call(client, token(iat=now, exp=now + 300.5))).status_code == 200


async def test_a_refusal_is_logged_with_what_came_and_what_was_expected(client: httpx.AsyncClient) -> None:
    sent = [
        token(aud="https://cards.example/\ncanary"),
        token(iss="https://other.example/" + "x" * 400),
        token(header={"kid": "old"}),
    ]
    with capture_logs() as logs:
        for each in sent:
            assert (await call(client, each)).status_code == 401
    audience, issuer, key = (line for line in logs if line["event"] == "token refused")
    assert (audience["reason"], audience["ehr"], audience["aud"]) == ("audience", "st", [f"{BASE}/?canary"])
    assert audience["expected"] == [SERVICE]
    assert (issuer["reason"], issuer["ehr"], issuer["expected"]) == ("unknown issuer or tenant", None, [ISSUER])
    assert len(issuer["iss"]) == 203
    assert (key["reason"], key["kid"], key["expected"]) == ("unknown key", "old", ["ec/+=", "enc", "p256", "rsa"])


NOW = int(time.time())
REFUSED: dict[str, str] = {
    "no alg": token(alg="ES384").replace(token().split(".")[0], "eyJhbGciOiJub25lIiwidHlwIjoiSldUIiwia2lkIjoiYSJ9"),
    "empty signature": token().rsplit(".", 1)[0] + ".",
    "two parts": token().rsplit(".", 1)[0],
    "five parts": token() + ".a.b",
    "not base64": "a$.b$.c$",
    "another key": token(STRANGER),
    "key of another algorithm": token(EC256, "ES256"),
    "key for encryption": token(ENCRYPTS),
    "no kid": token(header={"kid": None}),
    "unknown kid": token(header={"kid": "x"}),
    "kid is a number": token(header={"kid": "x"}),
    "no typ": token(header={"typ": None}),
    "foreign jku": token(header={"jku": "http://169.254.169.254/"}),
    "unknown issuer": token(iss="https://sandbox.cds-hooks.org"),
    "no issuer": token(iss=None),
    "another audience": token(aud="https://other.example"),
    "discovery's audience": token(aud=f"{BASE}/cds-services"),
    "http audience": token(aud=SERVICE.replace("https", "http")),
    "audience with a slash": token(aud=SERVICE + "/"),
    "no audience": token(aud=None),
    "ten thousand audiences": token(aud=["x"] * 10_000 + [SERVICE]),
    "expired": token(iat=NOW - 1000, exp=NOW - 700),
    "no exp": token(exp=None),
    "exp is text": token(exp=str(NOW + 300)),
    "exp is negative": token(exp=-1),
    "exp is huge": token(exp=10**400),
    "exp is infinite": token(exp=1e308 * 10),
    "no iat": token(iat=None),
    "issued in ten minutes": token(iat=NOW + 600, exp=NOW + 800),
    "good in ten minutes": token(nbf=NOW + 600),
    "lives for a day": token(exp=NOW + 86_400),
    "no jti": token(jti=None),
    "jti is a number": token(jti=7),
    "tenant is a number": token(tenant=7),
    "too long": token(x="x" * 65_536),
    "empty": "",
}


@pytest.mark.parametrize("bearer", REFUSED.values(), ids=REFUSED)
async def test_any_other_token_is_refused_in_the_same_words(client: httpx.AsyncClient, bearer: str) -> None:
    answer = await call(client, bearer)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json() == (await call(client, None)).json()


async def test_a_public_key_is_no_shared_secret(client: httpx.AsyncClient) -> None:
    payload = token(RSA, "RS384").split(".")[1]
    head = base64.urlsafe_b64encode(b'{"alg":"HS384","typ":"JWT","kid":"rsa"}').decode().rstrip("=")
    digest = hmac.digest(RSA.as_pem(private=False), f"{head}.{payload}".encode(), "sha384")
    signature = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    assert (await call(client, f"{head}.{payload}.{signature}")).status_code == 401


async def test_two_authorization_headers_are_refused(client: httpx.AsyncClient) -> None:
    headers = [("authorization", f"Bearer {token()}"), ("authorization", f"Bearer {token()}")]
    assert (await client.post(SERVICE, json=hook_call("patient-view"), headers=headers)).status_code == 401


async def test_a_token_elsewhere_is_not_looked_at(client: httpx.AsyncClient) -> None:
    answer = await client.post(f"{SERVICE}?access_token={token()}", json=hook_call("patient-view"))
    assert answer.status_code == 401


async def test_an_audience_may_be_one_of_several_and_feedback_takes_the_services_address(
    client: httpx.AsyncClient,
) -> None:
    assert (await call(client, token(aud=["https://other.example", SERVICE]))).status_code == 200
    item = {"card": "x", "outcome": "overridden", "outcomeTimestamp": "2026-11-01T11:00:00Z"}
    for audience in (SERVICE, SERVICE + "/feedback"):
        headers = {"authorization": f"Bearer {token(aud=audience)}"}
        answer = await client.post(SERVICE + "/feedback", json={"feedback": [item]}, headers=headers)
        assert answer.status_code == 200


@pytest.mark.parametrize("path", ["/api/v1/match", "/fhir/ResearchStudy/$match"])
async def test_match_needs_a_token_for_its_own_address(client: httpx.AsyncClient, path: str) -> None:
    url = BASE + path
    assert (await call(client, token(), url)).status_code == 401
    assert (await call(client, token(aud=url), url)).status_code == 422


OPEN = [
    "/healthz",
    "/readyz",
    "/cds-services",
    "/api/v1/trials",
    "/api/v1/trials/NCT06711146",
    "/fhir/metadata",
    "/fhir/Group/NCT06711146.sle",
]
OPERATORS = ["/metrics", "/docs", "/openapi.json", "/api/v1/feedback/summary"]


@pytest.mark.parametrize("path", OPEN)
async def test_what_is_open_needs_no_token(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(path)).status_code == 200


@pytest.mark.parametrize("path", OPERATORS)
async def test_an_operators_token_opens_the_operators_doors_only(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(path)).status_code == 401
    for bearer, expected in ((OPERATOR, 200), ("another", 401), (token(aud=BASE + path), 401)):
        assert (await client.get(path, headers={"authorization": f"Bearer {bearer}"})).status_code == expected
    assert (await call(client, OPERATOR)).status_code == 401


async def test_a_token_is_refused_by_another_worker_and_after_a_restart(
    tmp_path: Path, jwks: FhirServer, definitions: Definitions
) -> None:
    settings = production(tmp_path, jwks.base)
    bearer = token()
    for expected in (200, 401):
        async with serving(services_with(settings, definitions), BASE) as client:
            assert (await call(client, bearer)).status_code == expected


RULES: list[tuple[str, str, int]] = [
    ("replay_guard = false", token(jti="the same"), 200),
    ('subject = "client"', token(), 401),
    ('subject = "client"', token(sub="client"), 200),
    ('tenants = ["a"]', token(), 401),
    ('tenants = ["a"]', token(tenant="b"), 401),
    ('tenants = ["a"]', token(tenant="a"), 200),
    ('audiences = ["cards"]', token(aud="cards"), 200),
    ("max_token_lifetime = 60", token(), 401),
    ('algorithms = ["RS384"]', token(), 401),
    ('services = ["trial-match-encounter-start"]', token(), 403),
]


@pytest.mark.parametrize(("rule", "bearer", "expected"), RULES)
async def test_an_entry_has_its_own_rules(
    tmp_path: Path, jwks: FhirServer, definitions: Definitions, rule: str, bearer: str, expected: int
) -> None:
    async with serving(services_with(production(tmp_path, jwks.base, rule), definitions), BASE) as client:
        assert (await call(client, bearer)).status_code == expected
        if rule.startswith("replay_guard"):
            assert (await call(client, bearer)).status_code == 200


async def test_keys_are_asked_for_once_by_many_calls(client: httpx.AsyncClient, jwks: FhirServer) -> None:
    answers = await asyncio.gather(*(call(client, token()) for _ in range(5)))
    assert [answer.status_code for answer in answers] == [200] * 5
    assert len(jwks.requests) == 1


async def test_a_changed_key_is_found_and_an_unknown_one_asked_for_once_a_minute(
    client: httpx.AsyncClient, jwks: FhirServer
) -> None:
    assert (await call(client, token())).status_code == 200
    new = ECKey.generate_key("P-384", {"kid": "new"}, private=True)
    jwks.faults["jwks.json"] = body(key_set(new), "application/json")
    assert (await call(client, token(new))).status_code == 200
    for _ in range(3):
        assert (await call(client, token(STRANGER, header={"kid": "unheard of"}))).status_code == 401
    assert len(jwks.requests) == 2


async def test_known_keys_stay_good_while_their_address_is_down(client: httpx.AsyncClient, jwks: FhirServer) -> None:
    assert (await call(client, token())).status_code == 200
    jwks.faults["jwks.json"] = status(500)
    assert (await call(client, token(header={"kid": "new"}))).status_code == 401
    assert (await call(client, token())).status_code == 200


BROKEN = {
    "slow": drip,
    "silent": fhir_server.silent,
    "reset": fhir_server.reset,
    "truncated": fhir_server.truncated,
    "compressed": fhir_server.compressed,
    "refusing": status(403),
    "failing": status(500),
    "redirecting": status(302, Location="http://127.0.0.1:1/"),
    "large": body(b" " * 300_000),
    "no JSON": body(b"<html>"),
    "no set": body(b"[]"),
    "odd entries": body(b'{"keys": [1, {"kty": "EC", "kid": "ec/+="}, {"kty": "oct", "k": "AA", "kid": "x"}]}'),
}


@pytest.mark.parametrize("fault", BROKEN.values(), ids=BROKEN)
async def test_a_key_set_that_is_not_one_lets_nobody_in(
    client: httpx.AsyncClient, jwks: FhirServer, fault: Any
) -> None:
    jwks.faults["jwks.json"] = fault
    started = time.monotonic()
    assert (await call(client, token())).status_code == 401
    assert time.monotonic() - started < 2


async def test_a_key_set_on_a_private_network_needs_leave(
    tmp_path: Path, jwks: FhirServer, definitions: Definitions
) -> None:
    settings = production(tmp_path, jwks.base)
    text = (tmp_path / "ehrs.toml").read_text().replace("private_network = true", "private_network = false")
    (tmp_path / "ehrs.toml").write_text(text)
    async with serving(services_with(settings, definitions), BASE) as client:
        assert (await call(client, token())).status_code == 401
    assert jwks.requests == []


async def test_keys_may_come_from_a_file(tmp_path: Path, jwks: FhirServer, definitions: Definitions) -> None:
    settings = production(tmp_path, jwks.base)
    (tmp_path / "keys.json").write_bytes(key_set(EC))
    text = (
        (tmp_path / "ehrs.toml").read_text().replace(f'jwks_url = "{jwks.base}/jwks.json"', 'jwks_file = "keys.json"')
    )
    (tmp_path / "ehrs.toml").write_text(text)
    async with serving(services_with(settings, definitions), BASE) as client:
        assert (await call(client, token())).status_code == 200


async def test_while_the_database_is_gone_hooks_and_feedback_are_503(
    tmp_path: Path, jwks: FhirServer, definitions: Definitions
) -> None:
    settings = production(tmp_path, jwks.base)
    (tmp_path / "records.db").mkdir()
    async with serving(services_with(settings, definitions), BASE) as client:
        for path, audience in ((SERVICE, SERVICE), (SERVICE + "/feedback", SERVICE)):
            answer = await call(client, token(aud=audience), path)
            assert answer.status_code == 503
            assert answer.headers["retry-after"]
        ready = await client.get("/readyz")
        assert (ready.status_code, ready.json()["database"]) == (503, "unreachable")
        assert (await client.get("/healthz")).status_code == 200

"""Tokens made to deceive: keys that share a name, signatures of nothing, keys that a token brings along."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc import jws
from joserfc.jwk import ECKey

from app.definitions.served import Definitions
from app.web.examples import hook_call
from tests.app.conftest import services_with, serving
from tests.hospital import BASE, KEY, VIEW, bearer, signed
from tests.support.protocol import production_settings
from tests.support.records import rows_of

OTHER = ECKey.generate_key("P-384", {"kid": "ehr/+="}, private=True)
SECOND = """
[[ehr]]
name = "second"
issuer = "https://second.example"
jwks_file = "second.json"
"""


@pytest.fixture
async def hospital(tmp_path: Path, definitions: Definitions) -> AsyncIterator[httpx.AsyncClient]:
    (tmp_path / "second.json").write_text(json.dumps({"keys": [OTHER.as_dict(private=False)]}))
    async with serving(services_with(production_settings(tmp_path, SECOND), definitions), BASE) as client:
        yield client


async def call(client: httpx.AsyncClient, token: str) -> int:
    return (await client.post(VIEW, json=hook_call("patient-view"), headers=bearer(token))).status_code


async def test_two_ehrs_whose_keys_share_a_name_are_told_apart(hospital: httpx.AsyncClient) -> None:
    assert await call(hospital, signed()) == 200
    assert await call(hospital, signed(key=OTHER, iss="https://second.example")) == 200
    assert await call(hospital, signed(key=OTHER)) == 401
    assert await call(hospital, signed(iss="https://second.example")) == 401


async def test_a_key_that_a_token_brings_along_is_not_looked_at(hospital: httpx.AsyncClient) -> None:
    public = OTHER.as_dict(private=False)
    payload = base64.urlsafe_b64decode(signed().split(".")[1] + "==")
    for brought in ({"jwk": public}, {"x5c": ["MIIB"]}, {"x5u": "http://169.254.169.254/"}, {"jku": "http://x"}):
        header: dict[str, Any] = {"alg": "ES384", "typ": "JWT", "kid": KEY.kid} | brought
        token = jws.serialize_compact(header, payload, OTHER, algorithms=["ES384"], registry=_lenient())
        assert await call(hospital, token) == 401


def _lenient() -> jws.JWSRegistry:
    return jws.JWSRegistry(algorithms=["ES384"], strict_check_header=False)


@pytest.mark.parametrize("signature", [b"\0" * 96, b"\0" * 48 + b"\x01" * 48, b"", b"\xff" * 96, b"\0"])
async def test_a_signature_of_nothing_is_none(hospital: httpx.AsyncClient, signature: bytes) -> None:
    head, payload, _ = signed().split(".")
    forged = base64.urlsafe_b64encode(signature).decode().rstrip("=")
    assert await call(hospital, f"{head}.{payload}.{forged}") == 401


async def test_only_good_tokens_are_remembered(hospital: httpx.AsyncClient, tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path}/records.db"
    for _ in range(5):
        assert await call(hospital, signed(key=OTHER)) == 401
        assert await call(hospital, signed(exp=1)) == 401
    assert rows_of(database, "used_token") == []
    assert await call(hospital, signed()) == 200
    assert len(rows_of(database, "used_token")) == 1


async def test_the_token_for_a_fhir_server_is_no_key_to_our_door(hospital: httpx.AsyncClient) -> None:
    body = hook_call("patient-view")
    body |= {"fhirServer": "https://ehr.example/fhir"}
    body["fhirAuthorization"] = {"access_token": signed(), "token_type": "Bearer", "expires_in": 300}
    assert (await hospital.post(VIEW, json=body)).status_code == 401
    assert await call(hospital, "an-access-token") == 401

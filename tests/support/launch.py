"""What tests of launch share with others."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import httpx

from app.calls.launch import WORDS
from app.definitions.served import Definitions
from app.settings import Settings, read_settings
from tests.app.conftest import SECRET, services_with, serving
from tests.authorization_server import AuthorizationServer, Registered
from tests.support.auth import EC, key_set

BASE = "https://cards.example"

PATIENT = "demo-lupus-near-miss"

TRIAL = "NCT06711146"

ANCESTORS = "https://ehr.example https://portal.example"

CLIENT = Registered("trialcards")

FRAMED = {"sec-fetch-dest": "iframe", "sec-fetch-site": "cross-site"}


def registered(folder: Path, ehr: AuthorizationServer, smart: str = "", more: str = "", **given: object) -> Settings:
    """Production, with this EHR and our app in it; `smart` and `more` are lines of its entry."""
    (folder / "keys.json").write_bytes(key_set(EC))
    origins = ", ".join(f'"{origin}"' for origin in ANCESTORS.split())
    (folder / "ehrs.toml").write_text(
        f'[[ehr]]\nname = "st"\nissuer = "https://ehr.example/oauth2"\njwks_file = "keys.json"\n'
        f'fhir_servers = ["{ehr.fhir}"]\nallow_http = true\nprivate_network = true\n{more}\n'
        f'[ehr.smart]\nclient_id = "trialcards"\nframe_ancestors = [{origins}]\n{smart}\n'
    )
    database = f"sqlite:///{folder}/records.db"
    needed = {"public_url": BASE, "secret_key": (SECRET,), "database_url": database}
    return read_settings("production", ehrs=folder / "ehrs.toml", **(needed | given))


def begun_with(
    tmp_path: Path, ehr: AuthorizationServer, definitions: Definitions, **given: Any
) -> AbstractAsyncContextManager[httpx.AsyncClient]:
    return serving(services_with(registered(tmp_path, ehr, **given), definitions), BASE)


async def begin(client: httpx.AsyncClient, ehr: AuthorizationServer, **headers: str) -> str:
    """Where the EHR's frame is sent."""
    answer = await client.get("/launch", params={"iss": ehr.fhir, "launch": "chart"}, headers=headers)
    assert answer.status_code == 302, answer.text
    return answer.headers["location"]


async def authorize(address: str) -> str:
    """Where the authorization server sends the browser."""
    async with httpx.AsyncClient(trust_env=False) as browser:
        answer = await browser.get(address)
    assert answer.status_code == 302, answer.text
    return str(answer.headers["location"])


async def launched(
    client: httpx.AsyncClient, ehr: AuthorizationServer, headers: Mapping[str, str] = FRAMED
) -> httpx.Response:
    """The answer to the browser that is back; as in a frame that keeps no cookies."""
    back = await authorize(await begin(client, ehr))
    client.cookies.clear()
    return await client.get(back, headers=dict(headers))


def is_stopped(answer: httpx.Response, why: str) -> bool:
    status, heading, _ = WORDS[why]
    return answer.status_code == status and f"<h1>{heading.replace(chr(39), '&#39;')}</h1>" in answer.text

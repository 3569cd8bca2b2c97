"""What tests of protocol share with others."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import httpx

from app.settings import Settings, read_settings
from app.web.examples import hook_call
from tests.hospital import BASE, OPERATOR, SECRET, VIEW, bearer, ehrs_file, signed

JSON = {"content-type": "application/json"}


def production_settings(folder: Path, more: str = "", **given: object) -> Settings:
    needed = {
        "ehrs": ehrs_file(folder, more),
        "public_url": BASE,
        "secret_key": (SECRET,),
        "operator_tokens": (hashlib.sha256(OPERATOR.encode()).hexdigest(),),
        "database_url": f"sqlite:///{folder}/records.db",
    }
    return read_settings("production", **(needed | given))


async def ask(client: httpx.AsyncClient, body: object = None, **headers: str) -> httpx.Response:
    """A signed patient-view call; the body given raw is sent as it is."""
    content = body if isinstance(body, bytes) else json.dumps(body or hook_call("patient-view")).encode()
    return await client.post(VIEW, content=content, headers=JSON | bearer(signed()) | headers)

"""A hospital as the tests know it: an EHR that signs its calls, an operator, and the service in production."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from joserfc import jws
from joserfc.jwk import ECKey

from tests.server import COMMAND, Server, environment, free_port, wait_until_ready

BASE = "https://cards.example"
VIEW = "/cds-services/trial-match-patient-view"
ISSUER = "https://ehr.example/oauth2"
OPERATOR = "an operator's token"
SECRET = "a secret of the tests that is long enough to be one"
KEY = ECKey.generate_key("P-384", {"kid": "ehr/+="}, private=True)
LONGEST_START = 120  # seconds


def signed(path: str = VIEW, key: Any = KEY, alg: str = "ES384", **claims: Any) -> str:
    """A good token for a call of `path`, but for the claims that are given; a claim of None is left out."""
    now = int(time.time())
    good = {"iss": ISSUER, "aud": BASE + path, "iat": now, "exp": now + 300, "jti": str(uuid.uuid4())} | claims
    payload = json.dumps({name: value for name, value in good.items() if value is not None}).encode()
    return jws.serialize_compact({"alg": alg, "typ": "JWT", "kid": key.kid}, payload, key, algorithms=[alg])


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def ehrs_file(folder: Path, more: str = "", keys: tuple[Any, ...] = (KEY,)) -> Path:
    """A file of trusted EHRs with one entry, its keys beside it. `more` are further lines of the entry."""
    described = {"keys": [key.as_dict(private=False) for key in keys]}
    (folder / "keys.json").write_text(json.dumps(described))
    path = folder / "ehrs.toml"
    path.write_text(f'[[ehr]]\nname = "st"\nissuer = "{ISSUER}"\njwks_file = "keys.json"\n{more}')
    return path


def settings_of(folder: Path, database_url: str, **more: str) -> dict[str, str]:
    """The environment of a production service with one EHR."""
    given = {
        "EHRS": str(ehrs_file(folder)),
        "PUBLIC_URL": BASE,
        "SECRET_KEY": SECRET,
        "OPERATOR_TOKENS": hashlib.sha256(OPERATOR.encode()).hexdigest(),
        "DATABASE_URL": database_url,
    }
    return {f"TRIALCARDS_{name}": value for name, value in (given | more).items()}


@dataclass(frozen=True)
class Production(Server):
    """`trialcards serve` in a process group of its own."""

    def post(self, path: str, body: Any, token: str | None = None, timeout: float = 20) -> httpx.Response:
        headers = bearer(token or signed(path))
        return httpx.post(self.base + path, json=body, headers=headers, trust_env=False, timeout=timeout)

    def get(self, path: str, token: str = OPERATOR) -> httpx.Response:
        return httpx.get(self.base + path, headers=bearer(token), trust_env=False, timeout=20)

    def kill(self) -> None:
        """End every process of it at once, as a loss of power would."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(20)

    def stop(self) -> int:
        """End it as a deployment does; the exit code."""
        self.process.terminate()
        return self.process.wait(30)


@contextmanager
def production(folder: Path, settings: Mapping[str, str], port: int | None = None) -> Iterator[Production]:
    """A production service on a free port or this one, working in `folder`, ready to answer."""
    port, output = port or free_port(), folder / f"server-{uuid.uuid4().hex[:6]}.log"
    given = environment(PORT=str(port), **settings)
    with output.open("wb") as file:
        process = subprocess.Popen(
            [COMMAND, "serve"], cwd=folder, env=given, stdout=file, stderr=file, start_new_session=True
        )
    server = Production(f"http://127.0.0.1:{port}", process, output)
    try:
        wait_until_ready(server, LONGEST_START)
        yield server
    finally:
        if process.poll() is None:
            server.kill()

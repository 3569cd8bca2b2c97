"""An access token by SMART Backend Services: a signed assertion for a short-lived token, renewed before it ends."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, RSAKey

ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_LIFETIME = 240  # seconds; servers refuse assertions that live longer than five minutes
_EARLY = 30  # seconds before its end that a token is renewed
_ALGORITHMS = {"RSA": "RS384", "EC": "ES384"}
SigningKey = RSAKey | ECKey


class BulkError(Exception):
    """The export cannot go on; the message says what to do, and repeats nothing of what was exported."""


def read_key(path: Path) -> SigningKey:
    """A private key: a JWK, a JWK set with one key, or PEM. RSA, or EC on the curve P-384."""
    try:
        raw = path.read_bytes()
        content: Any = json.loads(raw) if raw.lstrip().startswith(b"{") else raw
        if isinstance(content, dict) and "keys" in content:
            (content,) = content["keys"]
        key = JWKRegistry.import_key(content) if isinstance(content, dict) else _from_pem(content)
    except OSError as error:
        raise BulkError(f"--key: cannot be read ({error.strerror})") from None
    except (JoseError, ValueError, TypeError, KeyError):
        raise BulkError("--key: is not one private key as JWK, JWK set or PEM") from None
    if (
        not isinstance(key, RSAKey | ECKey)
        or not key.is_private
        or (isinstance(key, ECKey) and key.curve_name != "P-384")
    ):
        raise BulkError("--key: must be a private RSA key, or a private EC key on the curve P-384")
    return key


def _from_pem(raw: bytes) -> SigningKey:
    try:
        return RSAKey.import_key(raw)
    except (JoseError, ValueError, TypeError):
        return ECKey.import_key(raw)


@dataclass
class BackendToken:
    """The token of one client, for one server. Time is in seconds of `clock`."""

    client: httpx.Client
    token_url: str
    client_id: str
    key: SigningKey
    scope: str
    kid: str | None = None
    clock: Callable[[], float] = time.time
    _token: str = field(default="", repr=False)
    _ends: float = 0

    def header(self) -> dict[str, str]:
        """The Authorization header, with a token that is still good."""
        if self.clock() > self._ends - _EARLY:
            self._renew()
        return {"Authorization": f"Bearer {self._token}"}

    def forget(self) -> None:
        """The server did not take it: ask for a new one next time."""
        self._ends = 0

    def _renew(self) -> None:
        form = {
            "grant_type": "client_credentials",
            "scope": self.scope,
            "client_assertion_type": ASSERTION,
            "client_assertion": self._assertion(),
        }
        try:
            answer = self.client.post(self.token_url, data=form, headers={"Accept": "application/json"})
        except httpx.HTTPError as error:
            raise BulkError(f"the token endpoint cannot be reached ({type(error).__name__})") from None
        if answer.status_code != 200:
            raise BulkError(
                f"the token endpoint answered {answer.status_code}; are client id, key and scope as registered there?"
            )
        try:
            body = answer.json()
            self._token, seconds = str(body["access_token"]), float(body.get("expires_in", 300))
        except (ValueError, KeyError, TypeError, AttributeError):
            raise BulkError("the token endpoint answered without an access token") from None
        self._ends = self.clock() + seconds

    def _assertion(self) -> str:
        algorithm = _ALGORITHMS[self.key.key_type]
        kid = self.kid or self.key.kid
        header = {"alg": algorithm, "typ": "JWT"} | ({"kid": kid} if kid else {})
        now = int(self.clock())
        claims = {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": self.token_url,
            "jti": str(uuid.uuid4()),
            "iat": now,
            "exp": now + _LIFETIME,
        }
        return jwt.encode(header, claims, self.key, algorithms=[algorithm])

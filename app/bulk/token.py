"""An access token by SMART Backend Services: a signed assertion for a short-lived token, renewed before it ends."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from app import client_key
from app.client_key import ASSERTION_TYPE, KeyUnusable, SigningKey, client_assertion

_EARLY = 30  # seconds before its end that a token is renewed


class BulkError(Exception):
    """The export cannot go on; the message says what to do, and repeats nothing of what was exported."""


def read_key(path: Path) -> SigningKey:
    """The private key that the option --key names."""
    try:
        return client_key.read_key(path)
    except KeyUnusable as error:
        raise BulkError(f"--key: {error}") from None


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
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": client_assertion(self.key, self.client_id, self.token_url, int(self.clock()), self.kid),
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

"""A signed token taken apart, before anything in it is believed."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Mapping
from typing import Any

from app.errors import BadJson
from app.web.strict_json import check_whole


class Refused(Exception):
    """Why a token is refused; for the log only. `expected`: what would have been taken in its place."""

    def __init__(self, reason: str, expected: Iterable[str] = ()) -> None:
        super().__init__(reason)
        self.expected = tuple(sorted(expected))


def token_parts(token: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Header and claims, read but not yet believed."""
    pieces = token.split(".")
    if len(pieces) != 3 or not all(pieces):
        raise Refused("not a signed token")
    header, claims = (_object(piece) for piece in pieces[:2])
    return header, claims


def _object(piece: str) -> Mapping[str, Any]:
    try:
        raw = base64.b64decode(piece + "=" * (-len(piece) % 4), altchars=b"-_", validate=True)
        check_whole(raw)  # no name twice: two readers must see the same claims
    except (binascii.Error, ValueError, BadJson) as error:
        raise Refused("not readable") from error
    content = json.loads(raw)
    if not isinstance(content, dict):
        raise Refused("not an object")
    return content

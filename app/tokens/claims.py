"""Whether the claims of a signed token are what they must be; one check for EHRs, logins and logouts.

The registered claims (RFC 7519) are checked by joserfc's registry, each by itself, so that everything that is wrong can
be named.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from joserfc.errors import ClaimError, ExpiredTokenError
from joserfc.jwt import ClaimsOption, JWTClaimsRegistry

from app.tokens.parts import Refused

SKEW = 60  # seconds that clocks may differ
MOST_AUDIENCES = 20
_LATEST = 253_402_200_000  # in the last days of the year 9999, in seconds of the epoch
_SUBJECT = re.compile(r"[\x20-\x7e]{1,255}")  # as OpenID Connect Core, 2 has it
_TIMES = ("exp", "iat", "nbf")
_WORDS: Mapping[str, str] = {
    "iss": "issuer",
    "aud": "audience",
    "sub": "subject",
    "jti": "no jti",
    "nonce": "nonce",
    "nbf": "not yet good",
}


def claim_faults(
    claims: Mapping[str, Any], now: float, audiences: Collection[str], **needed: ClaimsOption
) -> Iterator[Refused]:
    """Everything that is wrong with the claims at this time (seconds of the epoch).

    `audiences`: one of them must be named. `needed`: what else must be there, and hold what; `exp` and `iat` always.
    """
    options: dict[str, ClaimsOption] = {
        "aud": {"essential": True, "values": sorted(audiences)},
        "exp": {"essential": True},
        "iat": {"essential": True},
        "nbf": {},
    }
    for name, option in (options | needed).items():
        if fault := _fault(name, claims, option, now):
            yield Refused(fault, audiences if name == "aud" else _expected(option))


def _fault(name: str, claims: Mapping[str, Any], option: ClaimsOption, now: float) -> str | None:
    value = claims.get(name)
    if name in _TIMES and value is not None and not _is_instant(value):
        return name
    if name == "aud" and isinstance(value, list) and len(value) > MOST_AUDIENCES:
        return _WORDS["aud"]
    registry = JWTClaimsRegistry(lambda: int(now), SKEW, **{name: option})
    try:
        registry.validate({name: value} if name in claims else {})
    except ExpiredTokenError:
        return "not within its time"
    except ClaimError:
        return "not within its time" if name in ("exp", "iat") and value is not None else _WORDS.get(name, name)
    return None


def _is_instant(value: object) -> bool:
    """A NumericDate, which may have a fraction (RFC 7519, section 2)."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < _LATEST


def _expected(option: ClaimsOption) -> Collection[str]:
    value = option.get("value")
    return [value] if isinstance(value, str) else []


def end_of(claims: Mapping[str, Any]) -> datetime:
    """When a token whose claims are good can be used no longer, whichever clock is asked."""
    return datetime.fromtimestamp(claims["exp"] + SKEW, UTC)


def is_subject(value: object) -> bool:
    """Whether this names somebody, as OpenID Connect has it."""
    return isinstance(value, str) and bool(_SUBJECT.fullmatch(value))

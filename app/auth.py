"""Who is calling: an EHR by a signed token (CDS Hooks 2.0, "Trusting CDS Clients"), an operator by a bearer token.

A refusal never says why (401), so that it teaches nothing; the log has the reason. Keys come from the entry that was
configured for the token's issuer; a `jku` is only compared with it, and `x5u`, `x5c` and `jwk` are not looked at.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwt import ClaimsOption

from app.ehrs import Caller, Ehr
from app.errors import RETRY_AFTER, NotAllowed, NotAuthenticated, ServiceError, Unavailable
from app.logs import log
from app.storage.database import RecordsUnavailable
from app.storage.used_tokens import PresentedToken, UsedTokens
from app.tokens.claims import claim_faults, end_of
from app.tokens.key_sets import KeySets, check_key
from app.tokens.parts import Refused, token_parts

LONGEST_TOKEN = 16 * 1024


@dataclass(frozen=True, slots=True)
class Verified:
    """A caller whose token is good; `token` is None where it may be used several times."""

    caller: Caller
    token: PresentedToken | None = None


class Authenticator:
    """Decides who may call. In the demo profile `anyone` is the caller of every call.

    `used` is None where tokens are only explained. `refused` hears of every refusal, for the counters.
    """

    def __init__(
        self, ehrs: Sequence[Ehr], keys: KeySets, used: UsedTokens | None, operator_digests: Collection[str] = (),
        anyone: Caller | None = None, refused: Callable[[str], None] = lambda _: None,
    ) -> None:  # fmt: skip
        self._ehrs = ehrs
        self._keys = keys
        self._used = used
        self._operators = tuple(operator_digests)
        self._anyone = anyone
        self.refused = refused

    async def ehr(self, authorization: Sequence[str], audiences: Collection[str], service: str | None) -> Verified:
        """The EHR that sent these Authorization headers, for a call whose own addresses are `audiences`.

        401 unless its token is good in every respect; 403 when it is, but the EHR may not call this `service`. Whether
        the token was used before is left to `one_use`, which needs the body.
        """
        if self._anyone is not None:
            return Verified(self._anyone)
        token = ""
        try:
            token = _bearer(authorization)
            ehr, claims = await self._verify(token, audiences)
        except (Refused, JoseError) as error:
            self._refuse(error if isinstance(error, Refused) else Refused("signature"), token)
            raise NotAuthenticated from None
        if service is not None and not ehr.may_call(service):
            raise NotAllowed("This EHR may not call this service.")
        caller = Caller(ehr, claims.get("tenant") or "")
        if not ehr.replay_guard:
            return Verified(caller)
        return Verified(caller, PresentedToken(ehr.issuer, claims["jti"], end_of(claims), token))

    @asynccontextmanager
    async def one_use(self, verified: Verified, path: str, body: bytes) -> AsyncIterator[Caller]:
        """Answer a call inside of this: its token is used up, but where the answer is 503.

        401 when the token was used before, for another call or for one that was answered. What writes the answer down
        must have the caller's `closing` in its transaction.
        """
        token = verified.token
        if token is None:
            yield verified.caller
            return
        assert self._used is not None
        try:
            if not await self._used.take(token, path, body):
                self._refuse(Refused("used before"), token.text)
                raise NotAuthenticated
            yield replace(verified.caller, closing=(self._used.closing(token),))
        except NotAuthenticated:
            raise
        except RecordsUnavailable as error:
            # The token cannot be freed now; it is free by itself when this attempt must have ended.
            error.retry_after = max(RETRY_AFTER, math.ceil(self._used.longest.total_seconds()))
            raise
        except Unavailable:
            await self._used.free(token)
            raise
        except ServiceError:
            await self._used.close(token)
            raise

    def _refuse(self, refused: Refused, token: str) -> None:
        """Note why, with issuer, audience and key of the token, which are no secrets, and what would be taken."""
        expected = [_cap(each) for each in refused.expected[:_MOST_LOGGED]]
        more = {"expected": expected} if expected else {}
        log.info("token refused", reason=str(refused), **self._shown(token), **more)
        self.refused(str(refused))

    def _shown(self, token: str) -> dict[str, object]:
        try:
            header, claims = token_parts(token)
        except Refused:
            return {}
        try:
            ehr: str | None = self._entry_for(claims).name
        except Refused:
            ehr = None
        audience = claims.get("aud")
        named = audience[:_MOST_LOGGED] if isinstance(audience, list) else [audience]
        return {
            "ehr": ehr, "iss": _cap(claims.get("iss")), "aud": [_cap(each) for each in named],
            "kid": _cap(header.get("kid")), "alg": _cap(header.get("alg")),
        }  # fmt: skip

    async def faults(self, token: str, audiences: Collection[str], now: float) -> list[Refused]:
        """Everything that is wrong with a token at this time (seconds of the epoch), its use before left out."""
        try:
            header, claims = token_parts(token)
            ehr = self._entry_for(claims)
        except Refused as error:
            return [error]
        found = list(_claim_faults(claims, ehr, {*audiences, *ehr.audiences}, now))
        try:
            await self._check_signature(token, header, ehr)
        except Refused as error:
            found.insert(0, error)
        except JoseError:
            found.insert(0, Refused("signature"))
        return found

    def operator(self, authorization: Sequence[str]) -> None:
        """401 unless the header holds the token of an operator."""
        if self._anyone is not None:
            return
        try:
            token = _bearer(authorization)
        except Refused:
            raise NotAuthenticated from None
        digest = hashlib.sha256(token.encode()).hexdigest()
        if not any(hmac.compare_digest(digest, known) for known in self._operators):
            raise NotAuthenticated

    async def _verify(self, token: str, audiences: Collection[str]) -> tuple[Ehr, Mapping[str, Any]]:
        header, claims = token_parts(token)
        ehr = self._entry_for(claims)
        await self._check_signature(token, header, ehr)
        for fault in _claim_faults(claims, ehr, {*audiences, *ehr.audiences}, time.time()):
            raise fault
        return ehr, claims

    async def _check_signature(self, token: str, header: Mapping[str, Any], ehr: Ehr) -> None:
        _check_header(header, ehr)
        key = await self._keys.key(ehr, header["kid"])
        if key is None:
            raise Refused("unknown key", await self._keys.known_ids(ehr))
        check_key(key, header["alg"])
        jws.deserialize_compact(token, key, algorithms=list(ehr.algorithms))

    def _entry_for(self, claims: Mapping[str, Any]) -> Ehr:
        tenant = claims.get("tenant")
        if tenant is not None and not isinstance(tenant, str):
            raise Refused("tenant")
        for ehr in self._ehrs:
            if ehr.issuer == claims.get("iss") and (not ehr.tenants or tenant in ehr.tenants):
                return ehr
        same = [ehr for ehr in self._ehrs if ehr.issuer == claims.get("iss")]
        if same:
            raise Refused("unknown issuer or tenant", {f"tenant {each}" for ehr in same for each in ehr.tenants})
        raise Refused("unknown issuer or tenant", {ehr.issuer for ehr in self._ehrs})


def _bearer(authorization: Sequence[str]) -> str:
    if len(authorization) != 1:
        raise Refused("needs exactly one Authorization header")
    scheme, _, token = authorization[0].partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token or len(token) > LONGEST_TOKEN or not token.isascii():
        raise Refused("not a bearer token")
    return token


def _check_header(header: Mapping[str, Any], ehr: Ehr) -> None:
    kid, alg, jku = header.get("kid"), header.get("alg"), header.get("jku")
    if not isinstance(kid, str) or not kid:
        raise Refused("no kid")
    if str(header.get("typ", "")).upper() != "JWT":
        raise Refused("typ")
    if alg not in ehr.algorithms:
        raise Refused("algorithm", ehr.algorithms)
    if "crit" in header:
        raise Refused("crit")
    if jku is not None and jku != ehr.jwks_url:
        raise Refused("jku")


_MOST_LOGGED = 10  # audiences or keys of one line
_LONGEST_LOGGED = 200  # characters of one


def _cap(value: object) -> str | None:
    """What a token holds, as a log may show it."""
    if not isinstance(value, str):
        return None
    shown = "".join(each if each.isprintable() else "?" for each in value[: _LONGEST_LOGGED + 1])
    return shown if len(shown) <= _LONGEST_LOGGED else shown[:_LONGEST_LOGGED] + "..."


def _claim_faults(claims: Mapping[str, Any], ehr: Ehr, audiences: Collection[str], now: float) -> Iterator[Refused]:
    """Everything that is wrong with the claims of an EHR's token."""
    subject: dict[str, ClaimsOption] = {"sub": {"essential": True, "value": ehr.subject}} if ehr.subject else {}
    faults = list(claim_faults(claims, now, audiences, jti={"essential": True}, **subject))
    yield from faults
    if any(str(fault) in ("exp", "iat") for fault in faults):
        return
    if claims["exp"] <= claims["iat"]:
        yield Refused("not within its time")
    if claims["exp"] - claims["iat"] > ehr.max_token_lifetime:
        yield Refused("lives too long", [f"{ehr.max_token_lifetime} s"])

"""Who is calling: an EHR by a signed token (CDS Hooks 2.0, "Trusting CDS Clients"), an operator by a bearer token.

A refusal never says why (401), so that it teaches nothing; the log has the reason. Keys come from the entry that was
configured for the token's issuer; a `jku` is only compared with it, and `x5u`, `x5c` and `jwk` are not looked at.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import json
import math
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import httpx
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import Key, KeySet

from app.ehrs import Caller, Ehr
from app.errors import RETRY_AFTER, BadJson, NotAllowed, NotAuthenticated, ServiceError, Unavailable
from app.logs import log
from app.outbound import BodyTooLarge, Outbound, read_capped
from app.storage.database import RecordsUnavailable
from app.storage.used_tokens import PresentedToken, UsedTokens
from app.web.strict_json import check_whole

LONGEST_TOKEN = 16 * 1024
LARGEST_KEY_SET = 256 * 1024
SKEW = 60  # seconds that clocks may differ
KEYS_FRESH_FOR = 600.0  # seconds
NEW_KEYS_AT_MOST_EVERY = 60.0  # seconds, for a key id that we do not know
RETRY_EMPTY_EVERY = 5.0  # seconds, while we have no key at all
KEY_SET_SECONDS = 1.0
MOST_AUDIENCES = 20


class Refused(Exception):
    """Why a token is refused; for the log only. `expected`: what would have been taken in its place."""

    def __init__(self, reason: str, expected: Iterable[str] = ()) -> None:
        super().__init__(reason)
        self.expected = tuple(sorted(expected))


@dataclass(frozen=True, slots=True)
class KeyAddress:
    """Where someone's key set is read. `whose` is for the log."""

    whose: str
    address: str
    private_network: bool = False


class KeySets:
    """Key sets by address, fetched once at a time and kept; an old set stays while its address does not answer."""

    def __init__(self, outbound: Outbound) -> None:
        self._outbound = outbound
        self._sets: dict[str, _Fetched] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def key(self, ehr: Ehr, kid: str) -> Key | None:
        """The EHR's key of this id."""
        if ehr.jwks_file is not None:
            raw = await asyncio.to_thread(ehr.jwks_file.read_bytes)
            return _keys_of(raw).get(kid)
        assert ehr.jwks_url is not None
        return await self.key_at(KeyAddress(ehr.name, ehr.jwks_url, ehr.private_network), kid)

    async def known_ids(self, ehr: Ehr) -> Collection[str]:
        """The ids of the EHR's keys, as they were read last."""
        if ehr.jwks_file is not None:
            return _keys_of(await asyncio.to_thread(ehr.jwks_file.read_bytes)).keys()
        known = self._sets.get(ehr.jwks_url or "")
        return known.keys.keys() if known else ()

    async def key_at(self, where: KeyAddress, kid: str) -> Key | None:
        """The key of this id; asks for the set again when the id is new, at most once a minute."""
        async with self._locks.setdefault(where.address, asyncio.Lock()):
            known = self._sets.get(where.address)
            if known is None or known.wants_refresh(kid, time.monotonic()):
                known = await self._refresh(where, known)
        return known.keys.get(kid)

    async def _refresh(self, where: KeyAddress, before: _Fetched | None) -> _Fetched:
        now = time.monotonic()
        # The first reading does not count: a key that was changed a moment later is still asked for at once.
        asked_again_at = now if before else -NEW_KEYS_AT_MOST_EVERY
        try:
            fetched = _Fetched(await self._fetch(where), now, asked_again_at)
        except (httpx.HTTPError, TimeoutError, BodyTooLarge, Refused) as error:
            log.warning("key set not read", whose=where.whose, reason=type(error).__name__)
            fetched = _Fetched(before.keys if before else {}, before.read_at if before else now, asked_again_at)
        self._sets[where.address] = fetched
        return fetched

    async def _fetch(self, where: KeyAddress) -> dict[str, Key]:
        client = self._outbound.to(private_network=where.private_network)
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        async with asyncio.timeout(KEY_SET_SECONDS), client.stream("GET", where.address, headers=headers) as response:
            if response.status_code != 200:
                raise Refused("status")
            return _keys_of(await read_capped(response, LARGEST_KEY_SET))


@dataclass(frozen=True, slots=True)
class _Fetched:
    keys: Mapping[str, Key]
    read_at: float
    asked_again_at: float

    def wants_refresh(self, kid: str, now: float) -> bool:
        waited = now - self.asked_again_at >= (NEW_KEYS_AT_MOST_EVERY if self.keys else RETRY_EMPTY_EVERY)
        return waited and (kid not in self.keys or now - self.read_at >= KEYS_FRESH_FOR)


def _keys_of(raw: bytes) -> dict[str, Key]:
    """The public signature keys of a set by their id; entries that we cannot use are passed over."""
    try:
        content = json.loads(raw)
    except ValueError as error:
        raise Refused("key set is not JSON") from error
    entries = content.get("keys") if isinstance(content, dict) else None
    if not isinstance(entries, list):
        raise Refused("not a key set")
    keys: dict[str, Key] = {}
    for entry in entries:
        if (
            not isinstance(entry, dict)
            or entry.get("kty") not in ("EC", "RSA")
            or not isinstance(entry.get("kid"), str)
        ):
            continue
        try:
            keys[entry["kid"]] = KeySet.import_key_set({"keys": [entry]}).keys[0]
        except (JoseError, ValueError, TypeError, KeyError):
            continue
    return keys


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
            ehr, claims = await self._verified(token, audiences)
        except (Refused, JoseError) as error:
            self._refuse(error if isinstance(error, Refused) else Refused("signature"), token)
            raise NotAuthenticated from None
        if service is not None and not ehr.may_call(service):
            raise NotAllowed("This EHR may not call this service.")
        caller = Caller(ehr, claims.get("tenant") or "")
        if not ehr.replay_guard:
            return Verified(caller)
        expires = datetime.fromtimestamp(claims["exp"] + SKEW, UTC)
        return Verified(caller, PresentedToken(ehr.issuer, claims["jti"], expires, token))

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
        expected = [_capped(each) for each in refused.expected[:_MOST_LOGGED]]
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
            "ehr": ehr, "iss": _capped(claims.get("iss")), "aud": [_capped(each) for each in named],
            "kid": _capped(header.get("kid")), "alg": _capped(header.get("alg")),
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

    async def _verified(self, token: str, audiences: Collection[str]) -> tuple[Ehr, Mapping[str, Any]]:
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


_CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}


def check_key(key: Key, algorithm: str) -> None:
    """A key that says what it is for is used for nothing else."""
    described: Mapping[str, Any] = key.as_dict(private=False)
    if described.get("use", "sig") != "sig" or "verify" not in described.get("key_ops", ["verify"]):
        raise Refused("key is not for signatures")
    if described.get("alg", algorithm) != algorithm:
        raise Refused("key is for another algorithm")
    if described.get("kty") != ("EC" if algorithm in _CURVES else "RSA"):
        raise Refused("key of another kind")
    if described.get("crv") != _CURVES.get(algorithm):
        raise Refused("key of another curve")


def _claim_faults(claims: Mapping[str, Any], ehr: Ehr, audiences: Collection[str], now: float) -> Iterator[Refused]:
    """Everything that is wrong with the claims."""
    audience = claims.get("aud")
    named = audience if isinstance(audience, list) else [audience]
    if len(named) > MOST_AUDIENCES or not any(isinstance(each, str) and each in audiences for each in named):
        yield Refused("audience", audiences)
    yield from _time_faults(claims, ehr, now)
    jti = claims.get("jti")
    if not isinstance(jti, str) or not jti:
        yield Refused("no jti")
    if ehr.subject and claims.get("sub") != ehr.subject:
        yield Refused("subject", [ehr.subject])


def _time_faults(claims: Mapping[str, Any], ehr: Ehr, now: float) -> Iterator[Refused]:
    try:
        expires, issued = seconds_of(claims, "exp"), seconds_of(claims, "iat")
        if expires + SKEW <= now or issued - SKEW > now or expires <= issued:
            yield Refused("not within its time")
        if expires - issued > ehr.max_token_lifetime:
            yield Refused("lives too long", [f"{ehr.max_token_lifetime} s"])
        if "nbf" in claims and seconds_of(claims, "nbf") - SKEW > now:
            yield Refused("not yet good")
    except Refused as error:
        yield error


_MOST_LOGGED = 10  # audiences or keys of one line
_LONGEST_LOGGED = 200  # characters of one


def _capped(value: object) -> str | None:
    """What a token holds, as a log may show it."""
    if not isinstance(value, str):
        return None
    shown = "".join(each if each.isprintable() else "?" for each in value[: _LONGEST_LOGGED + 1])
    return shown if len(shown) <= _LONGEST_LOGGED else shown[:_LONGEST_LOGGED] + "..."


def seconds_of(claims: Mapping[str, Any], name: str) -> float:
    """A NumericDate, which may have a fraction (RFC 7519, section 2)."""
    value = claims.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < 253_402_300_000:
        raise Refused(name)
    return value

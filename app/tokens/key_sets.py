"""The public keys with which others sign, by the address of their key set, and what a key may be used for."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
from joserfc.errors import JoseError
from joserfc.jwk import Key, KeySet

from app.ehrs import Ehr
from app.logs import log
from app.outbound import BodyTooLarge, Outbound, read_capped
from app.tokens.parts import Refused

LARGEST_KEY_SET = 256 * 1024
KEYS_FRESH_FOR = 600.0  # seconds
NEW_KEYS_AT_MOST_EVERY = 60.0  # seconds, for a key id that we do not know
RETRY_EMPTY_EVERY = 5.0  # seconds, while we have no key at all
KEY_SET_SECONDS = 1.0


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

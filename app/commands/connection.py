"""`trialcards token` and `trialcards serve --check`: why a token is refused, and whether what is configured answers."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer

from app.auth import Authenticator
from app.commands.arguments import cause_of, listing
from app.commands.ending import stop
from app.commands.site import entries_of, settings_of
from app.commands.terminal import printable
from app.definitions.served import Definitions
from app.ehrs import Ehr
from app.oauth.flow import Net, OAuthError, Servers
from app.outbound import Outbound
from app.settings import Settings
from app.site_profile import SiteProfileError, profile_of
from app.storage.database import Database
from app.tokens.key_sets import KeySets
from app.tokens.parts import Refused, token_parts
from cds_hooks.protocol.services import OFFERS
from mappings.yaml_files import DefinitionError

ANSWERS_WITHIN = 5.0  # seconds that a server has for the check
_SHOWN = ("iss", "aud", "sub", "tenant", "iat", "exp", "nbf", "jti")  # claims that are about no patient


def token_command(
    file: Annotated[Path, typer.Argument(help='A file with the token that was sent; "-" reads it from stdin.')],
    url: Annotated[
        str | None, typer.Option("--url", help="The address that was called. Default: any address of the service.")
    ] = None,
    at: Annotated[
        str | None, typer.Option("--at", help="The instant of the call, with offset. Default: when it was issued.")
    ] = None,
) -> None:
    """Explain whether a token of an EHR would be accepted, and everything that speaks against it.

    Holds it against TRIALCARDS_EHRS and TRIALCARDS_PUBLIC_URL, and reads the EHR's keys. Whether the token was used
    before is not looked up. Shows header and claims, but none about a user or a patient.

    Exit status 0 when it would be accepted, 1 when not, 2 when the file or a setting is not usable.
    """
    settings = settings_of("production")
    token = _read(file)
    try:
        header, claims = token_parts(token)
    except Refused as error:
        stop(f"{file}: {_WORDS.get(str(error), str(error))}", code=1)
    for name, value in (*((each, header.get(each)) for each in ("alg", "kid", "typ")), *_claims_of(claims)):
        typer.echo(f"  {name:<7} {printable(value)}")
    audiences = {url} if url else _addresses(settings)
    faults = asyncio.run(_faults(settings, token, audiences, _moment(at, claims)))
    if not faults:
        typer.echo("The token would be accepted.")
        return
    for fault in faults:
        words = _WORDS.get(str(fault), str(fault))
        typer.echo(f"refused: {words}" + (f"; accepted: {listing(fault.expected)}" if fault.expected else ""))
    raise typer.Exit(1)


# Of each cause, as the log and the counter name it, a sentence.
_WORDS: Mapping[str, str] = {
    "not a signed token": "this is not a signed token (three parts, with dots between)",
    "not readable": "a part of the token is not JSON in base64url",
    "not an object": "a part of the token is not a JSON object",
    "unknown issuer or tenant": "iss (or tenant) is that of no entry, to the letter",
    "tenant": "tenant is not a string",
    "no kid": "the header has no kid",
    "typ": "typ in the header is not JWT",
    "algorithm": "alg is not one of this entry",
    "crit": "the header has crit, which is not understood here",
    "jku": "jku in the header is another address than the entry's jwks_url",
    "unknown key": "the key set of this entry has no key with this kid (or could not be read)",
    "key is not for signatures": "the key with this kid is not for signatures",
    "key is for another algorithm": "the key with this kid is for another algorithm",
    "key of another kind": "the key with this kid is of another kind than alg",
    "key of another curve": "the key with this kid is on another curve than alg",
    "signature": "the signature does not fit the key with this kid",
    "audience": "aud is not the address that is called",
    "not within its time": "the call is not between iat and exp (clocks may differ by 60 s)",
    "lives too long": "exp is too long after iat (max_token_lifetime)",
    "not yet good": "nbf is after the call",
    "exp": "exp is missing or not a number of seconds",
    "iat": "iat is missing or not a number of seconds",
    "nbf": "nbf is not a number of seconds",
    "no jti": "jti is missing or not a string",
    "subject": "sub is not the subject of this entry",
}


def _read(file: Path) -> str:
    try:
        raw = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        stop(f"{file}: {cause_of(error)}")
    text = raw.decode("ascii", "replace").strip()
    return text[7:].strip() if text.lower().startswith("bearer ") else text


def _claims_of(claims: Mapping[str, Any]) -> list[tuple[str, object]]:
    return [(name, claims[name]) for name in _SHOWN if name in claims]


def _addresses(settings: Settings) -> set[str]:
    """Every address of the service that an EHR's token may be for."""
    base = settings.public_url or ""
    hooks = {f"{base}/cds-services/{offer.id}" for offer in OFFERS}
    return {*hooks, *(f"{hook}/feedback" for hook in hooks), f"{base}/api/v1/match"}


def _moment(at: str | None, claims: Mapping[str, Any]) -> float:
    if at is not None:
        with suppress(ValueError):
            moment = datetime.fromisoformat(at)
            if moment.tzinfo:
                return moment.timestamp()
        stop("--at: is an instant with its offset, like 2026-11-01T08:00:00Z")
    issued = claims.get("iat")
    return float(issued) if isinstance(issued, int | float) and not isinstance(issued, bool) else time.time()


async def _faults(settings: Settings, token: str, audiences: Collection[str], now: float) -> list[Refused]:
    outbound = Outbound()
    try:
        return await Authenticator(entries_of(settings), KeySets(outbound), None).faults(token, audiences, now)
    finally:
        await outbound.close()


# -- serve --check


def check() -> None:
    """Print a line for each part that the production service needs, and end with 1 where one cannot be used."""
    settings = settings_of("production")
    failed = asyncio.run(_print_checks(settings))
    raise typer.Exit(1 if failed else 0)


async def _print_checks(settings: Settings) -> bool:
    failed = False
    outbound = Outbound()
    try:
        async for what, fault in _checks(settings, outbound):
            failed = failed or fault is not None
            typer.echo(f"{'ok    ' if fault is None else 'FAILED'}  {what}" + (f": {fault}" if fault else ""))
    finally:
        await outbound.close()
    return failed


async def _checks(settings: Settings, outbound: Outbound) -> AsyncIterator[tuple[str, str | None]]:
    """Each part with what is wrong with it."""
    entries = entries_of(settings)
    yield f"settings and EHRs ({', '.join(entry.name for entry in entries)})", None
    yield _definitions_of(settings)
    yield await _database_of(settings)
    for entry in entries:
        yield f"keys of {entry.name}", await _keys_fault(entry, outbound)
        for base in entry.fhir_servers:
            address = f"{base.rstrip('/')}/metadata"
            yield f"FHIR server of {entry.name}", await _address_fault(address, outbound, entry.private_network)
    if settings.oidc_issuer:
        yield "login", await _issuer_fault(settings, outbound)


def _definitions_of(settings: Settings) -> tuple[str, str | None]:
    try:
        served = Definitions(settings.mappings, settings.trials, profile=profile_of(settings)).now
    except DefinitionError as error:
        return "definitions", "; ".join(map(str, error.problems))
    except SiteProfileError as error:
        return "site profile", "; ".join(error.problems)
    return f"definitions ({len(served.trials)} trials)", "; ".join(served.problems) or None


async def _database_of(settings: Settings) -> tuple[str, str | None]:
    database = Database(settings.database_url)
    try:
        fault = await database.fault()
    finally:
        await database.close()
    words = ", ".join(f"{name} {value}" for name, value in (fault or {}).items() if value is not None)
    return f"database ({database.dialect})", words or None


async def _keys_fault(entry: Ehr, outbound: Outbound) -> str | None:
    keys = KeySets(outbound)
    try:
        await keys.key(entry, "")
        found = await keys.known_ids(entry)
    except (OSError, Refused) as error:
        return f"cannot be read ({type(error).__name__})"
    where = entry.jwks_file or entry.jwks_url
    return None if found else f"no key for signatures was read from {where}"


async def _address_fault(address: str, outbound: Outbound, private: bool) -> str | None:
    client = outbound.to(private_network=private)
    try:
        async with asyncio.timeout(ANSWERS_WITHIN), client.stream("GET", address) as answer:
            return f"{address} answered {answer.status_code}" if answer.status_code >= 500 else None
    except (httpx.HTTPError, TimeoutError) as error:
        return f"{address} does not answer ({type(error).__name__}: {error or 'no answer in time'})"


async def _issuer_fault(settings: Settings, outbound: Outbound) -> str | None:
    assert settings.oidc_issuer is not None
    private = settings.oidc_private_network
    try:
        await Servers(outbound).openid(settings.oidc_issuer, Net(private, allow_http=private))
    except OAuthError as error:
        return f"{settings.oidc_issuer}: {error.cause}"
    return None

"""Sending a browser to an authorization server and taking it back: what SMART launches and logins have in common.

OAuth 2.0 authorization code with PKCE (RFC 6749, 7636, 9700), issuer identification (RFC 9207), OpenID Connect Core.
The order of things:

    server = await servers.openid(issuer, net)    or servers.smart(fhir_base, net)
    ours = Registration(server, client, redirect_uri, net, outbound, keys)
    attempt = new_attempt()                       kept until the browser is back (pending.py)
    ours.address(scope, state, attempt, ...)      the browser goes there
    code = ours.code_in(query)                    it is back: an error, or a code of this very server
    tokens = await ours.redeem(code, attempt)
    claims = await ours.identity(tokens["id_token"], attempt)

Everything asked of a server goes out by `outbound.py`: no redirects, a size, a time. Every failure is an OAuthError,
whose `cause` is for the log and the counters, and holds nothing that a server or a browser sent.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
import secrets
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from typing import Any, Literal
from urllib.parse import quote_plus, urlencode

import httpx
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwt import ClaimsOption

from app.addresses import parse_address
from app.client_key import ASSERTION_TYPE, SigningKey, client_assertion, key_id
from app.errors import BadJson
from app.logs import log
from app.outbound import BodyTooLarge, Outbound, read_capped
from app.tokens.claims import claim_faults, is_subject
from app.tokens.key_sets import KeyAddress, KeySets, check_key
from app.tokens.parts import Refused, token_parts
from app.web.strict_json import check_whole
from cds_hooks.protocol.models import is_bearer_token

ID_TOKEN_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512")
LARGEST_ANSWER = 256 * 1024
METADATA_SECONDS = 3.0
TOKEN_SECONDS = 6.0
_FRESH_FOR = 600.0  # seconds
_FAILED_FOR = 5.0  # seconds in which a server that did not answer is not asked again
_LONGEST_CODE = 4096
_LONGEST_HINT = 4096  # characters of an ID token in an address
_ERRORS = frozenset(
    {
        "access_denied",
        "invalid_scope",
        "invalid_request",
        "unauthorized_client",
        "server_error",
        "login_required",
        "interaction_required",
    }
)


Remedy = Literal["again", "later", "administrator"]
# What the browser, or the person at it, ended; a new attempt may come through.
_ENDED = frozenset(
    {"state not known", "another browser", "no code", "access_denied", "login_required", "interaction_required"}
)
_AWAY = re.compile(r"no connection|not within the time|status (?:429|5\d\d)")


class OAuthError(Exception):
    """Why a browser could not be signed in or launched: one word or two, for the log and the counters."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause

    @property
    def remedy(self) -> Remedy:
        """What helps: another attempt, an attempt when the server answers again, or only who runs the service."""
        if self.cause in _ENDED:
            return "again"
        return "later" if _AWAY.search(self.cause) or self.cause == "server_error" else "administrator"


@dataclass(frozen=True, slots=True)
class Net:
    """How a configured server may be reached; as in the EHR's entry."""

    private_network: bool = False
    allow_http: bool = False

    def takes(self, address: object) -> bool:
        """Whether this is an address that we would call or send a browser to."""
        parts = parse_address(address) if isinstance(address, str) else None
        return parts is not None and (parts.scheme == "https" or self.allow_http)


@dataclass(frozen=True, slots=True)
class Client:
    """Who we are at a server: with a key, with a secret, or public with neither. The key comes first."""

    id: str
    secret: str | None = field(default=None, repr=False)
    key: SigningKey | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Server:
    """What a server says of itself. `issuer` and `jwks_uri` are empty where it signs no identity."""

    authorization_endpoint: str
    token_endpoint: str
    issuer: str = ""
    jwks_uri: str = ""
    names_itself: bool = False  # every answer to a browser has `iss` (RFC 9207)
    capabilities: frozenset[str] = frozenset()  # of SMART
    end_session_endpoint: str = ""
    prompts: frozenset[str] = frozenset()  # which values of `prompt` it says that it takes


@dataclass(frozen=True, slots=True)
class Attempt:
    """The secrets of one authorization, kept on our side until the browser is back."""

    nonce: str = field(repr=False)
    verifier: str = field(repr=False)

    @property
    def challenge(self) -> str:
        digest = hashlib.sha256(self.verifier.encode()).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def new_attempt() -> Attempt:
    return Attempt(secrets.token_urlsafe(24), secrets.token_urlsafe(48))


# -- what servers say of themselves


class Servers:
    """The metadata of configured servers, read when first needed and kept for ten minutes."""

    def __init__(self, outbound: Outbound) -> None:
        self._outbound = outbound
        self._known: dict[str, tuple[float, Server | OAuthError]] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def openid(self, issuer: str, net: Net) -> Server:
        """The server of this issuer (OpenID Connect Discovery); it must say that it is that issuer."""
        address = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
        server = await self._server(address, net)
        if server.issuer != issuer or not server.jwks_uri:
            raise OAuthError("metadata of another issuer")
        return server

    async def smart(self, fhir_base: str, net: Net) -> Server:
        """The server that guards this FHIR server (SMART App Launch, `.well-known/smart-configuration`)."""
        server = await self._server(f"{fhir_base.rstrip('/')}/.well-known/smart-configuration", net)
        if server.jwks_uri or not net.takes(server.issuer):
            return server
        try:
            return replace(server, jwks_uri=(await self.openid(server.issuer, net)).jwks_uri)
        except OAuthError:
            return server

    async def _server(self, address: str, net: Net) -> Server:
        async with self._locks.setdefault(address, asyncio.Lock()):
            until, known = self._known.get(address, (0.0, None))
            if known is None or time.monotonic() >= until:
                known = await self._read(address, net)
                fresh = _FAILED_FOR if isinstance(known, OAuthError) else _FRESH_FOR
                self._known[address] = (time.monotonic() + fresh, known)
        if isinstance(known, OAuthError):
            raise OAuthError(known.cause)
        return known

    async def _read(self, address: str, net: Net) -> Server | OAuthError:
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        client = self._outbound.to(private_network=net.private_network)
        try:
            content = await _answer(client.stream("GET", address, headers=headers), METADATA_SECONDS)
            return _described(content, net)
        except OAuthError as error:
            log.warning("authorization server not known", reason=error.cause)
            return OAuthError(f"metadata: {error.cause}")


def _described(content: Mapping[str, Any], net: Net) -> Server:
    for name in ("authorization_endpoint", "token_endpoint"):
        if not net.takes(content.get(name)):
            raise OAuthError(f"no usable {name}")
    signs = isinstance(content.get("issuer"), str) and net.takes(content.get("jwks_uri"))
    return Server(
        authorization_endpoint=content["authorization_endpoint"],
        token_endpoint=content["token_endpoint"],
        issuer=content["issuer"] if isinstance(content.get("issuer"), str) else "",
        jwks_uri=content["jwks_uri"] if signs else "",
        names_itself=content.get("authorization_response_iss_parameter_supported") is True,
        capabilities=_texts(content.get("capabilities")),
        end_session_endpoint=content["end_session_endpoint"] if net.takes(content.get("end_session_endpoint")) else "",
        prompts=_texts(content.get("prompt_values_supported")),
    )


def _texts(value: object) -> frozenset[str]:
    return frozenset(each for each in value if isinstance(each, str)) if isinstance(value, list) else frozenset()


async def _answer(call: AbstractAsyncContextManager[httpx.Response], seconds: float) -> Mapping[str, Any]:
    """The JSON object of a good answer. OAuthError for anything else."""
    try:
        async with asyncio.timeout(seconds), call as response:
            if response.status_code != 200:
                raise OAuthError(f"status {response.status_code}")
            body = await read_capped(response, LARGEST_ANSWER)
        check_whole(body)
        content = json.loads(body)
    except TimeoutError:
        raise OAuthError("not within the time") from None
    except (httpx.HTTPError, httpx.InvalidURL):
        raise OAuthError("no connection") from None
    except (BodyTooLarge, BadJson, ValueError):
        raise OAuthError("not usable JSON") from None
    if not isinstance(content, dict):
        raise OAuthError("not usable JSON")
    return content


# -- the browser goes, and comes back


@dataclass(frozen=True, slots=True)
class Registration:
    """Our client at one server, and the way there."""

    server: Server
    client: Client
    redirect_uri: str
    net: Net
    outbound: Outbound
    keys: KeySets

    def address(self, scope: str, state: str, attempt: Attempt, **more: str) -> str:
        """Where the browser is sent. `more` are parameters of the profile: `aud` and `launch`, or `prompt`."""
        query = {
            "response_type": "code",
            "client_id": self.client.id,
            "redirect_uri": self.redirect_uri,
            "scope": scope,
            "state": state,
            "nonce": attempt.nonce,
            "code_challenge": attempt.challenge,
            "code_challenge_method": "S256",
        }
        there = self.server.authorization_endpoint
        return f"{there}{'&' if '?' in there else '?'}{urlencode(query | more)}"

    def logout_address(self, back: str, id_token: str | None) -> str | None:
        """Where a browser is sent to end its session at the server (RP-Initiated Logout 1.0); None where it has none.

        Without the ID token of its login the server asks whether that is wanted.
        """
        there = self.server.end_session_endpoint
        if not there:
            return None
        query = {"client_id": self.client.id, "post_logout_redirect_uri": back}
        if id_token is not None and len(id_token) <= _LONGEST_HINT:
            query["id_token_hint"] = id_token
        return f"{there}{'&' if '?' in there else '?'}{urlencode(query)}"

    def code_in(self, query: Mapping[str, str]) -> str:
        """The code with which the browser came back. OAuthError for an error, and for an answer of another server."""
        named = query.get("iss")
        if (named is not None and named != self.server.issuer) or (named is None and self.server.names_itself):
            raise OAuthError("answer of another server")
        if "error" in query:
            # Only words of the specification are repeated.
            raise OAuthError(query["error"] if query["error"] in _ERRORS else "error of the server")
        code = query.get("code", "")
        if not code or len(code) > _LONGEST_CODE:
            raise OAuthError("no code")
        return code

    async def redeem(self, code: str, attempt: Attempt) -> Mapping[str, Any]:
        """The token response to a code, with an `access_token` that fits a header. It is asked for once only."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect_uri,
            "code_verifier": attempt.verifier,
        }
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        self._show_who_we_are(form, headers)
        http = self.outbound.to(private_network=self.net.private_network)
        call = http.stream("POST", self.server.token_endpoint, data=form, headers=headers)
        try:
            tokens = await _answer(call, TOKEN_SECONDS)
        except OAuthError as error:
            raise OAuthError(f"token endpoint: {error.cause}") from None
        if not is_bearer_token(tokens.get("access_token")) or str(tokens.get("token_type", "")).lower() != "bearer":
            raise OAuthError("token endpoint: no bearer token")
        return tokens

    def _show_who_we_are(self, form: dict[str, str], headers: dict[str, str]) -> None:
        """`private_key_jwt` where there is a key, `client_secret_basic` with a secret, else the bare client id."""
        client = self.client
        if client.key is None and client.secret is not None:
            headers["Authorization"] = _basic(client.id, client.secret)
            return
        form["client_id"] = client.id
        if client.key is not None:
            form["client_assertion_type"] = ASSERTION_TYPE
            form["client_assertion"] = client_assertion(
                client.key, client.id, self.server.token_endpoint, int(time.time()), key_id(client.key)
            )

    async def identity(self, token: object, attempt: Attempt) -> Mapping[str, Any]:
        """The claims of an ID token that is good in every respect (OpenID Connect Core, 3.1.3.7)."""
        if not isinstance(token, str) or not self.server.issuer or not self.server.jwks_uri:
            raise OAuthError("no identity")
        try:
            claims = await self._signed_claims(token)
            _check_identity(claims, self.server.issuer, self.client.id, attempt.nonce)
        except (Refused, JoseError) as error:
            raise OAuthError(f"identity: {error if isinstance(error, Refused) else 'signature'}") from None
        return claims

    async def logout(self, token: str) -> Mapping[str, Any]:
        """The claims of a logout token that is good in every respect (OpenID Connect Back-Channel Logout 1.0, 2.6).

        Whether its `jti` was used before is left to the caller.
        """
        try:
            claims = await self._signed_claims(token, ("jwt", "logout+jwt"))
            _check_logout(claims, self.server.issuer, self.client.id)
        except (Refused, JoseError) as error:
            raise OAuthError(f"logout: {error if isinstance(error, Refused) else 'signature'}") from None
        return claims

    async def _signed_claims(self, token: str, types: Sequence[str] = ()) -> Mapping[str, Any]:
        """The claims of a token that this server signed. `types`: what its `typ` may be, where it has one."""
        header, claims = token_parts(token)
        if types and str(header.get("typ", types[0])).lower() not in types:
            raise Refused("typ")
        await self._check_signature(token, header)
        return claims

    async def _check_signature(self, token: str, header: Mapping[str, Any]) -> None:
        algorithm, kid = header.get("alg"), header.get("kid")
        if not isinstance(algorithm, str) or algorithm not in ID_TOKEN_ALGORITHMS or "crit" in header:
            raise Refused("algorithm")
        if not isinstance(kid, str) or not kid:
            raise Refused("no kid")
        where = KeyAddress("authorization server", self.server.jwks_uri, self.net.private_network)
        key = await self.keys.key_at(where, kid)
        if key is None:
            raise Refused("unknown key")
        check_key(key, algorithm)
        jws.deserialize_compact(token, key, algorithms=[algorithm])


def _basic(name: str, secret: str) -> str:
    """RFC 6749, 2.3.1: both are form-encoded before they are joined."""
    joined = f"{quote_plus(name)}:{quote_plus(secret)}"
    return "Basic " + base64.b64encode(joined.encode()).decode()


def _check_identity(claims: Mapping[str, Any], issuer: str, client_id: str, nonce: str) -> None:
    needed: dict[str, ClaimsOption] = {
        "iss": {"essential": True, "value": issuer},
        "nonce": {"essential": True, "value": nonce},
    }
    for fault in claim_faults(claims, time.time(), [client_id], **needed):
        raise fault
    audience = claims.get("aud")
    alone = isinstance(audience, str) or audience == [client_id]
    if claims.get("azp", client_id if alone else None) != client_id:
        raise Refused("authorized party")
    if not is_subject(claims.get("sub")):
        raise Refused("no subject")


_LOGOUT = "http://schemas.openid.net/event/backchannel-logout"


def _check_logout(claims: Mapping[str, Any], issuer: str, client_id: str) -> None:
    needed: dict[str, ClaimsOption] = {"iss": {"essential": True, "value": issuer}, "jti": {"essential": True}}
    for fault in claim_faults(claims, time.time(), [client_id], **needed):
        raise fault
    events = claims.get("events")
    if not isinstance(events, dict) or not isinstance(events.get(_LOGOUT), dict):
        raise Refused("events")
    if "nonce" in claims:  # then it is an ID token
        raise Refused("nonce")
    named = [claims[name] for name in ("sub", "sid") if name in claims]
    if not named or not all(map(is_subject, named)):
        raise Refused("no subject")

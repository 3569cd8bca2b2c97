"""Logging people in at the hospital's OpenID Connect provider: authorization code, PKCE, nonce, and a group."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from app.addresses import is_loopback_address
from app.hashes import sha256_of
from app.login.sessions import ProviderLogin, ProviderLogout
from app.oauth.flow import Attempt, Client, Net, OAuthError, Registration, Servers, new_attempt
from app.oauth.pending import Pending
from app.outbound import Outbound
from app.people import Person
from app.settings import Settings
from app.storage.used_tokens import PresentedToken
from app.tokens.claims import end_of
from app.tokens.key_sets import KeySets
from cds_hooks.words.safe_text import plain

PURPOSE = "login"
ANOTHER = "another"  # in an address: somebody else logs in
LOGIN_AS_ANOTHER = f"/login?next=/worklist&account={ANOTHER}"
SELECT_ACCOUNT = "select_account"  # a value of `prompt`
_LONGEST_NAME = 80
_CLOCKS_DIFFER = 60  # seconds between ours and the provider's


class NotInGroup(Exception):
    """Somebody whom the provider knows, and who may not work here. `id_token`: of their login."""

    def __init__(self, id_token: str) -> None:
        super().__init__()
        self.id_token = id_token


class _Kept(msgspec.Struct, frozen=True):
    """What is remembered while the browser is at the provider. `browser` is what its cookie hashes to."""

    browser: str
    next: str
    nonce: str
    verifier: str
    proves_since: int | None = None  # POSIX seconds: the login is for signing, and is proved no earlier than this


@dataclass(frozen=True, slots=True)
class Going:
    """Where the browser is sent, and the value of the cookie by which it is known when it is back."""

    address: str
    browser: str


@dataclass(frozen=True, slots=True)
class Returned:
    """A browser that is back: who is at it, the page that was asked for, and what the provider said of the login."""

    person: Person
    next: str
    at_provider: ProviderLogin


@dataclass(frozen=True, slots=True)
class Provider:
    """The provider of these settings, and the way there."""

    settings: Settings
    servers: Servers
    keys: KeySets
    outbound: Outbound
    pending: Pending

    async def begin(self, back_to: str, now: datetime, *, to_sign: bool = False, as_another: bool = False) -> Going:
        """Begin a login that ends on our page `back_to`. OAuthError where the provider does not answer; TooMany.

        `to_sign`: the provider must ask for the password again, whatever session it has. `as_another`: it asks who it
        is, although somebody is logged in there.
        """
        registration = await self._registration()
        attempt, browser = new_attempt(), secrets.token_urlsafe(32)
        since = int(now.timestamp()) if to_sign else None
        kept = _Kept(sha256_of(browser), back_to, attempt.nonce, attempt.verifier, since)
        state = await self.pending.keep(PURPOSE, msgspec.json.encode(kept), now)
        prompt = SELECT_ACCOUNT if SELECT_ACCOUNT in registration.server.prompts else "login"
        more = {"prompt": "login", "max_age": "0"} if to_sign else {"prompt": prompt} if as_another else {}
        return Going(registration.address(self.settings.oidc_scopes, state, attempt, **more), browser)

    async def finish(self, query: Mapping[str, str], browser: str, now: datetime) -> Returned:
        """Who logged in, and the page that they asked for. OAuthError, NotInGroup.

        A state is good once, for ten minutes, and only in the browser that began: otherwise somebody could be logged in
        as another without noticing.
        """
        content = await self.pending.take(PURPOSE, query.get("state", ""), now)
        if content is None:
            raise OAuthError("state not known")
        try:
            kept = msgspec.json.decode(content, type=_Kept)
        except msgspec.ValidationError:  # kept by another release, minutes ago
            raise OAuthError("state not known") from None
        if not hmac.compare_digest(sha256_of(browser), kept.browser):
            raise OAuthError("another browser")
        registration, attempt = await self._registration(), Attempt(kept.nonce, kept.verifier)
        tokens = await registration.redeem(registration.code_in(query), attempt)
        claims = await registration.identity(tokens.get("id_token"), attempt)
        groups = self._groups(claims)
        if groups.isdisjoint(self.settings.oidc_groups):
            raise NotInGroup(tokens["id_token"])
        proved = _proved_at(claims, kept.proves_since, now) if kept.proves_since is not None else None
        person = _person(claims, not groups.isdisjoint(self.settings.oidc_signers), proved)
        sid = claims.get("sid")
        at_provider = ProviderLogin(sid if isinstance(sid, str) else None, tokens["id_token"])
        return Returned(person, kept.next, at_provider)

    async def address_for_another(self, id_token: str) -> str:
        """The address where another person logs in, although somebody is still logged in at the provider.

        Where the provider cannot ask for another account, its session has to end first: `prompt=login` asks some
        (Keycloak) for the password of the same person only.
        """
        try:
            registration = await self._registration()
        except OAuthError:
            return LOGIN_AS_ANOTHER
        if SELECT_ACCOUNT in registration.server.prompts:
            return LOGIN_AS_ANOTHER
        return registration.logout_address(f"{self.settings.public_url}/logout", id_token) or LOGIN_AS_ANOTHER

    async def logout_address(self, id_token: str | None) -> str | None:
        """Where a browser ends its session at the provider, if the provider offers it and answers now."""
        try:
            registration = await self._registration()
        except OAuthError:
            return None
        return registration.logout_address(f"{self.settings.public_url}/logout", id_token)

    async def logout(self, token: str) -> ProviderLogout:
        """Whom a logout token logs out. OAuthError for one that is not the provider's, of now and for us."""
        claims = await (await self._registration()).logout(token)
        presented = PresentedToken(f"logout {claims['iss']}", claims["jti"], end_of(claims))
        subject = _subject(claims) if "sub" in claims else None
        return ProviderLogout(presented, subject, claims.get("sid"))

    async def _registration(self) -> Registration:
        settings = self.settings
        assert settings.oidc_issuer is not None
        assert settings.oidc_client_id is not None
        private = settings.oidc_private_network
        net = Net(private, allow_http=private and is_loopback_address(settings.oidc_issuer))
        server = await self.servers.openid(settings.oidc_issuer, net)
        client = Client(settings.oidc_client_id, settings.oidc_client_secret)
        back = f"{settings.public_url}/login/callback"
        return Registration(server, client, back, net, self.outbound, self.keys)

    def _groups(self, claims: Mapping[str, Any]) -> set[str]:
        found = _claim(claims, self.settings.oidc_groups_claim)
        groups = [found] if isinstance(found, str) else found if isinstance(found, list) else []
        return {group for group in groups if isinstance(group, str)}


def _claim(claims: Mapping[str, Any], name: str) -> Any:
    """A claim by its name, or by a path with dots ("realm_access.roles")."""
    if name in claims:
        return claims[name]
    found: Any = claims
    for part in name.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def _proved_at(claims: Mapping[str, Any], since: int, now: datetime) -> datetime:
    """When the provider asked who it is (`auth_time`, which it must give where `max_age` was sent). OAuthError."""
    given = claims.get("auth_time")
    if not isinstance(given, int | float) or isinstance(given, bool) or given < since - _CLOCKS_DIFFER:
        raise OAuthError("no fresh login")
    return min(datetime.fromtimestamp(given, UTC), now)


def _person(claims: Mapping[str, Any], is_signer: bool, proved_at: datetime | None) -> Person:
    """The name that the provider gives; a subject is one only at its issuer."""
    names = (claims.get(name) for name in ("name", "preferred_username", "email"))
    name = next((name for name in names if isinstance(name, str) and name.strip()), claims["sub"])
    return Person(plain(name, _LONGEST_NAME), _subject(claims), is_signer, proved_at)


def _subject(claims: Mapping[str, Any]) -> str:
    return f"{claims['iss']}|{claims['sub']}"

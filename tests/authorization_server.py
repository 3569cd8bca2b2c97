"""A small authorization server on a real socket, in a thread: OpenID Connect and SMART, with a FHIR server behind it.

with AuthorizationServer(CLIENT, [patient, condition]) as server:
    server.launches["xyz"] = Launched("some-patient")
    server.tokens["scope"] = "launch patient/Patient.rs"      # what a token response holds instead
    ... server.issuer ... server.fhir ... server.asked

It checks what a careful server checks (client, redirect address, PKCE, `aud`, launch, one use of a code, how the client
shows who it is), approves everybody at once, and answers 400 with the reason where something is not as it must be.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, unquote_plus, urlencode, urlsplit

from joserfc import jws, jwt
from joserfc.jwk import ECKey, KeySet

Json = dict[str, Any]
KEY = ECKey.generate_key("P-256", {"kid": "of the authorization server", "use": "sig"}, private=True)


@dataclass(frozen=True)
class Launched:
    """What an EHR knows of a launch that it began."""

    patient: str | None
    more: Mapping[str, Any] = field(default_factory=dict)  # further members of the token response: appContext


@dataclass(frozen=True)
class Registered:
    """A client as the server knows it: public, with a secret, or with public keys (a JWK set)."""

    id: str
    secret: str | None = None
    keys: Json | None = None


@dataclass
class AuthorizationServer:
    client: Registered
    resources: Sequence[Json] = ()
    host: str = "127.0.0.1"
    subject: str = "the user"
    launches: dict[str, Launched] = field(default_factory=dict)
    denied: str | None = None  # the error with which the browser is sent back
    issuer_sent: str | None = None  # `iss` of that answer; None sends our own, "" none
    metadata: Json = field(default_factory=dict)  # instead of what we say of ourselves; a None leaves it out
    claims: Json = field(default_factory=dict)  # likewise in ID tokens
    tokens: Json = field(default_factory=dict)  # likewise in token responses
    token_status: int = 200
    token_waits: threading.Event | None = None  # the token endpoint answers when it is set
    signs_with: ECKey = field(default_factory=lambda: KEY)
    asked: list[tuple[str, str]] = field(default_factory=list)  # method and path of every request
    authorized: list[dict[str, str]] = field(default_factory=list)  # the queries of the authorization requests
    pages: dict[str, bytes] = field(default_factory=dict)  # HTML at a path, for an EHR that frames the app

    def __enter__(self) -> Self:
        self._codes: dict[str, dict[str, str]] = {}
        self._access: dict[str, str | None] = {}  # token -> patient
        self._http = ThreadingHTTPServer((self.host, 0), type("Handler", (_Handler,), {"of": self}))
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        self.issuer = f"http://{self.host}:{self._http.server_address[1]}"
        self.fhir = f"{self.issuer}/fhir"
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def paths(self, start: str = "/") -> list[str]:
        return [path for _, path in self.asked if path.startswith(start)]

    # -- what it says

    def described(self) -> Json:
        said = {
            "issuer": self.issuer,
            "jwks_uri": f"{self.issuer}/jwks.json",
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
            "end_session_endpoint": f"{self.issuer}/logout",
            "capabilities": ["launch-ehr", "client-public", "sso-openid-connect", "permission-v2"],
        }
        return _without_none(said | self.metadata)

    def authorize(self, query: dict[str, str]) -> str:
        """Where the browser goes next. Refused where the request is not one of this client's."""
        self.authorized.append(query)
        _need(query.get("client_id") == self.client.id, "client")
        _need(query.get("response_type") == "code", "response_type")
        _need(query.get("code_challenge_method") == "S256" and len(query["code_challenge"]) == 43, "PKCE")
        _need(len(query.get("state", "")) >= 22, "state")
        if "launch" in query["scope"].split():
            _need(query.get("aud") == self.fhir, "aud")
            _need(query.get("launch") in self.launches, "launch")
        back = {"state": query["state"]}
        issuer = self.issuer if self.issuer_sent is None else self.issuer_sent
        back |= {"iss": issuer} if issuer else {}
        if self.denied:
            back["error"] = self.denied
        else:
            back["code"] = secrets.token_urlsafe(16)
            self._codes[back["code"]] = query
        return f"{query['redirect_uri']}?{urlencode(back)}"

    def token(self, form: Mapping[str, str], authorization: str) -> Json:
        """The token response to a code, which is good once."""
        _need(form.get("grant_type") == "authorization_code", "grant_type")
        asked = self._codes.pop(form.get("code", ""), None)
        _need(asked is not None, "code")
        assert asked is not None
        _need(form.get("redirect_uri") == asked["redirect_uri"], "redirect_uri")
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        _need(base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == asked["code_challenge"], "code_verifier")
        self._check_client(form, authorization)
        launched = self.launches.get(asked.get("launch", ""), Launched(None))
        access = secrets.token_urlsafe(16)
        self._access[access] = launched.patient
        said = {
            "access_token": access,
            "token_type": "Bearer",
            "expires_in": 300,
            "scope": asked["scope"],
            "id_token": self.id_token(asked["nonce"], is_fresh="max_age" in asked),
            "patient": launched.patient,
        }
        return _without_none(said | dict(launched.more) | self.tokens)

    def _check_client(self, form: Mapping[str, str], authorization: str) -> None:
        if self.client.secret is not None:
            given = base64.b64decode(authorization.removeprefix("Basic ")).decode()
            name, _, secret = given.partition(":")
            _need((unquote_plus(name), unquote_plus(secret)) == (self.client.id, self.client.secret), "secret")
        elif self.client.keys is not None:
            _need(form["client_assertion_type"].endswith(":jwt-bearer"), "client_assertion_type")
            keys = KeySet.import_key_set(self.client.keys)  # type: ignore[arg-type]
            claims = jwt.decode(form["client_assertion"], keys, algorithms=["RS384", "ES384"]).claims
            _need((claims["iss"], claims["sub"], claims["aud"])
                  == (self.client.id, self.client.id, f"{self.issuer}/token"), "assertion")  # fmt: skip
        else:
            _need(form.get("client_id") == self.client.id, "client_id")

    def id_token(self, nonce: str, *, is_fresh: bool = False, **claims: Any) -> str:
        now = int(time.time())
        said = {
            "iss": self.issuer,
            "sub": self.subject,
            "aud": self.client.id,
            "iat": now,
            "exp": now + 300,
            "nonce": nonce,
            "auth_time": now if is_fresh else None,
            "fhirUser": f"{self.fhir}/Practitioner/{self.subject.replace(' ', '-')}",
        }
        header = {"alg": "ES256", "kid": self.signs_with.kid}
        payload = json.dumps(_without_none(said | self.claims | claims)).encode()
        return jws.serialize_compact(header, payload, self.signs_with, algorithms=["ES256"])

    def logout_token(self, key: ECKey | None = None, **claims: Any) -> str:
        """What the server sends when a session of its own ended; a claim of None is left out."""
        now, key = int(time.time()), key or self.signs_with
        said = {
            "iss": self.issuer,
            "sub": self.subject,
            "aud": self.client.id,
            "iat": now,
            "exp": now + 120,
            "jti": secrets.token_urlsafe(16),
            "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
        }
        header = {"alg": "ES256", "kid": key.kid, "typ": claims.pop("typ", "logout+jwt")}
        payload = json.dumps(_without_none(said | claims)).encode()
        return jws.serialize_compact(_without_none(header), payload, key, algorithms=["ES256"])

    # -- the FHIR server behind it

    def may_read(self, authorization: str) -> bool:
        return authorization.removeprefix("Bearer ") in self._access

    def found(self, path: str, query: Mapping[str, str]) -> Json | None:
        kind, _, name = path.partition("/")
        if name:
            return next((r for r in self.resources if r["resourceType"] == kind and r.get("id") == name), None)
        subject = f"Patient/{query.get('patient')}"
        entries = [{"resource": r} for r in self.resources if r["resourceType"] == kind and _subject(r) == subject]
        bundle = {"resourceType": "Bundle", "type": "searchset", "total": len(entries)}
        return bundle | ({"entry": entries} if entries else {})


class Refused(Exception):
    """What was not as it must be."""


def _need(fulfilled: bool, what: str) -> None:
    if not fulfilled:
        raise Refused(what)


def _without_none(said: Mapping[str, Any]) -> Json:
    return {name: value for name, value in said.items() if value is not None}


def _subject(resource: Json) -> str | None:
    subject: str | None = (resource.get("subject") or resource.get("patient") or {}).get("reference")
    return subject


class _Handler(BaseHTTPRequestHandler):
    of: AuthorizationServer

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        self.of.asked.append(("GET", parts.path))
        try:
            self._get(parts.path, query)
        except (Refused, KeyError) as error:
            self._json(400, {"error": str(error)})

    def _get(self, path: str, query: dict[str, str]) -> None:
        if path.endswith(("/.well-known/openid-configuration", "/.well-known/smart-configuration")):
            self._json(200, self.of.described())
        elif path == "/jwks.json":
            self._json(200, {"keys": [self.of.signs_with.as_dict(private=False)]})
        elif path == "/authorize":
            self._send(302, b"", {"Location": self.of.authorize(query)})
        elif path == "/logout" and "post_logout_redirect_uri" in query:
            self._send(302, b"", {"Location": query["post_logout_redirect_uri"]})
        elif path in self.of.pages:
            self._send(200, self.of.pages[path], {"Content-Type": "text/html; charset=utf-8"})
        elif path.startswith("/fhir/"):
            self._fhir(path.removeprefix("/fhir/"), query)
        else:
            self._json(404, {})

    def _fhir(self, path: str, query: dict[str, str]) -> None:
        if not self.of.may_read(self.headers.get("Authorization", "")):
            self._json(401, {})
            return
        found = self.of.found(path, query)
        self._json(404 if found is None else 200, found or {})

    def do_POST(self) -> None:
        self.of.asked.append(("POST", self.path))
        form = dict(parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
        if self.of.token_waits:
            self.of.token_waits.wait(10)
        try:
            said = self.of.token(form, self.headers.get("Authorization", ""))
        except (Refused, KeyError, ValueError) as error:
            self._json(400, {"error": "invalid_grant", "error_description": str(error)})
        else:
            self._json(self.of.token_status, said)

    def _json(self, status: int, content: Json) -> None:
        self._send(status, json.dumps(content).encode(), {"Content-Type": "application/json"})

    def _send(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Says nothing."""

"""A Bulk Data server on a real socket, with SMART Backend Services, and with the moods that such servers have.

with BulkServer({"Patient": [patient]}, key) as server:
    ... server.base ... server.asked ... server.answers["/status/1"] = [(202, {"Retry-After": "3"}, b"")]
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

Json = dict[str, Any]
Answer = tuple[int, Mapping[str, str], bytes]
CLIENT = "trialcards-backend"


@dataclass
class BulkServer:
    """`answers` by path: what is answered first, one after the other, before the server answers as usual."""

    resources: Mapping[str, Sequence[Json]]
    key: RSAKey | ECKey | None = None
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    manifest: Json = field(default_factory=dict)  # put over the manifest
    uses: int = 10**6  # how often a token is taken before it is refused
    asked: list[tuple[str, str, Mapping[str, str]]] = field(default_factory=list)
    tokens: dict[str, int] = field(default_factory=dict)
    assertions: set[str] = field(default_factory=set)

    def __enter__(self) -> Self:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                server.answer(self, b"")

            do_DELETE = do_GET

            def do_POST(self) -> None:
                server.answer(self, self.rfile.read(int(self.headers["Content-Length"])))

            def log_message(self, format: str, *args: object) -> None: ...

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))
        self._thread.start()
        self.origin = f"http://127.0.0.1:{self._http.server_port}"
        self.base = f"{self.origin}/fhir"
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def paths(self, method: str = "GET") -> list[str]:
        return [path for asked, path, _ in self.asked if asked == method]

    def answer(self, call: BaseHTTPRequestHandler, body: bytes) -> None:
        path = urlsplit(call.path).path
        self.asked.append((call.command, call.path, {name.lower(): value for name, value in call.headers.items()}))
        waiting = self.answers.get(path, [])
        code, headers, content = waiting.pop(0) if waiting else self._usual(call, path, body)
        call.send_response(code)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            call.send_header(name, value)
        call.end_headers()
        call.wfile.write(content)
        if int(headers.get("Content-Length", len(content))) != len(content):
            call.close_connection = True

    def _usual(self, call: BaseHTTPRequestHandler, path: str, body: bytes) -> Answer:
        if path == "/fhir/.well-known/smart-configuration":
            return 200, {}, json.dumps({"token_endpoint": f"{self.origin}/token"}).encode()
        if path == "/token":
            return self._give_token(parse_qs(body.decode()))
        if self.key and not self._is_good(call.headers.get("Authorization", "")):
            return 401, {}, b"{}"
        if path.endswith("/$export"):
            return 202, {"Content-Location": f"{self.origin}/status/1"}, b""
        if path == "/status/1":
            return (202, {}, b"") if call.command == "DELETE" else (200, {}, json.dumps(self._manifest()).encode())
        return self._file(path)

    def _manifest(self) -> Json:
        output = [
            {"type": kind, "url": f"{self.origin}/files/{kind}", "count": len(found)}
            for kind, found in self.resources.items()
        ]
        whole = {"transactionTime": "2026-11-01T00:00:00Z", "request": f"{self.base}/$export", "output": output}
        return whole | {"requiresAccessToken": self.key is not None, "error": []} | self.manifest

    def _file(self, path: str) -> Answer:
        found = self.resources.get(path.removeprefix("/files/"))
        if found is None:
            return 404, {}, b""
        return 200, {}, "".join(json.dumps(each) + "\n" for each in found).encode()

    def _give_token(self, form: Mapping[str, list[str]]) -> Answer:
        assert self.key
        refused: Answer = 400, {}, b'{"error":"invalid_client"}'
        try:
            found = jwt.decode(form["client_assertion"][0], self.key, algorithms=["RS384", "ES384"])
        except JoseError:
            return refused
        claims = found.claims
        good = (
            form["grant_type"] == ["client_credentials"]
            and form["client_assertion_type"] == ["urn:ietf:params:oauth:client-assertion-type:jwt-bearer"]
            and claims["iss"] == claims["sub"] == CLIENT
            and claims["aud"] == f"{self.origin}/token"
            and time.time() < claims["exp"] <= time.time() + 300
            and claims["jti"] not in self.assertions
        )
        if not good:
            return refused
        self.assertions.add(claims["jti"])
        token = f"token-{len(self.tokens)}"
        self.tokens[token] = self.uses
        answer = {"access_token": token, "token_type": "bearer", "expires_in": 300, "scope": form["scope"][0]}
        return 200, {}, json.dumps(answer).encode()

    def _is_good(self, authorization: str) -> bool:
        token = authorization.removeprefix("Bearer ")
        left = self.tokens.get(token, 0)
        self.tokens[token] = left - 1
        return left > 0

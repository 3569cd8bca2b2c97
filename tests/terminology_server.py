"""A small terminology server on a real socket: it speaks FHIR's `ValueSet/$expand` over a hierarchy that a test gives.

with TerminologyServer({"55464009": ["200936003"]}) as server: ... server.base ... server.asked
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

SNOMED = "http://snomed.info/sct"


class TerminologyServer:
    """`children`: code -> the codes right below it. `answer`: bytes and status in place of an expansion."""

    def __init__(self, children: Mapping[str, Sequence[str]] | None = None, page: int = 1000) -> None:
        self.children = dict(children or {})
        self.page = page
        self.answer: tuple[int, bytes] | None = None
        self.headers: dict[str, str] = {}
        self.asked: list[dict[str, Any]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/fhir"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def at_or_below(self, code: str) -> Iterator[str]:
        yield code
        for child in self.children.get(code, ()):
            yield from self.at_or_below(child)

    def _selected(self, parts: Sequence[Mapping[str, Any]]) -> list[str]:
        roots = [one["value"] for part in parts for one in part["filter"] if one["op"] == "is-a"]
        return list(dict.fromkeys(code for root in roots for code in self.at_or_below(root)))

    def expansion(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        given = {each["name"]: each for each in parameters["parameter"]}
        compose = given["valueSet"]["resource"]["compose"]
        left_out = set(self._selected(compose.get("exclude", ())))
        codes = [code for code in self._selected(compose["include"]) if code not in left_out]
        start = given["offset"]["valueInteger"]
        shown = codes[start : start + min(self.page, given["count"]["valueInteger"])]
        contains = [{"system": SNOMED, "code": code, "display": "not read"} for code in shown]
        return {"resourceType": "ValueSet", "expansion": {"total": len(codes), "offset": start, "contains": contains}}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                parameters = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.asked.append(parameters | {"path": self.path})
                status, body = outer.answer or (200, json.dumps(outer.expansion(parameters)).encode())
                self.send_response(status)
                for name, value in outer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        return Handler

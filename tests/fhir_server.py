"""A small FHIR server on a real socket: reads, searches by patient in pages, and every way of failing that we know.

async with FhirServer([patient, condition]) as server:
    server.faults["Condition"] = status(503)
    ... server.base ... server.requests
"""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import parse_qsl, urlencode, urlsplit

Resource = dict[str, Any]
Fault = Callable[["FhirServer", asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True)
class Asked:
    """One request as it came in."""

    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]


def a_drug_by_reference(patient: str, medication: str = "Medication/m", **more: Any) -> Resource:
    """An active order whose drug is a resource of its own."""
    return {
        "resourceType": "MedicationRequest",
        "id": "r",
        "status": "active",
        "intent": "order",
        "subject": {"reference": f"Patient/{patient}"},
        "medicationReference": {"reference": medication},
        "authoredOn": "2026-10-01",
    } | more


def status(code: int, times: int = 10**6, **headers: str) -> Fault:
    """Answer with this status, the first `times` times; then as usual."""
    left = [times]

    async def answer(server: FhirServer, writer: asyncio.StreamWriter) -> None:
        if left[0] <= 0:
            raise NoFault
        left[0] -= 1
        await server.send(writer, code, b"{}", {name.replace("_", "-"): value for name, value in headers.items()})

    return answer


def body(content: bytes, content_type: str = "application/fhir+json") -> Fault:
    """Answer 200 with these bytes."""

    async def answer(server: FhirServer, writer: asyncio.StreamWriter) -> None:
        await server.send(writer, 200, content, {"Content-Type": content_type})

    return answer


def page(bundle: Resource) -> Fault:
    return body(json.dumps(bundle).encode())


async def reset(_: FhirServer, writer: asyncio.StreamWriter) -> None:
    """Close the connection without an answer."""
    writer.transport.abort()


async def truncated(_: FhirServer, writer: asyncio.StreamWriter) -> None:
    """Announce more than is sent."""
    writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{"resourceType":"Bundle",')
    await writer.drain()


async def drip(_: FhirServer, writer: asyncio.StreamWriter) -> None:
    """Send one byte every tenth of a second, for ever."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while not writer.transport.is_closing():
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.1)


async def silent(_: FhirServer, writer: asyncio.StreamWriter) -> None:
    """Take the request and say nothing."""
    await writer.wait_closed()


async def compressed(server: FhirServer, writer: asyncio.StreamWriter) -> None:
    """Compress what nobody asked to be compressed."""
    content = gzip.compress(b'{"resourceType":"Bundle","type":"searchset","x":"' + b" " * 10_000_000 + b'"}')
    await server.send(writer, 200, content, {"Content-Encoding": "gzip"})


def once(fault: Fault) -> Fault:
    """Fail so the first time; then answer as usual."""
    left = [1]

    async def answer(server: FhirServer, writer: asyncio.StreamWriter) -> None:
        if not left:
            raise NoFault
        left.pop()
        await fault(server, writer)

    return answer


async def endless(server: FhirServer, writer: asyncio.StreamWriter) -> None:
    """Every page has a next one, each with another address."""
    server.faults["more"] = endless
    await server.send_page(writer, [], f"{server.base}/more?page={len(server.requests)}")


class NoFault(Exception):
    """A fault that is over."""


@dataclass
class FhirServer:
    resources: Sequence[Resource] = ()
    page_size: int = 1000
    path: str = "/fhir"
    faults: dict[str, Fault] = field(default_factory=dict)  # by resource type, or first segment of the path
    requests: list[Asked] = field(default_factory=list)
    demands: dict[str, list[tuple[str, ...]]] = field(default_factory=dict)  # by type: of each group one parameter

    async def __aenter__(self) -> Self:
        self._open: set[asyncio.StreamWriter] = set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.base = f"http://127.0.0.1:{port}{self.path}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for writer in list(self._open):
            writer.transport.abort()
        await asyncio.sleep(0.01)

    @property
    def asked_for(self) -> list[str]:
        return [asked.path.removeprefix(self.path + "/") for asked in self.requests]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            while not writer.transport.is_closing():
                head = await reader.readuntil(b"\r\n\r\n")
                await self._answer(_asked(head), writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._open.discard(writer)
            writer.close()

    async def _answer(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
        self.requests.append(asked)
        segments = asked.path.removeprefix(self.path).strip("/").split("/")
        fault = self.faults.get(segments[0])
        if fault:
            try:
                await fault(self, writer)
            except NoFault:
                pass
            else:
                if fault is truncated:
                    writer.close()
                return
        if len(segments) == 2:
            await self._read(writer, *segments)
        else:
            await self._search(writer, segments[0], asked.query)

    async def _read(self, writer: asyncio.StreamWriter, kind: str, name: str) -> None:
        found = [r for r in self.resources if r["resourceType"] == kind and r.get("id") == name]
        await self.send(writer, 200 if found else 404, json.dumps(found[0] if found else {}).encode(), {})

    async def _search(self, writer: asyncio.StreamWriter, kind: str, query: Mapping[str, str]) -> None:
        if not all(any(name in query for name in names) for names in self.demands.get(kind, ())):
            issue = {"severity": "error", "code": "required"}
            await self.send(
                writer, 400, json.dumps({"resourceType": "OperationOutcome", "issue": [issue]}).encode(), {}
            )
            return
        subject = f"Patient/{query.get('patient')}"
        found = [r for r in self.resources if r["resourceType"] == kind and _subject(r) == subject and _fits(r, query)]
        if query.get("_sort") == "-date":
            found.sort(key=lambda r: str(r.get("effectiveDateTime", "")), reverse=True)
        start = int(query.get("start", "0"))
        end = start + min(self.page_size, int(query.get("_count", "1000")))
        more = f"{self.base}/{kind}?{urlencode(dict(query) | {'start': end})}" if end < len(found) else None
        await self.send_page(writer, found[start:end], more, len(found))

    async def send_page(
        self, writer: asyncio.StreamWriter, found: Sequence[Resource], more: str | None, total: int | None = None
    ) -> None:
        bundle: Resource = {"resourceType": "Bundle", "type": "searchset"}
        if total is not None:
            bundle["total"] = total
        if more:
            bundle["link"] = [{"relation": "next", "url": more}]
        if found:
            bundle["entry"] = [{"resource": resource, "search": {"mode": "match"}} for resource in found]
        await self.send(writer, 200, json.dumps(bundle).encode(), {})

    async def send(self, writer: asyncio.StreamWriter, code: int, content: bytes, headers: Mapping[str, str]) -> None:
        given = {"Content-Type": "application/fhir+json", "Content-Length": str(len(content))} | dict(headers)
        lines = [f"HTTP/1.1 {code} Answer", *(f"{name}: {value}" for name, value in given.items()), "", ""]
        writer.write("\r\n".join(lines).encode() + content)
        await writer.drain()


def _asked(head: bytes) -> Asked:
    first, *lines = head.decode().split("\r\n")
    target = urlsplit(first.split(" ")[1])
    headers = {line.partition(": ")[0].lower(): line.partition(": ")[2] for line in lines if line}
    return Asked(target.path, dict(parse_qsl(target.query)), headers)


def _subject(resource: Resource) -> str | None:
    subject: str | None = (resource.get("subject") or resource.get("patient") or {}).get("reference")
    return subject


def _fits(resource: Resource, query: Mapping[str, str]) -> bool:
    """Whether a resource is found by the parameters category, code and intent, as far as they are given."""
    given = {
        "category": [coding["code"] for c in resource.get("category", ()) for coding in c.get("coding", ())],
        "code": [coding["code"] for coding in resource.get("code", {}).get("coding", ())],
        "intent": [resource.get("intent")],
    }
    if query.get("code:missing") == "true" and given["code"]:
        return False
    return all(set(query[name].split(",")) & set(codes) for name, codes in given.items() if name in query)

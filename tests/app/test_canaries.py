"""Canaries in every field that someone sends: then everything that the process wrote, sent or asked for is searched."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx

from tests.fhir_server import FhirServer, Resource, body, page, status
from tests.hospital import BASE, OPERATOR, VIEW, Production, bearer, ehrs_file, production, settings_of, signed
from tests.support.canaries import BORN, CHART, PATIENT_ID, SECRETS, USER, C, hook
from tests.support.records import everything_in

TOKEN = f"{C}-access-token"


def authorized(base: str, **prefetch: object) -> dict[str, Any]:
    authorization = {
        "access_token": TOKEN, "token_type": "Bearer", "expires_in": 300, "scope": C, "subject": f"{C}-client",
        "patient": PATIENT_ID,
    }  # fmt: skip
    return hook(fhirServer=base, fhirAuthorization=authorization, prefetch=prefetch)


@dataclass
class Collector:
    """An OpenTelemetry collector that keeps every byte that it gets."""

    address: str
    received: list[bytes] = field(default_factory=list)


@contextmanager
def collector() -> Iterator[Collector]:
    received: list[bytes] = []

    class Take(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(self.path.encode() + self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Take)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield Collector(f"http://127.0.0.1:{server.server_address[1]}", received)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@asynccontextmanager
async def running(folder: Path, database: str, traces: str, more: str) -> AsyncIterator[Production]:
    (folder / "tmp").mkdir()
    settings = settings_of(folder, database, TRACES=traces, WORKERS="2", DEADLINE="2") | {"TMPDIR": str(folder / "tmp")}
    ehrs_file(folder, more)
    manager = production(folder, settings)
    server = await asyncio.to_thread(manager.__enter__)
    try:
        yield server
    finally:
        await asyncio.to_thread(manager.__exit__, None, None, None)


async def test_nothing_of_a_patient_and_no_token_leaves_the_process(tmp_path: Path, database: str) -> None:
    async with FhirServer(CHART) as fhir:
        more = f'fhir_servers = ["{fhir.base}"]\nallow_http = true\nprivate_network = true\n'
        with collector() as traces:
            async with running(tmp_path, database, traces.address, more) as server:
                answers = await _everything_that_is_sent(server, fhir)
                answers += await _everything_a_coordinator_sends(server)
                metrics = (await asyncio.to_thread(server.get, "/metrics")).content
                temporary = _files_of(tmp_path / "tmp")
                assert await asyncio.to_thread(server.stop) in (0, -15)
        logs = server.output.read_bytes()
    written = {
        "logs": logs,
        "metrics": metrics,
        "traces": b"".join(traces.received),
        "database": everything_in(database),
        "temporary files": temporary,
    }
    for name, content in written.items():
        found = SECRETS.search(content)
        assert not found, (name, content[max(0, found.start() - 80) : found.end() + 40] if found else "")
    assert b"answered" in logs
    assert b"EHR query" in written["traces"]
    assert b'trialcards_unknown_criteria_total{reason="missing"}' in metrics
    _asked_for_the_chart_only(fhir)
    _said_nothing_that_it_need_not(answers)


async def _everything_that_is_sent(server: Production, fhir: FhirServer) -> list[httpx.Response]:
    """Every call that a test can think of, with canaries; the answers."""
    async with httpx.AsyncClient(base_url=server.base, trust_env=False, timeout=20) as client:

        async def post(path: str, content: object, **headers: str) -> httpx.Response:
            raw = content if isinstance(content, bytes) else json.dumps(content).encode()
            sent = {"content-type": "application/json", "user-agent": C, "x-request-id": C, "referer": f"http://{C}"}
            return await client.post(path, content=raw, headers=sent | bearer(signed(path)) | headers)

        answers = [await post(VIEW, hook()), await post(VIEW, authorized(fhir.base))]
        cards = [card for answer in answers for card in answer.json()["cards"]]
        assert cards
        answers += [await post(VIEW + "/feedback", _feedback(cards)) for _ in range(2)]
        chart = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": each} for each in CHART]}
        answers.append(await post("/api/v1/match", chart))
        assert [answer.status_code for answer in answers] == [200] * 5
        answers += [await post(VIEW, each) for each in _wrong_bodies()]
        answers += [await post(VIEW + "/feedback", {"feedback": [{"card": C, "outcome": C}]})]
        answers += [await post("/api/v1/match", {"resourceType": "Bundle", "entry": [{C: C}]})]
        answers += [await client.post(f"/api/v1/match?asOf={C}&trial={C}", json=chart, headers=bearer(signed()))]
        answers += [await client.get(f"/{C}?x={C}"), await client.get(f"/api/v1/trials/{C}")]
        answers += [await client.post(f"/cds-services/{C}", json=hook()), await client.get(f"/reports/{C}?expires={C}")]
        answers += [await client.post(VIEW, json=hook(), headers=h) for h in (bearer(f"{C}.{C}.{C}"), {"cookie": C})]
        # A refusal logs the issuer and the key id that it compared; they name a server and no patient.
        strange = signed(jti=C, iss="https://stranger.example", tenant=C, kid="strange-key")
        answers += [await client.post(VIEW, json=hook(), headers=bearer(strange))]
        for fault in _faults(fhir):
            for kind in ("Observation", "Patient", "Condition"):
                fhir.faults = {kind: fault}
                answers.append(await post(VIEW, authorized(fhir.base)))
        fhir.faults = {}
    return answers


async def _everything_a_coordinator_sends(server: Production) -> list[httpx.Response]:
    """The worklist with canaries in its forms and addresses; the answers that are no page of a patient."""
    headers = bearer(OPERATOR) | {"accept": "text/html", "user-agent": C, "referer": f"http://{C}"}
    async with httpx.AsyncClient(base_url=server.base, headers=headers, trust_env=False, timeout=20) as client:
        shown = (await client.post("/worklist/search", data={"patient": C})).text
        assert PATIENT_ID in shown
        row = re.findall(r'href="(/worklist/[0-9a-f-]{36})"', shown)[0]
        for path in (row, "/worklist/export.csv", "/worklist/export.json", "/worklist/figures"):
            assert (await client.get(path)).status_code == 200
        note, status = {"note": f"{C} note"}, {"status": "declined", "was": "new"}
        answers = [
            await client.post(f"{row}/{what}", data=sent) for what, sent in (("notes", note), ("status", status))
        ]
        answers += [await client.post(f"{row}/status", data={"status": C}), await client.post(f"/worklist/{C}/notes")]
        answers += [await client.get(f"/worklist?{name}={C}") for name in ("list", "verdict", "due", "order")]
        answers += [await client.get(f"/worklist/{C}"), await client.get(f"{row}/explanation")]
        answers += [await client.get("/worklist", headers={"authorization": "", "cookie": f"__Host-trialcards={C}"})]
        answers += [await client.get(f"/login?next=/{C}"), await client.get(f"/login/callback?state={C}&code={C}")]
    assert {answer.status_code for answer in answers} == {303, 401, 404, 415, 422}
    return answers


def _feedback(cards: list[dict[str, Any]]) -> dict[str, Any]:
    reason = {"reason": {"code": f"{C}-reason", "display": C}, "userComment": f"{C} comment {BORN}"}
    overridden = {"outcome": "overridden", "outcomeTimestamp": "2026-11-01T10:00:00Z", "overrideReason": reason}
    accepted = {"outcome": "accepted", "outcomeTimestamp": "2026-11-01T10:00:00Z"}
    items = [{"card": card["uuid"]} | overridden | {"extension": {f"com.{C}": C}} for card in cards]
    items += [{"card": f"{C}-card"} | overridden, {"card": C, "acceptedSuggestions": [{"id": C}]} | accepted]
    return {"feedback": items}


def _wrong_bodies() -> list[object]:
    text = json.dumps(hook()).encode()
    context = {"userId": USER, "patientId": f"Patient/{PATIENT_ID}"}
    other = {"resourceType": "Patient", "id": f"{C}-other"}
    return [
        text[:-9], text + b"x", text.replace(b'"hook"', b'"canary"'), b"[" + text + b"]", hook(context=context),
        hook(hook=C), hook(hookInstance=f"{C} {C}"), hook(prefetch={"patient": other}), hook(fhirServer=f"http://{C}"),
        hook(prefetch={"patient": C}), hook(prefetch={C: C}),
        text.replace(b'"context"', b'"hook": "canary", "context"'),
        hook(fhirAuthorization={"access_token": TOKEN, "token_type": C}),
    ]  # fmt: skip


def _faults(fhir: FhirServer) -> list[Any]:
    outcome: Resource = {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": "error", "code": "exception", "diagnostics": C, "details": {"text": C}}],
    }
    link = {"relation": "next", "url": f"http://{C}.example/fhir?patient={PATIENT_ID}"}
    return [
        status(500, X_Error=C),
        status(302, Location=f"http://{C}.example/"),
        page(outcome),
        page({"resourceType": "Bundle", "type": "searchset", "link": [link]}),
        body(f"<html>{C}</html>".encode(), f"text/{C}"),
        body(f'{{"resourceType": "{C}"}}'.encode()),
    ]


def _files_of(folder: Path) -> bytes:
    return b"".join(bytes(path) + path.read_bytes() for path in folder.rglob("*") if path.is_file())


def _asked_for_the_chart_only(fhir: FhirServer) -> None:
    for asked in fhir.requests:
        assert not SECRETS.search(f"{asked.path}{asked.query}".replace(PATIENT_ID, "").encode()), asked.path
        headers = {name: value for name, value in asked.headers.items() if name not in ("authorization", "host")}
        assert not SECRETS.search(repr(headers).encode())


def _said_nothing_that_it_need_not(answers: list[httpx.Response]) -> None:
    """No error repeats its input; a card names the patient's id in what it drafts, and nothing else of the person."""
    for answer in answers:
        assert answer.status_code < 500
        assert not SECRETS.search(repr(answer.headers).encode())
        if answer.status_code >= 300:
            assert not SECRETS.search(answer.content), answer.text
        for word in ("family", "given", "phone", "street", "city", "contact", "mrn", "access-token", "user", "note"):
            assert f"{C}-{word}" not in answer.text
        assert BORN not in answer.text
    assert BASE not in answers[-1].text
    assert OPERATOR not in "".join(answer.text for answer in answers)

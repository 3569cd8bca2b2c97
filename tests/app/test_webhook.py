"""The counts of the digest at the site's webhook: what they hold, how they are signed, what happens where they fail."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from app.cli import cli
from app.storage.signing import Keys
from app.worklist.records import Filter
from app.worklist.webhook import SIGNATURE, WebhookFailed, counts_of, send
from tests.app.conftest import NOW, SECRET, demo_settings, services_with, serving
from tests.support.worklist import opened

AT = int(NOW.timestamp())
KEYS = Keys((SECRET,))


class Receiver(ThreadingHTTPServer):
    """A real server of the site: what it was sent, and with which status it answers."""

    status = 204
    bodies: list[tuple[str, bytes]]


@contextmanager
def receiver(status: int = 204) -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            assert isinstance(self.server, Receiver)
            self.server.bodies.append((self.headers[SIGNATURE], body))
            self.send_response(self.server.status)
            self.send_header("Location", "/elsewhere")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None: ...

    server = Receiver(("127.0.0.1", 0), Handler)
    server.bodies, server.status = [], status
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


async def post(server: Receiver, body: bytes = b"{}") -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        await send(client, f"http://127.0.0.1:{server.server_port}/hook", body, KEYS, AT)


async def test_the_receiver_can_check_who_sent_the_counts_and_when() -> None:
    with receiver() as server:
        await post(server, b'{"rows":2}')
    ((signature, body),) = server.bodies
    time, _, given = signature.removeprefix("t=").partition(",v1=")
    key = bytes.fromhex(KEYS.webhook_key)
    assert given == hmac.new(key, f"{time}.".encode() + body, hashlib.sha256).hexdigest()
    assert int(time) == AT
    assert KEYS.webhook_key != Keys(("another secret, long enough",)).webhook_key


@pytest.mark.parametrize("status", [302, 401, 500])
async def test_an_answer_that_is_no_success_is_said_and_no_redirect_is_followed(status: int) -> None:
    with receiver(status) as server:
        with pytest.raises(WebhookFailed, match=f"^the webhook answered with {status}$"):
            await post(server)
        assert len(server.bodies) == 1


async def test_a_receiver_that_is_away_is_said_without_its_address() -> None:
    with receiver() as server:
        pass
    with pytest.raises(WebhookFailed, match=r"^the webhook could not be reached \(ConnectError\)$"):
        await post(server)


async def test_the_counts_name_no_patient(tmp_path: Path) -> None:
    services = services_with(demo_settings(tmp_path, max_cards=9))
    async with serving(services) as client:
        await opened(client)
        rows = list(await services.worklist.every(Filter()))
    content = json.loads(counts_of(rows, "2026-11-01", "Example", "https://cards.example"))
    assert content["patients"] == 1
    assert content["rows"] == len(rows) == sum(sum(each.values()) for each in content["trials"].values())
    assert content["worklist"] == "https://cards.example/worklist"
    assert set(content) == {"site", "since", "rows", "patients", "trials", "worklist"}
    assert not any(row.patient_id and row.patient_id in json.dumps(content) for row in rows)


def test_sending_without_a_webhook_says_what_is_missing() -> None:
    shown = CliRunner().invoke(cli, ["worklist", "digest", "--since", "2026-11-01", "--demo", "--send"])
    assert shown.exit_code == 2
    assert "--send: the profile of TRIALCARDS_SITE has no [webhook]" in shown.stderr


def test_the_key_of_the_receiver_is_printed() -> None:
    shown = CliRunner().invoke(cli, ["worklist", "digest", "--since", "2026-11-01", "--demo", "--show-key"])
    assert shown.exit_code == 0
    assert len(bytes.fromhex(shown.stdout.strip())) == 32

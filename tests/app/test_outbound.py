"""The ways out: where a connection may go, and what cannot lead it elsewhere."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import httpcore
import httpx
import pytest

from app.outbound import BodyTooLarge, Outbound, PublicOnly, is_public, read_capped
from tests import fhir_server
from tests.fhir_server import FhirServer, body, status

PRIVATE = [
    "127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0", "100.64.0.1", "224.0.0.1",
    "255.255.255.255", "::1", "::", "fe80::1", "fc00::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254",
    "2002:7f00:1::", "192.0.2.1", "198.18.0.1", "64:ff9b::7f00:1", "64:ff9b:1::a00:1",
]  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_that_is_not_on_the_public_network_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946", "::ffff:8.8.8.8"])
def test_an_address_on_the_public_network_is_public(address: str) -> None:
    assert is_public(address)


class Recording(httpcore.AsyncNetworkBackend):
    """Notes where a connection would have gone."""

    def __init__(self) -> None:
        self.connected: list[str] = []

    async def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, local_address: str | None = None,  # noqa: ASYNC109
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:  # fmt: skip
        self.connected.append(host)
        raise httpcore.ConnectError("recorded")


def resolving(*answers: list[str]) -> Any:
    """A resolver that gives these answers one after the other, as a rebinding name server does."""
    left = list(answers)

    async def resolve(host: str, port: int) -> list[str]:
        return left.pop(0)

    return resolve


async def test_a_name_is_resolved_once_and_the_address_that_was_checked_is_called() -> None:
    recording = Recording()
    backend = PublicOnly(recording, resolving(["93.184.216.34"], ["127.0.0.1"]))
    with pytest.raises(httpcore.ConnectError, match="recorded"):
        await backend.connect_tcp("fhir.example", 443)
    assert recording.connected == ["93.184.216.34"]


@pytest.mark.parametrize("addresses", [["127.0.0.1"], ["93.184.216.34", "10.0.0.1"], []])
async def test_a_name_with_any_address_inside_is_not_called(addresses: list[str]) -> None:
    recording = Recording()
    with pytest.raises(httpcore.ConnectError, match="not on the public network"):
        await PublicOnly(recording, resolving(addresses)).connect_tcp("fhir.example", 443)
    assert recording.connected == []


async def test_a_name_that_cannot_be_resolved_is_a_failed_connection() -> None:
    with pytest.raises(httpcore.ConnectError, match="cannot be resolved"):
        await PublicOnly(Recording()).connect_tcp("no-such-host.invalid", 443)


async def test_a_local_socket_is_no_way_out() -> None:
    with pytest.raises(httpcore.ConnectError):
        await PublicOnly(Recording()).connect_unix_socket("/run/x")


@pytest.fixture
async def outbound() -> AsyncIterator[Outbound]:
    outbound = Outbound()
    yield outbound
    await outbound.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "0x7f.1", "2130706433"])
async def test_the_public_way_does_not_lead_to_this_machine(outbound: Outbound, host: str) -> None:
    async with FhirServer() as server:
        port = server.base.rsplit(":", 1)[1].partition("/")[0]
        with pytest.raises((httpx.ConnectError, httpx.InvalidURL)):
            await outbound.public.get(f"http://{host}:{port}/fhir/Patient/1")
        assert server.requests == []


async def test_proxies_and_credentials_of_the_environment_are_not_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with FhirServer() as proxy, FhirServer() as server:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy.base.removesuffix("/fhir"))
        (tmp_path / ".netrc").write_text("machine 127.0.0.1 login canary password canary")
        monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
        outbound = Outbound()
        await outbound.private.get(f"{server.base}/Patient/1")
        await outbound.close()
        assert proxy.requests == []
        assert "authorization" not in server.requests[0].headers


async def test_a_redirect_is_not_followed(outbound: Outbound) -> None:
    async with FhirServer() as elsewhere, FhirServer() as server:
        server.faults["Patient"] = status(302, Location=f"{elsewhere.base}/Patient/1")
        assert (await outbound.private.get(f"{server.base}/Patient/1")).status_code == 302
        assert elsewhere.requests == []


async def test_a_cookie_is_not_brought_back(outbound: Outbound) -> None:
    async with FhirServer() as server:
        server.faults["Patient"] = status(404, Set_Cookie="canary=1; Path=/")
        for _ in range(2):
            await outbound.private.get(f"{server.base}/Patient/1")
        assert all("cookie" not in asked.headers for asked in server.requests)


async def test_an_answer_is_read_up_to_its_cap_and_never_unpacked(outbound: Outbound) -> None:
    async with FhirServer() as server:
        server.faults["large"] = body(b"x" * 5000)
        server.faults["packed"] = fhir_server.compressed
        for path in ("large", "packed"):
            async with outbound.private.stream("GET", f"{server.base}/{path}") as response:
                with pytest.raises(BodyTooLarge):
                    await read_capped(response, 4999)


async def test_a_certificate_that_nobody_vouches_for_is_refused(outbound: Outbound, tmp_path: Path) -> None:
    certificate, key = _self_signed(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        await outbound.private.get(f"https://localhost:{port}/fhir/Patient/1")
    server.close()


def _self_signed(folder: Path) -> tuple[Path, Path]:
    certificate, key = folder / "cert.pem", folder / "key.pem"
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1"]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run([*make, *names, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return certificate, key

"""The only two ways out: to an EHR on the public network, and to one that was configured as private.

No proxies or credentials from the environment, no redirects, no cookies. For the public way a host is resolved once,
every address it has must be public, and the connection goes to the address that was checked.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpcore
import httpx

CONNECT_SECONDS = 0.8
# IPv4 addresses as a translating network writes them (RFC 6052, RFC 8215).
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_LOCAL_NAT64 = ipaddress.IPv6Network("64:ff9b:1::/48")
_AGENT = {"User-Agent": "TrialCards"}


async def resolved(host: str, port: int) -> list[str]:
    """Every address of a name."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise httpcore.ConnectError("the host cannot be resolved") from error
    return [str(entry[4][0]).split("%")[0] for entry in found]


class PublicOnly(httpcore.AsyncNetworkBackend):
    """Connects to public addresses only."""

    def __init__(
        self,
        inner: httpcore.AsyncNetworkBackend | None = None,
        resolve: Callable[[str, int], Awaitable[list[str]]] = resolved,
    ) -> None:
        self._inner = inner or httpcore.AnyIOBackend()
        self._resolve = resolve

    async def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, local_address: str | None = None,  # noqa: ASYNC109 (as httpcore names it)
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:  # fmt: skip
        addresses = await self._resolve(host, port)
        if not addresses or not all(is_public(address) for address in addresses):
            raise httpcore.ConnectError("the host is not on the public network")
        # The address that was checked is called, not the name again: a second answer could be another one.
        return await self._inner.connect_tcp(addresses[0], port, timeout, local_address, socket_options)

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        raise httpcore.ConnectError("not offered")

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)


def is_public(address: str) -> bool:
    """Whether an IP address is reachable from everywhere: not private, loopback, link-local, multicast or reserved."""
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address):
        if ip in _LOCAL_NAT64:
            return False
        inner = ipaddress.IPv4Address(ip.packed[-4:]) if ip in _NAT64 else ip.ipv4_mapped or ip.sixtofour
        ip = inner or ip
    return ip.is_global and not ip.is_multicast


class _PublicTransport(httpx.AsyncHTTPTransport):
    def __init__(self, verify: ssl.SSLContext, limits: httpx.Limits) -> None:
        super().__init__(verify=verify, trust_env=False, limits=limits)
        # httpx has no argument for the network backend; its pool is replaced by the same one with ours.
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=verify,
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive_connections,
            keepalive_expiry=limits.keepalive_expiry,
            network_backend=PublicOnly(),
        )


class Outbound:
    """Both clients, one pool each; `close` ends them."""

    def __init__(self) -> None:
        context = httpx.create_ssl_context(trust_env=False)
        limits = httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=30)
        timeout = httpx.Timeout(10, connect=CONNECT_SECONDS)
        # A cookie would join the calls of one patient with those of the next.
        no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=()))
        given: dict[str, Any] = {
            "timeout": timeout, "headers": _AGENT, "cookies": no_cookies, "trust_env": False,
        }  # fmt: skip
        self.public = httpx.AsyncClient(transport=_PublicTransport(context, limits), **given)
        self.private = httpx.AsyncClient(verify=context, limits=limits, **given)

    def to(self, *, private_network: bool) -> httpx.AsyncClient:
        return self.private if private_network else self.public

    async def close(self) -> None:
        await self.public.aclose()
        await self.private.aclose()


class BodyTooLarge(Exception):
    """An answer over the limit that was set for it."""


async def read_capped(response: httpx.Response, most: int) -> bytes:
    """The body as sent, at most `most` bytes. Answers with a content coding are refused: we ask for none."""
    if response.headers.get("content-encoding", "identity").lower() not in ("", "identity"):
        raise BodyTooLarge
    parts: list[bytes] = []
    size = 0
    async for part in response.aiter_raw():
        size += len(part)
        if size > most:
            raise BodyTooLarge
        parts.append(part)
    return b"".join(parts)

"""Web addresses taken apart and compared: two are one server by scheme, host, port and path, not by their text."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Place:
    """What two addresses must share to be the same server: scheme, host, port and path."""

    scheme: str
    host: str
    port: int
    path: str


def parse_address(address: str) -> SplitResult | None:
    """The parts of an absolute http(s) address without tricks: no user, fragment, backslash, dot segment or escape."""
    if not address.isascii() or re.search(r"[\x00-\x20\\\x7f]", address):
        return None
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in _PORTS or not parts.hostname or "@" in parts.netloc or "#" in address or port == 0:
        return None
    if "%" in parts.path or any(segment in (".", "..") for segment in parts.path.split("/")):
        return None
    return parts


def place_of(address: str) -> Place | None:
    """Where an address points; None when it is no plain http(s) address or has a query."""
    parts = parse_address(address)
    if parts is None or parts.query or "?" in address:
        return None
    return _place(parts)


def _place(parts: SplitResult) -> Place:
    return Place(parts.scheme, parts.hostname or "", parts.port or _PORTS[parts.scheme], parts.path.rstrip("/"))


def is_under(address: str, base: str) -> bool:
    """Whether an address (a `next` link, with its query) lies under this base: scheme, host, port and path prefix."""
    parts, home = parse_address(address), place_of(base)
    if parts is None or home is None:
        return False
    place = _place(parts)
    inside = place.path == home.path or place.path.startswith(home.path + "/")
    return inside and (place.scheme, place.host, place.port) == (home.scheme, home.host, home.port)


def is_loopback_address(address: str) -> bool:
    """Whether an address names this machine in plain words: 127.x.x.x, ::1 or localhost."""
    place = place_of(address)
    if place is None:
        return False
    if place.host == "localhost":
        return True
    try:
        return ipaddress.ip_address(place.host).is_loopback
    except ValueError:
        return False

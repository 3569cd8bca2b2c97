"""References and server addresses, compared as RFC 3986 section 6.2 compares them.

Two addresses are the same if they differ only in the case of scheme or host, a default port, the escaping of characters
that need none, dot segments, or a trailing slash.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import urljoin, urlsplit

from mappings.chart import fhir

_PORTS = {"http": ":80", "https": ":443"}
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


@dataclass(frozen=True)
class Servers:
    """The addresses of the servers whose resources a chart holds, in their normal form: "https://ehr.example/fhir"."""

    bases: tuple[str, ...] = ()
    _known: dict[str, str] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def at(cls, addresses: Iterable[str | None]) -> Servers:
        return cls(tuple(dict.fromkeys(normal_address(address) for address in addresses if address)))

    def local(self, reference: str) -> str:
        """The reference without version: "Patient/1" where it is relative or on one of the servers, else absolute."""
        try:
            return self._known[reference]
        except KeyError:
            return self._known.setdefault(reference, self._local(reference))

    def _local(self, reference: str) -> str:
        reference = fhir.clean(reference).partition("/_history/")[0]
        if not _ABSOLUTE.match(reference):
            if not reference.startswith(("/", ".")) and "/." not in reference:
                return _unescape(reference).rstrip("/")
            if not self.bases:
                return reference
            reference = urljoin(self.bases[0] + "/", reference)
        address = normal_address(reference)
        return next((address[len(base) + 1 :] for base in self.bases if address.startswith(base + "/")), address)


def normal_address(address: str) -> str:
    """The address in its normal form, without a trailing slash; text that is no web address or UUID stays as it is."""
    address = fhir.clean(address)
    if address[:9].lower() == "urn:uuid:":
        return address.lower()
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:
        return address
    if parts.scheme not in _PORTS or not host:
        return address
    user = parts.netloc.rpartition("@")[0]
    place = f"[{host}]" if ":" in host else host
    named = f":{port}" if port is not None and f":{port}" != _PORTS[parts.scheme] else ""
    path = _without_dot_segments(_unescape(parts.path)).rstrip("/")
    query = f"?{parts.query}" if parts.query else ""
    return f"{parts.scheme}://{user + '@' if user else ''}{_unescape(place).lower()}{named}{path}{query}"


def _unescape(text: str) -> str:
    """Without escapes that are not needed; the others in capitals."""

    def plain(found: re.Match[str]) -> str:
        character = chr(int(found[1], 16))
        return character if character in _UNRESERVED else found[0].upper()

    return _ESCAPE.sub(plain, text) if "%" in text else text


def _without_dot_segments(path: str) -> str:
    """RFC 3986, section 5.2.4."""
    if "/." not in path:
        return path
    kept: list[str] = []
    for segment in path.split("/")[1:]:
        if segment == "..":
            kept = kept[:-1]
        elif segment != ".":
            kept.append(segment)
    return "".join(f"/{segment}" for segment in kept)

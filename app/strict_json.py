"""Reads a request body: size capped while it streams, and only JSON that two readers cannot read differently.

Duplicate names, NaN, Infinity and anything but UTF-8 are refused (400): a gateway and this service must not see two
different documents in the same bytes.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping

import msgspec
from starlette.requests import ClientDisconnect, Request

from app.errors import BadJson, TooLarge, TooSlow, WrongMediaType

DEEPEST = 100  # FHIR resources stay under 60 levels
LONGEST_UPLOAD = 30  # seconds

_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_SPACE = re.compile(rb"[ \t\n\r]*")
_NAME = re.compile(rb'"(?:[^"\\]|\\.)*"')
_JSON_TYPES = re.compile(r"^application/(?:json|fhir\+json)$")
_NOT_BRACKETS = bytes(set(range(256)) - set(b'{}[]"'))
_ONE_KIND = bytes.maketrans(b"[]", b"{}")
_STRING = re.compile(rb'"[^"]*"')


async def read_body(request: Request, most: int, within: float = LONGEST_UPLOAD) -> bytes:
    """The body, at most `most` bytes. 415 unless it is sent as JSON without a content coding, 413 when it is larger.

    408 when it has not arrived `within` so many seconds, however steadily it drips.
    """
    _check_media_type(request)
    announced = request.headers.get("content-length", "")
    if announced.isascii() and announced.isdigit() and int(announced[:20]) > most:
        raise TooLarge(f"The body may hold at most {most} bytes.")
    try:
        async with asyncio.timeout(within):
            return await _streamed(request, most)
    except TimeoutError:
        raise TooSlow(f"The body did not arrive within {within:g} seconds.") from None
    except ClientDisconnect as error:
        raise BadJson("The body ended before it was complete.") from error


async def _streamed(request: Request, most: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > most:
            raise TooLarge(f"The body may hold at most {most} bytes.")
        parts.append(part)
    return b"".join(parts)


def _check_media_type(request: Request) -> None:
    media_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if not _JSON_TYPES.match(media_type):
        raise WrongMediaType("Send the body as application/json or application/fhir+json.")
    if request.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise WrongMediaType("Send the body without a content coding.")


def check_whole(body: bytes) -> None:
    """400 unless the body is JSON, with no name twice in any object, no NaN or Infinity, and not too deep."""
    text = _utf8(body)
    try:
        json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except BadJson:
        raise
    except RecursionError:
        raise BadJson(_TOO_DEEP) from None
    except ValueError:
        raise BadJson("The body is not JSON.") from None
    if is_deeper_than(body, DEEPEST):
        raise BadJson(_TOO_DEEP)


_TOO_DEEP = f"The body is nested more than {DEEPEST} levels deep."


def _unique(pairs: list[tuple[str, object]]) -> None:
    # Nothing is built: the reader of the chart decodes the body itself, once.
    if len({name for name, _ in pairs}) != len(pairs):
        raise BadJson("A name stands twice in the same object.")


def _no_constant(_: str) -> None:
    raise BadJson("NaN and Infinity are not JSON.")


def _utf8(body: bytes) -> str:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        raise BadJson("The body is not UTF-8.") from None


def check_envelope(body: bytes) -> None:
    """The same for a hook call, whose prefetched resources are read later: names are looked at in the envelope only.

    That is the top level, `context`, `fhirAuthorization` and the keys of `prefetch`. The depth is that of everything.
    """
    if not body.isascii():
        _utf8(body)
    members = _unique_members(body)
    for name in ("context", "fhirAuthorization", "prefetch"):
        if (raw := members.get(name)) is not None and (value := bytes(raw)).startswith(b"{"):
            _unique_members(value)
    if is_deeper_than(body, DEEPEST):
        raise BadJson(_TOO_DEEP)


def _unique_members(body: bytes) -> Mapping[str, msgspec.Raw]:
    """The members of the outer object, each once. A body that is JSON but no object has none.

    The decoder keeps the last of two equal names, so the body is walked along what it kept: where the next name or
    value is not the one expected, a member was lost. The walk costs one comparison for each member.
    """
    try:
        members = _MEMBERS.decode(body)
    except msgspec.ValidationError:
        return {}
    except msgspec.DecodeError:
        raise BadJson("The body is not JSON.") from None
    except RecursionError:
        raise BadJson(_TOO_DEEP) from None
    at = _skip_space(body, 0) + 1
    for index, (name, raw) in enumerate(members.items()):
        at = _skip_space(body, at + (1 if index else 0))
        written = _NAME.match(body, at)
        if not written or msgspec.json.decode(written[0]) != name:
            raise BadJson("A name stands twice in the same object.")
        at = _skip_space(body, _skip_space(body, written.end()) + 1)
        value = bytes(raw)
        if not body.startswith(value, at):
            raise BadJson("A name stands twice in the same object.")
        at = _skip_space(body, at + len(value))
    if members and body[at : at + 1] != b"}":
        raise BadJson("A name stands twice in the same object.")
    return members


def _skip_space(body: bytes, at: int) -> int:
    match = _SPACE.match(body, at)
    return match.end() if match else at


def is_deeper_than(body: bytes, levels: int) -> bool:
    """Whether valid JSON nests deeper than that. Works on the brackets alone, innermost pairs first."""
    if b"\\" in body:
        # While the other characters are still there: in "caf\u00e9" the last quote is not an escaped one.
        body = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    brackets = body.translate(_ONE_KIND, _NOT_BRACKETS)
    brackets = _STRING.sub(b"", brackets.replace(b'""', b""))
    for _ in range(levels):
        if not brackets:
            return False
        brackets = brackets.replace(b"{}", b"")
    return bool(brackets)

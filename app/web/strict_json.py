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
from msgspec import Raw
from starlette.requests import ClientDisconnect, Request

from app.errors import BadJson, TooLarge, TooSlow, WrongMediaType
from cds_hooks.protocol.models import Envelope, Sent

DEEPEST = 100  # FHIR resources stay under 60 levels
LONGEST_UPLOAD = 30  # seconds

_MEMBERS = msgspec.json.Decoder(dict[str, Raw])
_ABSENT = Raw()
_SPACE = re.compile(rb"[ \t\n\r]*")
_NAME = re.compile(rb'"(?:[^"\\]|\\.)*"')
_JSON_TYPES = re.compile(r"^application/(?:json|fhir\+json)$")
_NOT_BRACKETS = bytes(set(range(256)) - set(b"{}[]"))
_NOT_BRACKETS_OR_QUOTES = bytes(set(_NOT_BRACKETS) - set(b'"'))
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
            return await _stream(request, most)
    except TimeoutError:
        raise TooSlow(f"The body did not arrive within {within:g} seconds.") from None
    except ClientDisconnect as error:
        raise BadJson("The body ended before it was complete.") from error


async def _stream(request: Request, most: int) -> bytes:
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


_TWICE = "A name stands twice in the same object."
_TOO_DEEP = f"The body is nested more than {DEEPEST} levels deep."


def _unique(pairs: list[tuple[str, object]]) -> None:
    # Nothing is built: the reader of the chart decodes the body itself, once.
    if len({name for name, _ in pairs}) != len(pairs):
        raise BadJson(_TWICE)


def _no_constant(_: str) -> None:
    raise BadJson("NaN and Infinity are not JSON.")


def _utf8(body: bytes) -> str:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        raise BadJson("The body is not UTF-8.") from None


class _Usual(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """The members of a hook call in the form that nearly all have: read in one pass, those of its objects too."""

    hook: Raw = _ABSENT
    hook_instance: Raw = _ABSENT
    fhir_server: Raw = _ABSENT
    extension: Raw = _ABSENT
    fhir_authorization: dict[str, Raw] | msgspec.UnsetType = msgspec.UNSET
    context: dict[str, Raw] | msgspec.UnsetType = msgspec.UNSET
    prefetch: dict[str, Raw] | msgspec.UnsetType = msgspec.UNSET


_USUAL = msgspec.json.Decoder(_Usual)
_NAMES = [(field.name, field.encode_name) for field in msgspec.structs.fields(_Usual)]


def read_envelope(body: bytes) -> Raw | Envelope:
    """The members of a hook call, held to the same: a prefetched resource is read later, and stays as it was sent.

    Names are looked at on the top level, in `context`, in `fhirAuthorization` and in `prefetch`; the depth is that of
    everything, as far as no text hides it. A body that is JSON but no object comes back as it is.
    """
    if not body.isascii():
        _utf8(body)
    try:
        members = _members(body)
    except msgspec.DecodeError:
        raise BadJson("The body is not JSON.") from None
    except RecursionError:
        raise BadJson(_TOO_DEEP) from None
    if isinstance(members, Mapping):
        _follow(body, 0, members)
    if looks_deeper_than(body, DEEPEST) and is_deeper_than(body, DEEPEST):
        raise BadJson(_TOO_DEEP)
    return members


def _members(body: bytes) -> Raw | Envelope:
    try:
        usual = _USUAL.decode(body)
    except msgspec.ValidationError:
        return _members_of_any_form(body)
    values = ((name, getattr(usual, attribute)) for attribute, name in _NAMES)
    return {name: value for name, value in values if value is not msgspec.UNSET and value is not _ABSENT}


def _members_of_any_form(body: bytes) -> Raw | Envelope:
    try:
        members: dict[str, Sent] = dict(_MEMBERS.decode(body))
    except msgspec.ValidationError:
        return Raw(body)
    for name in ("context", "fhirAuthorization", "prefetch"):
        if isinstance(raw := members.get(name), Raw) and bytes(raw).startswith(b"{"):
            members[name] = _MEMBERS.decode(raw)
    return members


def _follow(body: bytes, at: int, kept: Mapping[str, Sent]) -> int:
    """The place behind the object that begins at `at` in the body, of which the decoder kept these members.

    The decoder keeps the last of two equal names. So the body is walked along what it kept: where a name comes again,
    or a value is not the one that was kept, a member was lost. That costs one comparison for each member.
    """
    followed: set[str] = set()
    at = _after(body, at, b"{")
    while (at := _skip_space(body, at)) < len(body) and not body.startswith(b"}", at):
        written = _NAME.match(body, at)
        name: str = msgspec.json.decode(written[0]) if written else ""
        if written is None or name in followed or (value := kept.get(name)) is None:
            raise BadJson(_TWICE)
        followed.add(name)
        at = _skip_space(body, _after(body, written.end(), b":"))
        at = _follow(body, at, value) if isinstance(value, Mapping) else _after(body, at, memoryview(value))
        at = _skip_space(body, at)
        at += body.startswith(b",", at)
    return at + 1


def _after(body: bytes, at: int, expected: bytes | memoryview) -> int:
    at = _skip_space(body, at)
    if not body.startswith(expected, at):
        raise BadJson(_TWICE)
    return at + len(expected)


def _skip_space(body: bytes, at: int) -> int:
    match = _SPACE.match(body, at)
    return match.end() if match else at


def looks_deeper_than(body: bytes, levels: int) -> bool:
    """Whether the brackets of valid JSON nest deeper than that, those in texts among them; half the work of being sure.

    Brackets in texts may look like levels, or hide some: such a body is refused by its readers where they give up.
    """
    return _are_nested(body.translate(_ONE_KIND, _NOT_BRACKETS), levels)


def is_deeper_than(body: bytes, levels: int) -> bool:
    """Whether valid JSON nests deeper than that, whatever its texts hold."""
    if b"\\" in body:
        # While the other characters are still there: in "caf\u00e9" the last quote is not an escaped one.
        body = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    brackets = body.translate(_ONE_KIND, _NOT_BRACKETS_OR_QUOTES)
    return _are_nested(_STRING.sub(b"", brackets.replace(b'""', b"")), levels)


def _are_nested(brackets: bytes, levels: int) -> bool:
    """Takes away the innermost pairs, level by level; what does not pair is taken for nested."""
    for _ in range(levels):
        if not brackets:
            return False
        rest = brackets.replace(b"{}", b"")
        if len(rest) == len(brackets):
            return True
        brackets = rest
    return bool(brackets)

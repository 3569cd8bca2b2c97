"""Forms of our own pages: what a browser posts, and whether it was one of our pages that it posted from."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from urllib.parse import parse_qsl, urlsplit

from starlette.requests import ClientDisconnect, Request

from app.errors import NotAllowed, TooLarge, TooSlow, Unusable, WrongMediaType

LARGEST_FORM = 64 * 1024
_MOST_FIELDS = 50
_SECONDS = 10.0


async def read_fields(request: Request) -> Sequence[tuple[str, str]]:
    """The fields of a posted form, in their order. 413, 415 or 422 for anything else."""
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        raise WrongMediaType("Send the form as application/x-www-form-urlencoded.")
    body = bytearray()
    try:
        async with asyncio.timeout(_SECONDS):
            async for part in request.stream():
                body += part
                if len(body) > LARGEST_FORM:
                    raise TooLarge(f"The form may hold at most {LARGEST_FORM} bytes.")
    except TimeoutError:
        raise TooSlow(f"The form did not arrive within {_SECONDS:g} seconds.") from None
    except ClientDisconnect:
        raise Unusable("The form ended before it was complete.") from None
    try:
        fields = parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict")
    except ValueError:
        raise Unusable("The form is not usable.") from None
    return fields


async def read_form(request: Request) -> Mapping[str, str]:
    """As `read_fields`, by name; of a field that is there twice the last one."""
    return dict(await read_fields(request))


def check_same_origin(request: Request, own: str, *, needs_word: bool) -> None:
    """403 where a browser says that another site's page posts here; `own` is an address of ours.

    Every browser says so (Sec-Fetch-Site, or Origin where the connection is not encrypted). A caller that says neither
    is no browser; with `needs_word`, which is for a caller known by a cookie, that is not enough.
    """
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None:
        good = site in ("same-origin", "none")
    elif origin is not None:
        good = origin == origin_of(own)
    else:
        good = not needs_word
    if not good:
        raise NotAllowed("A form is taken from our own pages only.")


def origin_of(address: str) -> str:
    """Scheme, host and port of an address, as a browser writes an origin."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}".lower()

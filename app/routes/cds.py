"""CDS Hooks 2.0: discovery, the calls of our services, and feedback on their cards."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from app.calls.answer import answer
from app.errors import Unusable
from app.storage.database import call_until
from app.web.examples import FEEDBACK, context_of, hook_call
from app.web.strict_json import check_whole, read_body, read_envelope
from app.wiring import Services, services_of
from cds_hooks.protocol.models import Feedback, HookRequest, InvalidRequest, read_feedback, read_request
from cds_hooks.protocol.services import OFFERS, Offer, discovery

router = APIRouter(prefix="/cds-services", tags=["CDS Hooks"])

_JSON = "application/json"
_FEEDBACK_BYTES = 1024 * 1024
_DISCOVERY = discovery()
_ETAG = f'"{hashlib.sha256(_DISCOVERY).hexdigest()[:32]}"'
_CACHED = {"ETag": _ETAG, "Cache-Control": "public, max-age=300"}


@router.get("", summary="What we offer")
async def discover(request: Request) -> Response:
    """The services with their hooks and prefetch templates. The same bytes until the service changes."""
    known = request.headers.get("if-none-match", "")
    if known.strip() == "*" or _ETAG in (tag.strip().removeprefix("W/") for tag in known.split(",")):
        return Response(status_code=304, headers=_CACHED)
    return Response(_DISCOVERY, media_type=_JSON, headers=_CACHED)


def _add_service(offer: Offer) -> None:
    """The two addresses of one service: its calls, and feedback on its cards."""

    async def call(request: Request) -> Response:
        return await _call(request, offer)

    async def feedback(request: Request) -> Response:
        return await _take_feedback(request, offer)

    router.add_api_route(
        f"/{offer.id}",
        call,
        methods=["POST"],
        summary=f"Ask for cards: {offer.hook}",
        description=offer.description,
        operation_id=f"call-{offer.id}",
        openapi_extra=_takes(hook_call(offer.hook, **context_of(offer.hook))),
    )
    router.add_api_route(
        f"/{offer.id}/feedback",
        feedback,
        methods=["POST"],
        summary=f"Say what became of cards: {offer.hook}",
        description="All items are stored before this is answered, or none; a repeated item counts once.",
        operation_id=f"feedback-{offer.id}",
        openapi_extra=_takes(FEEDBACK),
    )


def _takes(example: object) -> dict[str, object]:
    return {"requestBody": {"required": True, "content": {_JSON: {"schema": {"type": "object"}, "example": example}}}}


for _offer in OFFERS:
    _add_service(_offer)


async def _call(request: Request, offer: Offer) -> Response:
    """One hook call: the patient's chart against every trial, as cards. An empty list says that none is worth one."""
    started = asyncio.get_running_loop().time()
    services = services_of(request)
    services.slots.check()
    with call_until(started + services.settings.deadline):
        return await _cards(request, offer, services, started)


async def _cards(request: Request, offer: Offer, services: Services, started: float) -> Response:
    own = services.public_address(request)
    with services.metrics.phase("authenticate"):
        verified = await services.authenticator.ehr(request.headers.getlist("authorization"), {own}, offer.id)
    with services.slots:
        body = await read_body(request, services.settings.max_hook_bytes)
        async with services.authenticator.one_use(verified, own, body) as caller:
            with services.metrics.phase("read"):
                hook = _read(body, offer)
            base = own.removesuffix(request.url.path)
            return Response(await answer(hook, offer, caller, services, base, started), media_type=_JSON)


def _read(body: bytes, offer: Offer) -> HookRequest:
    try:
        return read_request(read_envelope(body), offer.hook)
    except InvalidRequest as error:
        raise Unusable(str(error)) from None


async def _take_feedback(request: Request, offer: Offer) -> Response:
    services = services_of(request)
    with call_until(asyncio.get_running_loop().time() + services.settings.deadline):
        return await _kept(request, offer, services)


async def _kept(request: Request, offer: Offer, services: Services) -> Response:
    own = services.public_address(request)
    audiences = {own, own.removesuffix("/feedback")}
    verified = await services.authenticator.ehr(request.headers.getlist("authorization"), audiences, offer.id)
    body = await read_body(request, _FEEDBACK_BYTES)
    async with services.authenticator.one_use(verified, own, body) as caller:
        items = _items(body)
        await services.records.add_feedback(caller, offer.id, items, services.clock())
    for item in items:
        services.metrics.feedback.labels(item.outcome).inc()
    return Response(b"{}", media_type=_JSON)


def _items(body: bytes) -> Sequence[Feedback]:
    check_whole(body)
    try:
        return read_feedback(body)
    except InvalidRequest as error:
        raise Unusable(str(error)) from None

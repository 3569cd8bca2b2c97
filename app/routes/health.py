"""Whether the service lives, whether it can answer, and what it has counted."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.definitions.served import StillReading
from app.wiring import Services, services_of

router = APIRouter(tags=["Health"])


@router.get("/healthz", summary="Lives")
async def healthz() -> dict[str, str]:
    """200 as long as the process answers; looks at nothing else."""
    return {"status": "ok"}


@router.get("/readyz", summary="Can answer")
async def readyz(request: Request) -> Response:
    """200 when definitions are loaded and the database answers, else 503; problems of definition files are named."""
    services = services_of(request)
    trials, problems = _definitions(services)
    reachable = await services.records.is_reachable()
    ready = reachable and trials > 0
    content: dict[str, Any] = {
        "status": "ready" if ready else "not-ready",
        "database": "reachable" if reachable else "unreachable",
        "trials": trials,
        "problems": problems,
    }
    return JSONResponse(content, 200 if ready else 503)


def _definitions(services: Services) -> tuple[int, list[str]]:
    """How many trials are served, and the problems of their files."""
    try:
        served = services.definitions.now
    except StillReading as error:
        return 0, [error.detail]
    return len(served.trials), list(served.problems)


@router.get("/metrics", summary="Counters for Prometheus")
async def metrics(request: Request) -> Response:
    services = services_of(request)
    await services.login.person(request)
    served = services.definitions.now
    services.metrics.trials.set(len(served.trials))
    services.metrics.problems.set(len(served.problems))
    return Response(services.metrics.text(), media_type=CONTENT_TYPE_LATEST)

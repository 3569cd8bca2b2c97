"""Pages for people: the start, the catalogue of trials, one trial as a readable protocol."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, FastAPI
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles

from app.wiring import services_of
from cds_hooks.wording import recruiting_words
from trial_defs.coverage import Decidable, decidable
from trial_defs.expressions import Trial

_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent.parent / "templates"), autoescape=True, undefined=StrictUndefined
)
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}
router = APIRouter(include_in_schema=False)


def install_assets(app: FastAPI) -> None:
    """The style sheet of the pages; no script, nothing from elsewhere."""
    app.mount("/assets", StaticFiles(directory=Path(__file__).parent.parent / "assets"), name="assets")


@router.get("/")
async def start(request: Request) -> Response:
    services = services_of(request)
    trials = services.definitions.now.trials.values()
    return _page("start.html", trials=list(trials), is_demo=services.settings.is_demo)


@router.get("/trials")
async def trials(request: Request) -> Response:
    services = services_of(request)
    today = services.clock().date()
    rows = [
        {"trial": trial, "status": recruiting_words(trial, today), "share": _share(trial)}
        for trial in services.definitions.now.trials.values()
    ]
    return _page("trials.html", rows=rows)


@router.get("/trials/{trial_id}")
async def trial(request: Request, trial_id: str) -> Response:
    services = services_of(request)
    found = services.definitions.now.trials.get(trial_id)
    if found is None:
        return _page("no_trial.html", 404)
    status = recruiting_words(found, services.clock().date())
    return _page("trial.html", 200, trial=found, recruiting=status, decidable=decidable)


def _page(template: str, status: int = 200, **values: object) -> Response:
    return HTMLResponse(_TEMPLATES.get_template(template).render(values), status, _HEADERS)


def _share(trial: Trial) -> int:
    """Percent of the trial's criteria that data can decide, at least one way."""
    criteria = {id(c): c for cohort in trial.cohorts for c in cohort.criteria}.values()
    decided = sum(decidable(c) in (Decidable.COMPUTED, Decidable.ONE_WAY) for c in criteria)
    return 100 * decided // max(len(criteria), 1)

"""Pages for people: the start, the catalogue of trials, one trial as a readable protocol."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from urllib.parse import urlencode

from fastapi import APIRouter, FastAPI
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.staticfiles import StaticFiles

from app.definitions.histories import Versions
from app.definitions.served import Served
from app.routes.signing_off import PERSONAL, NotSigned, sign_or_take_back, signing_of
from app.storage.database import RecordsUnavailable
from app.web.forms import read_form
from app.web.html import ROOM, page
from app.wiring import Services, services_of
from cds_hooks.words.change_words import KINDS
from cds_hooks.words.numbers import unit_words
from cds_hooks.words.paraphrase import near_miss_words, paraphrase
from cds_hooks.words.wording import definition_words, recruiting_words, titles_of
from mappings.concepts.catalogue import Catalogue, Concept
from trial_defs.definition import expressions as x
from trial_defs.definition.coverage import Decidable, decidable
from trial_defs.definition.patient_page import public_page

TRIALS_ON_A_PAGE = 100

router = APIRouter(include_in_schema=False)


def install_assets(app: FastAPI) -> None:
    """The style sheet and the icon of the pages; nothing from elsewhere."""
    app.mount("/assets", StaticFiles(directory=ROOM / "assets"), name="assets")


@router.get("/")
async def start(request: Request) -> Response:
    services = services_of(request)
    served = services.definitions.now
    counts = {"trials": len(served.trials), "criteria": served.criteria, "concepts": len(served.catalogue.concepts)}
    has_worklist = services.settings.is_demo or services.login.is_set_up
    return _page(services, "start.html", has_worklist=has_worklist, **counts)


@router.get("/trials")
async def trials(request: Request, q: str = "", page: str = "1") -> Response:
    """The trials whose id, title, sponsor or cohorts have every word of `q`, so many on a page."""
    services = services_of(request)
    today = services.clock().date()
    served = services.definitions.now
    words = q.casefold().split()
    found = [t for t in served.trials.values() if _has(t, words)] if words else list(served.trials.values())
    last = max(1, -(-len(found) // TRIALS_ON_A_PAGE))
    number = min(int(page), last) if page.isascii() and page.isdigit() and len(page) < 7 else 1
    number = max(number, 1)
    rows = [
        {"trial": trial, "status": recruiting_words(trial, today), "shares": _shares(trial)}
        for trial in found[(number - 1) * TRIALS_ON_A_PAGE : number * TRIALS_ON_A_PAGE]
    ]
    return _page(
        services,
        "trials.html",
        rows=rows,
        definition_words=definition_words,
        q=q[:200],
        number=number,
        last=last,
        found=len(found),
        is_searched=bool(words) or len(served.trials) > TRIALS_ON_A_PAGE,
        address=lambda at: f"?{urlencode({'q': q, 'page': at} if q else {'page': at})}",
    )


def _has(trial: x.Trial, words: Sequence[str]) -> bool:
    titles = (cohort.title for cohort in trial.cohorts)
    text = " ".join((trial.id, trial.title, trial.short_title, trial.sponsor, *titles)).casefold()
    return all(word in text for word in words)


@router.get("/trials/{trial_id}")
async def trial(request: Request, trial_id: str) -> Response:
    services = services_of(request)
    served = services.definitions.now
    found = served.trials.get(trial_id)
    if found is None:
        return _page(services, "no_trial.html", 404)
    return await _trial_page(request, found, served)


@router.post("/trials/{trial_id}/sign-off")
async def sign_off(request: Request, trial_id: str) -> Response:
    """Sign the definition that the form names by its hash, or take that back; for people who are logged in."""
    services = services_of(request)
    person = await services.login.person(request)
    form = await read_form(request)
    served = services.definitions.now
    found = served.trials.get(trial_id)
    if found is None:
        return _page(services, "no_trial.html", 404)
    try:
        await sign_or_take_back(found, form, person, services)
    except NotSigned as error:
        return await _trial_page(request, found, served, error.status, str(error))
    return RedirectResponse(f"/trials/{found.id}#definition", 303, dict(PERSONAL))


async def _trial_page(
    request: Request, found: x.Trial, served: Served, status: int = 200, problem: str | None = None
) -> Response:
    services = services_of(request)
    titles = titles_of(served.catalogue)
    signing = await signing_of(request, services, found)
    return _page(
        services,
        "trial.html",
        status,
        PERSONAL if signing else None,
        signing=signing,
        problem=problem,
        person=signing.person if signing else None,
        can_log_in=services.login.can_log_out,
        trial=found,
        has_patient_page=public_page(found, services.clock().date()) is not None,
        recruiting=recruiting_words(found, services.clock().date()),
        definition=definition_words(found),
        shares=_shares(found),
        decidable=decidable,
        paraphrase=lambda expression: paraphrase(expression, titles),
        near_miss_words=near_miss_words,
        readings=[criterion for criterion in _criteria(found) if criterion.reading],
        concepts=_concepts(found, served.catalogue),
        unit_words=unit_words,
        codes_of=lambda name: _codes(name, served.catalogue),
        titles=titles,
        versions=await _versions(services, found, served),
        change_kinds=KINDS,
    )


async def _versions(services: Services, trial: x.Trial, served: Served) -> Versions:
    """What the versions changed, from the texts beside the folder and from those that answers were given with."""
    kept: Mapping[int, bytes] = {}
    if trial.version > 1:
        with suppress(RecordsUnavailable):
            kept = await services.records.earlier_texts(trial.id, trial.version)
    return await asyncio.to_thread(services.histories.of, trial, served.catalogue, kept)


def _page(
    services: Services, template: str, status: int = 200, headers: Mapping[str, str] | None = None, /, **values: object
) -> Response:
    section = "" if template == "start.html" else "trials"
    return page(template, status, headers, section=section, is_demo=services.settings.is_demo, **values)


def _criteria(trial: x.Trial) -> list[x.Criterion]:
    """Every criterion once, however many cohorts share it."""
    return list({id(c): c for cohort in trial.cohorts for c in cohort.criteria}.values())


def _shares(trial: x.Trial) -> Mapping[str, int]:
    """How many criteria data can decide, one way or both, and how many are for a person; `percent` of the first."""
    counts = Counter(decidable(criterion) for criterion in _criteria(trial))
    computed = counts[Decidable.COMPUTED] + counts[Decidable.ONE_WAY]
    every = sum(counts.values())
    return {
        "computed": computed,
        "person": every - computed,
        "every": every,
        "percent": 100 * computed // max(every, 1),
    }


def _concepts(trial: x.Trial, catalogue: Catalogue) -> Mapping[str, Concept]:
    """The concepts that a trial reads, in the order of the text."""
    gates = [name for cohort in trial.cohorts for name in x.concepts_of(cohort.gate)]
    names = dict.fromkeys([*gates, *(name for criterion in _criteria(trial) for name in criterion.concepts)])
    return {name: catalogue.concepts[name] for name in names if name in catalogue.concepts}


def _codes(name: str, catalogue: Catalogue) -> list[tuple[str, str, str]]:
    """The codes of a concept and of those that it includes: system, code, what it is."""
    concept = catalogue.concepts[name]
    own = [(str(system), code, what) for system, codes in concept.codes.items() for code, what in codes.items()]
    own += [(local.system, local.code, "the site's own") for local in concept.local_codes]
    below = [line for child in concept.includes for line in _codes(child, catalogue)]
    return list(dict.fromkeys([*own, *below]))

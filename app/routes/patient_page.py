"""The page for patients about one trial: its approved texts, and nothing of any chart. It asks for no login."""

from __future__ import annotations

from babel import Locale, UnknownLocaleError
from babel.core import get_global
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from app.web.html import page
from app.wiring import services_of
from cds_hooks.words.languages import ENGLISH, languages
from cds_hooks.words.texts import Texts, texts_of
from cds_hooks.words.wording import recruiting_words
from trial_defs.definition.patient_page import public_page

router = APIRouter(include_in_schema=False)


@router.get("/trials/{trial_id}/patient")
async def patient_page(request: Request, trial_id: str) -> Response:
    """The page in the language of its approval. 404 without a whole approval, or one that is dated later than today."""
    services = services_of(request)
    today = services.clock().date()
    trial = services.definitions.now.trials.get(trial_id)
    found = public_page(trial, today) if trial else None
    if trial is None or found is None:
        texts = services.texts_of(None)
        return page("patient.html", 404, page=None, t=texts, language=texts.language, is_ours=True)
    texts = _texts_for(found.approval.language)
    return page(
        "patient.html",
        page=found,
        t=texts,
        language=found.approval.language,
        is_ours=_first_part(found.approval.language) == _first_part(texts.language),
        title=trial.short_title,
        recruiting=recruiting_words(trial, today, texts),
        contact=services.profile.contact_for(trial.id),
    )


def _texts_for(language: str) -> Texts:
    """Our words in a language as an approval names it ("de", "de-AT", "zh-CN"); in English where we have none."""
    try:
        short = str(Locale.parse(language, sep="-"))
        likely = Locale.parse(get_global("likely_subtags").get(short, short))
    except (UnknownLocaleError, ValueError):
        return texts_of()
    names = (f"{likely.language}-{likely.script}", likely.language)
    return texts_of(next((name for name in names if name in languages()), ENGLISH))


def _first_part(language: str) -> str:
    return language.partition("-")[0].casefold()

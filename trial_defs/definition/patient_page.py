"""The page for patients in a definition: its form, when it may be shown, and the rules for its author.

A mistake in it never takes the trial out of service: the page is not shown, and `trialcards trials lint` says why.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from html import unescape
from unicodedata import east_asian_width

from pydantic import BaseModel, ConfigDict

from trial_defs.definition import expressions as x

Found = Iterator[tuple[str, str]]  # where in the definition; what is wrong and what to do

# BCP 47 (RFC 5646, section 2.1), without extensions and private use: "de", "zh-Hans", "pt-BR".
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z]{4})?(-([A-Za-z]{2}|[0-9]{3}))?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TAG = re.compile(r"<[A-Za-z/!?]")
LINE = 80  # letters in a line of the printed page
MOST_LINES = 26  # of our texts; headings, contact and approval take the rest of an A4 page


class _Words(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


class ApprovalWords(_Words):
    """The ethics committee's approval of exactly these texts."""

    reference: str = ""
    version: str = ""
    language: str = ""
    date: str = ""


class PatientPageWords(_Words):
    """Plain texts, without markup. A part that is missing is for lint to report."""

    approval: ApprovalWords = ApprovalWords()
    summary: str = ""
    asks: tuple[str, ...] = ()
    risks: tuple[str, ...] = ()
    questions_to_ask: tuple[str, ...] = ()

    def compiled(self) -> x.PatientPage:
        approval = x.Approval(**self.approval.model_dump())
        return x.PatientPage(approval, self.summary, self.asks, self.risks, self.questions_to_ask)


def public_page(trial: x.Trial, today: date) -> x.PatientPage | None:
    """The trial's page for patients; None where there is none, or where its approval or a required text is missing."""
    page = trial.patient_page
    return page if page and not any((*_approval(page.approval, today), *_missing(page))) else None


def patient_page_rules(trial: x.Trial, today: date) -> Found:
    """What an author has to mend in the page for patients; `today` is the day after which an approval is not yet."""
    page = trial.patient_page
    if page is None:
        return
    yield from _approval(page.approval, today)
    yield from _missing(page)
    for where, text in _texts(page):
        if not text:
            yield where, "is empty; write the text or take the line out"
        if _TAG.search(text) or unescape(text) != text:
            yield where, "has HTML in it, which patients would read as it is written; write plain text"
    lines = sum(-(-_width(text) // LINE) for _, text in _texts(page))
    if lines > MOST_LINES:
        yield (
            "patient_page",
            f"its texts fill about {lines} lines of {LINE} letters; shorten them to {MOST_LINES}, "
            "which print on one page",
        )


def _approval(approval: x.Approval, today: date) -> Found:
    where = "patient_page.approval"
    for name in ("reference", "version", "language", "date"):
        if not getattr(approval, name):
            yield f"{where}.{name}", "is missing; without it the page is not shown"
    if approval.language and not _LANGUAGE.fullmatch(approval.language):
        yield f"{where}.language", 'is not a language tag; write it like "en", "de" or "zh-Hans"'
    if approval.date:
        day = _day(approval.date)
        if day is None:
            yield f"{where}.date", 'is not a date; write it like "2026-11-24"'
        elif day > today:
            yield f"{where}.date", f"{approval.date} is in the future; until then the page is not shown"


def _missing(page: x.PatientPage) -> Found:
    if not page.summary:
        yield "patient_page.summary", "is missing; say in plain words what the study is about"
    if not any(page.asks):
        yield "patient_page.asks", "is missing; list what the study asks of the patient"


def _texts(page: x.PatientPage) -> Iterator[tuple[str, str]]:
    if page.summary:
        yield "patient_page.summary", page.summary
    for name in ("asks", "risks", "questions_to_ask"):
        for place, text in enumerate(getattr(page, name)):
            yield f"patient_page.{name}.{place}", text


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if _DATE.fullmatch(text) else None
    except ValueError:
        return None


def _width(text: str) -> int:
    """In letters of the Latin alphabet; a Chinese character takes two."""
    return sum(2 if east_asian_width(sign) in "WF" else 1 for sign in text)

"""The coordinator's worklist: candidates by trial and verdict, what became of them, and the way out to other programs.

A patient's id is never in an address: a row has an id of its own, and ids are searched for by POST.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any, cast
from urllib.parse import urlencode

import msgspec
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from app.calls.reports import signed_address
from app.errors import Unusable
from app.people import OPERATOR, Person
from app.routes.answering import Answering, answers_of, whose
from app.storage.database import Write
from app.web.forms import read_fields, read_form
from app.web.html import page
from app.web.media_types import FHIR_TYPE
from app.wiring import Services, services_of
from app.worklist.candidates import Left
from app.worklist.exports import as_csv, as_fhir, as_xlsx
from app.worklist.figures import answers, funnels
from app.worklist.records import STATUSES, Detail, Filter, Order, Row
from app.worklist.sentences import disease_of, next_step, person_words
from app.worklist.words import (
    DUE_WORDS,
    LEFT_WORDS,
    LIST_WORDS,
    ORDER_WORDS,
    SEEN_IN,
    SOURCE_WORDS,
    STATUS_WORDS,
    VERDICT_CHOICES,
)
from cds_hooks.protocol.override_reasons import SHORT_WORDS
from cds_hooks.words.wording import criterion_words
from trial_defs.definition.expressions import Trial
from trial_defs.engine.findings import Verdict

router = APIRouter(prefix="/worklist", include_in_schema=False)

PAGE = 50  # rows
LONGEST_NOTE = 4000
LONGEST_OWNER = 80
# A form that is posted from a page without a referrer has no origin either.
_HEADERS = {"Cache-Control": "no-store", "Referrer-Policy": "same-origin"}
_ASKED = ("trial", "verdict", "list", "due", "order")
SAVED = {
    "status": "The status is saved.",
    "note": "The note is saved.",
    "plan": "Owner and due day are saved.",
    "answer": "The answer is saved. The row counts it already; cards do from the next time the chart is opened.",
    "left-open": "The history says that it is not known yet; the question stays open.",
    "taken-back": "The answer is taken back. The row no longer counts it, nor do cards when the chart is opened next.",
}


# -- the list


@router.get("")
async def show_list(request: Request) -> Response:
    services = services_of(request)
    person = await services.login.person(request)
    return await _list(services, person, request.query_params)


@router.post("/search")
async def search(request: Request) -> Response:
    """The list for a part of a patient's id, which is told nobody but us."""
    services = services_of(request)
    person = await services.login.person(request)
    form = await read_form(request)
    return await _list(services, person, form, form.get("patient", "").strip()[:100])


async def _list(services: Services, person: Person, given: Mapping[str, str], patient: str = "") -> Response:
    asked = replace(_filter(given, services), patient=patient)
    number = _page_number(given.get("page", ""))
    found = await services.worklist.page(asked, number, PAGE)
    trials, today = services.definitions.now.trials, _today(services)
    await _note(services, found.rows, "worklist", person)
    return _page(
        services,
        person,
        "worklist/list.html",
        rows=found.rows,
        total=found.total,
        first=(number - 1) * PAGE + 1,
        number=number,
        pages=max(1, -(-found.total // PAGE)),
        asked={name: given.get(name, "open" if name == "list" else "") for name in _ASKED},
        patient=patient,
        query=lambda **changes: urlencode({**_query(given), **changes}),
        today=today,
        tabs=await services.worklist.tabs(asked),
        lines=[Line(row, *person_words(row, today), disease_of(row, trials), next_step(row, today))
               for row in found.rows],
        changed=given.get("changed", "") if given.get("changed", "").isdigit() else "",
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Line:
    """A row with what is worked out from it for the list."""

    row: Row
    age: str
    sex: str
    disease: str
    next_step: str


def _today(services: Services) -> date:
    return services.clock().astimezone(services.settings.zone).date()


def _query(given: Mapping[str, str]) -> dict[str, str]:
    """The filter as it may be in an address."""
    return {name: given[name] for name in _ASKED if given.get(name)}


def _filter(given: Mapping[str, str], services: Services) -> Filter:
    """What an address may ask for. A patient is not among it."""
    due = _one_of(DUE_WORDS, given.get("due", ""), "due")
    today = services.clock().astimezone(services.settings.zone).date()
    return Filter(
        trial=given.get("trial", "")[:100],
        verdict=_one_of({"": "", **VERDICT_CHOICES}, given.get("verdict", ""), "verdict"),
        listed=_one_of(LIST_WORDS, given.get("list") or "open", "list"),
        due_by=today + timedelta(days=int(due)) if due else None,
        order=cast(Order, _one_of(ORDER_WORDS, given.get("order") or "best", "order")),
    )


def _one_of(choices: Mapping[str, str], value: str, name: str) -> str:
    if value not in choices:
        raise Unusable(f"{name} is one of: {', '.join(filter(None, choices))}.", name)
    return value


def _page_number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and 0 < len(text) < 7 and int(text) else 1


# -- out of the list


@router.get("/export.csv")
async def export_csv(request: Request) -> Response:
    content = await _table(request, as_csv)
    return _file(content, "text/csv; charset=utf-8", "worklist.csv")


@router.get("/export.xlsx")
async def export_xlsx(request: Request) -> Response:
    content = await _table(request, as_xlsx)
    return _file(content, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "worklist.xlsx")


async def _table(request: Request, write: Callable[[Sequence[Row], Mapping[str, Trial], date, str], bytes]) -> bytes:
    rows, services = await _export(request)
    base = services.settings.public_url or f"{request.url.scheme}://{request.url.netloc}"
    return await asyncio.to_thread(write, rows, services.definitions.now.trials, _today(services), base)


@router.get("/export.json")
async def export_fhir(request: Request) -> Response:
    rows, services = await _export(request)
    base = (services.settings.public_url or f"{request.url.scheme}://{request.url.netloc}") + "/fhir"
    work = (rows, services.definitions.now.trials, base, services.clock())
    return _file(await asyncio.to_thread(lambda: msgspec.json.encode(as_fhir(*work))), FHIR_TYPE, "worklist.json")


async def _export(request: Request) -> tuple[Sequence[Row], Services]:
    services = services_of(request)
    person = await services.login.person(request)
    found = await services.worklist.every(_filter(request.query_params, services))
    rows = [row for row in found if row.patient_id is not None]
    await _note(services, rows, "worklist-export", person)
    return rows, services


def _file(content: bytes, media_type: str, name: str) -> Response:
    headers = {"Cache-Control": "no-store", "Content-Disposition": f'attachment; filename="{name}"'}
    return Response(content, media_type=media_type, headers=headers)


@router.get("/figures")
async def figures(request: Request) -> Response:
    """How far candidates came, and what clinicians answered to the cards."""
    services = services_of(request)
    person = await services.login.person(request)
    summary = await services.records.feedback_summary()
    return _page(
        services,
        person,
        "worklist/figures.html",
        funnels=funnels(await services.worklist.funnel()),
        answers=answers(summary["feedback"]),
    )


# -- several rows at once


@router.post("/several")
async def change_several(request: Request) -> Response:
    """Give the chosen rows a status, an owner or a due day. A status that somebody changed meanwhile stays."""
    services = services_of(request)
    person = await services.login.person(request)
    fields = await read_fields(request)
    form = dict(fields)
    status = _one_of({"": "", **STATUS_WORDS}, form.get("status", ""), "status")
    owner, due = _owner(form.get("owner", "")), _due(form.get("due_on", ""))
    was = dict(value.rpartition("|")[::2] for name, value in fields if name == "row")
    if len(was) > PAGE:
        raise Unusable(f"At most {PAGE} rows are changed at once.", "row")
    changed = 0
    for row in await services.worklist.rows(list(was)):
        if not row.can_be_changed:
            continue
        now, also = services.clock(), change_audited(services, row, person)
        done = False
        if status and status != row.status and was[row.id] == row.status:
            done = await services.worklist.set_status(row, status, person, now, also)
        if owner or due:
            await services.worklist.plan(row, owner or row.owner, due or row.due_on, person, now, also)
            done = True
        changed += done
    back = {name: form[name] for name in _ASKED if form.get(name)} | {"changed": str(changed)}
    return RedirectResponse(f"/worklist?{urlencode(back)}", 303, {"Cache-Control": "no-store"})


@router.post("/{row_id}/plan")
async def set_plan(request: Request, row_id: str) -> Response:
    """Say who works on a row, and until when."""
    services = services_of(request)
    person = await services.login.person(request)
    form = await read_form(request)
    found = await services.worklist.detail(row_id)
    if found is None or not found.row.can_be_changed:
        return gone_page(services, person)
    owner, due = _owner(form.get("owner", "")), _due(form.get("due_on", ""))
    also = change_audited(services, found.row, person)
    await services.worklist.plan(found.row, owner, due, person, services.clock(), also)
    return back_to(row_id, "plan")


def _owner(text: str) -> str | None:
    name = text.strip()
    if len(name) > LONGEST_OWNER:
        raise Unusable(f"owner has at most {LONGEST_OWNER} characters.", "owner")
    return name or None


def _due(text: str) -> date | None:
    if not text.strip():
        return None
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        raise Unusable("due_on is a day like 2026-11-01.", "due_on") from None


# -- one row


@router.get("/{row_id}")
async def show_row(request: Request, row_id: str) -> Response:
    services = services_of(request)
    person = await services.login.person(request)
    found = await services.worklist.detail(row_id)
    if found is None:
        return gone_page(services, person)
    await _note_row(services, found.row, person)
    return await detail_page(services, person, found, saved=SAVED.get(request.query_params.get("saved", "")))


async def detail_page(
    services: Services, person: Person, found: Detail, status: int = 200, *, saved: str | None = None,
    problem: str | None = None, note: str = "", answering: Answering | None = None,
) -> Response:  # fmt: skip
    row = found.row
    trial = services.definitions.now.trials.get(row.trial)
    given = await services.answers.of(whose(row), row.trial) if row.patient_id and not row.is_hidden else []
    return _page(
        services,
        person,
        "worklist/detail.html",
        status,
        row=row,
        trial=trial,
        detail=found,
        asked=lambda each: _asked_words(each, trial),
        cohorts={cohort.id: cohort.title for cohort in trial.cohorts} if trial else {},
        is_current=trial is not None and trial.hash == row.definition_hash,
        can_explain=bool(row.report) and await services.records.is_sealed(row.report, services.clock()),
        saved=saved,
        problem=problem,
        note=note,
        answers=answers_of(found, trial, given, services),
        answering=answering,
        names_somebody=person.subject != OPERATOR.subject,
    )


def _asked_words(entry: Mapping[str, Any], trial: Trial | None) -> str:
    """A criterion that is not settled, as people read it; its text alone where the definition is not served."""
    criteria = (c for cohort in (trial.cohorts if trial else ()) for c in cohort.criteria)
    kind = next((criterion.kind for criterion in criteria if criterion.id == entry["id"]), "inclusion")
    return criterion_words(kind, entry["text"], entry["outcome"], None)


@router.get("/{row_id}/explanation")
async def explain(request: Request, row_id: str) -> Response:
    """On to the explanation behind the newest answer, under an address that lives a few minutes."""
    services = services_of(request)
    person = await services.login.person(request)
    found = await services.worklist.detail(row_id)
    if found is None or found.row.is_hidden or not found.row.report:
        return gone_page(services, person)
    row, base = found.row, services.settings.public_url or f"{request.url.scheme}://{request.url.netloc}"
    await _note_row(services, row, person)
    address = signed_address(services.keys, base, row.report, services.clock(), row.trial)
    return RedirectResponse(address, 303, {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"})


@router.post("/{row_id}/status")
async def set_status(request: Request, row_id: str) -> Response:
    """Give the row a status. 409 where somebody else gave it another one since the page was opened."""
    services = services_of(request)
    person = await services.login.person(request)
    form = await read_form(request)
    status = _one_of(STATUS_WORDS, form.get("status", ""), "status")
    found = await services.worklist.detail(row_id)
    if found is None or not found.row.can_be_changed:
        return gone_page(services, person)
    was = form.get("was", found.row.status)
    at, also = services.clock(), change_audited(services, found.row, person)
    if was != found.row.status or not await services.worklist.set_status(found.row, status, person, at, also):
        now = await services.worklist.detail(row_id)
        problem = "Somebody has given another status meanwhile; yours was not saved. This is how it stands now."
        return (
            gone_page(services, person)
            if now is None
            else await detail_page(services, person, now, 409, problem=problem)
        )
    return back_to(row_id, "status")


@router.post("/{row_id}/notes")
async def add_note(request: Request, row_id: str) -> Response:
    services = services_of(request)
    person = await services.login.person(request)
    text = (await read_form(request)).get("note", "").strip()
    found = await services.worklist.detail(row_id)
    if found is None or not found.row.can_be_changed:
        return gone_page(services, person)
    if not text or len(text) > LONGEST_NOTE:
        problem = f"A note has 1 to {LONGEST_NOTE} characters; it was not saved."
        return await detail_page(services, person, found, 422, problem=problem, note=text)
    also = change_audited(services, found.row, person)
    await services.worklist.add_note(found.row, text, person, services.clock(), also)
    return back_to(row_id, "note")


def back_to(row_id: str, saved: str) -> Response:
    return RedirectResponse(f"/worklist/{row_id}?saved={saved}", 303, {"Cache-Control": "no-store"})


# -- parts


def change_audited(services: Services, row: Row, person: Person) -> list[Write]:
    """What writes into the audit trail that this person changed this row, in the transaction of the change."""
    call = services.worklist.audited(row, "worklist-change", person)
    return services.audit.writes(call, services.clock()) if call else []


async def _note_row(services: Services, row: Row, person: Person) -> None:
    """Who opened a row, in the audit trail."""
    if call := services.worklist.audited(row, "worklist-row", person):
        await services.audit.note(call, services.clock())


async def _note(services: Services, rows: Sequence[Row], action: str, person: Person) -> None:
    """Who was shown a list, in the audit trail: one line."""
    await services.audit.note_list(action, person.subject, services.worklist.listed(rows), services.clock())


def gone_page(services: Services, person: Person) -> Response:
    return _page(services, person, "worklist/gone.html", 404)


def _page(services: Services, person: Person, template: str, status: int = 200, **values: Any) -> Response:
    trials = services.definitions.now.trials
    return page(
        template,
        status,
        _HEADERS,
        section="worklist",
        is_demo=services.settings.is_demo,
        person=person,
        can_log_out=services.login.can_log_out,
        titles={name: trial.short_title for name, trial in trials.items()},
        words={
            "verdict": {verdict.value: verdict.label for verdict in Verdict},
            "verdicts": {"": "Any verdict", **VERDICT_CHOICES},
            "status": STATUS_WORDS,
            "list": LIST_WORDS,
            "due": DUE_WORDS,
            "order": ORDER_WORDS,
            "left": {why.value: LEFT_WORDS[why] for why in Left},
            "source": SOURCE_WORDS,
            "seen_in": SEEN_IN,
            "reason": SHORT_WORDS,
        },
        statuses=STATUSES,
        **values,
    )

"""What a person answers to a criterion that no data decide, on the page of a row of the worklist; and takes back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from app.people import OPERATOR, Person
from app.routes.answering import (
    CHANGED,
    NOT_KNOWN,
    Answering,
    NotAnAnswer,
    attestation,
    criterion_of,
    history_words,
    settled_with,
    whose,
    words_problem,
)
from app.routes.worklist import back_to, change_audited, detail_page, gone_page
from app.storage.database import Write
from app.web.forms import read_form
from app.wiring import Services, services_of
from app.worklist.records import Detail, Row
from trial_defs.engine.attestation import Attestation

router = APIRouter(prefix="/worklist", include_in_schema=False)

_NAMELESS = "An operator’s token names nobody. Log in, so that the answer carries a name; nothing was saved."


@router.post("/{row_id}/answers")
async def answer(request: Request, row_id: str) -> Response:
    """Keep an answer. 403 for a token that names nobody, 422 for what is no answer to what is asked now."""
    services = services_of(request)
    person = await services.login.person(request)
    form = await read_form(request)
    found = await services.worklist.detail(row_id)
    if found is None or not found.row.can_be_changed:
        return gone_page(services, person)
    names = ("criterion", "outcome", "words", "until")
    sent = Answering(*(form.get(name, "").strip() for name in names))
    if person.subject == OPERATOR.subject:
        return await detail_page(services, person, found, 403, problem=_NAMELESS, answering=sent)
    if sent.outcome == NOT_KNOWN:
        return await _left_open(services, person, found, sent)
    try:
        given = attestation(sent, form.get("content", ""), found.row, person, services)
    except NotAnAnswer as error:
        return await detail_page(services, person, found, 422, problem=str(error), answering=sent)
    criterion = criterion_of(given.criterion, found.row, services)
    assert criterion
    said = f"{history_words(criterion, given.is_met)}, holds until {given.until}"
    also = _written_down(found.row, "answer", said, person, services, given.at)
    others = await services.answers.of(whose(found.row), found.row.trial)
    held = [each.answer for each in others if each.ended_at is None and each.answer.criterion != given.criterion]
    also += _recount(found, [*held, given], services)
    await services.answers.give(whose(found.row), given, person, also)
    return back_to(row_id, "answer")


async def _left_open(services: Services, person: Person, found: Detail, sent: Answering) -> Response:
    """Write into the history that somebody asked and cannot say yet. It is no answer: the question stays open."""
    criterion = criterion_of(sent.criterion, found.row, services)
    problem = CHANGED if criterion is None else words_problem(sent.words)
    if criterion is None or problem:
        return await detail_page(services, person, found, 422, problem=problem, answering=sent)
    said = f"{criterion.text}: not known yet ({sent.words})"
    also = _written_down(found.row, "answer", said, person, services, services.clock())
    await services.worklist.write(also)
    return back_to(found.row.id, "left-open")


@router.post("/{row_id}/answers/{answer_id}/end")
async def take_back(request: Request, row_id: str, answer_id: str) -> Response:
    """End an answer of this row's patient. Whoever sees the row may: a wrong answer must not wait for its author."""
    services = services_of(request)
    person = await services.login.person(request)
    await read_form(request)
    found = await services.worklist.detail(row_id)
    if found is None or not found.row.can_be_changed:
        return gone_page(services, person)
    if person.subject == OPERATOR.subject:
        return await detail_page(services, person, found, 403, problem=_NAMELESS)
    given = await services.answers.of(whose(found.row), found.row.trial)
    name = next((each.answer.criterion for each in given if each.id == answer_id), None)
    if name is None:
        return gone_page(services, person)
    now, criterion = services.clock(), criterion_of(name, found.row, services)
    text = criterion.text if criterion else name
    also = _written_down(found.row, "answer", f"{text}: answer taken back", person, services, now)
    held = [each.answer for each in given if each.ended_at is None and each.answer.criterion != name]
    also += _recount(found, held, services)
    await services.answers.take_back(whose(found.row), answer_id, now, also)
    return back_to(row_id, "taken-back")


def _recount(found: Detail, held: Sequence[Attestation], services: Services) -> list[Write]:
    """What brings the row up to date at once. Where its findings are kept no longer, the next reading does."""
    if found.findings is None:
        return []
    settled = settled_with(found.row, held, services)
    return services.worklist.recounted(found.row, found.findings, settled, services.clock())


def _written_down(row: Row, kind: str, said: str, person: Person, services: Services, now: datetime) -> list[Write]:
    """The line of the audit trail, and that of the row's history."""
    return [*change_audited(services, row, person), *services.worklist.noted(row, kind, said, person, now)]

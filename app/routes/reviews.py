"""The review of a definition: its text beside its criteria, which are corrected, signed one by one, and then whole.

Everybody on the worklist may read and correct; a signature needs the signing group and a fresh login. Nothing is
written to a file: the definition leaves as a download.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from urllib.parse import quote

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from app.definitions import review_edits as edits
from app.definitions.review import reviewed
from app.definitions.review_edits import ReviewError, working
from app.definitions.reviews import WHOLE, Act, Stale, edit_write, signature_write
from app.definitions.screened_criteria import counted
from app.definitions.under_review import (
    APPROVED,
    READ,
    Entry,
    UnderReview,
    as_new_version,
    signed_text,
    under_review,
    with_order,
)  # fmt: skip
from app.people import OPERATOR, Person
from app.routes.signing_off import PERSONAL, NotSigned, check_may_sign
from app.storage.audit import AuditedCall, Outcome
from app.storage.database import Write
from app.storage.records import Shown
from app.web.forms import read_form
from app.web.html import page
from app.wiring import Services, services_of
from cds_hooks.words.numbers import quantity_words
from cds_hooks.words.paraphrase import paraphrase
from cds_hooks.words.wording import titles_of
from trial_defs.definition.edits import GATE
from trial_defs.definition.loader import hash_of
from trial_defs.engine.sample_cases import cases_of

router = APIRouter(prefix="/definitions", include_in_schema=False)

_TRIES = 3  # when others change other parts at the same moment
ACTS: Mapping[str, Act] = {
    "correct": "corrected", "person": "left to a person", "split": "split", "join": "joined", "accept": "accepted",
    "remove": "taken out",
}  # fmt: skip
_CHANGED = "{part} was changed meanwhile{by}. Yours was not saved; it is in the box below, beside what it is now."


class Refused(Exception):
    """Nothing was changed. `status` is that of the page that says why; `part` is the one it is about."""

    def __init__(self, status: int, *problems: str, part: str = "", written: str = "") -> None:
        super().__init__(problems[0])
        self.status, self.problems, self.part, self.written = status, problems, part, written


@router.get("")
async def show_list(request: Request) -> Response:
    """Drafts first, then what is served."""
    services = services_of(request)
    person = await services.login.person(request)
    served = services.definitions.now
    drafts = {each.id: len(each.questions) for each in served.drafts}
    kept = set(await services.reviews.trials())
    return _page(services, person, "definitions.html", drafts=drafts, kept=kept, trials=served.trials,
                 gone=sorted(kept - set(drafts) - set(served.trials)))  # fmt: skip


@router.get("/{trial_id}")
async def show(request: Request, trial_id: str) -> Response:
    services = services_of(request)
    person = await services.login.person(request)
    return await _review_page(request, services, person, trial_id)


@router.get("/{trial_id}/definition.yaml")
async def export(request: Request, trial_id: str) -> Response:
    """The definition as it is by now, comments included."""
    services = services_of(request)
    person = await services.login.person(request)
    try:
        found = await _find(services, trial_id)
    except ReviewError as error:
        return _unusable(services, person, trial_id, error)
    if found is None:
        return _page(services, person, "no_trial.html", 404)
    headers = dict(PERSONAL) | {"Content-Disposition": f'attachment; filename="{found.at.words.id}.yaml"'}
    return Response(found.at.text, media_type="application/yaml", headers=headers)


@router.post("/{trial_id}/check")
async def check(request: Request, trial_id: str) -> Response:
    """What is wrong with a part as it is being written, what it asks in words, and its cases. Nothing is kept."""
    services = services_of(request)
    await services.login.person(request)
    form = await read_form(request)
    catalogue = services.definitions.now.catalogue

    def work() -> dict[str, object]:
        try:
            criteria = edits.read_part(form.get("part", ""), form.get("text", ""), catalogue)
        except ReviewError as error:
            return {"problems": list(error.problems)}
        titles = titles_of(catalogue)
        return {
            "problems": [],
            "asks": [paraphrase(each.asks, titles).flat() for each in criteria],
            "cases": [
                f"{limit.about}: {', '.join(f'{case.given} → {case.outcome}' for case in limit.cases)}"
                for each in criteria
                for limit in cases_of(each, catalogue, quantity_words)
            ],
        }

    return JSONResponse(await asyncio.to_thread(work), headers=dict(PERSONAL))


@router.post("/{trial_id}/parts")
async def change(request: Request, trial_id: str) -> Response:
    """Correct, leave to a person, split, join, take out or accept one part."""
    services = services_of(request)
    person = await services.login.person(request)
    form = await read_form(request)
    try:
        after = await _change(services, person, trial_id, form)
    except Refused as refused:
        return await _review_page(request, services, person, trial_id, refused)
    return RedirectResponse(_address(trial_id, form, after), 303, dict(PERSONAL))


@router.post("/{trial_id}/sign-off")
async def sign(request: Request, trial_id: str) -> Response:
    """Sign the definition as a whole, when every part of it is signed."""
    services = services_of(request)
    person = await services.login.person(request)
    form = await read_form(request)
    try:
        await _sign(services, person, trial_id, form)
    except Refused as refused:
        return await _review_page(request, services, person, trial_id, refused)
    return RedirectResponse(f"/definitions/{quote(trial_id)}", 303, dict(PERSONAL))


@router.post("/{trial_id}/discard")
async def discard(request: Request, trial_id: str) -> Response:
    """Forget what was corrected, and begin again from the file. Signatures and the list of edits stay on record."""
    services = services_of(request)
    person = await services.login.person(request)
    form = await read_form(request)
    review = await services.reviews.of(trial_id)
    try:
        _check_named(person)
        if review is None or form.get("revision") != str(review.revision):
            raise Stale
        also = [edit_write(trial_id, WHOLE, "discarded", person, services.clock())]
        await services.reviews.discard(trial_id, review, also + _audit(services, person, trial_id, "changed", ""))
    except Stale:
        refused = Refused(409, "The review went on since this page was opened; nothing was discarded.")
        return await _review_page(request, services, person, trial_id, refused)
    except Refused as refused:
        return await _review_page(request, services, person, trial_id, refused)
    return RedirectResponse(f"/definitions/{quote(trial_id)}", 303, dict(PERSONAL))


# -- changes


async def _change(services: Services, person: Person, trial_id: str, form: Mapping[str, str]) -> UnderReview:
    """Make one change, again where others changed other parts at the same moment. The definition afterwards."""
    _check_named(person)
    part, act = form.get("part", ""), form.get("act", "")
    if act not in ACTS:
        raise Refused(422, f"The form names no act; it is one of: {', '.join(ACTS)}.")
    if act == "accept":
        _check_signer(person, services, part)
    for _ in range(_TRIES):
        found = await _found_or_refused(services, trial_id)
        entry = _as_shown(found, part, form)
        try:
            new = await asyncio.to_thread(_edit, found, entry, act, form, services)
        except ReviewError as error:
            raise Refused(422, *error.problems, part=part, written=form.get("text", "")) from None
        if act != "accept" and new == found.at.text:
            return found
        try:
            await _keep(services, person, trial_id, found, new, part, act)
        except Stale:
            continue
        return await _found_or_refused(services, trial_id)
    raise Refused(409, "Others are changing this definition at the same moment; yours was not saved. Send it again.",
                  part=part, written=form.get("text", ""))  # fmt: skip


def _as_shown(found: UnderReview, part: str, form: Mapping[str, str]) -> Entry:
    """The part; Refused where it is no longer as the reviewer saw it."""
    entry = next((each for each in found.entries if each.part.id == part), None)
    if entry is None:
        raise Refused(409, f"{part or 'The part'} is not in the definition any more; somebody joined, split or renamed "
                      "it. Nothing was changed.")  # fmt: skip
    if form.get("was") != entry.was:
        last = entry.last_edit
        by = f" ({last.act} by {last.person}, {last.at:%Y-%m-%d %H:%M} UTC)" if last else ""
        raise Refused(409, _CHANGED.format(part=part, by=by), part=part, written=form.get("text", ""))
    other = next((each for each in found.entries if each.part.id == form.get("other")), None)
    if form.get("act") == "join" and other is None:
        raise Refused(409, "The criterion to join it with is not in the definition any more.", part=part)
    return entry


def _edit(found: UnderReview, entry: Entry, act: str, form: Mapping[str, str], services: Services) -> str:
    """The text of the definition after this act: with a new version where one is served with this one."""
    served, name = services.definitions.now, entry.part.id
    catalogue = served.catalogue
    titles = titles_of(catalogue)
    match act:
        case "correct":
            new = edits.corrected(found.at, name, form.get("text", ""), catalogue)
        case "person":
            new = edits.for_a_person(found.at, name, catalogue)
        case "split":
            new = edits.split(found.at, name, catalogue, lambda asks: paraphrase(asks, titles).flat())
        case "join":
            new = edits.joined(found.at, name, form.get("other", ""), form.get("verb", ""), catalogue)
        case "remove":
            new = edits.taken_out(found.at, name, catalogue)
        case _:
            new = edits.accepted(found.at, name, catalogue)
    return new if new == found.at.text else as_new_version(new, served, found.at.words.id)


async def _keep(
    services: Services, person: Person, trial_id: str, found: UnderReview, new: str, part: str, act: str
) -> None:
    now = services.clock()
    writes: list[Write] = [edit_write(trial_id, part, ACTS[act], person, now)]
    if act == "accept":
        at = working(new, services.definitions.now.catalogue)
        digest = await asyncio.to_thread(_digest_of, at, part, services)
        writes.append(signature_write(trial_id, part, digest, READ, person, now))
    writes += _audit(services, person, trial_id, "signed" if act == "accept" else "changed", new)
    await services.reviews.keep(trial_id, found.review, new, now, writes)


def _digest_of(at: edits.Working, part: str, services: Services) -> str:
    all_parts = reviewed(at.trial, at.words, services.definitions.now.catalogue)
    return next(each.digest for each in all_parts if each.id == part)


async def _sign(services: Services, person: Person, trial_id: str, form: Mapping[str, str]) -> None:
    found = await _found_or_refused(services, trial_id)
    _check_signer(person, services, "")
    if form.get("hash") != hash_of(found.at.text.encode()):
        raise Refused(409, "The definition has changed since this page was opened; read it again. Nothing was signed.")
    now = services.clock()
    on = now.astimezone(services.settings.zone).date().isoformat()
    try:
        new = await asyncio.to_thread(signed_text, found, person, now, on, services.definitions.now.catalogue)
    except ReviewError as error:
        raise Refused(422, *error.problems) from None
    writes = [
        edit_write(trial_id, WHOLE, "signed", person, now),
        signature_write(trial_id, WHOLE, hash_of(new.encode()), APPROVED, person, now),
        *_audit(services, person, trial_id, "signed", new),
    ]
    try:
        await services.reviews.keep(trial_id, found.review, new, now, writes)
    except Stale:
        raise Refused(409, "Somebody changed the definition at the same moment; nothing was signed.") from None


def _check_named(person: Person) -> None:
    if person.subject == OPERATOR.subject:
        raise Refused(403, "An operator’s token names nobody: log in to change a definition. Nothing was changed.")


def _check_signer(person: Person, services: Services, part: str) -> None:
    try:
        check_may_sign(person, services)
    except NotSigned as error:
        raise Refused(error.status, str(error), part=part) from None


def _audit(services: Services, person: Person, trial: str, outcome: Outcome, text: str) -> list[Write]:
    nobody = Shown("", "", "", person.subject)
    named = {trial: hash_of(text.encode())} if text else {trial: "review discarded"}
    return services.audit.writes(AuditedCall(str(uuid.uuid4()), "review", nobody, outcome, named), services.clock())


# -- pages


async def _find(services: Services, trial_id: str) -> UnderReview | None:
    served = services.definitions.now
    counts = await counted(services.records, trial_id)
    return await under_review(trial_id, served, services.settings.trials, services.reviews, counts)


async def _found_or_refused(services: Services, trial_id: str) -> UnderReview:
    try:
        found = await _find(services, trial_id)
    except ReviewError as error:
        raise Refused(422, *error.problems) from None
    if found is None:
        raise Refused(404, "There is no such definition.")
    return found


def _address(trial_id: str, form: Mapping[str, str], after: UnderReview) -> str:
    """Back to the page: to the part that was changed, or after a signature to the next that is not signed."""
    order = "?order=text" if form.get("order") == "text" else ""
    part, after = form.get("part", ""), with_order(after, of_the_text=bool(order))
    names = [each.part.id for each in after.entries]
    if form.get("act") == "accept":
        at = names.index(part) if part in names else 0
        later = [each for each in (*after.entries[at + 1 :], *after.entries[:at]) if each.signature is None]
        part = later[0].part.id if later else ""
    elif part not in names:
        part = next((name for name in names if name.startswith(f"{part}.")), "")
    return f"/definitions/{quote(trial_id)}{order}#{quote(f'part-{part}') if part else 'whole'}"


async def _review_page(
    request: Request, services: Services, person: Person, trial_id: str, refused: Refused | None = None
) -> Response:
    try:
        found = await _find(services, trial_id)
    except ReviewError as error:
        return _unusable(services, person, trial_id, error)
    if found is None:
        return _page(services, person, "no_trial.html", 404)
    by_text = request.query_params.get("order") == "text"
    return _page(
        services, person, "definition_review.html", refused.status if refused else 200,
        review=with_order(found, of_the_text=by_text), by_text=by_text, refused=refused, words=found.at.words,
        hash=hash_of(found.at.text.encode()), read=READ, approved=APPROVED, gate=GATE,
        is_served=found.at.words.id in services.definitions.now.trials,
        may_sign=person.is_signer and person.is_fresh(services.clock()),
        names_somebody=person.subject != OPERATOR.subject,
    )  # fmt: skip


def _unusable(services: Services, person: Person, trial_id: str, error: ReviewError) -> Response:
    return _page(services, person, "definition_unusable.html", 422, trial_id=trial_id, problems=error.problems)


def _page(services: Services, person: Person, template: str, status: int = 200, /, **values: object) -> Response:
    return page(template, status, PERSONAL, section="definitions", person=person, is_demo=services.settings.is_demo,
                can_log_out=services.login.can_log_out, **values)  # fmt: skip

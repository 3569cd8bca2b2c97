"""Signing a definition off, and taking that back: what the page of a trial shows of it and does."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.requests import Request

from app.definitions.names import definitions_of
from app.definitions.sign_offs import Signed
from app.login.people import LoginNeeded
from app.people import OPERATOR, Person
from app.settings import PREFIX
from app.storage.audit import AuditedCall, Outcome
from app.storage.database import RecordsUnavailable, Write
from app.storage.records import Shown
from app.wiring import Services
from trial_defs.definition.expressions import Trial

# A form that is posted from a page without a referrer has no origin either.
PERSONAL: Mapping[str, str] = {"Cache-Control": "no-store", "Referrer-Policy": "same-origin"}


@dataclass(frozen=True, slots=True)
class Signing:
    """What the page of a trial says about signatures to somebody who is logged in."""

    person: Person
    here: Signed | None  # under exactly this text, given here
    in_file: bool
    earlier: tuple[Signed, ...]  # under other texts, or taken back

    is_fresh: bool  # whether the person logged in for signing a few minutes ago

    @property
    def names_somebody(self) -> bool:
        return self.person.subject != OPERATOR.subject


async def signing_of(request: Request, services: Services, trial: Trial) -> Signing | None:
    """For whoever is logged in; None for anybody else, who is told only whether the definition is confirmed."""
    try:
        person = await services.login.person(request)
        found = await services.sign_offs.of(trial.id)
    except (LoginNeeded, RecordsUnavailable):
        return None
    here = next((each for each in found if each.hash == trial.hash and each.withdrawn_at is None), None)
    earlier = tuple(each for each in found if each is not here)
    in_file = trial.signed_off is not None and here is None
    return Signing(person, here, in_file, earlier, person.is_fresh(services.clock()))


class NotSigned(Exception):
    """Nothing was signed; the message says why. `status` is that of the page which says so."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def check_may_sign(person: Person, services: Services) -> None:
    """NotSigned for a token, for somebody who is in no signing group, and after a login that was not for signing."""
    if person.subject == OPERATOR.subject:
        raise NotSigned(403, "An operator’s token names nobody: log in to sign a definition off.")
    if not person.is_signer:
        raise NotSigned(403, f"You are in no group that signs definitions ({PREFIX}OIDC_SIGNERS). Nothing was signed.")
    if not person.is_fresh(services.clock()):
        raise NotSigned(403, "A signature needs a login of the last 15 minutes: log in again. Nothing was signed.")


async def sign_or_take_back(trial: Trial, form: Mapping[str, str], person: Person, services: Services) -> None:
    """Sign exactly the text that was shown, or take that back; NotSigned where another one is served by now."""
    check_may_sign(person, services)
    if form.get("hash") != trial.hash:
        raise NotSigned(
            409, "The definition has changed since this page was opened; read it again. Nothing was signed."
        )
    if form.get("action") not in ("sign", "withdraw"):
        raise NotSigned(422, "The form says neither to sign nor to take it back; nothing was changed.")
    await _do(form["action"], trial, person, services)
    await services.take_signatures()


async def _do(action: str, trial: Trial, person: Person, services: Services) -> None:
    now = services.clock()
    if action == "sign":
        on = now.astimezone(services.settings.zone).date()
        await services.sign_offs.sign(trial, person, now, on, _audit("signed", trial, person, services))
    else:
        await services.sign_offs.withdraw(trial.id, trial.hash, now, _audit("withdrawn", trial, person, services))


def _audit(outcome: Outcome, trial: Trial, person: Person, services: Services) -> list[Write]:
    nobody = Shown("", "", "", person.subject)
    call = AuditedCall(str(uuid.uuid4()), "sign-off", nobody, outcome, definitions_of([trial]))
    return services.audit.writes(call, services.clock())

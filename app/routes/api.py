"""The JSON API: the trials served, a match of one chart, and what users said about cards."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from app.definitions.names import definitions_of
from app.definitions.served import Served
from app.ehrs import Caller
from app.errors import NotHere, Unusable
from app.judge import Site, judge
from app.logs import call_id
from app.routes.parameters import called, chosen, moment_of
from app.storage.audit import AuditedCall
from app.storage.records import Shown
from app.web.examples import AS_OF, TRIAL, WHOLE_CHART
from app.web.media_types import FHIR_TYPE, prefers_fhir
from app.web.strict_json import check_whole, read_body
from app.wiring import Services, services_of
from cds_hooks.fhir.fhir_study import study_of
from cds_hooks.report import report_of
from cds_hooks.words.texts import Texts
from mappings.chart.chart import ChartBuilder, ChartError
from mappings.time.clock import Clock
from trial_defs.definition.expressions import Trial
from trial_defs.engine.gates import MANY

router = APIRouter(prefix="/api/v1", tags=["API"])

_BIG = 256 * 1024  # bytes from which a body is worked on beside the event loop
_CHART_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/fhir+json": {"schema": {"type": "object"}, "example": WHOLE_CHART}},
    },
}


@router.get("/trials", summary="The trials served")
async def list_trials(request: Request) -> Response:
    """Every trial with its definition's version and hash, in the order of their ids."""
    served = services_of(request).definitions.now
    return _json({"trials": [_trial_entry(trial) for trial in served.trials.values()]})


@router.get("/trials/{trial_id}", summary="One trial")
async def show_trial(request: Request, trial_id: Annotated[str, Path(examples=[TRIAL])]) -> Response:
    """A trial with its cohorts and criteria; with `Accept: application/fhir+json` as a FHIR ResearchStudy."""
    served = services_of(request).definitions.now
    trial = served.trials.get(trial_id)
    if trial is None:
        raise NotHere("No trial of this id is served.")
    if prefers_fhir(request.headers.get("accept", "")):
        return Response(msgspec.json.encode(study_of(trial, served.catalogue, whole=True)), media_type=FHIR_TYPE)
    return _json(_trial_entry(trial) | {"cohorts": [_cohort(cohort) for cohort in trial.cohorts]})


def _trial_entry(trial: Trial) -> dict[str, Any]:
    return {
        "trial": trial.id,
        "title": trial.title,
        "shortTitle": trial.short_title,
        "sponsor": trial.sponsor,
        "phase": trial.phase,
        "status": trial.status,
        "registryUrl": trial.registry_url,
        "definition": {"version": trial.version, "hash": trial.hash},
        "signedOff": {"by": trial.signed_off.by, "on": trial.signed_off.on} if trial.signed_off else None,
        "cohorts": [cohort.id for cohort in trial.cohorts],
    }


def _cohort(cohort: Any) -> dict[str, Any]:
    criteria = [
        {
            "id": criterion.id,
            "kind": criterion.kind,
            "source": criterion.source,
            "text": criterion.text,
            "concepts": list(criterion.concepts),
        }
        for criterion in cohort.criteria
    ]
    return {"cohort": cohort.id, "title": cohort.title, "open": cohort.open, "criteria": criteria}


@router.post("/match", summary="Match one chart", openapi_extra=_CHART_BODY)
async def match_chart(
    request: Request,
    as_of: Annotated[str | None, Query(alias="asOf", examples=[AS_OF])] = None,
    trial: Annotated[list[str] | None, Query(examples=[[TRIAL]])] = None,
) -> Response:
    """A FHIR Bundle with one patient's whole chart in, a MatchReport out.

    `asOf` (a date, or an instant with offset; default now) is the moment at which the chart is read. `trial` may
    repeat; default all. For a patient who must not be approached for research `approachable` is false and `trials` is
    empty; a trial that restricted records keep back is left out.
    """
    services = services_of(request)
    audiences = {services.public_address(request)}
    verified = await services.authenticator.ehr(request.headers.getlist("authorization"), audiences, None)
    zone = services.zone_of(verified.caller.ehr)
    moment = services.clock() if as_of is None else moment_of(as_of, zone)
    served = services.definitions.now
    trials = chosen(served, trial)
    body = await read_body(request, services.settings.max_match_bytes)
    texts = services.texts_of(verified.caller.ehr)
    work = (body, trials, served, Clock(moment, zone), services.site, texts)
    async with services.authenticator.one_use(verified, called(request), body) as caller:
        report, patient = (
            await asyncio.to_thread(_match, *work) if len(body) > _BIG or len(trials) > MANY else _match(*work)
        )
        await audit_match(services, caller, patient, trials)
    return Response(report, media_type="application/json")


async def audit_match(services: Services, caller: Caller, patient: str, trials: Sequence[Trial]) -> None:
    """Write down that a whole chart was matched. `patient` is its Patient ("Patient/123")."""
    whose = Shown(caller.ehr.name, caller.tenant, patient.removeprefix("Patient/"), "")
    call = AuditedCall(call_id(), "match", whose, "report", definitions_of(trials))
    await services.audit.note(call, services.clock(), caller.closing)


def _match(
    body: bytes, trials: Sequence[Trial], served: Served, at: Clock, site: Site, texts: Texts
) -> tuple[bytes, str]:
    """The report, and whose it is."""
    check_whole(body)
    builder = ChartBuilder(None)
    try:
        builder.add(body, None)
        builder.whole_chart()
        chart = builder.build()
    except ChartError as error:
        raise Unusable(error.message) from None
    found = judge(chart, served, at, site, trials=trials).found
    return msgspec.json.encode(report_of(found, str(uuid.uuid4()), served.catalogue, texts)), found.patient


@router.get("/feedback/summary", summary="What users said about cards")
async def feedback_summary(request: Request) -> Response:
    """Accepted and overridden, counted by trial and reason; `byWeek` counts the same within each week.

    Feedback on cards that we do not know has no trial. A week is the ISO week, in UTC, of the outcome's timestamp.
    """
    services = services_of(request)
    await services.login.person(request)
    return _json(await services.records.feedback_summary())


def _json(content: object) -> Response:
    return Response(msgspec.json.encode(content), media_type="application/json")

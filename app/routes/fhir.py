"""FHIR R4 out: studies, cohorts, terminology and a match, as FHIR clients expect them. Nothing is stored."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from typing import Annotated, Any
from urllib.parse import urlencode

import msgspec
from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from app.definitions.served import Served
from app.errors import BadJson, NotAcceptable, NotHere, ServiceError, Unusable
from app.judge import judge
from app.routes.api import audit_match
from app.routes.parameters import called, chosen, moment_of
from app.web.examples import AS_OF, TRIAL, WHOLE_CHART
from app.web.media_types import FHIR_TYPE, takes_fhir
from app.web.strict_json import check_whole, read_body
from app.wiring import Services, services_of
from cds_hooks.fhir.fhir_capabilities import MATCH_ID, capabilities, match_operation
from cds_hooks.fhir.fhir_match import bundle_of
from cds_hooks.fhir.fhir_study import BASE, group_id, group_of, matching, study_of
from cds_hooks.fhir.fhir_terms import CODE_SYSTEMS, CONCEPT_MAP, code_system_of, concept_map_of, value_set_of
from mappings.chart.chart import ChartBuilder, ChartError
from mappings.time.clock import Clock
from trial_defs.definition.expressions import Trial
from trial_defs.engine.gates import MANY

Json = dict[str, Any]
Search = Callable[[Served, tuple[str, ...]], Iterable[str]]

_BIG = 256 * 1024  # bytes from which a body is worked on beside the event loop
_PAGE = 50
_FORMATS = ("json", "application/json", FHIR_TYPE)

router = APIRouter(prefix="/fhir", tags=["FHIR"])


@dataclass(frozen=True)
class Kind:
    """One resource type: the ids that there are, each resource by its id, and the ids that a search finds."""

    name: str
    example: str
    ids: Callable[[Served], Iterable[str]]
    read: Callable[[Served, str], Json]
    searches: Mapping[str, Search]


# -- the resources


def _groups(served: Served) -> dict[str, Callable[[], Json]]:
    return {
        group_id(trial, cohort): lambda trial=trial, cohort=cohort: group_of(trial, cohort, served.catalogue)  # type: ignore[misc]
        for trial in served.trials.values()
        for cohort in trial.cohorts
    }


def _by_url(name: str) -> Search:
    """Canonical resources are found by their url, which ends with their id."""
    start = f"{BASE}/{name}/"
    return lambda _, wanted: [url.partition("|")[0].removeprefix(start) for url in wanted if url.startswith(start)]


def _studies(served: Served, **wanted: tuple[str, ...]) -> list[str]:
    return [trial.id for trial in matching(served.trials.values(), served.catalogue, **wanted)]


def _register(served: Served, tokens: tuple[str, ...]) -> list[str]:
    values = {token.rpartition("|")[2] for token in tokens}
    return [
        t.id for t in served.trials.values() if t.id in values or (t.registry_url or "").rpartition("/")[2] in values
    ]


KINDS = (
    Kind(
        "ResearchStudy",
        TRIAL,
        lambda served: served.trials,
        lambda served, name: study_of(served.trials[name], served.catalogue),
        {
            "condition": lambda served, wanted: _studies(served, conditions=wanted),
            "status": lambda served, wanted: _studies(served, statuses=tuple(w.rpartition("|")[2] for w in wanted)),
            "identifier": _register,
        },
    ),
    Kind("Group", f"{TRIAL}.sle", _groups, lambda served, name: _groups(served)[name](), {}),
    Kind(
        "ValueSet",
        "platelets",
        lambda served: served.catalogue.concepts,
        lambda served, name: value_set_of(name, served.catalogue),
        {"url": _by_url("ValueSet"), "identifier": lambda _, wanted: [w.rpartition("|")[2] for w in wanted]},
    ),
    Kind(
        "CodeSystem",
        "verdict",
        lambda _: CODE_SYSTEMS,
        lambda served, name: code_system_of(name, served.catalogue),
        {"url": _by_url("CodeSystem")},
    ),
    Kind(
        "ConceptMap",
        CONCEPT_MAP,
        lambda _: (CONCEPT_MAP,),
        lambda served, _: concept_map_of(served.catalogue),
        {"url": _by_url("ConceptMap")},
    ),
    Kind(
        "OperationDefinition",
        MATCH_ID,
        lambda _: (MATCH_ID,),
        lambda _, __: match_operation(),
        {"url": _by_url("OperationDefinition")},
    ),
)


_ID_PARAMETER = {"name": "resource_id", "in": "path", "required": True}


def _add(kind: Kind) -> None:
    """The two addresses of a resource type: read one, search all."""

    async def read(request: Request) -> Response:
        served, resource_id = _served(request), str(request.path_params["resource_id"])
        if resource_id not in kind.ids(served):
            raise NotHere(f"There is no {kind.name} of this id.")
        return _fhir(kind.read(served, resource_id))

    async def search(request: Request) -> Response:
        served = _served(request)
        if served.are_many:
            return _fhir(await asyncio.to_thread(_find, kind, served, request))
        return _fhir(_find(kind, served, request))

    named = ", ".join(("_id", *kind.searches))
    router.add_api_route(
        f"/{kind.name}",
        search,
        methods=["GET"],
        summary=f"Search {kind.name}",
        description=f"Searched by {named}; a comma is *or*, a repeated parameter *and*. Pages by _count.",
        operation_id=f"fhir-search-{kind.name}",
    )
    router.add_api_route(
        f"/{kind.name}/{{resource_id}}",
        read,
        methods=["GET"],
        summary=f"Read one {kind.name}",
        operation_id=f"fhir-read-{kind.name}",
        openapi_extra={"parameters": [_ID_PARAMETER | {"schema": {"type": "string", "examples": [kind.example]}}]},
    )


@router.get("/metadata", summary="What this FHIR endpoint can do")
async def metadata(request: Request) -> Response:
    """The CapabilityStatement."""
    _served(request)
    searches = {kind.name: ("_id", *kind.searches) for kind in KINDS}
    return _fhir(capabilities(_base(request), searches))


for _kind in KINDS:
    _add(_kind)


def _fhir(content: object) -> Response:
    return Response(msgspec.json.encode(content), media_type=FHIR_TYPE)


def _served(request: Request) -> Served:
    """What is being served, for a caller who takes it in the form that there is."""
    asked = request.query_params.get("_format")
    # An unescaped "+" arrives as a space.
    if asked.replace(" ", "+") not in _FORMATS if asked else not takes_fhir(request.headers.get("accept", "")):
        raise NotAcceptable("FHIR is answered as application/fhir+json.")
    return services_of(request).definitions.now


def _base(request: Request) -> str:
    """The address of this endpoint, as callers see it."""
    return services_of(request).public_address(request).partition("/fhir/")[0] + "/fhir"


# -- search


def _find(kind: Kind, served: Served, request: Request) -> Json:
    """A searchset. Parameters that we do not know are left out of its self link, or refused where that is asked for."""
    used = [(name, value) for name, value in request.query_params.multi_items() if _is_known(name, kind)]
    if len(used) < len(request.query_params.multi_items()) and "handling=strict" in request.headers.get("prefer", ""):
        error: ServiceError = BadJson("A search parameter is not known; see metadata.")
        error.issue = "not-supported"
        raise error
    ids = list(kind.ids(served))
    for name, value in used:
        if not name.startswith("_") or name == "_id":
            wanted = tuple(part for part in value.split(",") if part)
            hits = set(wanted) if name == "_id" else set(kind.searches[name](served, wanted))
            ids = [each for each in ids if each in hits]
    return _page(kind, served, ids, dict(used), f"{_base(request)}/{kind.name}", used)


def _is_known(name: str, kind: Kind) -> bool:
    return name in ("_id", "_count", "_offset", "_format") or name in kind.searches


def _page(
    kind: Kind, served: Served, ids: Sequence[str], params: Mapping[str, str], own: str, used: list[tuple[str, str]]
) -> Json:
    count = min(_number(params.get("_count"), _PAGE), _PAGE)
    offset = _number(params.get("_offset"), 0)
    kept = [(name, value) for name, value in used if name != "_offset"]
    links = [{"relation": "self", "url": f"{own}?{urlencode(used)}" if used else own}]
    if count and offset + count < len(ids):
        links.append({"relation": "next", "url": f"{own}?{urlencode([*kept, ('_offset', str(offset + count))])}"})
    entries = [
        {"fullUrl": f"{own}/{each}", "resource": kind.read(served, each), "search": {"mode": "match"}}
        for each in ids[offset : offset + count]
    ]
    bundle = {"resourceType": "Bundle", "type": "searchset", "total": len(ids), "link": links}
    return bundle | ({"entry": entries} if entries else {})


def _number(text: str | None, default: int) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 7 else default


# -- the operation

_BODY = {
    "requestBody": {"required": True, "content": {FHIR_TYPE: {"schema": {"type": "object"}, "example": WHOLE_CHART}}}
}


@router.post("/ResearchStudy/$match", summary="Match one chart, answered as FHIR", openapi_extra=_BODY)
async def match_as_fhir(
    request: Request,
    as_of: Annotated[str | None, Query(alias="asOf", examples=[AS_OF])] = None,
    trial: Annotated[list[str] | None, Query(examples=[[TRIAL]])] = None,
) -> Response:
    """One patient's chart in: a Bundle, or Parameters with `chart` and `asOf`. A Bundle out: the List of candidates, a
    ResearchSubject for each, and a GuidanceResponse for each trial with what is missing."""
    services = services_of(request)
    audiences = {services.public_address(request)}
    verified = await services.authenticator.ehr(request.headers.getlist("authorization"), audiences, None)
    served = _served(request)
    zone = services.zone_of(verified.caller.ehr)
    trials = chosen(served, trial)
    body = await read_body(request, services.settings.max_match_bytes)
    check_whole(body)
    chart, asked = _taken_apart(body)
    asked = as_of if asked is None else asked
    moment = services.clock() if asked is None else moment_of(asked, zone)
    work = (chart, trials, services, moment, zone, _base(request))
    async with services.authenticator.one_use(verified, called(request), body) as caller:
        answer, patient = (
            await asyncio.to_thread(_match, *work) if len(body) > _BIG or len(trials) > MANY else _match(*work)
        )
        await audit_match(services, caller, patient, trials)
    return Response(answer, media_type=FHIR_TYPE)


class _Parameter(msgspec.Struct):
    name: str | None = None
    resource: msgspec.Raw = msgspec.Raw(b"")
    valueDate: str | None = None
    valueDateTime: str | None = None
    valueInstant: str | None = None


class _Body(msgspec.Struct):
    resourceType: str | None = None
    parameter: list[_Parameter] = []


def _taken_apart(body: bytes) -> tuple[bytes, str | None]:
    """The chart's Bundle, and `asOf` where Parameters have one."""
    try:
        given = msgspec.json.decode(body, type=_Body)
    except msgspec.ValidationError:
        return body, None  # the reader of charts says what is wrong with it
    if given.resourceType != "Parameters":
        return body, None
    chart = next((bytes(p.resource) for p in given.parameter if p.name == "chart" and bytes(p.resource)), None)
    if chart is None:
        raise Unusable("Parameters need a parameter chart with a Bundle as its resource.", "Parameters.parameter")
    moments = (p.valueDate or p.valueDateTime or p.valueInstant for p in given.parameter if p.name == "asOf")
    return chart, next(moments, None)


def _match(
    body: bytes, trials: Sequence[Trial], services: Services, moment: datetime, zone: tzinfo, base: str
) -> tuple[bytes, str]:
    """The answer, and whose it is."""
    served = services.definitions.now
    builder = ChartBuilder(None)
    try:
        builder.add(body, None)
        builder.whole_chart()
        chart = builder.build()
    except ChartError as error:
        raise Unusable(error.message) from None
    found = judge(chart, served, Clock(moment, zone), services.site, trials=trials).found
    ranked = replace(found, trials=tuple(sorted(found.trials, key=lambda trial: trial.verdict.rank)))
    return msgspec.json.encode(bundle_of(ranked, served.catalogue, base, str(uuid.uuid4()))), found.patient

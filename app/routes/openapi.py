"""What the API documentation says beyond the routes: groups, bodies and answers of real size, every error in its form.

The bodies are a demo patient, dated so that they run today. The answers are what the service gives to them.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, date, datetime, time
from functools import lru_cache
from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from app.definitions.served import Served
from app.demo.charts import Json, demo_patients
from app.errors import (
    BadJson,
    ChartUnavailable,
    NotAllowed,
    NotAuthenticated,
    NotHere,
    ServiceError,
    TooLarge,
    TooSlow,
    Unavailable,
    Unusable,
    WrongMediaType,
    error_response,
    speaks_fhir,
)
from app.judge import Site, judge
from app.web.examples import AS_OF, FEEDBACK_SUMMARY, TRIAL, context_of
from cds_hooks.cards.trial_cards import cards_for, response
from cds_hooks.protocol.services import CHART, OFFERS, Offer
from cds_hooks.report import report_of
from mappings.chart.chart import ChartBuilder
from mappings.time.clock import Clock
from trial_defs.engine.findings import Match

PATIENT = "demo-lupus-nephritis"
_WORDS = """
Hold a patient's chart against clinical trials, and answer with cards.

Every example runs as it stands: open an operation and press *Execute*. The patient is invented. How an EHR is
connected (prefetch, tokens, checklists) is on the page [Connect an EHR](/docs/connect).
"""
_TAGS = (
    ("CDS Hooks", "What an EHR calls: discovery, one address for each hook, and feedback on the cards."),
    ("API", "For scripts: the trials served, and the match of one chart."),
    ("FHIR", "The trials as FHIR resources, and the match as an operation."),
    ("Health", "For whoever runs the service."),
)


def described(app: FastAPI, served: Served, today: date) -> dict[str, Any]:
    """The OpenAPI document of the application, with examples as of `today`."""
    document = get_openapi(
        title=app.title, version=app.version, description=_WORDS, routes=app.routes, openapi_version="3.1.0"
    )
    document["tags"] = [{"name": name, "description": words} for name, words in _TAGS]
    components = document.setdefault("components", {})
    components["schemas"] = {"Problem": _PROBLEM, "OperationOutcome": _OUTCOME}
    components["securitySchemes"] = {
        "ehr": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "The token of an EHR."},
        "operator": {
            "type": "http",
            "scheme": "bearer",
            "description": "The token of an operator; whoever is logged in needs none.",
        },
    }
    for path, operations in document["paths"].items():
        for operation in operations.values():
            _add_errors(path, operation)
            _fill_in(operation)
    _add_examples(document["paths"], served, today)
    return document


# -- examples ---------------------------------------------------------------------------------------------------------


def _add_examples(paths: dict[str, Any], served: Served, today: date) -> None:
    """Bodies of real size in the place of the short ones, and what is answered to them."""
    for offer in OFFERS:
        operation = paths[f"/cds-services/{offer.id}"]["post"]
        _set_body(operation, hook_example(offer, today))
        if not offer.is_about_orders:
            _set_answer(operation, msgspec.json.decode(_cards(served, today)))
    operation = paths["/api/v1/match"]["post"]
    as_of = date.fromisoformat(AS_OF)
    _set_body(operation, chart_example(as_of))
    _set_answer(operation, _report(served, as_of))
    _set_answer(paths["/api/v1/feedback/summary"]["get"], FEEDBACK_SUMMARY)


def _fill_in(operation: Json) -> None:
    """Give each parameter its own example: the page fills in a field of a path from there only."""
    for parameter in operation.get("parameters", ()):
        parameter["example"] = (parameter.get("examples") or parameter["schema"]["examples"])[0]


def _set_body(operation: dict[str, Any], example: Json) -> None:
    for described_body in operation["requestBody"]["content"].values():
        described_body["example"] = example


def _set_answer(operation: dict[str, Any], example: Json) -> None:
    operation["responses"]["200"]["content"] = {"application/json": {"example": example}}


@lru_cache(maxsize=4)
def _resources(today: date) -> tuple[Json, ...]:
    """The demo patient's chart without earlier results, which would make the page slow and show nothing new."""
    chart = next(patient.resources for patient in demo_patients(today) if patient.id == PATIENT)
    newest: dict[str, Json] = {}
    for resource in chart:
        # A result stands before the earlier ones of the same test.
        newest.setdefault(f"{resource['resourceType']} {resource.get('code', resource['id'])}", resource)
    return tuple(newest.values())


def chart_example(today: date) -> Json:
    """The whole chart as one Bundle."""
    return {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": r} for r in _resources(today)]}


def hook_example(offer: Offer, today: date) -> Json:
    """A call of a service with the whole chart prefetched; `null` says that the EHR looked and found nothing."""
    by_type: dict[str, list[Json]] = defaultdict(list)
    for resource in _resources(today):
        by_type[resource["resourceType"]].append(resource)
    prefetch: Json = {part.key: _searchset(by_type[part.resource_type]) for part in CHART}
    prefetch["patient"] = by_type["Patient"][0]
    context = {"userId": "Practitioner/example", "patientId": PATIENT}
    orders = msgspec.json.encode(context_of(offer.hook)).replace(
        b"Patient/example-patient", f"Patient/{PATIENT}".encode()
    )
    return {
        "hook": offer.hook,
        "hookInstance": "1f0c2a34-5f5e-4b6f-9d3a-2b8f6c1d7e90",
        "context": context | msgspec.json.decode(orders),
        "prefetch": prefetch,
    }


def _searchset(resources: list[Json]) -> Json | None:
    if not resources:
        return None
    entries = [{"resource": resource} for resource in resources]
    return {"resourceType": "Bundle", "type": "searchset", "total": len(resources), "entry": entries}


def _match(served: Served, today: date, trial: str | None = None) -> Match:
    builder = ChartBuilder(None)
    builder.add(msgspec.json.encode(chart_example(today)), None)
    builder.whole_chart()
    trials = [each for name, each in served.trials.items() if trial in (None, name)]
    at = Clock(datetime.combine(today, time(), UTC), UTC)
    return judge(builder.build(), served, at, Site(), trials=trials).found


def _cards(served: Served, today: date) -> bytes:
    """The first card as it is answered, without the extension, which repeats the report."""
    found = _match(served, today)
    numbers = iter(range(1, 10_000))
    cards = cards_for(
        found,
        served.catalogue,
        new_uuid=lambda: f"00000000-0000-4000-8000-{next(numbers):012}",
        most=1,
        match_extension=False,
    )
    return response(cards)


def _report(served: Served, as_of: date) -> Json:
    return report_of(_match(served, as_of, TRIAL), "0e2f6d8c-2f0a-4a57-8a55-9a3f1f6f1f3d", served.catalogue)


# -- errors -----------------------------------------------------------------------------------------------------------

_OPERATOR_PATHS = ("/metrics", "/api/v1/feedback/summary")
_ERRORS: tuple[tuple[ServiceError, str], ...] = (
    (BadJson("The body is not valid JSON."), "The body is not JSON as everyone reads it."),
    (NotAuthenticated(), "No valid credentials."),
    (NotAllowed("This EHR may not call this service."), "A known EHR that may not call this service."),
    (NotHere("There is nothing at this address."), "There is nothing of this name."),
    (TooSlow("The body did not arrive in time."), "The body did not arrive in time."),
    (
        ChartUnavailable(
            "The Patient could not be read, neither from the prefetch (patient) nor from the FHIR server."
        ),
        "What the answer needs could not be read from the EHR.",
    ),
    (TooLarge("The body is larger than 16 MiB."), "The body is over the limit."),
    (WrongMediaType("The body is sent as application/json."), "The body is not sent as plain JSON."),
    (
        Unusable("Each trial is the id of a trial that is served; see /api/v1/trials.", "trial"),
        "JSON, but not what this address takes; the error names the place.",
    ),
    (Unavailable("The database cannot be reached."), "Not available now; Retry-After says when to try again."),
)


def _add_errors(path: str, operation: dict[str, Any]) -> None:
    """The errors that an operation may answer with, each with an example in its own form."""
    operation["responses"].pop("422", None)
    for error, meaning in _ERRORS:
        if error.status in _statuses(path, operation):
            answer = error_response(path, error)
            schema = "OperationOutcome" if speaks_fhir(path) else "Problem"
            content = {
                str(answer.media_type): {
                    "schema": {"$ref": f"#/components/schemas/{schema}"},
                    "example": msgspec.json.decode(bytes(answer.body)),
                }
            }
            operation["responses"][str(error.status)] = {"description": meaning, "content": content}


def _statuses(path: str, operation: dict[str, Any]) -> set[int]:
    statuses = {404} if "{" in path else set()
    if "requestBody" in operation:
        operation["security"] = [{"ehr": []}]
        statuses |= {400, 401, 408, 413, 415, 422, 503}
        if path.startswith("/cds-services"):
            statuses |= {403} if path.endswith("/feedback") else {403, 412}
    if path in _OPERATOR_PATHS:
        operation["security"] = [{"operator": []}]
        statuses |= {401}
    return statuses


_PROBLEM = {
    "type": "object",
    "description": "RFC 9457 problem document",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "place": {"type": "string"},
    },
    "required": ["type", "title", "status", "detail"],
}
_OUTCOME = {
    "type": "object",
    "description": "FHIR R4 OperationOutcome",
    "properties": {
        "resourceType": {"const": "OperationOutcome"},
        "issue": {"type": "array", "items": {"type": "object"}},
    },
    "required": ["resourceType", "issue"],
}

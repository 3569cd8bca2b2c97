"""The fault matrix: every resource type of the chart, against every way in which an EHR's FHIR server fails.

Whatever fails: never a 5xx, never a chart that looks as if there were nothing in it, never later than the deadline,
and a card that says what was not read.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.calls.complete_chart import MOST_PAGES
from app.definitions.served import Definitions
from app.web.examples import PATIENT, WHOLE_CHART, hook_call
from cds_hooks.cards.trial_cards import topic_code
from cds_hooks.protocol.services import CHART
from mappings.resource_types import BY_NAME
from tests import fhir_server
from tests.app.conftest import demo_settings, services_with, serving
from tests.cds_hooks.oracle import check_response
from tests.fhir_server import FhirServer, Resource, a_drug_by_reference, body, page, status
from trial_defs.definition.expressions import Expression, Treatment, leaves_of

SERVICE = "/cds-services/trial-match-patient-view"
TOKEN = "canary-token"
DEADLINE = 2.0
RESOURCES: list[Resource] = [entry["resource"] for entry in WHOLE_CHART["entry"]]
# What a pharmacy dispensed only adds evidence: without it nothing is presumed that was not, and no card speaks of it.
OPTIONAL = [p.resource_type for p in CHART if not p.required and BY_NAME[p.resource_type].read_as != "drug-supply"]

ERROR = {"severity": "error", "code": "exception", "details": {"text": "canary-outcome"}}
OUTCOME: Resource = {"resourceType": "OperationOutcome", "issue": [ERROR]}
EMPTY: Resource = {"resourceType": "Bundle", "type": "searchset"}


def foreign_next(address: str) -> fhir_server.Fault:
    return page(EMPTY | {"link": [{"relation": "next", "url": address}]})


FAULTS: Mapping[str, fhir_server.Fault] = {
    "401": status(401),
    "403": status(403),
    "404": status(404),
    "429 with Retry-After": status(429, Retry_After="30"),
    "500": status(500),
    "503": status(503),
    "a redirect": status(302, Location="http://127.0.0.1:9/fhir"),
    "reset": fhir_server.reset,
    "truncated": fhir_server.truncated,
    "HTML": body(b"<html>Please log in</html>", "text/html"),
    "wrong type": page({"resourceType": "Organization", "id": "canary"}),
    "a null": body(b"[null]"),
    "slow head": fhir_server.silent,
    "slow body": fhir_server.drip,
    "endless paging": fhir_server.endless,
    "foreign next": foreign_next(f"http://127.0.0.1:9/fhir/Observation?patient={PATIENT}"),
    "an outcome alone": page(OUTCOME),
    "an outcome among the entries": page(EMPTY | {"entry": [{"resource": OUTCOME, "search": {"mode": "outcome"}}]}),
    "a total that was not given": page(EMPTY | {"total": 300}),
    "a compressed answer": fhir_server.compressed,
    "another charset": body(json.dumps(EMPTY).encode("utf-16"), "application/fhir+json; charset=utf-16"),
}


@pytest.fixture
async def client(tmp_path: Path, definitions: Definitions) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(services_with(demo_settings(tmp_path, deadline=DEADLINE), definitions)) as client:
        yield client


def call(base: str) -> dict[str, Any]:
    authorization = {"access_token": TOKEN, "token_type": "Bearer", "expires_in": 300, "scope": "patient/*.read"}
    return hook_call("patient-view") | {"prefetch": {}, "fhirServer": base, "fhirAuthorization": authorization}


async def answered(
    client: httpx.AsyncClient, resource_type: str, fault: fhir_server.Fault | None
) -> tuple[httpx.Response, float, int]:
    """The answer when this type fails so, how long it took, and how often the EHR was asked."""
    async with FhirServer(RESOURCES) as server:
        if fault:
            server.faults[resource_type] = fault
        started = time.monotonic()
        answer = await client.post(SERVICE, json=call(server.base))
        return answer, time.monotonic() - started, len(server.requests)


Criteria = dict[tuple[str, str, str], dict[str, Any]]


def criteria(answer: httpx.Response) -> Criteria:
    return {
        (card["source"]["topic"]["code"], cohort["cohort"], criterion["id"]): criterion
        for card in answer.json()["cards"]
        for cohort in card.get("extension", {}).get("org.trialcards.match", {}).get("cohorts", ())
        for criterion in cohort["criteria"]
    }


def presumed_without(resource_type: str, definitions: Definitions) -> frozenset[tuple[str, str, str]]:
    """The criteria that presume an absence only of what would be recorded in this type, too."""
    served = definitions.now
    return frozenset(
        (topic_code(trial.id), cohort.id, criterion.id)
        for trial in served.trials.values()
        for cohort in trial.cohorts
        for criterion in cohort.criteria
        if (concepts := [concept for leaf in leaves_of(criterion.asks) for concept in _presumed(leaf)])
        and all(resource_type in served.catalogue.where(concept) for concept in concepts)
    )


def _presumed(leaf: Expression) -> tuple[str, ...]:
    if getattr(leaf, "absent", None) != "presume":
        return ()
    return leaf.concepts if isinstance(leaf, Treatment) else (str(getattr(leaf, "concept", "")),)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_a_part_that_fails_is_said_and_is_never_read_as_absence(
    client: httpx.AsyncClient, definitions: Definitions, fault: fhir_server.Fault
) -> None:
    whole = criteria((await answered(client, "", None))[0])
    answers = await asyncio.gather(*(answered(client, each, fault) for each in OPTIONAL))
    for resource_type, (answer, seconds, asked) in zip(OPTIONAL, answers, strict=True):
        assert answer.status_code == 200, (resource_type, answer.text)
        assert seconds < DEADLINE + 1.5, resource_type
        assert asked < 40 + MOST_PAGES, resource_type
        check_response(answer.json(), f"Patient/{PATIENT}")
        assert "canary" not in answer.text, resource_type
        cards = [card for card in answer.json()["cards"] if card["source"]["topic"]["code"] != "MORETRIALS"]
        assert cards, resource_type
        for card in cards:
            assert BY_NAME[resource_type].words in card["detail"].partition("Not read")[2].partition("\n")[0], (
                resource_type
            )
        _holds_no_absence(criteria(answer), whole, presumed_without(resource_type, definitions), resource_type)


def _holds_no_absence(
    found: Criteria, whole: Criteria, open_now: frozenset[tuple[str, str, str]], resource_type: str
) -> None:
    for place, criterion in found.items():
        if place in open_now:
            assert criterion["basis"] != "presumed", (resource_type, place)
        # What is settled without the part is settled alike with it.
        if place in whole and criterion["outcome"] in ("met", "not-met", "not-applicable"):
            assert criterion["outcome"] == whole[place]["outcome"], (resource_type, place)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_without_the_patient_or_the_diagnoses_the_answer_is_412_and_no_empty_list(
    client: httpx.AsyncClient, fault: fhir_server.Fault
) -> None:
    answers = await asyncio.gather(*(answered(client, each, fault) for each in ("Patient", "Condition")))
    for answer, seconds, _ in answers:
        assert answer.status_code == 412, answer.text
        assert answer.json()["resourceType"] == "OperationOutcome"
        assert "canary" not in answer.text
        assert seconds < DEADLINE + 1.5


PASSING = {
    "429 with a short Retry-After": status(429, times=1, Retry_After="0"),
    "503 once": status(503, times=1),
    "reset once": fhir_server.once(fhir_server.reset),
}


@pytest.mark.parametrize("name", PASSING)
async def test_a_passing_fault_is_tried_once_more_and_leaves_no_trace(client: httpx.AsyncClient, name: str) -> None:
    whole = criteria((await answered(client, "", None))[0])
    answer, _, _ = await answered(client, "Observation", PASSING[name])
    assert criteria(answer) == whole


@pytest.mark.parametrize("name", ["404", "500", "reset", "HTML", "slow body", "wrong type"])
async def test_a_drug_whose_name_could_not_be_read_is_never_no_drug(
    client: httpx.AsyncClient, definitions: Definitions, name: str
) -> None:
    request = a_drug_by_reference(PATIENT)
    async with FhirServer([*RESOURCES, request]) as server:
        server.faults["Medication"] = FAULTS[name]
        answer = await client.post(SERVICE, json=call(server.base))
    assert answer.status_code == 200
    found, open_now = criteria(answer), presumed_without("MedicationRequest", definitions)
    assert open_now & found.keys()
    assert all(found[place]["basis"] != "presumed" for place in open_now & found.keys())


async def test_an_ehr_that_is_gone_altogether_is_412_at_once(client: httpx.AsyncClient) -> None:
    started = time.monotonic()
    answer = await client.post(SERVICE, json=call("http://127.0.0.1:9/fhir"))
    assert answer.status_code == 412
    assert time.monotonic() - started < DEADLINE

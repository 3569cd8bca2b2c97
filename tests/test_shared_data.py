"""Charts and hook calls that others wrote, many not conformant: each is answered, none breaks the service."""

from __future__ import annotations

import json
import random
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import UTC
from itertools import cycle
from pathlib import Path
from typing import Any

import httpx
import pytest

from cds_hooks.cards.trial_cards import cards_for, response
from cds_hooks.protocol.services import OFFERS
from cds_hooks.report import report_of
from docs.mapped import AS_OF, chart_files, tally_of
from mappings.chart.chart import ChartBuilder, ChartError
from mappings.concepts.catalogue import Catalogue
from tests.app.conftest import demo_settings, services_with, serving
from tests.cds_hooks.oracle import check_response
from tests.conftest import SHARED
from tests.server import demo_server
from tests.strangers.charts import as_if_ill, hook_call, whole_charts
from trial_defs.definition.expressions import Trial
from trial_defs.engine.evaluation import match

CHARTS, CALLS = SHARED / "patients", SHARED / "cds-requests"
MATCH = "/api/v1/match?asOf=2026-12-01"
EXPLAINED = {
    "unit-unconvertible", "implausible", "imprecise", "future", "no-value", "cancelled", "by name only",
}  # fmt: skip
JSON = {"content-type": "application/json"}
Json = dict[str, Any]

with_charts = pytest.mark.skipif(not CHARTS.is_dir(), reason="../shared/patients is not there")
with_calls = pytest.mark.skipif(not CALLS.is_dir(), reason="../shared/cds-requests is not there")


# What an answer must look like, whatever was asked


def check_report(report: Json) -> None:
    assert set(report) == {"id", "patient", "approachable", "asOf", "engine", "sources", "trials"}
    for trial in report["trials"]:
        for cohort in trial["cohorts"]:
            outcomes = Counter(criterion["outcome"] for criterion in cohort["criteria"])
            counts = cohort["counts"]
            assert outcomes["not-met"] == counts["notMet"]
            assert sum(outcomes.values()) == sum(counts.values())
            assert cohort["verdict"] != "not-indicated" or not cohort["criteria"]
            assert cohort["verdict"] != "likely-eligible" or not outcomes["not-met"] + outcomes["unknown"]
            assert all((c["outcome"] == "unknown") == (c["reason"] is not None) for c in cohort["criteria"])


def check_problem(answer: httpx.Response) -> None:
    assert answer.status_code in (400, 422), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == answer.status_code
    assert problem["detail"]


def check_hook_answer(answer: httpx.Response, patient: str | None) -> int:
    """The number of cards of a good answer; a refusal is an OperationOutcome."""
    if answer.status_code == 200:
        check_response(answer.json(), patient)
        return len(answer.json()["cards"])
    assert answer.status_code in (400, 404, 412, 422), answer.text
    outcome = answer.json()
    assert outcome["resourceType"] == "OperationOutcome"
    assert all(issue["diagnostics"] for issue in outcome["issue"])
    return 0


# Calls of others


def calls_as_sent() -> Iterator[tuple[Path, bytes]]:
    for path in sorted(CALLS.glob("*.json")):
        yield path, path.read_bytes()


# The mapper


@with_charts
def test_every_chart_can_be_matched_or_is_said_not_to_be_one(catalogue: Catalogue, trials: Mapping[str, Trial]) -> None:
    answers: Counter[str] = Counter()
    for _, raw in chart_files(CHARTS):
        builder = ChartBuilder(None)
        try:
            builder.add(raw, None)
            builder.whole_chart()
            found = match(trials.values(), builder.build(), catalogue, AS_OF, UTC)
        except ChartError as error:
            answers[error.code] += 1
            continue
        answers["matched"] += 1
        check_report(report_of(found, "report", catalogue))
        cards = cards_for(found, catalogue, new_uuid=lambda: str(uuid.uuid4()))
        check_response(json.loads(response(cards)), found.patient)
    assert answers["matched"] > 500
    assert set(answers) == {"matched", "no-patient", "several-patients", "none-assigned"}


@with_charts
def test_every_criterion_can_be_asked_of_every_fifth_chart(catalogue: Catalogue, trials: Mapping[str, Trial]) -> None:
    with_cards = 0
    for path, chart in list(whole_charts(CHARTS))[::5]:
        builder = ChartBuilder(None)
        builder.add(json.dumps(as_if_ill(chart)).encode(), None)
        builder.whole_chart()
        found = match(trials.values(), builder.build(), catalogue, AS_OF, UTC)
        assert all(cohort.findings for trial in found.trials for cohort in trial.cohorts), path
        check_report(report_of(found, "report", catalogue))
        cards = cards_for(found, catalogue, new_uuid=lambda: str(uuid.uuid4()))
        check_response(json.loads(response(cards)), found.patient)
        with_cards += bool(cards)
    assert with_cards > 30


@with_charts
def test_every_observation_with_a_known_code_is_mapped_or_refused_for_a_reason(catalogue: Catalogue) -> None:
    tally = tally_of(chart_files(CHARTS), catalogue, CHARTS)
    mapped = sum(concept.read["observation"] for concept in tally.concepts.values())
    refused = Counter[str]()
    for concept in tally.concepts.values():
        refused += concept.refused
    assert mapped + refused.total() - refused["by name only"] >= tally.known_observations
    assert set(refused) <= EXPLAINED, "a new kind of refusal: look at it, and explain it in docs/mapped.md"
    assert refused["unit-unconvertible"] < 60


# Over HTTP


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(services_with(demo_settings(tmp_path))) as client:
        yield client


@with_charts
async def test_every_file_posted_as_it_is_gets_a_report_or_a_problem(client: httpx.AsyncClient) -> None:
    statuses: Counter[int] = Counter()
    for path in sorted(CHARTS.rglob("*.json")):
        answer = await client.post(MATCH, content=path.read_bytes(), headers=JSON)
        statuses[answer.status_code] += 1
        if answer.status_code == 200:
            check_report(answer.json())
        else:
            check_problem(answer)
    assert statuses[200] > 100
    assert statuses[422] > 100


HOSTILE: list[Any] = [
    None, [], {}, "", 0, -1, 1e308, True, [None], [[]], {"a": 1}, "x" * 500, "\x00", "9999-12-31", "0001-01-01",
    "2026-13-45", "NaN", 10**30, "<script>", {"value": None}, {"coding": [None]}, {"resourceType": "Patient"},
]  # fmt: skip


def places_in(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield (*path, key)
        yield from places_in(item, (*path, key))


def damaged(chart: Json, chance: random.Random) -> Json:
    """The chart with a few members replaced by what no one should send."""
    content: Json = json.loads(json.dumps(chart))
    for _ in range(4):
        *way, last = chance.choice(list(places_in(content)))
        holder: Any = content
        for key in way:
            holder = holder[key]
        holder[last] = json.loads(json.dumps(chance.choice(HOSTILE)))
    return content


@with_charts
async def test_a_chart_damaged_anywhere_gets_a_report_or_a_problem(client: httpx.AsyncClient) -> None:
    chance = random.Random(7)
    charts = [chart for _, chart in whole_charts(CHARTS) if len(chart["entry"]) < 100]
    statuses: Counter[int] = Counter()
    for chart in chance.sample(charts, 80):
        answer = await client.post(MATCH, content=json.dumps(damaged(as_if_ill(chart), chance)), headers=JSON)
        statuses[answer.status_code] += 1
        if answer.status_code == 200:
            check_report(answer.json())
        else:
            check_problem(answer)
    assert set(statuses) == {200, 422}


@with_charts
async def test_every_chart_sent_by_a_hook_gets_an_answer_with_valid_cards(client: httpx.AsyncClient) -> None:
    cards = 0
    for index, ((_, chart), offer) in enumerate(zip(whole_charts(CHARTS), cycle(OFFERS), strict=False)):
        call = hook_call(chart if index % 15 else as_if_ill(chart), offer)
        answer = await client.post(f"/cds-services/{offer.id}", json=call)
        cards += check_hook_answer(answer, f"Patient/{call['context']['patientId']}")
    assert cards > 0


@with_calls
async def test_every_call_written_by_others_is_answered_by_every_service(client: httpx.AsyncClient) -> None:
    answered = 0
    for _, body in calls_as_sent():
        hook = json.loads(body).get("hook", "none")
        for service in (*(offer.id for offer in OFFERS), hook):
            answer = await client.post(f"/cds-services/{service}", content=body, headers=JSON)
            check_hook_answer(answer, None)
            answered += 1
    assert answered > 80


@with_calls
async def test_every_call_written_by_others_is_answered_when_it_names_our_hook(client: httpx.AsyncClient) -> None:
    """Whatever its prefetch holds, under keys of its own."""
    context = {"userId": "Practitioner/p1", "patientId": "p1", "encounterId": "e1"}
    for _, body in calls_as_sent():
        call = json.loads(body)
        for offer in OFFERS:
            ours = {"hook": offer.hook, "context": context | call.get("context", {}), "fhirServer": None}
            answer = await client.post(f"/cds-services/{offer.id}", json=call | ours)
            check_hook_answer(answer, None)


@with_charts
@with_calls
def test_a_real_server_answers_a_sample_of_everything(tmp_path: Path) -> None:
    folders = sorted(folder for folder in CHARTS.iterdir() if folder.is_dir())
    sample = [path for folder in folders for path in sorted(folder.rglob("*.json"))[:3]]
    with demo_server(tmp_path) as server, httpx.Client(base_url=server.base, trust_env=False) as client:
        for path in sample:
            assert client.post(MATCH, content=path.read_bytes(), headers=JSON).status_code in (200, 400, 422)
        for _, body in list(calls_as_sent())[::4]:
            check_hook_answer(client.post(f"/cds-services/{OFFERS[0].id}", content=body, headers=JSON), None)
        assert server.interrupt() == 0
    assert "unexpected error" not in server.output.read_text("utf-8")

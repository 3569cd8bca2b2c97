"""A terminology server at the wire: what is asked of it, what it adds, and that nothing depends on its being there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.definitions.served import Definitions
from app.definitions.terminology import ASK_AGAIN, SNOMED, TRY_AGAIN, Terminology, TerminologyError, added, expand
from app.outbound import Outbound
from app.settings import SettingsError, read_settings
from app.storage.records import Records
from app.web.examples import WHOLE_CHART
from mappings.concepts.catalogue import Catalogue, load_catalogue
from mappings.concepts.vocabulary import OUR_CONCEPTS
from tests.app.conftest import demo_settings, services_with, serving
from tests.terminology_server import TerminologyServer

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
LUPUS = "55464009"  # systemic lupus erythematosus
BELOW = "9990001"  # made up: no code of SNOMED CT, as no release may be shipped in tests
DEEPER = "9990002"


@pytest.fixture
async def outbound() -> AsyncIterator[Outbound]:
    found = Outbound()
    yield found
    await found.close()


@pytest.fixture(scope="module")
def concepts() -> Catalogue:
    return load_catalogue([OUR_CONCEPTS])


Worker = Callable[[TerminologyServer], Terminology]


@pytest.fixture
def worker_of(outbound: Outbound, records: Records) -> Iterator[Worker]:
    made: list[Terminology] = []

    def worker(server: TerminologyServer) -> Terminology:
        made.append(Terminology.of(server.base, outbound, records, private_network=True))
        return made[-1]

    yield worker
    for each in made:
        each.close()


async def test_codes_below_those_of_a_concept_stand_for_it_and_are_in_the_hash(worker_of: Worker) -> None:
    definitions = Definitions()
    before = definitions.now.catalogue
    with TerminologyServer({LUPUS: [BELOW], BELOW: [DEEPER]}) as server:
        terminology = worker_of(server)
        assert await terminology.refresh(definitions, NOW)
        assert await terminology.take(definitions)
        assert not await terminology.take(definitions)
    assert await definitions.reload_if_changed()
    after = definitions.now.catalogue
    assert before.find(SNOMED, DEEPER) == ()
    assert after.find(SNOMED, DEEPER)[0] == "systemic-lupus-erythematosus"
    assert after.hash != before.hash
    assert after.hash in definitions.now.texts  # so that a replay finds the concepts as they were
    assert definitions.now.problems == ()
    assert {asked["path"] for asked in server.asked} == {"/fhir/ValueSet/$expand"}
    assert await terminology.age(NOW + timedelta(hours=3)) == timedelta(hours=3)


async def test_a_running_service_reads_the_expansion_and_names_it_in_its_reports(tmp_path: Path) -> None:
    with TerminologyServer({LUPUS: [BELOW]}) as server:
        given = demo_settings(tmp_path, terminology=server.base, terminology_private_network=True)
        services = services_with(given)
        before = services.definitions.now.catalogue.hash
        async with serving(services) as client:
            for _ in range(300):
                if services.definitions.now.catalogue.hash != before:
                    break
                await asyncio.sleep(0.2)
            answer = await client.post("/api/v1/match", json=WHOLE_CHART)
    assert services.definitions.now.catalogue.find(SNOMED, BELOW)
    assert answer.json()["engine"]["concepts"] == services.definitions.now.catalogue.hash


async def test_all_workers_share_one_expansion(worker_of: Worker) -> None:
    definitions = Definitions()
    with TerminologyServer({LUPUS: [BELOW]}) as server:
        workers = [worker_of(server) for _ in range(3)]
        asked = await asyncio.gather(*(worker.refresh(definitions, NOW) for worker in workers), return_exceptions=True)
        first = len(server.asked)
        assert [answer for answer in asked if answer is True] == [True]
        assert not any([await worker.refresh(definitions, NOW + ASK_AGAIN / 2) for worker in workers])
        assert len(server.asked) == first
        for worker in workers:
            own = Definitions()
            assert await worker.take(own)
            assert own.now.catalogue.find(SNOMED, BELOW)[0] == "systemic-lupus-erythematosus"


async def test_the_last_expansion_holds_while_the_server_is_away(worker_of: Worker) -> None:
    definitions = Definitions()
    with TerminologyServer({LUPUS: [BELOW]}) as server:
        assert await worker_of(server).refresh(definitions, NOW)
    later = NOW + ASK_AGAIN
    worker = worker_of(server)
    assert not await worker.refresh(definitions, later)
    assert await worker.take(definitions)
    assert definitions.now.catalogue.find(SNOMED, BELOW)
    assert await worker.age(later) == ASK_AGAIN


async def test_a_question_without_an_answer_is_asked_again_only_later(worker_of: Worker) -> None:
    definitions = Definitions()
    with TerminologyServer() as server:
        server.answer = (503, b"")
        terminology = worker_of(server)
        assert not await terminology.refresh(definitions, NOW)
        assert not await terminology.refresh(definitions, NOW + TRY_AGAIN / 2)
        assert len(server.asked) == 1
        assert not await terminology.take(definitions)
        assert await terminology.age(NOW) is None
        server.answer = None
        assert await terminology.refresh(definitions, NOW + TRY_AGAIN)


async def test_long_expansions_are_read_page_by_page(outbound: Outbound, concepts: Catalogue) -> None:
    many = [f"99{number:06}" for number in range(2500)]
    with TerminologyServer({LUPUS: many}, page=700) as server:
        found = await expand(outbound.private, server.base, concepts)
    assert set(many) < set(found["systemic-lupus-erythematosus"])


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (500, b"", "answered 500"),
        (302, b"", "answered 302"),
        (200, b"<html>", "its answer cannot be read"),
        (200, b"[1]", "its answer is no expansion"),
        (200, b'{"resourceType": "OperationOutcome"}', "its answer is no expansion"),
        (200, b'{"expansion": {"total": 5, "contains": []}}', "an expansion is not complete"),
        (200, b'{"expansion": {"total": 90000000, "contains": [%s]}}', "an expansion has too many codes"),
    ],
)
async def test_an_answer_that_cannot_be_used_is_named_and_nothing_is_taken_in_part(
    outbound: Outbound, concepts: Catalogue, status: int, body: bytes, message: str
) -> None:
    one = b'{"system": "http://snomed.info/sct", "code": "1"}'
    with TerminologyServer() as server:
        server.answer = (status, body.replace(b"%s", b", ".join([one] * 50_000)))
        server.headers = {"Location": "http://127.0.0.1:1/elsewhere"}
        with pytest.raises(TerminologyError, match=f"^{message}$"):
            await expand(outbound.private, server.base, concepts)
    assert len(server.asked) == 1


async def test_a_private_address_is_asked_only_where_it_is_configured_as_private(
    outbound: Outbound, concepts: Catalogue
) -> None:
    with TerminologyServer() as server, pytest.raises(TerminologyError, match="does not answer"):
        await expand(outbound.to(private_network=False), server.base, concepts)
    assert server.asked == []


def test_a_code_below_two_unrelated_concepts_or_left_out_on_purpose_is_nobodys(concepts: Catalogue) -> None:
    codes = {
        "systemic-lupus-erythematosus": [BELOW, LUPUS, "9990003", "9990005"],
        "lupus-nephritis": ["9990003"],
        "autoimmune-disease": ["9990003"],
        "epilepsy": ["9990005"],
        "dialysis": ["161693006"],  # "history of renal dialysis": a look-alike of the concept
        "no-such-concept": ["9990006"],
    }
    assert added(codes, concepts) == {"systemic-lupus-erythematosus": [BELOW], "lupus-nephritis": ["9990003"]}


def test_without_a_server_nothing_is_asked(outbound: Outbound, records: Records) -> None:
    terminology = Terminology.of(None, outbound, records, private_network=False)
    definitions = Definitions()
    assert asyncio.run(terminology.refresh(definitions, NOW)) is False
    assert asyncio.run(terminology.take(definitions)) is False


@pytest.mark.parametrize("address", ["http://tx.example/fhir", "tx.example", "https://tx.example/fhir?x=1"])
def test_an_address_that_is_not_https_is_refused(address: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRIALCARDS_TERMINOLOGY", address)
    with pytest.raises(SettingsError, match="TRIALCARDS_TERMINOLOGY: is an address that starts with https://"):
        read_settings("demo")

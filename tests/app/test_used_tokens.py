"""A token that was spent on a 503 is good for the same call again, and for nothing else."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from app.definitions.served import Definitions
from app.errors import Unavailable
from app.storage.database import RecordsUnavailable, all_of, doing
from app.storage.records import Records
from app.storage.signing import Keys
from app.storage.used_tokens import PresentedToken, UsedTokens
from app.web.examples import WHOLE_CHART, hook_call
from tests.app.conftest import NOW, SECRET, records_at, services_with, serving
from tests.hospital import BASE, VIEW, bearer, signed
from tests.postgres import Cluster
from tests.support.database import Held, stopped
from tests.support.database_faults import FEEDBACK
from tests.support.protocol import production_settings

TOKEN = PresentedToken("issuer", "jti", NOW + timedelta(1))
LONGEST = timedelta(seconds=5)
CALL: dict[str, Any] = hook_call("patient-view")


class Clock:
    now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tokens(records: Records, clock: Clock) -> UsedTokens:
    return UsedTokens(records, Keys((SECRET,)), LONGEST, clock)


async def test_a_token_without_an_answer_is_good_again_for_its_call_only(tokens: UsedTokens, clock: Clock) -> None:
    assert await tokens.take(TOKEN, "/a", b"body")
    assert not await tokens.take(TOKEN, "/a", b"body")  # its call may still be under way
    clock.now += LONGEST
    assert not await tokens.take(TOKEN, "/a", b"another")
    assert not await tokens.take(TOKEN, "/b", b"body")
    assert await tokens.take(TOKEN, "/a", b"body")
    assert not await tokens.take(TOKEN, "/a", b"body")


async def test_a_token_is_closed_by_its_answer(tokens: UsedTokens, records: Records, clock: Clock) -> None:
    assert await tokens.take(TOKEN, "/a", b"body")
    await records.write(tokens.closing(TOKEN))
    clock.now += LONGEST
    assert not await tokens.take(TOKEN, "/a", b"body")


async def test_a_token_is_known_by_its_call_while_secrets_rotate(database: str, clock: Clock) -> None:
    records = records_at(database)
    await records.prepare()
    new = "the next secret, also long enough to be one"
    before, after = (UsedTokens(records, Keys(keys), LONGEST, clock) for keys in ((SECRET,), (new, SECRET)))
    assert await before.take(TOKEN, "/a", b"body")
    clock.now += LONGEST
    assert await after.take(TOKEN, "/a", b"body")
    await records.close()


async def test_an_answer_that_came_too_late_leaves_its_token_open(tmp_path: Path, clock: Clock) -> None:
    """The commit goes through after the caller was told 503: what closed the token is undone."""
    records = records_at(f"sqlite:///{tmp_path}/records.db")
    await records.prepare()
    tokens = UsedTokens(records, Keys((SECRET,)), LONGEST, clock)
    assert await tokens.take(TOKEN, "/a", b"body")
    held, first = Held(), threading.Event()

    @sa.event.listens_for(records._writing.engine, "commit")
    def _hang(connection: sa.Connection) -> None:
        if not first.is_set():
            first.set()
            held(connection)

    caller = asyncio.create_task(records.write(all_of(tokens.closing(TOKEN), doing(sa.text("SELECT 1")))))
    await held.is_under_way()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    held.let_go()
    assert await tokens.take(TOKEN, "/a", b"body")
    await records.close()


# -- over HTTP


@pytest.fixture
async def hospital(tmp_path: Path, definitions: Definitions) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(services_with(production_settings(tmp_path, deadline=0.5), definitions), BASE) as client:
        yield client


def broken(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise RecordsUnavailable

    monkeypatch.setattr(Records, name, fail)


BODIES = [(VIEW, CALL, "keep"), (VIEW + "/feedback", FEEDBACK, "add_feedback")]


@pytest.mark.parametrize(("path", "body", "method"), BODIES)
async def test_a_call_that_was_told_503_comes_through_with_its_token(
    hospital: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, path: str, body: Any, method: str
) -> None:
    headers = bearer(signed(path))
    with monkeypatch.context() as patch:
        broken(patch, method)
        refused = await hospital.post(path, json=body, headers=headers)
    assert refused.status_code == 503
    assert int(refused.headers["retry-after"]) >= 2  # deadline and a second
    await asyncio.sleep(1.6)
    other = await hospital.post(path, json=body | {"extension": {}}, headers=headers)
    assert other.status_code == 401
    assert (await hospital.post(path, json=body, headers=headers)).status_code == 200
    assert (await hospital.post(path, json=body, headers=headers)).status_code == 401
    await asyncio.sleep(1.6)
    assert (await hospital.post(path, json=body, headers=headers)).status_code == 401


async def test_a_match_that_was_told_503_comes_through_with_its_token(
    hospital: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = "/api/v1/match"
    headers = bearer(signed(path))
    with monkeypatch.context() as patch:
        broken(patch, "write")
        assert (await hospital.post(path, json=WHOLE_CHART, headers=headers)).status_code == 503
    again = [(await hospital.post(path, json=WHOLE_CHART, headers=headers)).status_code for _ in range(2)]
    assert again == [200, 401]


async def test_a_token_spent_on_a_call_that_is_not_usable_is_closed(hospital: httpx.AsyncClient) -> None:
    headers = bearer(signed())
    assert (await hospital.post(VIEW, json={"hook": "patient-view"}, headers=headers)).status_code == 422
    await asyncio.sleep(1.6)
    assert (await hospital.post(VIEW, json={"hook": "patient-view"}, headers=headers)).status_code == 401


async def test_another_503_frees_the_token_at_once(
    tmp_path: Path, definitions: Definitions, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def no_trial(*_: object) -> bytes:
        raise Unavailable("No trial definition is loaded.")

    services = services_with(production_settings(tmp_path, deadline=60), definitions)
    async with serving(services, BASE) as client:
        headers = bearer(signed())
        with monkeypatch.context() as patch:
            patch.setattr("app.routes.cds.answer", no_trial)
            assert (await client.post(VIEW, json=CALL, headers=headers)).status_code == 503
        answers = [(await client.post(VIEW, json=CALL, headers=headers)).status_code for _ in range(2)]
        assert answers == [200, 401]


async def test_a_caller_that_obeys_retry_after_comes_through_when_postgresql_goes_on(
    tmp_path: Path, definitions: Definitions, postgres: Cluster
) -> None:
    settings = production_settings(tmp_path, database_url=postgres.new_database(), deadline=0.5)
    async with serving(services_with(settings, definitions), BASE) as client:
        headers = bearer(signed())
        with stopped(postgres.process.pid):
            started = time.monotonic()
            refused = await client.post(VIEW, json=CALL, headers=headers)
            assert refused.status_code == 503
            assert time.monotonic() - started < 1.2
        await asyncio.sleep(1.6)
        answers = [(await client.post(VIEW, json=CALL, headers=headers)).status_code for _ in range(2)]
        assert answers == [200, 401]

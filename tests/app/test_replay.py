"""A kept answer is repeated byte for byte with the definitions of its day, or it is said what is lost."""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from app.cli import cli
from app.definitions.served import Definitions
from app.storage.kept import from_kept, to_keep
from app.wiring import Services
from tests.app.conftest import NOW, demo_settings, services_with, serving
from tests.support.replay import report_id, rows, write_trial


@pytest.fixture
def own(tmp_path: Path) -> Services:
    """A service with a trial and a concept overlay of its site."""
    write_trial(tmp_path / "trials", 1, 50)
    (tmp_path / "concepts").mkdir()
    (tmp_path / "concepts" / "site.yaml").write_text("alt: {uln: 45}\n")
    return services_with(demo_settings(tmp_path), Definitions(tmp_path / "concepts", tmp_path / "trials"))


def readings_of(services: Services, report: str) -> int:
    """How often the audit trail says that the report was read."""
    found = rows(services, f"SELECT count(*) FROM audited_call WHERE action = 'read' AND report = '{report}'")
    return int(found[0][0])


async def kept_bytes(services: Services, report: str) -> bytes:
    content = await services.records.report(report, NOW)
    assert content
    return from_kept(content).report_bytes


async def test_the_same_bytes_are_given_again(services: Services) -> None:
    async with serving(services) as client:
        report = await report_id(client, services)
        again = await client.get(f"/api/v1/reports/{report}/replay")
        assert (again.status_code, again.headers["cache-control"]) == (200, "no-store")
        assert again.content == await kept_bytes(services, report)
        assert again.json()["id"] == report


async def test_a_changed_definition_and_changed_concepts_do_not_change_what_was_said(own: Services) -> None:
    assert own.definitions.site_concepts
    assert own.definitions.site_trials
    async with serving(own) as client:
        report = await report_id(client, own)
        write_trial(own.definitions.site_trials, 2, 500)
        (own.definitions.site_concepts / "site.yaml").write_text("alt: {uln: 30}\n")
        assert await own.definitions.reload_if_changed()
        again = await client.get(f"/api/v1/reports/{report}/replay")
        assert again.content == await kept_bytes(own, report)
        said = next(t for t in again.json()["trials"] if t["trial"] == "DEMO-PLATELETS")
        assert said["definition"]["version"] == 1
        newer = await report_id(client, own)
        assert b'"version":2' in (await client.get(f"/api/v1/reports/{newer}/replay")).content


async def test_a_broken_file_does_not_lose_the_text_that_is_still_served(own: Services) -> None:
    assert own.definitions.site_trials
    async with serving(own) as client:
        assert own.definitions.now.trials["DEMO-PLATELETS"].version == 1
        (own.definitions.site_trials / "DEMO-PLATELETS.yaml").write_text("id: DEMO-PLATELETS\nversion: [")
        assert await own.definitions.reload_if_changed()
        report = await report_id(client, own)
        assert (await client.get(f"/api/v1/reports/{report}/replay")).status_code == 200


async def test_expired_facts_are_said_to_be_gone(services: Services) -> None:
    async with serving(services) as client:
        report = await report_id(client, services)
        services.clock = lambda: NOW + timedelta(31)
        for _ in ("expired", "deleted"):
            gone = await client.get(f"/api/v1/reports/{report}/replay")
            assert (gone.status_code, "have expired" in gone.json()["detail"]) == (410, True)
            await services.records.purge(services.clock())


async def test_without_retention_nothing_is_kept_and_replay_says_so(tmp_path: Path, definitions: Definitions) -> None:
    services = services_with(demo_settings(tmp_path, retention_days=0), definitions)
    async with serving(services) as client:
        report = await report_id(client, services)
        gone = await client.get(f"/api/v1/reports/{report}/replay")
        assert (gone.status_code, "TRIALCARDS_RETENTION_DAYS was 0" in gone.json()["detail"]) == (410, True)
    assert rows(services, "SELECT * FROM definition_text") == []


async def test_a_retired_secret_is_named(services: Services, tmp_path: Path, definitions: Definitions) -> None:
    async with serving(services) as client:
        report = await report_id(client, services)
    other = services_with(demo_settings(tmp_path, secret_key=("another secret, long enough to be one!",)), definitions)
    async with serving(other) as client:
        gone = await client.get(f"/api/v1/reports/{report}/replay")
        assert (gone.status_code, "no longer in TRIALCARDS_SECRET_KEY" in gone.json()["detail"]) == (410, True)


async def test_an_id_that_never_was_is_not_found(client: httpx.AsyncClient) -> None:
    assert (await client.get("/api/v1/reports/canary/replay")).status_code == 404


async def test_a_definition_that_was_not_kept_is_named_with_version_and_hash(services: Services) -> None:
    async with serving(services) as client:
        report = await report_id(client, services)
        trial = services.definitions.now.trials["NCT06711146"]
        rows(services, f"DELETE FROM definition_text WHERE hash = '{trial.hash}'")
        lost = await client.get(f"/api/v1/reports/{report}/replay")
        assert lost.status_code == 409
        assert f"NCT06711146 version {trial.version} ({trial.hash}) was not kept" in lost.json()["detail"]


async def test_concepts_that_are_lost_or_are_others_are_named(services: Services) -> None:
    async with serving(services) as client:
        report = await report_id(client, services)
        concepts = services.definitions.now.catalogue.hash
        nothing = zlib.compress(b"[]").hex()
        rows(services, f"UPDATE definition_text SET content = X'{nothing}' WHERE hash = '{concepts}'")
        lost = await client.get(f"/api/v1/reports/{report}/replay")
        assert f"no longer reads the concepts of that day ({concepts})" in lost.json()["detail"]
        rows(services, f"DELETE FROM definition_text WHERE hash = '{concepts}'")
        lost = await client.get(f"/api/v1/reports/{report}/replay")
        assert f"concepts of that day ({concepts}) were not kept" in lost.json()["detail"]


Change = Callable[[dict[str, Any]], object]
CHANGES: dict[str, tuple[Change, str]] = {
    "another answer": (
        lambda report: report["trials"][0]["cohorts"][0].update(verdict="closed"),
        "Different: trials[CNCT19-AID].cohorts[sle-ln].verdict.",
    ),
    "another engine": (
        lambda report: report["engine"].update(version="0.0.9"),
        "The engine was version 0.0.9",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_an_answer_that_comes_out_differently_names_the_places_and_the_engine(
    services: Services, change: str
) -> None:
    edit, words = CHANGES[change]
    async with serving(services) as client:
        report = await report_id(client, services)
        content = await services.records.report(report, NOW)
        assert content
        kept = from_kept(content)
        assert kept.chart
        said = kept.report
        edit(said)
        sealed = services.keys.seal(to_keep(json.dumps(said).encode(), kept.chart, kept.zone))
        rows(services, f"UPDATE kept_report SET sealed = X'{sealed.hex()}' WHERE id = '{report}'")
        changed = await client.get(f"/api/v1/reports/{report}/replay")
        assert (changed.status_code, words in changed.json()["detail"]) == (409, True), changed.text


async def test_the_text_of_a_definition_is_written_once(services: Services) -> None:
    await services.records.prepare()
    texts = {"sha256:1": b"one"}
    await services.records.remember(texts, NOW)
    rows(services, "DELETE FROM definition_text")
    await services.records.remember(texts, NOW)
    assert rows(services, "SELECT * FROM definition_text") == []
    await services.records.remember(texts | {"sha256:2": b"two"}, NOW)
    assert await services.records.definition_texts(["sha256:1", "sha256:2"]) == {"sha256:2": b"two"}
    await services.records.close()


async def test_two_workers_may_remember_the_same_text(services: Services, definitions: Definitions) -> None:
    await services.records.prepare()
    other = services_with(services.settings, definitions)
    await other.records.prepare()
    for records in (services.records, other.records):
        await records.remember({"sha256:1": b"one"}, NOW)
        await records.close()


async def test_the_command_prints_the_bytes_and_says_what_is_lost(
    tmp_path: Path, definitions: Definitions, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "one secret of the command line tests"
    services = services_with(demo_settings(tmp_path, secret_key=(secret,)), definitions)
    services.clock = lambda: datetime.now(UTC)
    async with serving(services) as client:
        report = await report_id(client, services)
        expected = await services.records.report(report, services.clock())
        assert expected
    monkeypatch.setenv("TRIALCARDS_DATABASE_URL", services.settings.database_url)
    monkeypatch.setenv("TRIALCARDS_SECRET_KEY", secret)
    result = await asyncio.to_thread(CliRunner().invoke, cli, ["replay", "--demo", report])
    assert (result.exit_code, result.stdout_bytes) == (0, from_kept(expected).report_bytes + b"\n")
    assert readings_of(services, report) == 1
    rows(services, "DELETE FROM kept_report")
    result = await asyncio.to_thread(CliRunner().invoke, cli, ["replay", "--demo", report])
    assert result.exit_code == 1
    assert "No facts were kept" in result.output
    assert readings_of(services, report) == 1


async def test_the_audit_trail_says_who_was_read_again(services: Services) -> None:
    async with serving(services) as client:
        report = await report_id(client, services)
        assert readings_of(services, report) == 0
        assert (await client.get(f"/api/v1/reports/{report}/replay")).status_code == 200
    assert readings_of(services, report) == 1
    patients = rows(services, f"SELECT DISTINCT patient FROM audited_call WHERE report = '{report}'")
    assert len(patients) == 1

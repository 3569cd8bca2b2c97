"""`replay --diff`: which kept answers would be different now, and whether code, concepts or definitions did it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from app.calls.replay_diff import NOT_SERVED, Comparison, compare
from app.cli import cli
from app.definitions.served import Definitions
from app.storage.kept import from_kept, to_keep
from app.wiring import Services
from tests.app.conftest import NOW, demo_settings, services_with, serving
from tests.support.replay import report_id, rows, write_trial
from tests.support.upgrades import upgraded

Json = dict[str, Any]
TRIAL = "DEMO-PLATELETS"


@pytest.fixture
def own(tmp_path: Path) -> Services:
    """A service with a trial and a concept overlay of its site."""
    write_trial(tmp_path / "trials", 1, 50)
    (tmp_path / "concepts").mkdir()
    (tmp_path / "concepts" / "site.yaml").write_text("alt: {uln: 45}\n")
    return services_with(demo_settings(tmp_path), Definitions(tmp_path / "concepts", tmp_path / "trials"))


async def compared(services: Services, report: str | None = None) -> Comparison:
    return await compare(services.records, services.definitions.now, NOW, report)


async def edit_report(services: Services, report: str, edit: Callable[[Json], object]) -> None:
    """Change what was shown, as if other code had shown it."""
    content = await services.records.report(report, NOW)
    assert content
    kept = from_kept(content)
    assert kept.chart
    said = kept.report
    edit(said)
    sealed = services.keys.seal(to_keep(json.dumps(said).encode(), kept.chart, kept.zone))
    rows(services, f"UPDATE kept_report SET sealed = X'{sealed.hex()}' WHERE id = '{report}'")


async def test_what_did_not_change_is_not_listed(own: Services) -> None:
    async with serving(own) as client:
        await report_id(client, own)
        assert await compared(own) == Comparison(1, (), {})


async def test_a_definition_that_changed_an_answer_is_its_cause(own: Services) -> None:
    assert own.definitions.site_trials
    async with serving(own) as client:
        report = await report_id(client, own)
        write_trial(own.definitions.site_trials, 2, 500)
        assert await own.definitions.reload_if_changed()
        found = await compared(own)
    assert {(d.report, d.trial, d.causes) for d in found.differences} == {(report, TRIAL, ("definition",))}
    (criterion,) = [d for d in found.differences if d.criterion]
    assert (criterion.cohort, criterion.criterion) == ("sle", "I1.platelets")
    assert (criterion.then, criterion.now) == ("met", "not-met")
    verdicts = {(d.cohort, d.now) for d in found.differences if not d.criterion}
    assert verdicts == {("", "not-eligible"), ("sle", "not-eligible")}


async def test_concepts_that_changed_an_answer_are_its_cause(own: Services) -> None:
    assert own.definitions.site_concepts
    async with serving(own) as client:
        await report_id(client, own)
        (own.definitions.site_concepts / "site.yaml").write_text("platelets: {plausible: [1, 150]}\n")
        assert await own.definitions.reload_if_changed(), own.definitions.now.problems
        found = await compared(own)
    assert ("unknown (implausible)", ("concepts",)) in {
        (d.now, d.causes) for d in found.differences if d.trial == TRIAL
    }


async def test_code_that_changed_an_answer_is_its_cause(own: Services) -> None:
    def edit(said: Json) -> None:
        entry = next(entry for entry in said["trials"] if entry["trial"] == TRIAL)
        entry["cohorts"][0]["criteria"][0].update(outcome="unknown", reason="missing")

    async with serving(own) as client:
        report = await report_id(client, own)
        await edit_report(own, report, edit)
        (found,) = (await compared(own)).differences
    assert (found.criterion, found.then, found.now) == ("I1.platelets", "unknown (missing)", "met")
    assert found.causes == ("code",)


async def test_a_trial_that_is_served_no_more_is_said_so_once(own: Services) -> None:
    assert own.definitions.site_trials
    async with serving(own) as client:
        await report_id(client, own)
        (own.definitions.site_trials / f"{TRIAL}.yaml").unlink()
        assert await own.definitions.reload_if_changed()
        (found,) = (await compared(own)).differences
    assert (found.trial, found.cohort, found.criterion, found.now) == (TRIAL, "", "", NOT_SERVED)
    assert found.causes == ("definition",)


async def test_without_the_texts_of_that_day_the_cause_is_not_known(tmp_path: Path, definitions: Definitions) -> None:
    """Commit aa6019f took an antinuclear antibody that is only called positive for 1:80."""
    services = await upgraded(tmp_path, definitions)
    found = await compared(services)
    assert found.compared == 1
    assert "NCT06680388" in {d.trial for d in found.differences}
    assert {d.causes for d in found.differences} == {("not known",)}
    await services.records.close()


async def test_a_report_that_cannot_be_opened_is_named(own: Services) -> None:
    async with serving(own) as client:
        report, other = await report_id(client, own), await report_id(client, own)
        rows(own, f"UPDATE kept_report SET sealed = zeroblob(64) WHERE id = '{report}'")
        found = await compared(own)
    assert (found.compared, list(found.not_compared)) == (1, [report])
    assert "sealed under a secret" in found.not_compared[report]
    assert other != report


async def test_the_command_lists_what_differs_without_anything_of_the_patient(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "one secret of the command line tests"
    write_trial(tmp_path / "trials", 1, 50)
    own = services_with(demo_settings(tmp_path, secret_key=(secret,)), Definitions(None, tmp_path / "trials"))
    own.clock = lambda: datetime.now(UTC)
    async with serving(own) as client:
        report = await report_id(client, own)
    write_trial(tmp_path / "new", 2, 500)
    monkeypatch.setenv("TRIALCARDS_DATABASE_URL", own.settings.database_url)
    monkeypatch.setenv("TRIALCARDS_SECRET_KEY", secret)
    monkeypatch.setenv("TRIALCARDS_TRIALS", str(tmp_path / "trials"))

    async def run(*given: str) -> Any:
        return await asyncio.to_thread(CliRunner().invoke, cli, ["replay", "--demo", *given])

    same = await run("--diff")
    assert (same.exit_code, same.stdout) == (0, "")
    assert same.stderr == "1 kept answers compared, 0 would be different\n"
    for given in (["--diff"], ["--diff", report]):
        changed = await run(*given, "--trials", str(tmp_path / "new"))
        assert changed.exit_code == 0
        assert f"{report}\t{TRIAL}\tsle\tI1.platelets\tmet\tnot-met\tdefinition" in changed.stdout.splitlines()
        assert "Patient" not in changed.stdout
        assert changed.stderr.endswith("1 kept answers compared, 1 would be different\n")
    as_json = json.loads((await run("--diff", "--json", "--trials", str(tmp_path / "new"))).stdout)
    assert as_json["compared"] == 1
    assert as_json["differences"][0].keys() == {"report", "trial", "cohort", "criterion", "then", "now", "causes"}
    unknown = await run("--diff", "canary")
    assert (unknown.exit_code, unknown.stderr) == (1, "No answer of this id was given.\n")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([], "REPORT_ID: is needed without --diff"),
        (["abc", "--json"], "--json, --trials and --mappings: are only of use with --diff"),
    ],
)
def test_a_call_that_makes_no_sense_says_what_is_needed(given: list[str], words: str) -> None:
    result = CliRunner().invoke(cli, ["replay", "--demo", *given])
    assert (result.exit_code, result.stderr) == (2, words + "\n")

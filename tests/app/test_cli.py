"""The command line, called as a user calls it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli import cli
from app.web.examples import TRIAL, WHOLE_CHART

run = CliRunner().invoke


@pytest.fixture
def chart(tmp_path: Path) -> str:
    path = tmp_path / "chart.json"
    path.write_text(json.dumps(WHOLE_CHART))
    return str(path)


def test_a_match_is_a_line_for_each_cohort(chart: str) -> None:
    result = run(cli, ["match", chart, "--as-of", "2026-11-01", "--trial", TRIAL])
    assert result.exit_code == 0
    assert "possibly-eligible" in result.output


def test_a_match_says_what_to_do_next_the_nearest_first(chart: str) -> None:
    result = run(cli, ["match", chart, "--as-of", "2026-11-01", "--trial", TRIAL])
    steps = result.output.split("What to do next")[1].splitlines()[1:]
    assert "Pulse oximetry" in steps[0]  # examination before blood; nobody asks about Gilbert before bilirubin is known
    assert not any("Gilbert" in step for step in steps)
    assert any("Complete blood count" in step or "blood test" in step for step in steps)


def test_a_match_as_json_is_the_report(chart: str) -> None:
    result = run(cli, ["match", chart, "--as-of", "2026-11-01", "--json"])
    assert json.loads(result.stdout)["asOf"] == "2026-11-01T00:00:00Z"


def test_a_chart_may_come_from_stdin() -> None:
    assert run(cli, ["match", "-", "--json"], input=json.dumps(WHOLE_CHART)).exit_code == 0


UNUSABLE = [
    (["--as-of", "canary"], "--as-of: is a date"),
    (["--as-of", "2026"], "--as-of: is a date"),
    (["--as-of", "0001-01-01"], "--as-of: is a date"),
    (["--trial", "canary"], "--trial: 1 of the ids given are not served"),
    (["--timezone", "canary"], "--timezone: is not a time zone"),
]


@pytest.mark.parametrize(("arguments", "message"), UNUSABLE)
def test_an_argument_that_is_not_usable_is_named(chart: str, arguments: list[str], message: str) -> None:
    result = run(cli, ["match", chart, *arguments])
    assert result.exit_code == 2
    assert message in result.output


@pytest.mark.parametrize(
    ("content", "message"), [("{}", "Bundle"), ("{", "not readable JSON"), (None, "cannot be read")]
)
def test_a_file_that_is_no_chart_is_named(tmp_path: Path, content: str | None, message: str) -> None:
    path = tmp_path / "chart.json"
    if content is not None:
        path.write_text(content)
    result = run(cli, ["match", str(path)])
    assert result.exit_code == 2
    assert message in result.output


def test_trials_are_listed_shown_and_checked() -> None:
    assert TRIAL in run(cli, ["trials", "list"]).output
    assert "Platelets" in run(cli, ["trials", "show", TRIAL]).output
    assert run(cli, ["trials", "show", "none"]).exit_code == 2
    assert run(cli, ["trials", "lint"]).exit_code == 0


def test_lint_names_file_and_place_and_fails(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("id: X\nvaule: 1\n")
    result = run(cli, ["trials", "lint", "--trials", str(tmp_path)])
    assert result.exit_code == 1
    assert "bad.yaml  vaule  is not a word of this language" in result.output


def test_serving_refuses_to_start_and_names_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(cli, ["serve"])
    assert result.exit_code == 2
    assert "TRIALCARDS_EHRS: is needed to start" in result.output
    ready = {"TRIALCARDS_PUBLIC_URL": "https://a.example", "TRIALCARDS_SECRET_KEY": "x" * 40}
    result = run(cli, ["serve"], env=ready | {"TRIALCARDS_EHRS": "none.toml"})
    assert result.exit_code == 2
    assert "none.toml: cannot be read" in result.output


@pytest.mark.parametrize("command", [[], ["serve"], ["demo"], ["match"], ["trials"], ["trials", "lint"]])
def test_every_command_explains_itself(command: list[str]) -> None:
    result = run(cli, [*command, "--help"])
    assert result.exit_code == 0
    assert "Usage" in result.output

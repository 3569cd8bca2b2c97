"""The command line, called as a user calls it."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli import cli
from app.commands.table import COMMANDS, TRIALS, WORKLIST, Entry
from app.web.examples import TRIAL, WHOLE_CHART
from cds_hooks.report import VERSION

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
    (["--trial", "canary"], "--trial: canary is not served; there are CNCT19-AID, CT1190B-SLE-SSC, "),
    (["--trial", "NCT06711147"], "; did you mean NCT06711146?"),
    (["--trials", "nofolder"], "--trials: nofolder: there is no such folder"),
    (["--mappings", "nofolder"], "--mappings: nofolder: there is no such folder"),
    (["--trials", __file__], "is a file, not a folder"),
    (["--timezone", "canary"], "--timezone: is not a time zone"),
]


@pytest.mark.parametrize(("arguments", "message"), UNUSABLE)
def test_an_argument_that_is_not_usable_is_named(chart: str, arguments: list[str], message: str) -> None:
    result = run(cli, ["match", chart, *arguments])
    assert result.exit_code == 2
    assert message in result.output


CHART_FAULTS = [
    ("{}", "chart.json: a FHIR Bundle with one patient's chart is needed"),
    ("", "chart.json: not JSON (line 1, column 1: the file is empty)"),
    (
        '{"resourceType": "Bundle",\n "entry": [{"res',
        "not JSON (line 2, column 13: the file ends too early)",
    ),
    ('{"resourceType": "Bundle",\n "entry": [', "chart.json: not JSON (line 2, column 12: the file ends too early)"),
    ("# A chart", "chart.json: not JSON (line 1, column 1: expecting value)"),
    ('{"a": 1}\n{"a": 2}', "not JSON (line 2, column 1: something follows after the end of the JSON value)"),
    ('{"resourceType": "Bundle", "total": NaN}', "not JSON (NaN and Infinity are no numbers of JSON)"),
    (b'{"a": "\xff"}', "chart.json: not UTF-8 (byte 8)"),
    (None, "chart.json: there is no such file"),
]


@pytest.mark.parametrize(("content", "message"), CHART_FAULTS)
def test_a_file_that_is_no_chart_is_named_with_the_place(
    tmp_path: Path, content: str | bytes | None, message: str
) -> None:
    path = tmp_path / "chart.json"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    result = run(cli, ["match", str(path)])
    assert result.exit_code == 2
    assert message in result.output


def test_a_folder_in_place_of_a_chart_is_named(tmp_path: Path) -> None:
    result = run(cli, ["match", str(tmp_path)])
    assert (result.exit_code, result.output) == (2, f"{tmp_path}: is a folder, not a file\n")


def test_a_chart_on_standard_input_is_called_so() -> None:
    assert run(cli, ["match", "-"], input="{").output.startswith("standard input: not JSON (line 1, column 2: ")


NOT_THERE = [
    (["trials", "list", "--trials", "nofolder"], "--trials: nofolder: there is no such folder"),
    (["trials", "list", "--mappings", "nofolder"], "--mappings: nofolder: there is no such folder"),
    (["trials", "show", "none"], "TRIAL_ID: none is not served; there are CNCT19-AID, "),
    (["trials", "show", TRIAL, "--trials", "nofolder"], "--trials: nofolder: there is no such folder"),
    (["trials", "lint", "--trials", "nofolder"], "--trials: nofolder: there is no such folder"),
    (["trials", "lint", "--cases", "nofolder"], "--cases: nofolder: there is no such folder"),
    (["trials", "export", "none"], "TRIAL_ID: none is not served; there are CNCT19-AID, "),
    (["trials", "export", TRIAL, "--trials", "nofolder"], "--trials: nofolder: there is no such folder"),
    (["trials", "import", "nofile"], "SOURCE: nofile: is not an NCT number (NCT and 8 digits), and as a file: there"),
    (["trials", "import", "nofile", "--out", "nofolder"], "--out: nofolder: there is no such folder"),
    (["trials", "refresh", "nofile.yaml"], "nofile.yaml: there is no such file"),
    (["screen", "nofolder", "--out", "out"], "nofolder: there is no such folder"),
    (["screen", "nofolder", "--out", "out", "--trials", "none"], "--trials: none: there is no such folder"),
    (["screen", "nofolder", "--out", "out", "--trial", "none"], "--trial: none is not served; there are CNCT19-AID, "),
    (["screen", "nofolder", "--out", "out", "--since", "none"], "--since: none: there is no such folder"),
    (["worklist", "add", "nofolder", "--ehr", "demo", "--demo"], "SCREEN: nofolder: there is no such folder"),
    (["worklist", "add", "nofolder", "--ehr", "Demo", "--demo"], "there are demo; did you mean demo?"),
    (["export-bulk", "https://x.example", "--out", "o", "--type", "Patients"], "--type: Patients is not read here"),
    (["export-bulk", "https://x.example", "--out", "o", "--ca-file", "none"], "--ca-file: "),
    (["export-bulk", "https://x.example", "--out", "o", "--client-id", "c", "--key", "none"], "--key: cannot be read"),
    (["audit", "--demo", "--ehr", "nosuch"], "--ehr: nosuch is not an EHR of the file or of the records"),
    (["audit", "--demo", "--patient", "x"], "--ehr: is needed with --patient"),
    (["purge", "--demo", "--patient", "x", "--ehr", "nosuch"], "nosuch is not an EHR of the file or of the records"),
    (["purge", "--demo", "--patient", "https://x/Patient/x", "--ehr", "demo"], "--patient: is the id of a Patient"),
    (["purge", "--demo", "--patient", "x", "--ehr", "demo", "--older-than", "1"], "--older-than: is not for --patient"),
    (["purge", "--demo", "--ehr", "demo"], "--ehr: is for --patient"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "message"), NOT_THERE)
def test_what_is_not_there_is_named_with_what_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(cli, arguments)
    assert message in result.output
    assert result.exit_code == 2


UNKNOWN = [
    (["audit", "--demo", "--patient", "x", "--ehr", "demo"], "--patient: the audit trail has no line about a patient"),
    (["purge", "--demo", "--patient", "x", "--ehr", "demo"], "--patient: nothing is known of a patient of this id"),
    (["purge", "--demo", "--patient", "Patient/x", "--ehr", "demo"], "--patient: nothing is known of a patient"),
    (["replay", "--demo", "none"], "No answer of this id was given."),
]


@pytest.mark.parametrize(("arguments", "message"), UNKNOWN)
def test_a_patient_or_an_answer_that_is_not_known_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(cli, arguments)
    assert message in result.output
    assert result.exit_code == 1


def test_a_definition_that_cannot_be_used_leaves_an_exit_status(tmp_path: Path, chart: str) -> None:
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "bad.yaml").write_text("id: X\n")
    for command in (["match", chart], ["trials", "list"]):
        result = run(cli, [*command, "--trials", str(tmp_path / "bad")])
        assert result.exit_code == 1
        assert "Not every definition could be used" in result.output
        assert TRIAL in result.output
    one = run(cli, ["match", chart, "--trial", TRIAL, "--trials", str(tmp_path / "bad")])
    assert one.exit_code == 0


def test_the_version_is_printed() -> None:
    result = run(cli, ["--version"])
    assert (result.exit_code, result.output) == (0, f"trialcards {VERSION}\n")


def test_trials_are_listed_shown_and_checked() -> None:
    assert TRIAL in run(cli, ["trials", "list"]).output
    assert "Platelets" in run(cli, ["trials", "show", TRIAL]).output
    assert run(cli, ["trials", "show", "none"]).exit_code == 2
    assert run(cli, ["trials", "lint"]).exit_code == 0


def test_lint_names_file_and_place_and_fails(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("id: X\nvaule: 1\n")
    result = run(cli, ["trials", "lint", "--trials", str(tmp_path)])
    assert result.exit_code == 1
    assert "bad.yaml  vaule  is not a word of this language; did you mean value" in result.output


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


@pytest.mark.parametrize("entry", [*COMMANDS.values(), *TRIALS.values(), *WORKLIST.values()], ids=lambda e: e.function)
def test_the_line_in_the_list_of_commands_is_the_first_of_the_command(entry: Entry) -> None:
    function = getattr(import_module(f"app.commands.{entry.module}"), entry.function)
    assert entry.help == " ".join(function.__doc__.partition("\n\n")[0].split())


def _loaded_by(*arguments: str) -> set[str]:
    """The modules that a process of its own has imported by the end of this call."""
    run = f"cli({arguments!r}, standalone_mode=False)"
    script = f"import sys; from app.cli import cli; {run}; print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


@pytest.mark.parametrize("group", [[], ["trials"], ["worklist"]])
def test_a_list_of_commands_imports_none_of_them(group: list[str]) -> None:
    loaded = _loaded_by(*group, "--help")
    assert "app.commands.table" in loaded
    assert not {"sqlalchemy", "fastapi", "mappings", "cds_hooks", "trial_defs"} & loaded


def test_a_match_loads_no_database_no_server_and_no_unit_library(chart: str) -> None:
    loaded = _loaded_by("match", chart, "--json")
    assert "trial_defs.engine.evaluation" in loaded
    assert not {"sqlalchemy", "fastapi", "structlog", "pint", "ucumvert", "httpx", "pydantic_settings"} & loaded

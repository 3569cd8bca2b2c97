"""`trialcards trials lint` on a site's folder: the rules, the cases and the record of versions."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from app.cli import cli
from app.definitions.linting import OUR_VERSIONS, is_loinc, versions_file
from mappings.values import units
from trial_defs.definition.loader import OUR_TRIALS

TRIAL = """
id: SITE-1
version: 1
title: An invented trial
short_title: Invented trial
source: {document: invented, read_on: 2026-11-24}
recruiting: {status: recruiting}
cohorts:
  sle:
    title: Lupus
    gate: {condition: {is: systemic-lupus-erythematosus}}
    criteria:
      - id: I1.sle
        source: "Inclusion 1"
        text: Lupus
        include: {condition: {is: systemic-lupus-erythematosus}}
      - id: I2.platelets
        source: "Inclusion 2"
        text: Platelets at least 25
        include: {value: {of: platelets, is: ">= 25 10*9/L"}}
"""


def _lint(folder: Path, *options: str) -> Result:
    return CliRunner().invoke(cli, ["trials", "lint", "--trials", str(folder), *options])


def _site(tmp_path: Path, text: str = TRIAL) -> Path:
    folder = tmp_path / "my-trials"
    folder.mkdir(exist_ok=True)
    (folder / "SITE-1.yaml").write_text(text)
    return folder


def test_a_site_that_records_nothing_is_not_asked_for_versions(tmp_path: Path) -> None:
    assert _lint(_site(tmp_path)).exit_code == 0


def test_a_rule_that_is_broken_is_printed_with_file_and_place(tmp_path: Path) -> None:
    low = '      - {id: E1.low, source: s, text: t, exclude: {value: {of: platelets, is: ">= 20 10*9/L"}}}\n'
    result = _lint(_site(tmp_path, TRIAL + low))
    assert result.exit_code == 1
    assert "SITE-1.yaml  sle.E1.low  no platelets meets I2.platelets and E1.low at once" in result.output


def test_a_draft_is_held_against_the_rules_once_it_is_signed(tmp_path: Path) -> None:
    low = '      - {id: E1.low, source: s, text: t, exclude: {value: {of: platelets, is: ">= 20 10*9/L"}}}\n'
    draft = TRIAL.replace("read_on: 2026-11-24}", "read_on: 2026-11-24, imported: true}") + low
    assert _lint(_site(tmp_path, draft)).exit_code == 0
    signed = draft.replace("version: 1", "version: 1\nsigned_off: {by: Study team, on: 2026-11-24}")
    assert _lint(_site(tmp_path, signed)).exit_code == 1


def test_a_recorded_definition_cannot_change_its_meaning_without_a_new_version(tmp_path: Path) -> None:
    folder = _site(tmp_path)
    assert _lint(folder, "--record").exit_code == 0
    assert versions_file(folder).name == "my-trials.versions.yaml"
    _site(tmp_path, TRIAL.replace(">= 25", ">= 30"))
    changed = _lint(folder)
    assert changed.exit_code == 1
    assert "version  means something else than the recorded version 1; raise `version`" in changed.output
    refused = _lint(folder, "--record")
    assert refused.exit_code == 1
    assert "SITE-1  version 1 is recorded with another meaning" in refused.output
    _site(tmp_path, TRIAL.replace(">= 25", ">= 30").replace("version: 1", "version: 2"))
    assert _lint(folder, "--record").exit_code == 0
    assert _lint(folder).exit_code == 0


def test_recorded_versions_are_kept_and_shown_with_what_each_changed(tmp_path: Path) -> None:
    folder = _site(tmp_path)
    _lint(folder, "--record")
    _site(tmp_path, TRIAL.replace(">= 25", ">= 30").replace("version: 1", "version: 3"))
    _lint(folder, "--record")
    kept = [path.name for path in sorted((tmp_path / "my-trials.versions").iterdir())]
    assert kept == ["SITE-1.v1.yaml", "SITE-1.v3.yaml"]
    shown = CliRunner().invoke(cli, ["trials", "show", "SITE-1", "--changes", "--trials", str(folder)])
    assert "version 3 against version 1" in shown.output
    assert "Platelets – limit: at least 25 × 10⁹/L, now at least 30 × 10⁹/L" in shown.output
    assert "version 2: its text is not at hand" in shown.output


def test_a_record_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    folder = _site(tmp_path)
    versions_file(folder).write_text("SITE-1: {version: one}\n")
    result = _lint(folder)
    assert result.exit_code == 1
    assert "my-trials.versions.yaml  version" in result.output


def test_cases_are_asked_for_where_their_folder_is_given(tmp_path: Path) -> None:
    folder = _site(tmp_path)
    assert "there is no file of cases for SITE-1" in _lint(folder, "--cases", str(tmp_path)).output
    (tmp_path / "SITE-1.yaml").write_text(
        "charts: {c: {cohort: sle}}\ncases: [{case: s, chart: c, expect: {I1.sle: met}}]\n"
    )
    assert "SITE-1.yaml  I2.platelets  no case says what it comes to" in _lint(folder, "--cases", str(tmp_path)).output


def test_our_own_versions_stand_beside_the_trials() -> None:
    assert versions_file(OUR_TRIALS) == OUR_VERSIONS
    assert OUR_VERSIONS.exists()


def test_a_unit_library_that_does_not_load_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise units.UnitLibraryUnusable("the unit library does not load: pint 0 and ucumvert 0")

    monkeypatch.setattr(units, "_library", refuse)
    result = CliRunner().invoke(cli, ["trials", "lint"])
    assert result.exit_code == 1
    assert "the unit library does not load" in result.output


def test_a_loinc_number_with_a_wrong_check_digit_is_named(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text('hba1c: {codes: {loinc: {"4548-5": mistyped}}}\n')
    found = CliRunner().invoke(cli, ["trials", "lint", "--mappings", str(tmp_path)])
    assert found.exit_code == 1
    assert "hba1c  codes.loinc  4548-5 has a wrong check digit" in found.output
    assert is_loinc("4548-4")
    assert not is_loinc("4548")

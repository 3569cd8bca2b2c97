"""What people read of a screen: lists with sentences, the report in one file, and what the command warns of."""

from __future__ import annotations

import csv
import re
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

pytest.importorskip("duckdb", reason="the screen needs DuckDB: pip install 'trialcards[batch]'")

from typer.testing import CliRunner

from app.cli import cli
from app.screen.lists import COLUMNS, SENTENCES, age_words
from app.screen.run import screen
from app.web.spreadsheets import shortened
from mappings.concepts.catalogue import Catalogue
from tests.exports import Json, a_patient, an_order, write_export
from trial_defs.definition.expressions import Trial

LUPUS: Json = {"systemic-lupus-erythematosus": {}}
TRIAL = "NCT06711146"
FORMULA = '=HYPERLINK("https://evil.example")'


def screened(folder: Path, resources: list[Json], trials: Mapping[str, Trial], catalogue: Catalogue) -> Json:
    order = an_order(write_export(folder / "export", resources), folder / "out", trials.values(), catalogue)
    return screen(order)


def listed(folder: Path) -> list[dict[str, str]]:
    with (folder / "out" / "candidates.csv").open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_a_row_of_the_list_says_who_which_disease_what_is_missing_and_what_to_ask(
    tmp_path: Path, trials: Mapping[str, Trial], catalogue: Catalogue
) -> None:
    born = {"born": "1990-11-02", "sex": "female"}
    screened(tmp_path, a_patient("p1", catalogue, patient=born, conditions=LUPUS), trials, catalogue)
    row = next(row for row in listed(tmp_path) if row["trial"] == TRIAL)
    assert tuple(row) == COLUMNS
    assert [row[name] for name in SENTENCES[:3]] == ["p1", "35", "female"]
    assert row["Trial"] == trials[TRIAL].short_title
    assert row["Disease"] == trials[TRIAL].cohorts[0].title
    assert row["Verdict"] == "possibly eligible"
    assert "(not on record)" in row["Missing"]
    assert re.search(r"; and \d+ more$", row["Missing"])
    assert "?" in row["To ask"]
    assert "For the investigator" not in row["To ask"]
    assert len(row["Also a candidate for"].split(", ")) == len({each["trial"] for each in listed(tmp_path)}) - 1
    assert row["patient"] == "Patient/p1"
    assert "missing" in row["open"]


def test_no_cell_of_either_list_is_a_formula(tmp_path: Path, trials: Mapping[str, Trial], catalogue: Catalogue) -> None:
    named = {TRIAL: replace(trials[TRIAL], short_title=FORMULA)}
    screened(tmp_path, a_patient("p1", catalogue, conditions=LUPUS), named, catalogue)
    assert [row["Trial"] for row in listed(tmp_path)] == [f"'{FORMULA}"]
    with zipfile.ZipFile(tmp_path / "out" / "candidates.xlsx") as book:
        parts = {name: book.read(name).decode() for name in book.namelist() if name.endswith(".xml")}
    assert "HYPERLINK(" in "".join(parts.values())
    assert not any("<f>" in part or "<hyperlink" in part for part in parts.values())


def test_the_report_escapes_what_the_export_and_the_definitions_say_and_loads_nothing(
    tmp_path: Path, trials: Mapping[str, Trial], catalogue: Catalogue
) -> None:
    named = {TRIAL: replace(trials[TRIAL], short_title="<script>alert(1)</script>")}
    screened(tmp_path, a_patient("p1", catalogue, conditions=LUPUS), named, catalogue)
    page = (tmp_path / "out" / "report.html").read_text()
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert not re.search(r"(src|href|url)\s*[=(]", page)


def test_the_funnel_counts_whom_one_criterion_alone_stops_and_no_dead(
    tmp_path: Path, trials: Mapping[str, Trial], catalogue: Catalogue
) -> None:
    low, young = {"platelets": "2 10*9/L"}, {"born": "2012-01-01", "sex": "female"}
    resources = a_patient("alone", catalogue, conditions=LUPUS, results=low)
    resources += a_patient("both", catalogue, conditions=LUPUS, results=low, patient=young)
    dead = a_patient("dead", catalogue, conditions=LUPUS, results=low)
    dead[0]["deceasedBoolean"] = True
    resources += [*dead, *a_patient("fine", catalogue, conditions=LUPUS)]
    found = screened(tmp_path, resources, trials, catalogue)["funnel"][TRIAL]["sle"]
    assert (found["indicated"], found["died"], found["candidates"]) == (4, 1, 1)
    stopped = {each["criterion"]: (each["patients"], each["alone"]) for each in found["notMet"]}
    assert stopped["I9.platelets"] == (2, 1)
    assert {alone for name, (_, alone) in stopped.items() if name != "I9.platelets"} == {0}
    page = (tmp_path / "out" / "report.html").read_text()
    assert "4 with the diagnosis, 1 of them died; 1 candidate." in page


def call(export: Path, out: Path, *options: str) -> tuple[str, str]:
    result = CliRunner().invoke(
        cli, ["screen", str(export), "--out", str(out), "--workers", "1", "--as-of", "2026-11-01", *options]
    )
    assert result.exit_code == 0, result.output
    return result.stdout, result.stderr


def test_the_command_names_each_type_without_a_file_and_who_was_not_looked_for(
    tmp_path: Path, catalogue: Catalogue
) -> None:
    export = write_export(tmp_path / "export", a_patient("p1", catalogue, conditions=LUPUS))
    out, err = call(export, tmp_path / "out", "--trial", TRIAL)
    assert "1 candidate: " in out
    assert "report.html" in out
    assert "No file of Consent, Flag, " in err
    assert "MedicationStatement" in err
    assert "If the export holds everything, say --complete." in err
    assert "Consent and Flag were not seen: check who must not be approached before you contact anyone." in err
    page = (tmp_path / "out" / "report.html").read_text()
    assert "<strong>Consent and Flag were not seen.</strong>" in page
    kinds = re.findall(r'<th scope="row">(\w+)</th><td>', page)
    assert kinds[:2] == ["Consent", "Flag"]
    assert "Observation" in kinds
    assert "Condition" not in kinds


def test_nothing_is_warned_of_where_the_export_is_complete(tmp_path: Path, catalogue: Catalogue) -> None:
    export = write_export(tmp_path / "export", a_patient("p1", catalogue, conditions=LUPUS))
    _, err = call(export, tmp_path / "out", "--trial", TRIAL, "--complete")
    assert "No file of" not in err
    assert "not seen" not in err
    page = (tmp_path / "out" / "report.html").read_text()
    assert "not seen" not in page
    assert "It was asked for, or the export was called complete: there are no such records." in page


def test_what_was_read_in_part_is_named_in_plain_words(tmp_path: Path, catalogue: Catalogue) -> None:
    export = write_export(tmp_path / "export", a_patient("p1", catalogue, conditions=LUPUS))
    (export / "Procedure.ndjson").write_text('{"resourceType":"Procedure",\n')
    _, err = call(export, tmp_path / "out", "--trial", TRIAL, "--complete")
    assert "1 place could not be read: " in err
    assert "Read only in part, so that no absence is concluded from them: " in err
    assert "elapsed" in err


@pytest.mark.parametrize(
    ("born", "expected"),
    [
        (("1990-11-02", "1990-11-02"), "35"),
        (("1990-11-01", "1990-11-01"), "36"),
        (("1990-01-01", "1990-12-31"), "35–36"),
        ((None, None), "not known"),
    ],
)
def test_an_age_is_as_exact_as_the_day_of_birth(born: tuple[str | None, str | None], expected: str) -> None:
    assert age_words(*born, date(2026, 11, 1)) == expected


@pytest.mark.parametrize(("count", "expected"), [(0, ""), (1, "0"), (3, "0; 1; 2"), (5, "0; 1; 2; and 2 more")])
def test_a_long_list_says_how_much_more_there_is(count: int, expected: str) -> None:
    assert shortened([str(number) for number in range(count)], 3) == expected

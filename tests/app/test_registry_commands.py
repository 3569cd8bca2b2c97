"""`trialcards trials import`, `refresh` and `export`, as they are typed, with a registry on loopback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import fhirkit
import pytest
import yaml
from typer.testing import CliRunner, Result

from app.cli import cli

NUMBER = "NCT00000001"
CRITERIA = "Inclusion Criteria:\n\n* Hemoglobin >= 9 g/dL\n\nExclusion Criteria:\n\n* HIV positive"


def an_entry(criteria: str = CRITERIA, status: str = "RECRUITING") -> bytes:
    protocol = {
        "identificationModule": {"nctId": NUMBER, "officialTitle": "An invented study in lupus nephritis"},
        "statusModule": {"overallStatus": status},
        "eligibilityModule": {"eligibilityCriteria": criteria, "sex": "ALL", "minimumAge": "18 Years"},
    }
    return json.dumps({"protocolSection": protocol}).encode()


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        known = self.path == f"/api/v2/studies/{NUMBER}"
        self.send_response(200 if known else 404)
        self.end_headers()
        self.wfile.write(an_entry() if known else b"no such study")

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def registry() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), _Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/api/v2"
    server.shutdown()
    server.server_close()
    thread.join()


def run(*words: object) -> Result:
    return CliRunner().invoke(cli, ["trials", *map(str, words)])


def imported(folder: Path, registry: str) -> Path:
    found = run("import", NUMBER, "--out", folder, "--registry", registry)
    assert found.exit_code == 0, found.output
    return folder / f"{NUMBER}.yaml"


def test_an_entry_is_fetched_drafted_and_kept_beside_the_draft(tmp_path: Path, registry: str) -> None:
    path = imported(tmp_path, registry)
    content = yaml.safe_load(path.read_text())
    assert content["source"]["imported"] is True
    assert (tmp_path / content["source"]["document"]).read_bytes() == an_entry()
    assert content["cohorts"]["main"]["gate"] == {"condition": {"is": "lupus-nephritis"}}


def test_a_draft_is_listed_as_not_served(tmp_path: Path, registry: str) -> None:
    imported(tmp_path, registry)
    found = run("list", "--trials", tmp_path)
    assert f"{NUMBER}: a draft that nobody has signed, not served" in found.output
    assert run("lint", "--trials", tmp_path).exit_code == 0
    assert run("show", NUMBER, "--trials", tmp_path).exit_code == 2


def test_nothing_is_overwritten(tmp_path: Path, registry: str) -> None:
    path = imported(tmp_path, registry)
    path.write_text("mine")
    found = run("import", NUMBER, "--out", tmp_path, "--registry", registry)
    assert (found.exit_code, path.read_text()) == (2, "mine")
    assert "nothing is overwritten" in found.output


def test_a_page_without_a_number_needs_an_id(tmp_path: Path) -> None:
    page = tmp_path / "page.txt"
    page.write_text("A study of something\n" + CRITERIA)
    assert "--id" in run("import", page, "--out", tmp_path).output
    refused = run("import", page, "--out", tmp_path, "--id", "HOUSE_7")
    assert "--id: HOUSE_7: is no id of a trial; an id is up to 64 letters, digits and hyphens" in refused.output
    assert run("import", page, "--out", tmp_path, "--id", "HOUSE-7").exit_code == 0
    assert (tmp_path / "HOUSE-7.yaml").is_file()


@pytest.mark.parametrize(
    ("source", "said"),
    [("NCT99999999", "no study of this number"), ("nowhere.json", "is not an NCT number")],
)
def test_what_cannot_be_read_is_said(source: str, said: str, tmp_path: Path, registry: str) -> None:
    found = run("import", source, "--out", tmp_path, "--registry", registry)
    assert found.exit_code == 2
    assert said in found.output


def test_a_registry_that_is_away_is_said(tmp_path: Path) -> None:
    found = run("import", NUMBER, "--out", tmp_path, "--registry", "http://127.0.0.1:9/api/v2")
    assert found.exit_code == 2
    assert "cannot be reached" in found.output


def test_refreshing_renews_the_status_and_names_the_criteria_of_changed_words(tmp_path: Path, registry: str) -> None:
    path = imported(tmp_path, registry)
    assert run("refresh", path, "--registry", registry).output == "nothing has changed\n"
    newer = tmp_path / "newer.json"
    newer.write_bytes(an_entry(CRITERIA.replace("9", "10"), "COMPLETED"))
    dry = run("refresh", path, newer, "--dry-run")
    assert yaml.safe_load(path.read_text())["recruiting"]["status"] == "recruiting"
    found = run("refresh", path, newer)
    assert found.output == dry.output
    assert found.exit_code == 3
    assert "status: recruiting -> closed" in found.output
    assert "text: I1.hemoglobin" in found.output
    assert yaml.safe_load(path.read_text())["recruiting"]["status"] == "closed"


def test_a_concept_of_the_site_is_recognized_by_its_own_names(tmp_path: Path) -> None:
    concepts = tmp_path / "concepts"
    concepts.mkdir()
    (concepts / "mine.yaml").write_text(
        "tumour-load: {title: Tumour load, kind: result, names: [clonal burden], unit: '%', plausible: [0, 100], "
        "current_for: 90 d, codes: {loinc: {}}, source: invented}\n"
    )
    page = tmp_path / "page.txt"
    page.write_text("A study of something\nInclusion Criteria:\n\n* Clonal burden > 20 %\n")
    found = run("import", page, "--out", tmp_path, "--id", "HOUSE-9", "--mappings", concepts)
    assert found.exit_code == 0, found.output
    content = yaml.safe_load((tmp_path / "HOUSE-9.yaml").read_text())
    assert content["before"][0]["include"] == {"value": {"of": "tumour-load", "is": "> 20 %"}}


def test_the_command_counts_the_words_that_stand_nowhere(tmp_path: Path, registry: str) -> None:
    found = run("import", NUMBER, "--out", tmp_path, "--registry", registry)
    assert "words in no criterion and no question: 0 of 8" in found.output


def test_a_changed_text_takes_the_signature_off_and_is_shown_once(tmp_path: Path, registry: str) -> None:
    path = imported(tmp_path, registry)
    path.write_text(path.read_text() + "signed_off: {by: A. Person, on: 2026-12-01}\n")
    newer = tmp_path / "newer.json"
    newer.write_bytes(an_entry(CRITERIA.replace("9", "10")))
    found = run("refresh", path, newer)
    assert found.exit_code == 3
    assert "The signature is taken off" in found.output
    content = yaml.safe_load(path.read_text())
    assert "signed_off" not in content
    assert "Hemoglobin >= 10 g/dL" in next(c["question"] for c in content["before"] if c["id"] == "I1.hemoglobin")
    assert (tmp_path / content["source"]["compared"]).read_bytes() == newer.read_bytes()
    again = run("refresh", path, newer)
    assert (again.exit_code, again.output) == (0, "nothing has changed\n")


def test_a_gate_that_asks_nobody_cannot_be_signed(tmp_path: Path, registry: str) -> None:
    path = imported(tmp_path, registry)
    content = yaml.safe_load(path.read_text()) | {"signed_off": {"by": "A. Person", "on": "2026-12-01"}}
    content["cohorts"]["main"]["gate"] = {"judgement": {"ask": "Which disease opens this study?"}}
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    found = run("lint", "--trials", tmp_path)
    assert found.exit_code == 1
    assert "the gate of cohort main is a question, which lets every patient in" in found.output


def test_a_draft_is_shown_beside_its_text(tmp_path: Path, registry: str) -> None:
    path = imported(tmp_path, registry)
    found = run("review", path)
    assert found.exit_code == 0, found.output
    page = (tmp_path / f"{NUMBER}.review.html").read_text()
    assert '<a id="text-I1.hemoglobin" href="#I1.hemoglobin">Hemoglobin &gt;= 9 g/dL</a>' in page
    assert '<article id="I1.hemoglobin">' in page
    assert "Hemoglobin: 8.9 g/dL → not met, 9 g/dL → met, no result → unknown" in page
    assert "Drafts of this form (limit): a reader found 0 of" in page
    assert "<script" not in page


def test_a_page_of_something_else_is_not_written(tmp_path: Path) -> None:
    found = run("review", tmp_path / "nothing.yaml")
    assert found.exit_code == 2
    assert "there is no such file" in found.output


def test_another_studys_entry_refreshes_nothing(tmp_path: Path, registry: str) -> None:
    path = imported(tmp_path, registry)
    other = tmp_path / "other.json"
    other.write_bytes(an_entry().replace(NUMBER.encode(), b"NCT00000002"))
    found = run("refresh", path, other)
    assert found.exit_code == 2
    assert "another study" in found.output


def test_a_trial_is_exported_whole_as_fhir() -> None:
    found = run("export", "NCT06711146")
    assert found.exit_code == 0
    assert fhirkit.validate(found.stdout) == []
    bundle: dict[str, Any] = json.loads(found.stdout)
    kinds = [each["resource"]["resourceType"] for each in bundle["entry"]]
    assert kinds[:2] == ["ResearchStudy", "Group"]
    assert "platelets" in [each["resource"]["id"] for each in bundle["entry"]]
    assert run("export", "nothing").exit_code == 2


def test_the_computed_criteria_are_exported_as_cql() -> None:
    found = run("export", "NCT06711146", "--as", "cql")
    assert found.exit_code == 0
    assert 'library "NCT06711146"' in found.stdout
    assert 'define "I9.platelets":' in found.stdout
    assert run("export", "NCT06711146", "--as", "pdf").exit_code == 2

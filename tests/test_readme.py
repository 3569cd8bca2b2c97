"""What the README and docs/extending.md promise: call, trial and codes, each tried against a real server."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.settings import PREFIX, Settings
from docs.generate import SETTINGS, settings
from tests.server import COMMAND, Server, demo_server, environment

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
EXTENDING = (ROOT / "docs" / "extending.md").read_text("utf-8")
BLOCKS = re.findall(r"```sh\n(.*?)```", README + EXTENDING, re.DOTALL)
NEPHRITIS = "demo-lupus-nephritis"
needs_curl = pytest.mark.skipif(not (shutil.which("curl") and shutil.which("bash")), reason="curl or bash is missing")
Json = dict[str, Any]


def block_with(text: str) -> str:
    (found,) = [block for block in BLOCKS if text in block]
    return str(found)


def run(commands: str, folder: Path) -> str:
    """The commands as a reader would paste them; the output. The line that starts the server is left out."""
    lines = [line for line in commands.splitlines() if not line.endswith("make run")]
    script = "\n".join(lines).replace(".venv/bin/trialcards", str(COMMAND))
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=folder, env=environment(), capture_output=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.decode()


def test_the_table_has_every_setting_with_its_default_and_its_sentence() -> None:
    text = SETTINGS.read_text("utf-8")
    assert settings(text) == text, "run python -m docs.generate"
    assert f"| `{PREFIX}DEADLINE` | `4.0` | {Settings.model_fields['deadline'].description} |\n" in text


@pytest.mark.parametrize(
    "path", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))], ids=lambda path: path.name
)
def test_every_document_that_is_linked_is_there(path: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", path.read_text("utf-8"))
    assert not [link for link in links if "://" not in link and not (path.parent / link).exists()]


def test_the_index_lists_every_document() -> None:
    index = (ROOT / "docs" / "README.md").read_text("utf-8")
    names = {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert not [name for name in names if f"]({name})" not in index]


def test_the_readme_is_read_in_four_minutes() -> None:
    assert len(README.split()) < 900


# The commands, against one server that has the README's trial and codes


@dataclass(frozen=True)
class Site:
    server: Server
    folder: Path


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    run(block_with("cat > my-trials"), folder)
    run(block_with("my-mappings"), folder)
    with demo_server(folder, TRIALCARDS_TRIALS="my-trials", TRIALCARDS_MAPPINGS="my-mappings") as server:
        yield Site(server, folder)


@needs_curl
def test_the_call_is_answered_with_a_card_that_has_evidence(site: Site) -> None:
    command = block_with("curl").replace("http://127.0.0.1:8000", site.server.base)
    assert command.rstrip().endswith("| python3 -m json.tool | head -60")
    shown = run(command.replace("| head -60", ""), site.folder)
    answer = json.loads(shown)
    (first, *_) = answer["cards"]
    assert first["summary"]
    criteria = [c for cohort in first["extension"]["org.trialcards.match"]["cohorts"] for c in cohort["criteria"]]
    assert [criterion for criterion in criteria if criterion["evidence"]]


def cards_of(server: Server, patient: str) -> list[Json]:
    """What the demo page gets when the chart is opened."""
    call = {
        "hook": "patient-view",
        "hookInstance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
        "fhirServer": f"{server.base}/demo/fhir",
        "context": {"userId": "Practitioner/demo", "patientId": patient},
    }
    url = f"{server.base}/cds-services/trial-match-patient-view"
    answer = httpx.post(url, json=call, trust_env=False, timeout=30)
    assert answer.status_code == 200, answer.text
    cards: list[Json] = answer.json()["cards"]
    return cards


def kidney_verdict(server: Server) -> str | None:
    for card in cards_of(server, NEPHRITIS):
        if card["source"]["topic"]["code"] == "DEMOKIDNEY":
            return str(card["extension"]["org.trialcards.match"]["verdict"])
    return None


def test_the_invented_trial_is_linted_served_and_its_card_is_the_first(site: Site) -> None:
    assert COMMAND.exists()
    trials = httpx.get(f"{site.server.base}/api/v1/trials", trust_env=False).json()["trials"]
    assert "DEMO-KIDNEY" in [trial["trial"] for trial in trials]
    assert cards_of(site.server, NEPHRITIS)[0]["source"]["topic"]["code"] == "DEMOKIDNEY"


def test_a_changed_limit_changes_the_card_without_a_restart(site: Site) -> None:
    before = kidney_verdict(site.server)
    path = site.folder / "my-trials" / "DEMO-KIDNEY.yaml"
    path.write_text(path.read_text("utf-8").replace(">= 60", ">= 150"), "utf-8")
    until = time.monotonic() + 20
    while kidney_verdict(site.server) == before and time.monotonic() < until:
        time.sleep(0.5)
    assert kidney_verdict(site.server) != before


def test_a_local_code_of_the_overlay_is_read(site: Site) -> None:
    patient = {"resourceType": "Patient", "id": "p1"}
    about = {"subject": {"reference": "Patient/p1"}}
    lupus: Json = {"resourceType": "Condition", "id": "c1", "code": {"coding": [_coding("icd-10-cm", "M32.9")]}} | about
    count: Json = {
        "resourceType": "Observation",
        "id": "o1",
        "status": "final",
        "code": {"coding": [{"system": "urn:example:lab", "code": "PLT"}]},
        "effectiveDateTime": "2026-10-20",
        "valueQuantity": {"value": 180, "unit": "K/uL"},
    }
    entries = [{"resource": each} for each in (patient, lupus, count | about)]
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": entries}
    url = f"{site.server.base}/api/v1/match?asOf=2026-11-01&trial=NCT06711146"
    report = httpx.post(url, json=bundle, trust_env=False, timeout=30).json()
    criteria = report["trials"][0]["cohorts"][0]["criteria"]
    (platelets,) = [criterion for criterion in criteria if criterion["id"] == "I9.platelets"]
    assert platelets["outcome"] == "met"
    assert platelets["evidence"][0]["resource"] == "Observation/o1"


def _coding(name: str, code: str) -> dict[str, str]:
    return {"system": f"http://hl7.org/fhir/sid/{name}", "code": code}

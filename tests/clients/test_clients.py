"""FHIR clients that others wrote, against our FHIR endpoint and the demo EHR. Skipped by name where one is not here."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.server import demo_server

HERE = Path(__file__).parent
CACHE = Path(__file__).parents[2] / ".cache" / "clients"
LUPUS = ["CNCT19-AID", "CT1190B-SLE-SSC", "NCT06680388", "NCT06711146"]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with demo_server(tmp_path_factory.mktemp("clients")) as server:
        yield server.base


# -- fhir-kit-client, in Node


@pytest.fixture(scope="module")
def node() -> str:
    """Node with fhir-kit-client, installed once into .cache; skipped where Node or the package cannot be had."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("needs Node and npm for fhir-kit-client")
    if not (CACHE / "node_modules" / "fhir-kit-client").is_dir():
        CACHE.mkdir(parents=True, exist_ok=True)
        shutil.copy(HERE / "package.json", CACHE)
        command = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--silent"]
        try:
            subprocess.run(command, cwd=CACHE, check=True, capture_output=True, timeout=60)
        except (subprocess.SubprocessError, OSError):
            pytest.skip("fhir-kit-client cannot be installed here")
    shutil.copy(HERE / "fhir_kit.mjs", CACHE)
    return node


def test_fhir_kit_client_reads_searches_pages_and_matches(base: str, node: str) -> None:
    command = [node, str(CACHE / "fhir_kit.mjs"), f"{base}/fhir", f"{base}/demo/fhir"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["fhirVersion"] == "4.0.1"
    assert found["found"] == LUPUS
    assert (found["group"], found["valueSet"]) == ("Group", "platelets")
    assert found["missing"] == {"status": 404, "resourceType": "OperationOutcome"}
    assert found["matched"][0] == "List"
    assert found["subject"] == f"Patient/{found['patient']}"


# -- fhirpy


async def test_fhirpy_reads_searches_pages_and_matches(base: str) -> None:
    fhirpy = pytest.importorskip("fhirpy", reason="needs fhirpy: pip install fhirpy")
    studies = fhirpy.AsyncFHIRClient(f"{base}/fhir")
    found = (
        await studies.resources("ResearchStudy")
        .search(condition="http://snomed.info/sct|55464009")
        .limit(2)
        .fetch_all()
    )
    assert [study["id"] for study in found] == LUPUS
    study = await studies.resources("ResearchStudy").search(_id="NCT06711146").get()
    group = await study["enrollment"][0].to_resource()
    assert group["name"] == study["enrollment"][0]["display"]
    with pytest.raises(fhirpy.base.exceptions.ResourceNotFound):
        await studies.reference("ResearchStudy", "nothing").to_resource()
    chart = await _chart(fhirpy, f"{base}/demo/fhir")
    answer = await studies.execute("ResearchStudy/$match", method="post", data=chart)
    assert answer["entry"][0]["resource"]["resourceType"] == "List"


async def _chart(fhirpy: Any, base: str) -> dict[str, Any]:
    """One demo patient's whole chart, read page by page."""
    ehr = fhirpy.AsyncFHIRClient(base)
    patient = (await ehr.resources("Patient").fetch_all())[0]
    resources = [patient]
    for kind in ("Condition", "Observation", "MedicationRequest"):
        resources += await ehr.resources(kind).search(patient=patient["id"]).fetch_all()
    assert len(resources) > 5
    entries = [{"resource": each.serialize()} for each in resources]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}

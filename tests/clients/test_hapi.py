"""A FHIR server that others wrote, in the demo EHR's place (TRIALCARDS_DEMO_FHIR): HAPI FHIR, with the demo's patients.

It shows at most 20 resources on a page, so that every chart is read over several of its `next` links.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from app.demo.charts import demo_patients
from cds_hooks.protocol.services import CHART
from tests.hapi import hapi
from tests.server import demo_server

Json = dict[str, Any]
PAGE = 20
PATIENCE = 30_000  # ms
PATIENTS = [patient.id for patient in demo_patients(datetime.now(UTC).date())]
NEAR_MISS = "demo-lupus-near-miss"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def ehr(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """HAPI FHIR with the demo's patients; skipped where its tools are not here or nothing can be fetched."""
    if missing := hapi.missing_tools():
        pytest.skip(f"needs {', '.join(missing)}: {hapi.INSTALL}")
    try:
        hapi.install()
    except (RuntimeError, OSError, subprocess.TimeoutExpired):
        pytest.skip("HAPI FHIR cannot be fetched here; `python -m tests.hapi.hapi` says why")
    with hapi.hapi_server(tmp_path_factory.mktemp("hapi"), page_size=PAGE) as base:
        hapi.put(base, hapi.demo_resources())
        yield base


@pytest.fixture(scope="module")
def service(ehr: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The demo with that server as its EHR. A server that has just begun is slow at first."""
    folder = tmp_path_factory.mktemp("service")
    with demo_server(folder, TRIALCARDS_DEMO_FHIR=ehr, TRIALCARDS_DEADLINE="30") as server:
        yield server.base


def get(address: str) -> httpx.Response:
    return httpx.get(address, trust_env=False, timeout=60)


def fired(service: str, fhir: str, patient: str, prefetch: Json | None = None) -> httpx.Response:
    """patient-view, as an EHR with that FHIR server fires it."""
    call = {
        "hook": "patient-view",
        "hookInstance": "5e4b9a40-6c1f-4d6f-8d3b-0a7f6f0a9a11",
        "fhirServer": fhir,
        "context": {"userId": "Practitioner/demo", "patientId": patient},
    } | ({"prefetch": prefetch} if prefetch else {})
    return httpx.post(f"{service}/cds-services/trial-match-patient-view", json=call, trust_env=False, timeout=60)


def cards(service: str, fhir: str, patient: str, prefetch: Json | None = None) -> list[Json]:
    """The cards, without what differs from call to call: their uuids, and the signed address of the explanation."""
    answer = fired(service, fhir, patient, prefetch)
    assert answer.status_code == 200, answer.text
    found: list[Json] = _lasting(answer.json()["cards"])
    return found


def _lasting(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _lasting(each) for key, each in value.items() if key not in ("uuid", "url")}
    return [_lasting(each) for each in value] if isinstance(value, list) else value


def copied(patient: str, name: str) -> list[Json]:
    """That demo patient's chart as the chart of another one."""
    (found,) = (each for each in demo_patients(datetime.now(UTC).date()) if each.id == patient)
    chart: list[Json] = json.loads(json.dumps(found.resources).replace(patient, name))
    return chart


# -- the server as it is


def test_it_is_hapi_fhir_and_pages(ehr: str) -> None:
    answer = get(f"{ehr}/Observation?patient={NEAR_MISS}&_sort=-date&_count=200")
    assert answer.headers["x-powered-by"].startswith("HAPI FHIR 8.8.0 REST Server (FHIR Server; FHIR 4.0.1/R4)")
    first = answer.json()
    (more,) = (link["url"] for link in first["link"] if link["relation"] == "next")
    assert len(first["entry"]) == PAGE
    assert more.startswith(f"{ehr}?_getpages=")


# -- the hook


@pytest.mark.parametrize("patient", PATIENTS)
def test_the_cards_are_those_of_the_built_in_demo(service: str, ehr: str, patient: str) -> None:
    """Verdicts, counts, every criterion's outcome and evidence: all that rests on them."""
    assert cards(service, ehr, patient) == cards(service, f"{service}/demo/fhir", patient)


@pytest.fixture(scope="module")
def by_reference(ehr: str) -> str:
    """A patient with the chart of another one, but that every drug is a Medication of its own."""
    patient = "copy-by-reference"
    chart, drugs = copied(NEAR_MISS, patient), []
    for request in chart:
        if "medicationCodeableConcept" in request:
            drug = f"{request['id']}-drug"
            drugs.append({"resourceType": "Medication", "id": drug, "code": request.pop("medicationCodeableConcept")})
            request["medicationReference"] = {"reference": f"Medication/{drug}"}
    assert drugs
    hapi.put(ehr, [*drugs, *chart])
    return patient


def as_of_the_original(found: list[Json], patient: str) -> Any:
    return json.loads(json.dumps(found).replace(patient, NEAR_MISS))


def test_drugs_that_are_named_by_reference_are_read(service: str, ehr: str, by_reference: str) -> None:
    found = cards(service, ehr, by_reference)
    assert as_of_the_original(found, by_reference) == cards(service, ehr, NEAR_MISS)


def test_what_it_prefetches_with_the_drugs_included_says_the_same(service: str, ehr: str, by_reference: str) -> None:
    """First pages as the server gives them; the others are read from where its `next` links lead."""
    queries = {part.key: part.query(by_reference) for part in CHART}
    queries["medicationRequests"] += "&_include=MedicationRequest:medication"
    prefetch = {key: get(f"{ehr}/{query}").json() for key, query in queries.items()}
    modes = {entry["search"]["mode"] for entry in prefetch["medicationRequests"]["entry"]}
    assert modes == {"match", "include"}
    found = cards(service, ehr, by_reference, prefetch)
    assert as_of_the_original(found, by_reference) == cards(service, ehr, NEAR_MISS)


def platelets(patient: str, count: int) -> Json:
    unit = {"unit": "10*3/uL", "system": "http://unitsofmeasure.org", "code": "10*3/uL"}
    return {
        "resourceType": "Observation",
        "id": f"{patient}-new",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "777-3"}]},
        "subject": {"reference": f"Patient/{patient}"},
        "effectiveDateTime": datetime.now(UTC).isoformat(timespec="seconds"),
        "valueQuantity": {"value": count, **unit},
    }


def test_what_was_written_a_moment_ago_is_on_the_next_card(service: str, ehr: str) -> None:
    """HAPI FHIR keeps the answer to a search for a minute, and gives it again unless it is told not to."""
    hapi.put(ehr, copied(NEAR_MISS, "copy-edited"))
    assert "near miss" in str(cards(service, ehr, "copy-edited"))
    hapi.put(ehr, [platelets("copy-edited", 40)])
    assert "near miss" not in str(cards(service, ehr, "copy-edited"))


def test_a_patient_whom_it_does_not_know_gets_no_card(service: str, ehr: str) -> None:
    answer = fired(service, ehr, "nobody")
    assert (answer.status_code, answer.json()["resourceType"]) == (412, "OperationOutcome")


# -- the demo's pages


def test_the_demo_lists_its_patients_and_shows_whole_charts(service: str, ehr: str) -> None:
    listed = get(f"{service}/demo").text
    assert all(f"/demo/patients/{patient}" in listed for patient in PATIENTS)
    chart = get(f"{service}/demo/patients/{NEAR_MISS}").text
    (content,) = re.findall(r'id="chart-data">(.+?)</script>', chart, re.S)
    shown = {each["id"] for each in json.loads(content)["resources"]["Observation"]}
    assert shown == {each["id"] for each in copied(NEAR_MISS, NEAR_MISS) if each["resourceType"] == "Observation"}
    assert len(shown) > 2 * PAGE
    assert "nothing is written there" in chart


def test_an_edit_in_the_page_changes_the_cards_and_not_the_server(service: str, ehr: str) -> None:
    api = pytest.importorskip("playwright.sync_api", reason="needs Playwright: pip install playwright")
    if CHROMIUM is None:
        pytest.skip("needs a Chromium: apt-get install chromium")
    before = get(f"{ehr}/_history?_summary=count").json()["total"]
    with api.sync_playwright() as playwright:
        page = playwright.chromium.launch(executable_path=CHROMIUM).new_page()
        page.goto(f"{service}/demo/patients/{NEAR_MISS}")
        cards = api.expect(page.locator("#cards"))
        cards.to_contain_text("near miss", timeout=PATIENCE)
        page.get_by_role("button", name="New result for Platelets").click()
        page.get_by_label(re.compile("^Platelets today")).fill("40")
        page.get_by_role("button", name="Save").click()
        api.expect(page.locator("#edited")).to_have_text("Edited in this tab: Observation")
        cards.not_to_contain_text("near miss", timeout=PATIENCE)
        cards.to_contain_text("possibly eligible")
    assert get(f"{ehr}/_history?_summary=count").json()["total"] == before


def test_no_file_names_where_packages_come_from() -> None:
    assert "<repositor" not in (hapi.HERE / "pom.xml").read_text()

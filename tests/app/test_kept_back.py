"""What is kept back is kept back at every door: hooks, API, `$match`, the command line and the screen."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from app.cli import cli
from app.definitions.served import Definitions
from app.screen.run import screen
from app.web.examples import hook_call
from cds_hooks.protocol.services import CHART
from mappings.concepts.catalogue import Catalogue
from tests.app.conftest import demo_settings, services_with, serving
from tests.builders import PATIENT, bundle_of
from tests.case_files import all_cases
from tests.exports import an_order, rows_of, write_export
from tests.orders import a_drug_order, bundle
from trial_defs.definition.expressions import Trial

Json = dict[str, Any]
LABEL = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "ETH"}
RESTRICTED = f"{LABEL['system']}|{LABEL['code']}"
TODAY = date(2026, 11, 1)
VIEW = "/cds-services/trial-match-patient-view"
SIGN = "/cds-services/trial-match-order-sign"
PSYCHOSIS = {
    "resourceType": "Condition",
    "id": "psychosis",
    "code": {"coding": [{"system": "http://snomed.info/sct", "code": "69322001"}], "text": "Psychosis"},
    "subject": {"reference": f"Patient/{PATIENT}"},
    "onsetDateTime": "2024-02-01",
}
CONSENT = {
    "resourceType": "Consent",
    "id": "refusal",
    "status": "active",
    "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "research"}]},
    "patient": {"reference": f"Patient/{PATIENT}"},
    "provision": {"type": "deny"},
}


@pytest.fixture(scope="module")
def chart(definitions: Definitions) -> list[Json]:
    """A candidate of the trial with the washouts, who also has a psychosis on record."""
    case = next(c for c in all_cases() if c.trial == "NCT06680388" and c.verdict == "likely-eligible")
    found = bundle_of(case.chart, TODAY, definitions.now.catalogue)
    return [*(entry["resource"] for entry in found["entry"]), PSYCHOSIS]


def labelled(record: Json) -> Json:
    return record | {"meta": {"security": [LABEL]}}


def with_label(chart: Sequence[Json], place: int) -> list[Json]:
    return [labelled(each) if n == place else each for n, each in enumerate(chart)]


def without(chart: Sequence[Json], place: int) -> list[Json]:
    return [each for n, each in enumerate(chart) if n != place]


def hook_of(chart: Sequence[Json], *orders: Json) -> Json:
    body = hook_call("order-sign" if orders else "patient-view")
    body["context"] |= {"patientId": PATIENT} | ({"draftOrders": bundle(*orders)} if orders else {})
    prefetch = {part.key: bundle(*(r for r in chart if r["resourceType"] == part.resource_type)) for part in CHART}
    return body | {"prefetch": prefetch | {"patient": chart[0]}}


_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


async def cards_of(client: httpx.AsyncClient, chart: Sequence[Json], *orders: Json) -> dict[str, str]:
    """The cards by trial, without what differs from call to call."""
    answer = await client.post(SIGN if orders else VIEW, json=hook_of(chart, *orders))
    assert answer.status_code in (200, 412), answer.text
    cards = answer.json()["cards"] if answer.status_code == 200 else []
    return {card["source"]["topic"]["code"]: _UUID.sub("-", json.dumps({**card, "links": None})) for card in cards}


async def report_of(client: httpx.AsyncClient, chart: Sequence[Json]) -> Json:
    body = {"resourceType": "Bundle", "entry": [{"resource": each} for each in chart]}
    answer = await client.post("/api/v1/match?asOf=2026-11-01T12:00:00Z", json=body)
    assert answer.status_code == 200, answer.text
    return {**answer.json(), "id": ""}


async def guidance_of(client: httpx.AsyncClient, chart: Sequence[Json]) -> dict[str, Json]:
    """The GuidanceResponses of `$match`, by trial."""
    body = {"resourceType": "Bundle", "entry": [{"resource": each} for each in chart]}
    answer = await client.post("/fhir/ResearchStudy/$match?asOf=2026-11-01T12:00:00Z", json=body)
    assert answer.status_code == 200, answer.text
    found = (entry["resource"] for entry in answer.json()["entry"])
    return {each["id"]: each for each in found if each["resourceType"] == "GuidanceResponse"}


async def test_hooks_api_and_fhir_answer_as_if_a_labelled_record_were_not_there(
    tmp_path: Path, definitions: Definitions, chart: list[Json]
) -> None:
    settings = demo_settings(tmp_path, restricted_labels=(RESTRICTED,), max_cards=20)
    order = a_drug_order("rituximab")
    async with serving(services_with(settings, definitions)) as client:
        # The law in tests/laws goes through all records; here each door is tried with every fifth.
        for place in (*range(1, len(chart), 5), len(chart) - 1):
            marked, left_out = with_label(chart, place), without(chart, place)
            shown, expected = await cards_of(client, marked), await cards_of(client, left_out)
            assert shown.items() <= expected.items(), chart[place]["id"]
            shown, expected = await cards_of(client, marked, order), await cards_of(client, left_out, order)
            assert shown.items() <= expected.items(), chart[place]["id"]
            report, plain = await report_of(client, marked), await report_of(client, left_out)
            assert all(entry in plain["trials"] for entry in report["trials"]), chart[place]["id"]
            assert {**report, "trials": []} == {**plain, "trials": []}
            guidance, usual = await guidance_of(client, marked), await guidance_of(client, left_out)
            assert guidance.items() <= usual.items(), chart[place]["id"]


async def test_a_labelled_diagnosis_is_neither_asked_about_nor_taken_as_absent(
    tmp_path: Path, definitions: Definitions, chart: list[Json]
) -> None:
    """The question "Was the psychosis clinically significant?" would show that there is one."""
    settings = demo_settings(tmp_path, restricted_labels=(RESTRICTED,), max_cards=20)
    async with serving(services_with(settings, definitions)) as client:
        asked = await client.post(VIEW, json=hook_of(chart))
        answer = await client.post(VIEW, json=hook_of([*chart[:-1], labelled(PSYCHOSIS)]))
    assert "psychosis" in asked.text.lower()
    assert answer.status_code == 200
    for card in answer.json()["cards"]:
        entry = card["extension"]["org.trialcards.match"]
        criteria = [c for cohort in entry["cohorts"] for c in cohort["criteria"]]
        assert all("Condition/psychosis" not in json.dumps(c) for c in criteria)
        assert not [c["id"] for c in criteria if "psychosis" in c["id"] and c["outcome"] == "met"]


async def test_a_labelled_result_that_closes_the_trial_leaves_no_card_for_it(
    tmp_path: Path, definitions: Definitions, chart: list[Json]
) -> None:
    """Without the result the patient would look like a candidate, who plainly is not."""
    settings = demo_settings(tmp_path, restricted_labels=(RESTRICTED,), max_cards=20)
    kept = [each for each in chart if "hiv" not in each["id"]]
    hiv = {
        "resourceType": "Observation",
        "id": "hiv-positive",
        "status": "final",
        "code": {"coding": [{"system": "https://trialcards.org/fhir/CodeSystem/concept", "code": "hiv"}]},
        "subject": {"reference": f"Patient/{PATIENT}"},
        "effectiveDateTime": "2026-10-20",
        "valueCodeableConcept": {"coding": [{"system": "http://snomed.info/sct", "code": "10828004"}]},
    }
    async with serving(services_with(settings, definitions)) as client:
        assert "NCT06680388" in await cards_of(client, kept)
        assert "NCT06680388" not in await cards_of(client, [*kept, labelled(hiv)])
        report = await report_of(client, [*kept, labelled(hiv)])
    assert report["approachable"]
    assert "NCT06680388" not in {entry["trial"] for entry in report["trials"]}


async def test_a_labelled_refusal_counts_all_the_same(
    tmp_path: Path, definitions: Definitions, chart: list[Json]
) -> None:
    settings = demo_settings(tmp_path, restricted_labels=(RESTRICTED,))
    async with serving(services_with(settings, definitions)) as client:
        assert not await cards_of(client, [*chart, labelled(CONSENT)])


async def test_nothing_is_shown_of_a_patient_whose_own_record_is_labelled(
    tmp_path: Path, definitions: Definitions, chart: list[Json]
) -> None:
    settings = demo_settings(tmp_path, restricted_labels=(RESTRICTED,))
    async with serving(services_with(settings, definitions)) as client:
        marked = with_label(chart, 0)
        assert not await cards_of(client, marked)
        assert (await report_of(client, marked))["trials"] == []
        assert not await guidance_of(client, marked)


@pytest.mark.parametrize("refusal", [CONSENT, None], ids=["consent", "inactive"])
async def test_a_report_says_who_must_not_be_approached_and_names_no_trial(
    client: httpx.AsyncClient, chart: list[Json], refusal: Json | None
) -> None:
    assert (await report_of(client, chart))["approachable"] is True
    refused = [*chart, refusal] if refusal else [chart[0] | {"active": False}, *chart[1:]]
    report = await report_of(client, refused)
    assert (report["approachable"], report["trials"]) == (False, [])
    assert list(report)[1:3] == ["patient", "approachable"]
    assert not await guidance_of(client, refused)


def test_the_command_line_shows_no_trial_of_who_must_not_be_approached(tmp_path: Path, chart: list[Json]) -> None:
    path = tmp_path / "chart.json"
    path.write_text(json.dumps({"resourceType": "Bundle", "entry": [{"resource": r} for r in [*chart, CONSENT]]}))
    given = ["match", str(path), "--as-of", "2026-11-01"]
    table = CliRunner().invoke(cli, given)
    report = json.loads(CliRunner().invoke(cli, [*given, "--json"]).stdout)
    assert (table.exit_code, "NCT" in table.stdout) == (0, False)
    assert "Not to be approached for research: the chart says so." in table.stdout
    assert (report["approachable"], report["trials"]) == (False, [])


def test_the_command_line_keeps_labelled_records_back(tmp_path: Path, chart: list[Json]) -> None:
    marked = [labelled(r) if r["resourceType"] == "Observation" else r for r in chart]
    path = tmp_path / "chart.json"
    path.write_text(json.dumps({"resourceType": "Bundle", "entry": [{"resource": r} for r in marked]}))
    given = ["match", str(path), "--as-of", "2026-11-01", "--json"]
    assert "Observation/" in CliRunner().invoke(cli, given).stdout
    for kept_back in (
        CliRunner().invoke(cli, [*given, "--restricted-labels", RESTRICTED]),
        CliRunner().invoke(cli, given, env={"TRIALCARDS_RESTRICTED_LABELS": RESTRICTED}),
    ):
        assert kept_back.exit_code == 0
        assert "Observation/" not in kept_back.stdout
    wrong = CliRunner().invoke(cli, [*given, "--restricted-labels", "ETH"])
    assert (wrong.exit_code, wrong.stderr) == (2, "--restricted-labels: write each label as system|code\n")


def test_a_screen_lists_a_patient_as_if_a_labelled_record_were_not_there(
    tmp_path: Path, trials: Mapping[str, Trial], catalogue: Catalogue, chart: list[Json]
) -> None:
    """Of each record a pair of patients: one who has it with a label, and one who does not have it."""
    resources: list[Json] = []
    for place in range(1, len(chart), 2):
        resources += _renamed(with_label(chart, place), f"{place}-label") + _renamed(
            without(chart, place), f"{place}-none"
        )
    export = write_export(tmp_path / "export", resources)
    labels = frozenset({(LABEL["system"], LABEL["code"])})
    screen(an_order(export, tmp_path, trials.values(), catalogue, labels=labels))
    rows: dict[str, list[str]] = {}
    for row in (*rows_of(tmp_path, "criteria"), *rows_of(tmp_path, "matches")):
        name = str(row[0]).removeprefix("Patient/")
        rows.setdefault(name, []).append(json.dumps(row, default=str).replace(name, ""))
    assert any(name.endswith("-label") for name in rows)
    for name in rows:
        if name.endswith("-label"):
            assert set(rows[name]) <= set(rows[name.replace("-label", "-none")]), chart[int(name.split("-")[0])]["id"]


def _renamed(chart: Sequence[Json], patient: str) -> list[Json]:
    """The same chart as another patient's, each record with an id of its own."""
    text = json.dumps([{**each, "id": f"{patient}-{each['id']}"} for each in chart[1:]])
    records: list[Json] = json.loads(text.replace(f'"Patient/{PATIENT}"', f'"Patient/{patient}"'))
    return [chart[0] | {"id": patient}, *records]

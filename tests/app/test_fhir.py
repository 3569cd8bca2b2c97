"""The FHIR endpoint over HTTP: read, search, $match, and who may call what."""

from __future__ import annotations

import copy
import json
from typing import Any

import fhirkit
import httpx
import pytest

from app.web.examples import PATIENT, TRIAL, WHOLE_CHART

Json = dict[str, Any]

MATCH = "/fhir/ResearchStudy/$match"
CANARY = "canary-4711"
FHIR = {"accept": "application/fhir+json"}


async def fetch(client: httpx.AsyncClient, path: str, **params: Any) -> Json:
    answer = await client.get(path, params=params or None, headers=FHIR)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/fhir+json"
    assert fhirkit.validate(answer.text) == []
    found: Json = answer.json()
    return found


def refused(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/fhir+json"
    assert CANARY not in answer.text
    outcome = answer.json()
    assert outcome["resourceType"] == "OperationOutcome"
    return str(outcome["issue"][0]["diagnostics"])


def ids(bundle: Json) -> list[str]:
    return [entry["resource"]["id"] for entry in bundle.get("entry", ())]


async def matched(client: httpx.AsyncClient, body: Json = WHOLE_CHART, **params: Any) -> list[Json]:
    answer = await client.post(MATCH, json=body, params=params)
    assert answer.status_code == 200, answer.text
    assert fhirkit.validate(answer.text) == []
    return [entry["resource"] for entry in answer.json()["entry"]]


def of_type(resources: list[Json], name: str) -> list[Json]:
    return [each for each in resources if each["resourceType"] == name]


async def test_every_address_that_a_study_names_can_be_read(client: httpx.AsyncClient) -> None:
    for study in (await fetch(client, "/fhir/ResearchStudy"))["entry"]:
        for cohort in study["resource"]["enrollment"]:
            assert (await fetch(client, f"/fhir/{cohort['reference']}"))["resourceType"] == "Group"


async def test_what_the_capability_statement_offers_is_there(client: httpx.AsyncClient) -> None:
    statement = await fetch(client, "/fhir/metadata")
    assert statement["fhirVersion"] == "4.0.1"
    for resource in statement["rest"][0]["resource"]:
        found = await fetch(client, f"/fhir/{resource['type']}", _count=1)
        one = found["entry"][0]
        assert one["fullUrl"].endswith(f"/fhir/{resource['type']}/{one['resource']['id']}")
        assert await fetch(client, one["fullUrl"]) == one["resource"]
        for param in resource["searchParam"]:
            nothing = await fetch(client, f"/fhir/{resource['type']}", **{param["name"]: CANARY})
            assert nothing["total"] == 0
    operation = statement["rest"][0]["resource"][0]["operation"][0]["definition"]
    assert (await fetch(client, "/fhir/OperationDefinition", url=operation))["total"] == 1


async def test_studies_are_searched_by_condition_and_status(client: httpx.AsyncClient) -> None:
    lupus = {"condition": "http://snomed.info/sct|55464009"}
    found = await fetch(client, "/fhir/ResearchStudy", **lupus)
    assert ids(found) == ["CNCT19-AID", "CT1190B-SLE-SSC", "NCT06680388", "NCT06711146"]
    active = await fetch(client, "/fhir/ResearchStudy", **lupus, status="active")
    assert ids(active) == ["CNCT19-AID", "NCT06711146"]
    either = await fetch(client, "/fhir/ResearchStudy", status="active,approved")
    assert ids(either) == ["CNCT19-AID", "NCT06464679", "NCT06680388", "NCT06711146"]
    both = await client.get("/fhir/ResearchStudy?status=active&status=approved")
    assert both.json()["total"] == 0


async def test_a_study_is_found_by_its_registry_number(client: httpx.AsyncClient) -> None:
    found = await fetch(client, "/fhir/ResearchStudy", identifier="http://clinicaltrials.gov|NCT06711146")
    assert ids(found) == ["NCT06711146"]


async def test_pages_follow_each_other_and_together_hold_everything(client: httpx.AsyncClient) -> None:
    page = await fetch(client, "/fhir/ResearchStudy", _count=2)
    seen = ids(page)
    while url := next((link["url"] for link in page["link"] if link["relation"] == "next"), None):
        page = await fetch(client, url)
        seen += ids(page)
    assert seen == sorted(seen)
    assert len(seen) == page["total"] == 5


async def test_an_unknown_parameter_is_left_out_of_the_self_link_or_refused_on_demand(
    client: httpx.AsyncClient,
) -> None:
    found = await fetch(client, "/fhir/ResearchStudy", colour=CANARY)
    assert found["total"] == 5
    assert CANARY not in found["link"][0]["url"]
    strict = await client.get(f"/fhir/ResearchStudy?colour={CANARY}", headers={"prefer": "handling=strict"})
    assert "not known" in refused(strict, 400)


@pytest.mark.parametrize("path", [f"/fhir/ResearchStudy/{CANARY}", f"/fhir/{CANARY}", f"/fhir/ValueSet/{CANARY}"])
async def test_what_is_not_there_is_an_operation_outcome(client: httpx.AsyncClient, path: str) -> None:
    refused(await client.get(path), 404)


async def test_a_form_that_there_is_not_is_406(client: httpx.AsyncClient) -> None:
    refused(await client.get("/fhir/metadata", headers={"accept": "application/fhir+xml"}), 406)
    refused(await client.get("/fhir/metadata?_format=xml"), 406)
    assert (await client.get("/fhir/metadata?_format=json", headers={"accept": "text/html"})).status_code == 200


async def test_the_trials_api_gives_the_fhir_form_to_who_asks_for_it(client: httpx.AsyncClient) -> None:
    whole = await fetch(client, f"/api/v1/trials/{TRIAL}")
    assert whole["resourceType"] == "ResearchStudy"
    assert [each["id"] for each in whole["contained"] if each["resourceType"] == "Group"] == ["sle"]
    for accept in ("*/*", "application/json", "application/json, application/fhir+json;q=0.5"):
        plain = await client.get(f"/api/v1/trials/{TRIAL}", headers={"accept": accept})
        assert plain.json()["trial"] == TRIAL


async def test_a_match_lists_each_candidate_with_its_study(client: httpx.AsyncClient) -> None:
    answer = (await client.post(MATCH, json=WHOLE_CHART)).json()
    by_address = {entry["fullUrl"]: entry["resource"] for entry in answer["entry"]}
    listed = of_type(list(by_address.values()), "List")[0]
    subjects = [by_address[entry["item"]["reference"]] for entry in listed["entry"]]
    assert [subject["status"] for subject in subjects] == ["candidate"] * len(subjects)
    for subject in subjects:
        assert subject["individual"]["reference"] == f"Patient/{PATIENT}"
        assert (await client.get(subject["study"]["reference"])).json()["resourceType"] == "ResearchStudy"


async def test_a_match_agrees_with_the_match_report(client: httpx.AsyncClient) -> None:
    report = (await client.post("/api/v1/match", json=WHOLE_CHART)).json()
    verdicts = {t["trial"]: t["verdict"] for t in report["trials"] if t["verdict"] != "not-indicated"}
    said = {
        each["moduleUri"].rpartition("/")[2]: each["extension"][0]["valueCode"]
        for each in of_type(await matched(client), "GuidanceResponse")
    }
    assert said == verdicts


async def test_what_is_missing_is_asked_for_by_value_set(client: httpx.AsyncClient) -> None:
    response = of_type(await matched(client, trial=TRIAL), "GuidanceResponse")[0]
    assert response["status"] == "data-requested"
    wanted = [need["codeFilter"][0]["valueSet"] for need in response["dataRequirement"] if "codeFilter" in need]
    assert "https://trialcards.org/fhir/ValueSet/lvef" in wanted
    assert "https://trialcards.org/fhir/ValueSet/platelets" not in wanted
    for address in wanted:
        assert (await fetch(client, "/fhir/ValueSet", url=address))["total"] == 1


async def test_parameters_carry_the_chart_and_the_moment(client: httpx.AsyncClient) -> None:
    body = {
        "resourceType": "Parameters",
        "parameter": [{"name": "chart", "resource": WHOLE_CHART}, {"name": "asOf", "valueDate": "2026-10-30"}],
    }
    assert (await matched(client, body))[0]["date"] == "2026-10-30T00:00:00Z"
    body["parameter"] = [{"name": "asOf", "valueDate": "2026-10-30"}]
    assert "chart" in refused(await client.post(MATCH, json=body), 422)


async def test_a_patient_who_declines_research_is_on_no_list(client: httpx.AsyncClient) -> None:
    chart = copy.deepcopy(WHOLE_CHART)
    flag = {
        "resourceType": "Flag",
        "id": "f1",
        "status": "active",
        "code": {"text": "Patient declines research contact"},
        "subject": {"reference": f"Patient/{PATIENT}"},
    }
    chart["entry"].append({"resource": flag})
    resources = await matched(client, chart)
    assert [each["resourceType"] for each in resources] == ["List"]
    assert resources[0]["emptyReason"]["coding"][0]["code"] == "withheld"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b'{"resourceType": "Bundle", "resourceType": "Bundle"}', 400),
        (b'{"resourceType": "Patient"}', 422),
        (json.dumps({"resourceType": "Parameters", "parameter": CANARY}).encode(), 422),
        (b'{"resourceType": "Bundle", "type": "collection"}', 422),
    ],
)
async def test_an_unusable_body_is_refused_without_repeating_it(
    client: httpx.AsyncClient, body: bytes, status: int
) -> None:
    refused(await client.post(MATCH, content=body, headers={"content-type": "application/fhir+json"}), status)


async def test_an_unusable_moment_or_trial_is_refused(client: httpx.AsyncClient) -> None:
    refused(await client.post(MATCH, json=WHOLE_CHART, params={"asOf": CANARY}), 422)
    refused(await client.post(MATCH, json=WHOLE_CHART, params={"trial": CANARY}), 422)

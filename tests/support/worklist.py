"""What tests of worklist share with others."""

from __future__ import annotations

import copy
import csv
import io
import re
from typing import Any

import httpx

from app.storage.records import Shown
from app.web.examples import PATIENT, hook_call
from app.worklist.candidates import Candidate
from trial_defs.engine.findings import Verdict

SERVICE = "/cds-services/trial-match-patient-view"

TRIAL = "NCT06711146"

Json = dict[str, Any]

CONFIDENTIAL = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}


def call(patient: str = PATIENT, **prefetch: object) -> Json:
    body = copy.deepcopy(hook_call("patient-view"))
    body["prefetch"] |= prefetch
    renamed: Json = _renamed(body, patient) if patient != PATIENT else body
    return renamed


def _renamed(body: Any, patient: str) -> Any:
    if isinstance(body, dict):
        return {key: _renamed(value, patient) for key, value in body.items()}
    if isinstance(body, list):
        return [_renamed(each, patient) for each in body]
    return body.replace(PATIENT, patient) if isinstance(body, str) else body


def platelets(value: float, day: str = "2026-10-31", **more: Any) -> Json:
    """The example's results with another platelet count."""
    results: Json = copy.deepcopy(hook_call("patient-view")["prefetch"]["observations"])
    for entry in results["entry"]:
        if entry["resource"]["code"]["coding"][0]["code"] == "777-3":
            entry["resource"] |= {
                "valueQuantity": {"value": value, "unit": "10*3/uL"},
                "effectiveDateTime": day,
                **more,
            }
    return results


async def opened(client: httpx.AsyncClient, body: Json | None = None) -> list[str]:
    """A chart is opened; the topics of the cards that are shown."""
    answer = await client.post(SERVICE, json=body or call())
    assert answer.status_code == 200, answer.text
    return [card["source"]["topic"]["code"] for card in answer.json()["cards"]]


async def listed(client: httpx.AsyncClient, **query: str) -> list[Json]:
    """The rows of a list, as its CSV has them."""
    answer = await client.get("/worklist/export.csv", params=query)
    assert answer.status_code == 200
    return list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))


async def row_of(client: httpx.AsyncClient, trial: str = TRIAL, **query: str) -> str:
    """The address of the row of a trial."""
    page = (await client.get("/worklist", params={"trial": trial} | query)).text
    found = re.search(r'href="(/worklist/[0-9a-f-]{36})"', page)
    assert found, page
    return found[1]


def a_candidate(trial: str = TRIAL, **changes: Any) -> Candidate:
    given: Json = {
        "trial": trial, "verdict": Verdict.POSSIBLY_ELIGIBLE, "cohort": "sle", "not_met": 0, "unknown": 3,
        "needs_human": 1, "recheck_on": None, "definition_version": 1, "definition_hash": "sha256:1",
        "said": '{"said":1}', "findings": b'[{"canary": 1}]',
    }  # fmt: skip
    return Candidate(**given | changes)


ANNA = Shown("demo", "", "canary-anna", "")

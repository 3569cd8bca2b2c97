"""The same chart in the dress of different EHRs, Epic-shaped, Oracle-Health-shaped and the sandbox: equal answers.

The profile of each is an entry of the file of trusted EHRs; see docs/connect.md.
"""

from __future__ import annotations

import copy
import json
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc import jws
from joserfc.jwk import RSAKey

from app.definitions.served import Definitions
from app.web.examples import PATIENT, hook_call
from tests.app.conftest import services_with, serving
from tests.cds_hooks.oracle import check_response
from tests.hospital import BASE, KEY, VIEW, bearer, signed
from tests.support.protocol import production_settings

EPIC_KEY = RSAKey.generate_key(2048, {"kid": "a+b/c=="}, private=True)
EPIC = """
algorithms = ["RS384"]
audiences = ["https://typed-by-the-site.example"]
subject = "0b3a8c5e-client"
[ehr.prefetch_aliases]
pat = "patient"
problems = "conditions"
"""
ORACLE = """
tenants = ["ec2458f2"]
match_extension = false
"""
SANDBOX = """
cors_origins = ["https://sandbox.example"]
replay_guard = false
"""
WARNING = {"resourceType": "OperationOutcome", "issue": [{"severity": "warning", "code": "processing"}]}


async def asked(folder: Path, definitions: Definitions, entry: str, body: object, token: str) -> httpx.Response:
    settings = production_settings(folder, entry)
    if "RS384" in entry:
        (folder / "keys.json").write_text(json.dumps({"keys": [EPIC_KEY.as_dict(private=False)]}))
    async with serving(services_with(settings, definitions), BASE) as client:
        answer = await client.post(VIEW, json=body, headers=bearer(token))
    assert answer.status_code == 200, answer.text
    check_response(answer.json(), f"Patient/{PATIENT}")
    return answer


def said(answer: httpx.Response) -> list[tuple[str, str]]:
    return [(card["summary"], card["detail"]) for card in answer.json()["cards"]]


def in_epics_dress() -> dict[str, Any]:
    """Plural keys of a site, ids of 200 characters, a warning entry for "no results", a category that is no list."""
    body = copy.deepcopy(hook_call("patient-view"))
    prefetch = body["prefetch"]
    for value in prefetch.values():
        if value and value["resourceType"] == "Bundle" and not value.get("entry"):
            value |= {"total": 0, "entry": [{"resource": WARNING, "search": {"mode": "outcome"}}]}
    for entry in prefetch["observations"]["entry"]:
        entry["resource"]["category"] = {"text": "Laboratory"}
        entry["resource"]["identifier"] = [{"system": "urn:oid:1.2"}]
        entry["resource"]["subject"]["reference"] = f"https://ehr.example/api/FHIR/R4/Patient/{PATIENT}"
    prefetch["pat"], prefetch["problems"] = prefetch.pop("patient"), prefetch.pop("conditions")
    extension = {
        "com.epic.cdshooks.request.bpa-trigger-action": 23,
        "com.epic.cdshooks.request.cds-hooks-su-version": "1",
    }
    return body | {
        "hookInstance": "f399c67c-c703-11ea-8b6f-0050568dc6d1",
        "context": {"userId": "PractitionerRole/" + "e" * 199, "patientId": PATIENT, "encounterId": "e" * 199},
        "fhirServer": "https://ehr.example/api/FHIR/R4",
        "fhirAuthorization": {
            "access_token": "x", "token_type": "bearer", "expires_in": "300", "subject": "client",
            "scope": "Patient.Read (R4) Observation.Search (Labs) (R4)",
        },
        "extension": extension,
    }  # fmt: skip


def epics_token() -> str:
    now = int(time.time())
    claims = {
        "iss": "https://ehr.example/oauth2", "sub": "0b3a8c5e-client", "aud": "https://typed-by-the-site.example",
        "iat": now, "nbf": now - 300, "exp": now + 900, "jti": f"{now}-a/b=",
    }  # fmt: skip
    header = {"alg": "RS384", "typ": "JWT", "kid": EPIC_KEY.kid}
    return jws.serialize_compact(header, json.dumps(claims).encode(), EPIC_KEY, algorithms=["RS384"])


async def test_epic_shaped_calls_say_the_same(tmp_path: Path, definitions: Definitions) -> None:
    plain = await asked(tmp_path, definitions, "", hook_call("patient-view"), signed())
    epic = await asked(tmp_path, definitions, EPIC, in_epics_dress(), epics_token())
    assert said(epic) == said(plain)


async def test_oracle_health_shaped_calls_say_the_same_without_our_extension(
    tmp_path: Path, definitions: Definitions
) -> None:
    plain = await asked(tmp_path, definitions, "", hook_call("patient-view"), signed())
    oracle = await asked(tmp_path, definitions, ORACLE, hook_call("patient-view"), signed(tenant="ec2458f2"))
    assert said(oracle) == said(plain)
    assert all("extension" not in card for card in oracle.json()["cards"])


async def test_the_sandbox_may_send_one_token_for_several_calls_from_a_browser(
    tmp_path: Path, definitions: Definitions
) -> None:
    settings = production_settings(tmp_path, SANDBOX)
    body = hook_call("patient-view")
    body["context"] |= {"userId": "Practitioner/COREPRACTITIONER1"}
    async with serving(services_with(settings, definitions), BASE) as client:
        token = bearer(signed(key=KEY)) | {"origin": "https://sandbox.example"}
        answers = [await client.post(VIEW, json=body, headers=token) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].headers["access-control-allow-origin"] == "https://sandbox.example"
    assert said(answers[0]) == said(answers[1])


LABS = 'labs = "observations"\nvitals = "observations"\nsurveys = "observations"\n'


def under_keys(*keys: str) -> dict[str, Any]:
    """The call with its observations dealt out over these prefetch keys."""
    body = copy.deepcopy(hook_call("patient-view"))
    whole = body["prefetch"].pop("observations")
    for number, key in enumerate(keys):
        body["prefetch"][key] = {
            "resourceType": "Bundle",
            "type": "searchset",
            "entry": whole["entry"][number :: len(keys)],
        }
    return body


@pytest.mark.parametrize(
    "keys",
    [
        ("labs", "vitals", "surveys"),
        ("surveys", "labs", "vitals"),
        ("labs", "vitals", "surveys", "observations"),
        ("observations", "labs"),
        ("observations",),
    ],
)
async def test_every_key_of_the_ehr_that_stands_for_one_of_ours_counts(
    tmp_path: Path, definitions: Definitions, keys: tuple[str, ...]
) -> None:
    entry = f"[ehr.prefetch_aliases]\n{LABS}"
    plain = await asked(tmp_path, definitions, "", hook_call("patient-view"), signed())
    assert said(await asked(tmp_path, definitions, entry, under_keys(*keys), signed())) == said(plain)


@pytest.mark.parametrize("missing", ["labs", "vitals", "surveys"])
async def test_a_key_of_several_that_was_not_sent_leaves_the_type_incomplete(
    tmp_path: Path, definitions: Definitions, missing: str
) -> None:
    entry = f"[ehr.prefetch_aliases]\n{LABS}"
    body = under_keys("labs", "vitals", "surveys")
    del body["prefetch"][missing]
    answer = await asked(tmp_path, definitions, entry, body, signed())
    assert all("not read completely" in detail for summary, detail in said(answer) if "more" not in summary)

"""What tests of ehr share with others."""

from __future__ import annotations

from typing import Any

import httpx

from app.web.examples import hook_call
from tests.fhir_server import FhirServer

SERVICE = "/cds-services/trial-match-patient-view"

TOKEN = "canary-token"


def call(server: FhirServer, *prefetched: str, **more: object) -> dict[str, Any]:
    body = hook_call("patient-view")
    body["prefetch"] = {key: value for key, value in body["prefetch"].items() if key in prefetched}
    body["fhirServer"] = server.base
    body["fhirAuthorization"] = {
        "access_token": TOKEN,
        "token_type": "Bearer",
        "expires_in": 300,
        "scope": "any (old) text",
    }
    return body | more


async def criteria(client: httpx.AsyncClient, request: dict[str, Any]) -> dict[str, tuple[str, str | None]]:
    """Outcome and reason of every criterion on the cards that were answered."""
    answer = await client.post(SERVICE, json=request)
    assert answer.status_code == 200, answer.text
    return {
        f"{card['source']['topic']['code']} {criterion['id']}": (criterion["outcome"], criterion["reason"])
        for card in answer.json()["cards"]
        if "extension" in card  # not so the card that counts the others
        for cohort in card["extension"]["org.trialcards.match"]["cohorts"]
        for criterion in cohort["criteria"]
    }

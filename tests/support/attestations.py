"""What tests of attestations share with others."""

from __future__ import annotations

from typing import Any

import httpx

from app.storage.audit import Question
from app.storage.records import Shown
from app.web.examples import PATIENT
from app.wiring import Services
from tests.support.cds import SERVICE, call

TRIAL = """
id: DEMO-JUDGED
version: 1
title: An invented trial in lupus
short_title: Invented lupus trial
source: {document: invented, read_on: 2026-11-01}
recruiting: {status: recruiting}
cohorts:
  sle:
    title: Lupus
    gate: {condition: {is: systemic-lupus-erythematosus}}
    criteria:
      - id: I1.sle
        source: "1"
        text: Lupus
        include: {condition: {is: systemic-lupus-erythematosus}}
      - id: I2.refractory
        source: "2"
        text: Refractory lupus
        include: {judgement: {ask: "Is the lupus refractory?"}}
"""

WHOSE = Shown("demo", "", PATIENT, "")


async def card_of(client: httpx.AsyncClient) -> dict[str, Any] | None:
    """The card of the invented trial, where it is shown."""
    answer = await client.post(SERVICE, json=call())
    assert answer.status_code == 200, answer.text
    return next((c for c in answer.json()["cards"] if c["source"]["topic"]["code"] == "DEMOJUDGED"), None)


def said_of(card: dict[str, Any] | None) -> dict[str, Any]:
    assert card
    found: dict[str, Any] = card["extension"]["org.trialcards.match"]["cohorts"][0]
    return found


async def newest_report(services: Services) -> str:
    entries = await services.audit.entries(Question())
    return [entry.report for entry in entries if entry.report][-1]

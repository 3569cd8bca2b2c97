"""What tests of replay share with others."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx

from app.wiring import Services
from tests.support.cds import SERVICE, call

TRIAL = """
id: DEMO-PLATELETS
version: {version}
title: An invented trial in lupus
short_title: Invented lupus trial
source: {{document: invented, read_on: 2026-11-01}}
recruiting: {{status: recruiting}}
cohorts:
  sle:
    title: Lupus
    gate: {{condition: {{is: systemic-lupus-erythematosus}}}}
    criteria:
      - id: I1.platelets
        source: "Inclusion 1"
        text: Platelets at least {limit}
        include: {{value: {{of: platelets, is: ">= {limit} 10*9/L"}}}}
"""


def write_trial(folder: Path, version: int, limit: int) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "DEMO-PLATELETS.yaml").write_text(TRIAL.format(version=version, limit=limit))


async def report_id(client: httpx.AsyncClient, services: Services) -> str:
    """The id of the report behind the cards of one call."""
    answer = await client.post(SERVICE, json=call())
    assert answer.json()["cards"]
    return str(rows(services, "SELECT report FROM issued_card ORDER BY rowid DESC")[0][0])


def rows(services: Services, statement: str) -> list[Any]:
    with closing(sqlite3.connect(services.settings.database_url.partition("///")[2])) as database, database:
        return database.execute(statement).fetchall()

"""The doors through which a chart gets an answer, each asked as its users ask it, and what they say in one form."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx
from typer.testing import CliRunner

from app.cli import cli
from app.definitions.served import Definitions, Served
from app.web.media_types import FHIR_TYPE
from cds_hooks.cards.trial_cards import EXTENSION
from cds_hooks.protocol.services import OFFERS
from tests.app.conftest import NOW, demo_settings, services_with, serving
from tests.exports import rows_of, write_export
from tests.hospital import BASE, VIEW, bearer, signed
from tests.strangers.charts import Json, hook_call, resources_of
from tests.support.protocol import production_settings

AS_OF = NOW.isoformat()
MOST_CARDS = 20
NOT_SHOWN = "not-indicated"
_JSON = {"content-type": "application/json"}

Cohort = tuple[str, str]  # trial, cohort


@dataclass(frozen=True)
class Said:
    """What a door said of one cohort."""

    verdict: str
    outcomes: Mapping[str, str]  # criterion -> outcome


@dataclass(frozen=True)
class Answer:
    """What a door said of one chart: the cohorts that are not "not-indicated", or that it refuses the chart.

    `status`: "answered", or a refusal ("422", "exit 2"). `shortened`: trials whose card has no room for criteria.
    """

    status: str
    cohorts: Mapping[Cohort, Said] = field(default_factory=dict)
    shortened: frozenset[str] = frozenset()

    @property
    def is_refusal(self) -> bool:
        return self.status != "answered"


def of_report(report: Json) -> Answer:
    """The answer of a MatchReport."""
    return Answer("answered", {key: said for entry in report["trials"] for key, said in _of_trial(entry)})


def _of_trial(entry: Json) -> list[tuple[Cohort, Said]]:
    return [
        (
            (entry["trial"], cohort["cohort"]),
            Said(cohort["verdict"], {found["id"]: found["outcome"] for found in cohort["criteria"]}),
        )
        for cohort in entry["cohorts"]
        if cohort["verdict"] != NOT_SHOWN
    ]


def of_cards(response: Json) -> Answer:
    """The answer that the match extensions of these cards hold."""
    cards = response["cards"]
    entries = [card["extension"][EXTENSION] for card in cards if EXTENSION in card.get("extension", {})]
    shortened = {card["source"]["topic"]["display"] for card in cards if EXTENSION not in card.get("extension", {})}
    cohorts = {key: said for entry in entries for key, said in _of_trial(entry)}
    return Answer("answered", cohorts, frozenset(map(_trial_id, shortened)))


def _trial_id(title: str) -> str:
    """ "A trial of something (NCT0123)" -> "NCT0123"."""
    return title.rpartition("(")[2].removesuffix(")")


def of_fhir(bundle: Json) -> Answer:
    """The answer of the Bundle of `$match`."""
    found: dict[Cohort, Said] = {}
    for resource in resources_of(bundle):
        if resource["resourceType"] != "GuidanceResponse":
            continue
        trial = resource["moduleUri"].rpartition("/")[2]
        for cohort in resource["contained"][0].get("parameter", ()):
            said = {part["name"]: part.get("valueString", part.get("valueCode")) for part in cohort["part"]}
            criteria = [each["part"] for each in cohort["part"] if each["name"] == "criterion"]
            outcomes = {part[0]["valueString"]: part[1]["valueCode"] for part in criteria}
            found[trial, said["id"]] = Said(said["verdict"], outcomes)
    return Answer("answered", found)


@dataclass(frozen=True)
class Doors:
    """Every door that takes one chart at a time. A fault of the service is raised, whatever the door."""

    demo: httpx.AsyncClient
    production: httpx.AsyncClient
    served: Served
    folder: Path

    def match_command(self, chart: bytes) -> Answer:
        """`trialcards match FILE --json`; the definitions are read once for all charts."""
        path = self.folder / "chart.json"
        path.write_bytes(chart)
        with patch("app.commands.match.read_definitions", lambda *_: self.served):
            done = CliRunner().invoke(cli, ["match", str(path), "--json", "--as-of", AS_OF])
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return of_report(json.loads(done.stdout)) if done.exit_code == 0 else Answer(f"exit {done.exit_code}")

    async def api(self, chart: bytes) -> Answer:
        """`POST /api/v1/match`."""
        answer = await self.demo.post("/api/v1/match", params={"asOf": AS_OF}, content=chart, headers=_JSON)
        return _answer(answer, of_report)

    async def fhir(self, chart: bytes) -> Answer:
        """`ResearchStudy/$match`."""
        headers = {"content-type": FHIR_TYPE, "accept": FHIR_TYPE}
        path = "/fhir/ResearchStudy/$match"
        return _answer(await self.demo.post(path, params={"asOf": AS_OF}, content=chart, headers=headers), of_fhir)

    async def hook(self, chart: Json) -> Answer:
        """`patient-view`, everything prefetched, at the demo."""
        return _answer(await self.demo.post(VIEW, json=hook_call(chart, OFFERS[0])), of_cards)

    async def production_hook(self, chart: Json) -> Answer:
        """The same as a signed call at a service in the production profile."""
        call, headers = hook_call(chart, OFFERS[0]), bearer(signed())
        return _answer(await self.production.post(VIEW, json=call, headers=headers), of_cards)


def _answer(answer: httpx.Response, read: Callable[[Json], Answer]) -> Answer:
    assert answer.status_code < 500, answer.text
    return read(answer.json()) if answer.status_code == 200 else Answer(str(answer.status_code))


@asynccontextmanager
async def doors(folder: Path, definitions: Definitions | None = None) -> AsyncIterator[Doors]:
    """The doors of a demo and of a production service that work in `folder`."""
    definitions = definitions or Definitions()
    served = definitions.now  # a service that starts reads them beside its work
    async with AsyncExitStack() as stack:
        clients = []
        for name in ("demo", "production"):
            (folder / name).mkdir()
        # The extension is what the cards are compared by; in production an EHR asks for it.
        asks = "match_extension = true\n"
        for base, settings in (
            ("http://127.0.0.1:8000", demo_settings(folder / "demo", max_cards=MOST_CARDS)),
            (BASE, production_settings(folder / "production", asks, max_cards=MOST_CARDS)),
        ):
            clients.append(await stack.enter_async_context(serving(services_with(settings, definitions), base)))
        yield Doors(clients[0], clients[1], served, folder)


def screened(charts: Mapping[str, Json], folder: Path) -> dict[str, Answer]:
    """What `trialcards screen` says of an export of these charts, by the id of the patient."""
    export = write_export(folder / "export", (each for chart in charts.values() for each in resources_of(chart)))
    out = folder / "screened"
    command = ["screen", str(export), "--out", str(out), "--as-of", AS_OF, "--complete"]
    done = CliRunner().invoke(cli, command)
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    if done.exit_code:  # such as an export of which no record names a patient
        return {name: Answer(f"exit {done.exit_code}") for name in charts}
    found: dict[str, dict[Cohort, tuple[str, dict[str, str]]]] = {name: {} for name in charts}
    for row in rows_of(out, "matches"):
        found[_id(row[0])][row[1], row[2]] = (row[3], {})
    for row in rows_of(out, "criteria"):
        found[_id(row[0])][row[1], row[2]][1][row[4]] = row[6]
    return {name: Answer("answered", {key: Said(*said) for key, said in each.items()}) for name, each in found.items()}


def _id(patient: Any) -> str:
    return str(patient).removeprefix("Patient/")

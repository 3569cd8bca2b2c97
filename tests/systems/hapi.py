"""HAPI FHIR's JPA server: hooks that read charts of ordinary and of extraordinary length, against the whole chart."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import httpx

from benchmarks.hook_body import PATIENT, hook_body
from tests.hapi.hapi import HERE, hapi_server, install, put
from tests.hospital import VIEW, Production, bearer, ehrs_file, production, settings_of, signed
from tests.systems.report import Report

Json = dict[str, Any]
LENGTHS = (500, 10_000)  # Observations
AT_ONCE = 500  # resources of one transaction
MOST = 1.2  # times as long as an ordinary chart an extraordinary one may take
MATCH = "/api/v1/match"
_ELSEWHERE = ("basedOn", "encounter", "performer", "requester")  # to resources that the server does not have


def tried(folder: Path) -> Report:
    """The same answer from the server as from the whole chart, in nearly the same time."""
    install()
    source = "From Maven Central, its database in memory, pages of 200 as it has them by default."
    with hapi_server(folder) as base:
        report = Report(f"HAPI FHIR {_version()}", source)
        # What is compared is the answer: a busy machine must not cut the reading short.
        settings = settings_of(folder, f"sqlite:///{folder}/records.db", DEADLINE="60")
        more = f'fhir_servers = ["{base}"]\nallow_http = true\nprivate_network = true\nmatch_extension = true\n'
        ehrs_file(folder, more)
        charts = {count: _chart(count) for count in LENGTHS}
        for chart in charts.values():
            _put(base, chart)
        with production(folder, settings) as server:
            seconds = {count: _compared(report, server, base, count, chart) for count, chart in charts.items()}
        times = seconds[LENGTHS[1]] / seconds[LENGTHS[0]]
        shown = f"{times:.2f} × as long"
        report.add("the long chart against the ordinary one", shown, shown if times <= MOST else f"at most {MOST} ×")
    return report


def _version() -> str:
    found = re.search(r"hapi-fhir-jpaserver-base</artifactId><version>([^<]+)<", (HERE / "pom.xml").read_text("utf-8"))
    return found[1] if found else ""


def _chart(count: int) -> Sequence[Json]:
    """A synthetic chart under ids of its own."""
    call = json.loads(hook_body(count, datetime.now(UTC).date()).replace(PATIENT.encode(), _patient(count).encode()))
    prefetch = [part for part in call["prefetch"].values() if part]
    listed = [entry["resource"] for part in prefetch for entry in part.get("entry", ())]
    named = [
        {name: value for name, value in resource.items() if name not in _ELSEWHERE}
        | {"id": f"c{count}-{resource['id']}"}
        for resource in listed
    ]
    return [part for part in prefetch if part["resourceType"] == "Patient"] + named


def _patient(count: int) -> str:
    return f"chart-of-{count}"


def _put(base: str, chart: Sequence[Json]) -> None:
    for some in _slices(chart):
        put(base, some)


def _slices(chart: Sequence[Json]) -> Iterator[list[Json]]:
    left = iter(chart)
    while some := list(islice(left, AT_ONCE)):
        yield some


def _compared(report: Report, server: Production, base: str, count: int, chart: Sequence[Json]) -> float:
    """The best of three hook calls in seconds; a row with what differs from the whole chart."""
    call = {
        "hook": "patient-view",
        "hookInstance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
        "fhirServer": base,
        "fhirAuthorization": {
            "access_token": "x",
            "token_type": "Bearer",
            "expires_in": 300,
            "scope": "",
            "subject": "",
        },
        "context": {"userId": "Practitioner/systems", "patientId": _patient(count)},
    }
    best, answer = 1e9, httpx.Response(500)
    for _ in range(3):
        begun = time.monotonic()
        answer = server.post(VIEW, call)
        best = min(best, time.monotonic() - begun)
    cards = answer.json().get("cards", [])
    found = {match["trial"]: _outcomes(match) for match in filter(None, map(_match, cards))}
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": each} for each in chart]}
    headers = bearer(signed(MATCH))
    whole = httpx.post(server.base + MATCH, json=bundle, headers=headers, trust_env=False, timeout=120).json()
    expected = {trial["trial"]: _outcomes(trial) for trial in whole["trials"]}
    differing = [
        name
        for trial, outcomes in found.items()
        for name, said in outcomes.items()
        if expected[trial].get(name) != said
    ]
    words = f"{answer.status_code}, {best:.1f} s, {len(found)} trials with cards"
    good = answer.status_code == 200 and found and not differing
    shown = f"{words}, {len(differing)} criteria differ from the whole chart"
    report.add(f"hook, nothing prefetched, {count} Observations", shown, shown if good else "")
    return best


def _match(card: Mapping[str, Any]) -> Json | None:
    found: Json | None = card.get("extension", {}).get("org.trialcards.match")
    return found


def _outcomes(match: Mapping[str, Any]) -> dict[str, tuple[str, str | None]]:
    return {
        f"{cohort['cohort']} {criterion['id']}": (criterion["outcome"], criterion["reason"])
        for cohort in match["cohorts"]
        for criterion in cohort["criteria"]
    }

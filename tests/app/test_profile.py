"""`--profile`: where the time and the memory of a call go, and nothing of what it is about."""

from __future__ import annotations

import json
import subprocess
import time
from datetime import UTC, date, datetime
from pathlib import Path

import httpx
import msgspec

from app.profile import part, profiled
from benchmarks.hook_body import PATIENT, hook_body
from tests.server import COMMAND, demo_server

VIEW = "/cds-services/trial-match-patient-view"
TODAY = date(2026, 11, 24)


def a_bundle() -> bytes:
    prefetch = msgspec.json.decode(hook_body(20, TODAY))["prefetch"]
    bundles = [value for value in prefetch.values() if value["resourceType"] == "Bundle"]
    entries = [{"resource": prefetch["patient"]}, *(entry for bundle in bundles for entry in bundle.get("entry", ()))]
    return msgspec.json.encode({"resourceType": "Bundle", "type": "collection", "entry": entries})


def test_a_match_says_on_standard_error_what_each_part_took(tmp_path: Path) -> None:
    chart = tmp_path / "chart.json"
    chart.write_bytes(a_bundle())
    command = [str(COMMAND), "match", str(chart), "--as-of", "2026-11-24", "--json", "--profile"]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    assert json.loads(done.stdout)["trials"]
    lines = [line.split() for line in done.stderr.splitlines()]
    assert [line[0] for line in lines] == ["Part", "chart", "index", "match", "report"]
    assert all(float(line[1]) > 0 and int(line[-1]) > 0 for line in lines[1:])
    assert PATIENT not in done.stderr


def test_a_server_logs_the_parts_of_each_call(tmp_path: Path) -> None:
    with demo_server(tmp_path, "--profile") as server:
        body, headers = hook_body(20, datetime.now(UTC).date()), {"content-type": "application/json"}
        answer = httpx.post(server.base + VIEW, content=body, headers=headers, trust_env=False, timeout=30)
        assert answer.json()["cards"]
        end = time.monotonic() + 10  # the line is written after the answer was sent
        while '"record"' not in server.output.read_text() and time.monotonic() < end:
            time.sleep(0.05)
    written = [json.loads(line) for line in server.output.read_text().splitlines() if line.startswith("{")]
    (profiled,) = (line for line in written if line["event"] == "profiled" and "record" in line["parts"])
    parts = profiled["parts"]
    assert {"read", "chart", "index", "match", "cards", "report", "record", "wait"} <= parts.keys()
    assert parts["match"][0] >= parts["index"][0] > 0
    assert profiled["request_id"] == answer.headers["x-request-id"]
    assert PATIENT not in json.dumps(profiled)


def test_a_part_that_is_not_profiled_is_told_nowhere() -> None:
    with part("before"):
        pass
    with profiled() as profile, part("inside"):
        pass
    assert list(profile.parts) == ["inside"]

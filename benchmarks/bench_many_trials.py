"""What a hook call costs with ten thousand definitions: `python -m benchmarks.bench_many_trials [--rounds N]`.

The same body as in `bench_hook.py`, sent in turn to two servers of the demo profile: one with the five trials, one with
10,000 invented ones beside them (`many_trials.py`), of which 100 share the patient's disease and 20 survive age, sex
and status. Told is the processor time of the servers' processes. A start is measured twice: compiling everything, and
with what the first one kept.
"""

from __future__ import annotations

import re
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import httpx

from benchmarks.bench_hook import CALLS, LONG, MEMORY, VIEW, served, spent_on
from benchmarks.figures import Figure, report
from benchmarks.hook_body import hook_body
from benchmarks.many_trials import COUNT, SHARE, write_trials

ROUNDS = 7
TIMES, FIRST, WARM, MOST = 2.0, 180.0, 10.0, 500.0  # the hook of five trials; seconds; seconds; MB
SHARED = COUNT // SHARE
PAGES = ("/trials", "/api/v1/trials", "/fhir/ResearchStudy?_count=50", "/cds-services", "/readyz")


def started(folder: Path) -> list[Figure]:
    """The first start, which compiles, and the next one."""
    settings = {"TRIALCARDS_TRIALS": str(folder / "trials"), "TRIALCARDS_CACHE": str(folder / "cache")}
    figures = []
    for name, limit in (("first start, all compiled", FIRST), ("next start", WARM)):
        began = time.monotonic()
        with served(wait=600, **settings) as client:
            figures.append(Figure(f"{name}, until ready", time.monotonic() - began, "s", limit))
            memory = int(client.get(MEMORY).text) / 1e6
    return [*figures, Figure("memory after the next start", memory, "MB", MOST)]


def called(folder: Path, rounds: int) -> tuple[list[Figure], list[Figure]]:
    """The figures of the hook, and of the pages."""
    body = hook_body(LONG, datetime.now(UTC).date())
    settings = {"TRIALCARDS_TRIALS": str(folder / "trials"), "TRIALCARDS_CACHE": str(folder / "cache")}
    with served() as few, served(wait=600, **settings) as many:
        seen: dict[str, list[float]] = {"few": [], "many": []}
        for counts in (False, *[True] * rounds):  # the first round fills what is kept
            for name, client in (("few", few), ("many", many)):
                seen[name] += [spent_on(client, VIEW, body, CALLS)] * counts
        offered = _offered(many, body)
        pages = [Figure(f"GET {path}", _seconds(many, path) * 1000, "ms") for path in PAGES]
        memory = int(many.get(MEMORY).text) / 1e6
    one, other = statistics.median(seen["few"]), statistics.median(seen["many"])
    hook = [
        Figure("the hook, five trials", one, "ms"),
        Figure(f"the hook, {COUNT:,} more, {SHARED} of them of the disease", other, "ms"),
        Figure(f"{COUNT:,} trials / five", other / one, "x", TIMES),
        Figure("for each trial of the disease", (other - one) / SHARED * 1000, "us"),
        Figure("trials that were worth a card", offered, "trials"),
        Figure("memory after the calls", memory, "MB", MOST),
    ]
    return hook, pages


def _offered(client: httpx.Client, body: bytes) -> int:
    """How many trials the answer speaks of; where it is none, nothing was measured."""
    cards = client.post(VIEW, content=body, headers={"content-type": "application/json"}).json()["cards"]
    more = re.match(r"\d+", cards[-1]["summary"])
    return len(cards) - 1 + int(more[0]) if more else len(cards)


def _seconds(client: httpx.Client, path: str) -> float:
    took = []
    for _ in range(3):
        began = time.perf_counter()
        if client.get(path).status_code != 200:
            sys.exit(f"{path} did not answer")
        took.append(time.perf_counter() - began)
    return statistics.median(took)


def main(rounds: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_trials(folder / "trials")
        figures = started(folder)
        hook, pages = called(folder, rounds)
    report("many", [*hook, *figures, *pages])


if __name__ == "__main__":
    main(int(sys.argv[sys.argv.index("--rounds") + 1]) if "--rounds" in sys.argv else ROUNDS)

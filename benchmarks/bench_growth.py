"""How the cost grows: `python -m benchmarks.bench_growth [--trials 5,100,10000] [--patients 1000,100000] [--rounds N]`.

A hook call by Observations and by trials, a screen by patients and by workers, each in processor time, which depends
least on what else the machine does. `python -m docs.plots` draws it. With the sizes of the default two minutes.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx

from benchmarks.bench_hook import CALLS, LOADS, LONG, RECEIVE, VIEW, served, spent_on
from benchmarks.bench_open_loop import cost_of_a_call
from benchmarks.bench_screen import begin_floor, begin_screen, timed
from benchmarks.figures import Figure, report
from benchmarks.hook_body import hook_body
from benchmarks.many_trials import write_trials
from benchmarks.synthetic_export import write_export

OBSERVATIONS = (0, 100, 250, 500, 1000, 2000)
TRIALS = (5, 100, 1000)  # 5 are ours; the others are invented beside them
PATIENTS = (500, 1000, 3000)
ROUNDS = 8


def by_observations(rounds: int) -> Iterator[Figure]:
    """A call without what it costs to receive it, and one `orjson.loads` of its body."""
    today = datetime.now(UTC).date()
    with served() as client:
        for count in OBSERVATIONS:
            body = hook_body(count, today)
            least = {path: min(_rounds(client, path, body, rounds)) for path in (VIEW, RECEIVE, LOADS)}
            yield Figure(f"hook by Observations: {count}", least[VIEW] - least[RECEIVE], "ms")
            yield Figure(f"orjson.loads by Observations: {count}", least[LOADS] - least[RECEIVE], "ms")


def by_trials(counts: tuple[int, ...], rounds: int) -> Iterator[Figure]:
    body = hook_body(LONG, datetime.now(UTC).date())
    for count in counts:
        with tempfile.TemporaryDirectory() as name:
            write_trials(Path(name) / "trials", range(count - 5))
            settings = {"TRIALCARDS_TRIALS": name + "/trials", "TRIALCARDS_CACHE": name + "/cache"}
            with served(wait=600, **settings) as client:
                yield Figure(f"hook by trials: {count}", min(_rounds(client, VIEW, body, rounds)), "ms")


def _rounds(client: httpx.Client, path: str, body: bytes, rounds: int) -> list[float]:
    """Milliseconds of a call, round by round; the first fills what is kept and does not count."""
    return [spent_on(client, path, body, CALLS) for _ in range(rounds + 1)][1:]


def by_patients(counts: tuple[int, ...]) -> Iterator[Figure]:
    for count in counts:
        with tempfile.TemporaryDirectory() as name:
            export, out = Path(name) / "export", Path(name) / "out"
            write_export(export, count)
            _, floor, _ = timed(lambda: begin_floor(export))  # noqa: B023  called at once
            _, spent, memory = timed(lambda: begin_screen(export, out))  # noqa: B023
            yield Figure(f"screen by patients: {count}", spent, "s")
            yield Figure(f"DuckDB by patients: {count}", floor, "s")
            yield Figure(f"screen, memory by patients: {count}", memory, "MiB")


def by_workers() -> Iterator[Figure]:
    """A hook call, and a screen of 1,000 patients, half of whom have to be evaluated."""
    body = hook_body(LONG, datetime.now(UTC).date())
    with tempfile.TemporaryDirectory() as name:
        export = Path(name) / "export"
        write_export(export, 1000, indicated=0.5)
        for workers in (1, 2):
            yield Figure(f"hook by workers: {workers}", cost_of_a_call(workers, body), "ms")
            clock, spent, _ = timed(lambda: _screen_with(workers, export, Path(name) / "out"))  # noqa: B023
            yield Figure(f"screen by workers: {workers}", spent, "s")
            yield Figure(f"screen, clock by workers: {workers}", clock, "s")


def _screen_with(workers: int, export: Path, out: Path) -> subprocess.Popen[bytes]:
    return begin_screen(export, out, "--as-of", "2026-11-02", workers=workers)


def main(trials: tuple[int, ...], patients: tuple[int, ...], rounds: int) -> None:
    figures = [
        *by_observations(rounds),
        *by_trials(trials, rounds),
        *by_patients(patients),
        *(by_workers() if (os.cpu_count() or 1) > 1 else ()),
    ]
    report("growth", figures)


def _numbers(name: str, default: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(map(int, sys.argv[sys.argv.index(name) + 1].split(","))) if name in sys.argv else default


if __name__ == "__main__":
    main(_numbers("--trials", TRIALS), _numbers("--patients", PATIENTS), _numbers("--rounds", (ROUNDS,))[0])

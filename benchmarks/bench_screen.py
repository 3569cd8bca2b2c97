"""The cohort screen against DuckDB reading the same files: `python -m benchmarks.bench_screen [--patients N]`.

`--export FOLDER` takes an export that is there; `--rounds 1` for one that is large.

The floor: DuckDB reads the needed columns of every file and groups them by patient, with all cores. The screen: the
same files to finished Parquet, five trials, one patient in twenty indicated. Both run in turn, in processes of their
own; medians are compared, of the clock and of the processors (which does not depend on what else the machine does).
Then the next night: the same export a day later, on top of the first screen.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import duckdb

from benchmarks.figures import Figure, report
from benchmarks.synthetic_export import write_export

ROUNDS = 3
WORKERS = os.cpu_count() or 1
LIMIT, MEMORY = 1.5, 1024.0  # times the floor; MiB
COLUMNS = {
    "Patient": "{id: 'VARCHAR', gender: 'VARCHAR', birthDate: 'VARCHAR'}",
    "Condition": """{id: 'VARCHAR', code: 'STRUCT(coding STRUCT(system VARCHAR, code VARCHAR)[])',
        clinicalStatus: 'STRUCT(coding STRUCT(code VARCHAR)[])', subject: 'STRUCT(reference VARCHAR)',
        onsetDateTime: 'VARCHAR'}""",
    "MedicationRequest": """{id: 'VARCHAR', status: 'VARCHAR', subject: 'STRUCT(reference VARCHAR)',
        medicationCodeableConcept: 'STRUCT(coding STRUCT(system VARCHAR, code VARCHAR)[])', authoredOn: 'VARCHAR'}""",
    "Observation": """{id: 'VARCHAR', status: 'VARCHAR', code: 'STRUCT(coding STRUCT(system VARCHAR, code VARCHAR)[])',
        subject: 'STRUCT(reference VARCHAR)', effectiveDateTime: 'VARCHAR',
        valueQuantity: 'STRUCT(value DOUBLE, unit VARCHAR)'}""",
}


def read_and_group(export: Path) -> None:
    """The floor. Every group is looked at, as whoever evaluates it would."""
    with tempfile.TemporaryDirectory() as spill:
        db = duckdb.connect(config={"memory_limit": "4GB", "threads": WORKERS, "temp_directory": spill})
        for kind, columns in COLUMNS.items():
            patient = "id" if kind == "Patient" else "subject.reference"
            groups = db.execute(
                f"SELECT {patient} AS patient, list(r) FROM read_json('{export / kind}.ndjson', "
                f"format='newline_delimited', columns={columns}) r GROUP BY 1"
            )
            while groups.fetchmany(256):
                pass


def begin_floor(export: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "benchmarks.bench_screen", "--floor", str(export)])


def begin_screen(export: Path, out: Path, *options: str, workers: int = WORKERS) -> subprocess.Popen[bytes]:
    """The command, as a user gives it."""
    shutil.rmtree(out, ignore_errors=True)
    command = [str(Path(sys.executable).parent / "trialcards"), "screen", str(export), "--out", str(out)]
    options = options or ("--as-of", "2026-11-02")
    return subprocess.Popen(
        [*command, *options, "--workers", str(workers)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def timed(begin: Callable[[], subprocess.Popen[bytes]]) -> tuple[float, float, float]:
    """Seconds of the clock, and of all processors together; and the most memory held, in MiB."""
    before, started = _processors(), time.perf_counter()
    process = begin()
    memory = peak_memory(process)
    if process.wait():
        sys.exit("a benchmark's process failed")
    return time.perf_counter() - started, _processors() - before, memory


def _processors() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def peak_memory(process: subprocess.Popen[bytes]) -> float:
    """The most memory, in MiB, that the process and all it starts hold together, sampled ten times a second."""
    most = 0.0
    while process.poll() is None:
        most = max(most, sum(map(_held, _family(process.pid))))
        time.sleep(0.1)
    return most


def _family(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [pid, *(each for child in children for each in _family(int(child)))]


def _held(pid: int) -> float:
    """Proportional set size in MiB: pages that processes share are counted once."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")) / 1024


def main(export: Path, out: Path, rounds: int) -> None:
    floors, screens = [], []
    for _ in range(rounds):
        floors.append(timed(lambda: begin_floor(export)))
        screens.append(timed(lambda: begin_screen(export, out)))
    done = json.loads((out / "report.json").read_text())
    next_night = ("--as-of", "2026-11-03", "--since", str(out))
    night, night_cpu, _ = timed(lambda: begin_screen(export, out.with_name("night"), *next_night))
    again = json.loads((out.with_name("night") / "report.json").read_text())
    floor, floor_cpu, _ = (statistics.median(each) for each in zip(*floors, strict=True))
    seconds, seconds_cpu, memory = (statistics.median(each) for each in zip(*screens, strict=True))
    lines = sum(done["lines"].values())
    figures = [
        Figure("patients", done["lines"]["Patient"], ""),
        Figure("NDJSON", sum(path.stat().st_size for path in export.iterdir()) / 1024**2, "MiB"),
        Figure("patients whose gates may be open", sum(done["patients"].values()), ""),
        Figure("DuckDB reads and groups the columns", floor, "s"),
        Figure("screen, NDJSON to Parquet", seconds, "s"),
        Figure("DuckDB, all processors", floor_cpu, "s"),
        Figure("screen, all processors", seconds_cpu, "s"),
        Figure("screen / DuckDB, clock", seconds / floor, "x", LIMIT),
        Figure("screen / DuckDB, processors", seconds_cpu / floor_cpu, "x", LIMIT),
        Figure("peak memory, all processes", memory, "MiB", MEMORY),
        Figure("lines per second", lines / seconds, "1/s"),
        Figure("the next night", night, "s"),
        Figure("the next night, all processors", night_cpu, "s"),
        Figure("patients evaluated the next night", again["evaluated"], ""),
    ]
    report("screen", figures)


def _option(name: str, default: str) -> str:
    return sys.argv[sys.argv.index(name) + 1] if name in sys.argv else default


if __name__ == "__main__":
    if sys.argv[1:2] == ["--floor"]:
        read_and_group(Path(sys.argv[2]))
    else:
        with tempfile.TemporaryDirectory() as folder:
            given = Path(_option("--export", folder + "/export"))
            if "--export" not in sys.argv:
                write_export(given, int(_option("--patients", "3000")))
            main(given, Path(folder) / "out", int(_option("--rounds", str(ROUNDS))))

"""The cohort screen against DuckDB reading the same files: `python -m benchmarks.bench_screen [--patients N]`.

The floor: DuckDB reads the needed columns of every file and groups them by patient, as one query with all cores. The
screen: the same files to finished Parquet, five trials, one patient in twenty indicated. Both are run in turn, in
processes of their own, and the medians are compared.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.figures import Figure, report
from benchmarks.synthetic_export import write_export

ROUNDS = 3
WORKERS = os.cpu_count() or 1
LIMIT, MEMORY = 1.5, 1024  # times the floor; MiB
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


def floor(export: Path, threads: int) -> None:
    """Read the needed columns, grouped by patient, and look at every group."""
    import duckdb

    with tempfile.TemporaryDirectory() as spill:
        config = {"memory_limit": "4GB", "threads": threads, "temp_directory": spill}
        db = duckdb.connect(config=config)
        for kind, columns in COLUMNS.items():
            patient = "id" if kind == "Patient" else "subject.reference"
            groups = db.execute(
                f"SELECT {patient} AS patient, list(r) FROM read_json('{export / kind}.ndjson', "
                f"format='newline_delimited', columns={columns}) r GROUP BY 1"
            )
            while groups.fetch_arrow_table() if False else groups.fetchmany(256):
                pass


def screened(export: Path, out: Path, workers: int) -> None:
    """The command, as a user gives it."""
    shutil.rmtree(out, ignore_errors=True)
    command = [str(Path(sys.executable).parent / "trialcards"), "screen", str(export), "--out", str(out)]
    subprocess.run([*command, "--as-of", "2026-11-01", "--workers", str(workers)], check=True, capture_output=True)


def timed(call: list[str]) -> tuple[float, float]:
    """Seconds and MiB of a function of this module, in a process of its own."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "benchmarks.bench_screen", "--only", *call], check=True)
    return time.perf_counter() - started, 0.0


def peak_memory(export: Path, out: Path, workers: int) -> float:
    """The most memory, in MiB, that the processes of a screen hold together, sampled twenty times a second."""
    shutil.rmtree(out, ignore_errors=True)
    command = [str(Path(sys.executable).parent / "trialcards"), "screen", str(export), "--out", str(out)]
    process = subprocess.Popen(
        [*command, "--as-of", "2026-11-01", "--workers", str(workers)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    most = 0.0
    while process.poll() is None:
        most = max(most, sum(_private(pid) for pid in _family(process.pid)))
        time.sleep(0.05)
    return most


def _family(pid: int) -> list[int]:
    """The process and everything that it started."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [pid, *(each for child in children for each in _family(int(child)))]


def _private(pid: int) -> float:
    """Proportional set size in MiB: shared pages are counted once."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")) / 1024


def main(patients: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        export, out = Path(folder) / "export", Path(folder) / "out"
        lines = write_export(export, patients)
        floors, screens = [], []
        for _ in range(ROUNDS):
            floors.append(timed(["floor", str(export), str(WORKERS)])[0])
            screens.append(timed(["screened", str(export), str(WORKERS), str(out)])[0])
        memory = peak_memory(export, out, WORKERS)
        done = json.loads((out / "report.json").read_text())
    seconds, least = statistics.median(screens), statistics.median(floors)
    report(
        "screen",
        [
            Figure("patients", patients, ""),
            Figure("lines", lines, ""),
            Figure("patients with an open gate", sum(done["patients"].values()), ""),
            Figure("DuckDB reads and groups the columns", least, "s"),
            Figure("screen, NDJSON to Parquet", seconds, "s"),
            Figure("screen / DuckDB", seconds / least, "x", LIMIT),
            Figure("peak memory, all processes", memory, "MiB", MEMORY),
            Figure("lines per second", lines / seconds, "/s"),
        ],
    )


if __name__ == "__main__":
    given = sys.argv[1:]
    if given[:1] == ["--only"]:
        if given[1] == "floor":
            floor(Path(given[2]), int(given[3]))
        else:
            screened(Path(given[2]), Path(given[4]), int(given[3]))
    else:
        main(int(given[given.index("--patients") + 1]) if "--patients" in given else 3000)

"""Every target against an earlier commit, in one run: `python -m benchmarks.bench_targets [--rounds N] [--only NAME]`.

Both sides run alternately, each in a process of its own; of each the least processor time of the rounds is taken, since
other work on the machine only adds. The earlier commit (`--before`, aa6019f if not given) is checked out in a worktree
of the repository that is removed at the end. `--patients`, `--trials` and `--calls` make the long ones longer.
"""

from __future__ import annotations

import json
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.figures import Figure, report
from benchmarks.hook_body import hook_body
from benchmarks.many_trials import write_trials
from benchmarks.synthetic_export import write_export
from tests.server import environment

ROOT = Path(__file__).parents[1]
BEFORE = "aa6019f"
PROGRAM = "from app.cli import main; main()"
Measure = Callable[[Path], float]  # of the tree that is given


@dataclass(frozen=True)
class Target:
    """What may be at most `limit` times what it was."""

    name: str
    limit: float
    measure: Measure


def option(name: str, default: str) -> str:
    return sys.argv[sys.argv.index(name) + 1] if name in sys.argv else default


@contextmanager
def worktree(commit: str) -> Iterator[Path]:
    """The files of a commit, in a folder of their own."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "before"
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "--quiet", "--detach", str(tree), commit], check=True)
        try:
            yield tree
        finally:
            subprocess.run([*git, "remove", "--force", str(tree)], check=True)


def run(tree: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Python with the code of that tree, in a folder that is thrown away."""
    with tempfile.TemporaryDirectory() as folder:
        around = environment(PYTHONPATH=str(tree))
        done = subprocess.run([sys.executable, *arguments], cwd=folder, env=around, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(arguments)}: {done.stderr[-500:]}")
    return done


def side(*arguments: str) -> Measure:
    """What benchmarks/side.py measures."""
    return lambda tree: float(run(tree, str(ROOT / "benchmarks" / "side.py"), *arguments).stdout)


def command(*arguments: str) -> Measure:
    """Seconds of processor that a command of `trialcards` takes, with all its processes. "OUT" is a new folder."""

    def measure(tree: Path) -> float:
        before = _processors()
        with tempfile.TemporaryDirectory() as folder:
            run(tree, "-c", PROGRAM, *(folder + "/out" if each == "OUT" else each for each in arguments))
        return _processors() - before

    return measure


def _processors() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def chart() -> bytes:
    """A Bundle of 200 resources."""
    prefetch = json.loads(hook_body(109, datetime.now(UTC).date()))["prefetch"]
    entries = [entry for bundle in prefetch.values() for entry in bundle.get("entry", ())]
    return json.dumps({"resourceType": "Bundle", "entry": [{"resource": prefetch["patient"]}, *entries]}).encode()


def targets(folder: Path) -> Iterator[Target]:
    """Each target; what it needs is written to the folder."""
    yield Target("hook, 1,000 Observations", 0.6, side("hook", "1000", "20"))
    yield Target("hook, 100 Observations", 0.45, side("hook", "100", "40"))
    yield Target("trialcards --help", 0.15, command("--help"))
    bundle = folder / "chart.json"
    bundle.write_bytes(chart())
    yield Target("trialcards match, 200 resources", 0.25, command("match", str(bundle)))
    calls = option("--calls", "300")
    yield Target(f"memory of the service after {calls} hooks", 0.7, side("memory", calls))
    patients = option("--patients", "3000")
    export = folder / "export"
    write_export(export, int(patients))
    screen = command("screen", str(export), "--out", "OUT", "--as-of", "2026-11-02", "--workers", "1")
    yield Target(f"screen of {patients} patients", 0.4, screen)
    trials = int(option("--trials", "1000"))
    many = folder / "trials"
    write_trials(many, range(trials))
    yield Target(f"first compilation of {trials} trials", 0.5, side("many", str(many)))


def compared(target: Target, trees: Sequence[Path], rounds: int) -> tuple[float, float]:
    """The least of each side, which take turns."""
    seen = [[target.measure(tree) for tree in trees] for _ in range(rounds)]
    before, now = zip(*seen, strict=True)
    return min(before), min(now)


def next_night(export: Path, folder: Path) -> Figure:
    """A full export in which one patient in a hundred has changed, against the first screen, both by this tree."""
    changed, first = folder / "changed", folder / "first"
    shutil.copytree(export, changed)
    with (export / "Observation.ndjson").open("rb") as old, (changed / "Observation.ndjson").open("wb") as new:
        new.writelines(_amended(line) for line in old)
    whole = command("screen", str(export), "--out", str(first), "--as-of", "2026-11-02", "--workers", "1")(ROOT)
    since = ("--as-of", "2026-11-03", "--since", str(first))
    night = command("screen", str(changed), "--out", "OUT", *since, "--workers", "1")(ROOT)
    return Figure("the next night, 1 % of patients changed, times the first", night / whole, "x", 0.1)


def _amended(line: bytes) -> bytes:
    """The line of one patient in a hundred, with another status."""
    number = re.search(rb'"reference":"Patient/\D*(\d+)"', line)
    is_changed = number is not None and int(number[1]) % 100 == 7
    return line.replace(b'"status":"final"', b'"status":"amended"') if is_changed else line


def main(commit: str, rounds: int, only: str) -> None:
    figures = []
    with tempfile.TemporaryDirectory() as name, worktree(commit) as before:
        folder = Path(name)
        for target in targets(folder):
            if only in target.name:
                then, now = compared(target, (before, ROOT), rounds)
                sys.stdout.write(f"{target.name}: {then:.3f}, now {now:.3f}\n")
                figures.append(Figure(f"{target.name}, times {commit}", now / then, "x", target.limit))
        if only in "next night":
            figures.append(next_night(folder / "export", folder))
    report("targets", figures)


if __name__ == "__main__":
    main(option("--before", BEFORE), int(option("--rounds", "3")), option("--only", ""))

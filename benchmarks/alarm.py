"""How much a version alarms: `python -m benchmarks.alarm [--charts FOLDER] [--before COMMIT]`.

Counts, over ordinary charts, the patients with a card, those of whom nothing could be evaluated (a hook answers 412),
and the criteria that are unknown, each per 100 charts; with --before also as an older commit counts them, in a worktree
of its own. Charts are Bundles with one patient each; without --charts those of a synthetic export are counted. Few
ordinary charts have a disease of a trial, so each is also counted with a lupus diagnosis: then criteria are asked.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import typer

from benchmarks.synthetic_export import write_export

ROOT = Path(__file__).parents[1]
AS_OF = "2026-11-01"
SYNTHETIC = 100  # patients
# Runs in the tree of either version, which have `trialcards match` in common: one report a line, empty where refused.
_MATCH = """
import sys
from typer.testing import CliRunner
from app.cli import cli
for path in sys.argv[2:]:
    done = CliRunner().invoke(cli, ["match", path, "--json", "--as-of", sys.argv[1]])
    print("".join(done.stdout.splitlines()) if done.exit_code == 0 else "", flush=True)
"""
_LUPUS = {
    "resourceType": "Condition",
    "id": "added-lupus",
    "code": {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "M32.9"}]},
    "clinicalStatus": {
        "coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}]
    },
    "onsetDateTime": "2020-01-01",
}
_CANDIDATE = frozenset({"likely-eligible", "possibly-eligible", "near-miss"})
_NEEDED = frozenset({"Patient", "Condition"})  # without them a hook answers 412


def counts(reports: Sequence[Any]) -> dict[str, float]:
    """Per 100 charts: with a card, refused, not evaluable because of what was not understood, unknown criteria."""
    found: Counter[str] = Counter()
    for report in reports:
        sources = {source["resourceType"]: source["state"] for source in report["sources"]}
        if any(sources[name] != "complete" for name in _NEEDED):
            found["charts refused (412)"] += 1
            continue
        verdicts = [trial["verdict"] for trial in report["trials"]]
        found["charts with a card"] += any(verdict in _CANDIDATE for verdict in verdicts)
        found["cards"] += min(3, sum(verdict in _CANDIDATE for verdict in verdicts))
        found["charts without a card, a trial not evaluated"] += "could-not-evaluate" in verdicts and not any(
            verdict in _CANDIDATE for verdict in verdicts
        )
        for trial in report["trials"]:
            for cohort in trial["cohorts"]:
                unknown = [each["reason"] for each in cohort["criteria"] if each["outcome"] == "unknown"]
                found["unknown criteria"] += len(unknown)
                found.update(f"unknown criteria: {reason}" for reason in unknown)
    return {name: round(100 * number / len(reports), 1) for name, number in sorted(found.items())}


def reports_of(tree: Path, charts: Sequence[Path]) -> list[Any]:
    """The report of each chart that could be read, as the version in this folder makes it."""
    environment = {**os.environ, "PYTHONPATH": str(tree), "COLUMNS": "200"}
    command = [sys.executable, "-c", _MATCH, AS_OF, *map(str, charts)]
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines() if line]


@contextmanager
def worktree(commit: str) -> Iterator[Path]:
    """A folder with the files of a commit."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "before"
        subprocess.run(
            ["git", "-C", ROOT, "worktree", "add", "--detach", tree, commit], check=True, capture_output=True
        )
        try:
            yield tree
        finally:
            subprocess.run(["git", "-C", ROOT, "worktree", "remove", "--force", tree], check=True, capture_output=True)


def synthetic_charts(folder: Path) -> list[Path]:
    """The patients of the synthetic export, each as a Bundle."""
    write_export(folder / "export", SYNTHETIC, indicated=0.5, seed=14)
    charts: dict[str, list[Any]] = {}
    for path in sorted((folder / "export").glob("*.ndjson")):
        for line in path.read_text().splitlines():
            resource = json.loads(line)
            owner = (resource.get("subject") or resource.get("patient") or {}).get("reference", "")
            name = resource["id"] if resource["resourceType"] == "Patient" else owner.removeprefix("Patient/")
            charts.setdefault(name, []).append({"resource": resource})
    paths = []
    for name, entries in sorted(charts.items()):
        if any(entry["resource"]["resourceType"] == "Patient" for entry in entries):
            paths.append(folder / f"{name}.json")
            paths[-1].write_text(json.dumps({"resourceType": "Bundle", "type": "collection", "entry": entries}))
    return paths


def with_lupus(charts: Sequence[Path], folder: Path) -> list[Path]:
    """The same charts with one more diagnosis."""
    paths = []
    for place, path in enumerate(charts):
        bundle = json.loads(path.read_bytes())
        people = [e["resource"] for e in bundle.get("entry", ()) if e["resource"].get("resourceType") == "Patient"]
        if len(people) != 1:
            continue
        address = next(e.get("fullUrl") for e in bundle["entry"] if e["resource"] is people[0])
        subject = {"reference": address if address and address.startswith("urn:") else f"Patient/{people[0]['id']}"}
        bundle["entry"].append({"resource": _LUPUS | {"subject": subject}, "fullUrl": f"urn:uuid:{uuid.UUID(int=1)}"})
        paths.append(folder / f"lupus-{place:05}.json")
        paths[-1].write_text(json.dumps(bundle))
    return paths


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--charts", type=Path, help="a folder of Bundles, searched at every depth")
    parser.add_argument("--before", help="a commit to compare with")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as open_trees:
        charts = sorted(given.charts.resolve().rglob("*.json")) if given.charts else synthetic_charts(Path(folder))
        tree = open_trees.enter_context(worktree(given.before)) if given.before else None
        for title, chosen in (("as they are", charts), ("with a lupus diagnosis", with_lupus(charts, Path(folder)))):
            after = reports_of(ROOT, chosen)
            typer.echo(f"{len(after)} charts {title}, per 100:")
            _show(counts(reports_of(tree, chosen)) if tree else {}, counts(after), is_compared=tree is not None)


def _show(then: dict[str, float], now: dict[str, float], *, is_compared: bool) -> None:
    typer.echo(f"{'':<48}{'before' if is_compared else '':>8}{'now':>8}")
    for name in sorted({*then, *now}):
        typer.echo(f"{name:<48}{then.get(name, 0.0) if is_compared else '':>8}{now.get(name, 0.0):>8}")


if __name__ == "__main__":
    main()

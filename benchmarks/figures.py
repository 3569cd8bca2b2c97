"""A measured figure beside its limit: printed, kept as JSON, and compared with the run before."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

RESULTS = Path(__file__).parents[1] / "bench-results"
WORSE = 1.25  # a figure that grew by more than this is a regression


@dataclass(frozen=True)
class Figure:
    """`limit` is what it must stay under; None where it is only told."""

    name: str
    value: float
    unit: str
    limit: float | None = None

    @property
    def holds(self) -> bool:
        return self.limit is None or self.value <= self.limit


def report(benchmark: str, figures: Sequence[Figure], *, check: bool = "--check" in sys.argv) -> None:
    """Print and keep the figures; with `check`, exit status 1 where one is over its limit or worse than before."""
    path = RESULTS / f"{benchmark}.json"
    before = {each["name"]: each["value"] for each in json.loads(path.read_text())} if path.exists() else {}
    problems = []
    for figure in figures:
        limit = f"limit {figure.limit:g}" if figure.limit is not None else ""
        verdict = "" if figure.holds else "OVER THE LIMIT"
        last = before.get(figure.name)
        if check and figure.limit is not None and last and figure.value > last * WORSE:
            verdict = f"WORSE than {last:.3g}"
        sys.stdout.write(
            f"{benchmark:<8} {figure.name:<52} {figure.value:>10.3f} {figure.unit:<9} {limit:<11} {verdict}\n"
        )
        problems += [figure.name] * bool(verdict)
    RESULTS.mkdir(exist_ok=True)
    path.write_text(json.dumps([asdict(figure) for figure in figures], indent=1) + "\n")
    if check and problems:
        sys.exit(f"{benchmark}: {', '.join(problems)}")

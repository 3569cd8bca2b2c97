"""How long cards are: `python -m benchmarks.bench_cards`.

Characters and words of the detail of every card of the demo patients, and of the charts in `../shared/cases` where they
are there; the limits are the contract's. The time to read one aloud is counted at 150 words a minute.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from statistics import median, quantiles

from app.demo.charts import demo_patients
from benchmarks.figures import Figure, report
from cds_hooks.cards.fitting import MOST_CHARACTERS, MOST_WORDS
from cds_hooks.cards.trial_cards import cards_for
from cds_hooks.words.safe_text import length
from mappings.chart.chart import ChartBuilder, ChartError
from mappings.concepts.catalogue import load_catalogue
from trial_defs.definition.loader import OUR_TRIALS, load_trials
from trial_defs.engine.evaluation import match

ROOT = Path(__file__).parents[1]
CASES = ROOT.parent / "shared" / "cases"
AS_OF = datetime(2026, 12, 1, tzinfo=UTC)
SPOKEN = 150  # words a minute, read aloud


def charts() -> Iterator[bytes]:
    """Bundles with one patient each."""
    for patient in demo_patients(AS_OF.date()):
        entries = [{"resource": resource} for resource in patient.resources]
        yield json.dumps({"resourceType": "Bundle", "type": "collection", "entry": entries}).encode()
    for path in sorted(CASES.glob("*.json")):
        yield path.read_bytes()


def details() -> list[str]:
    """The detail of every card that these charts get."""
    catalogue = load_catalogue([ROOT / "mappings" / "concepts"])
    trials = load_trials([OUR_TRIALS], catalogue).trials
    found = []
    for raw in charts():
        builder = ChartBuilder(None)
        try:
            builder.add(raw, None)
            builder.whole_chart()
            chart = builder.build()
        except ChartError:
            continue  # a hook's body, or two patients
        matched = match(trials.values(), chart, catalogue, AS_OF, UTC)
        found += [c.body["detail"] for c in cards_for(matched, catalogue, new_uuid=lambda: str(uuid.uuid4()), most=9)]
    return found


def main() -> None:
    shown = details()
    for name, unit, sizes, limit in (
        ("words", "words", sorted(len(text.split()) for text in shown), MOST_WORDS),
        ("characters", "chars", sorted(map(length, shown)), MOST_CHARACTERS),
    ):
        report(
            f"cards-{name}",
            [
                Figure(f"{name} of a card, median of {len(sizes)}", median(sizes), unit),
                Figure(f"{name} of a card, nine of ten have fewer", quantiles(sizes, n=10)[-1], unit),
                Figure(f"{name} of the longest card", sizes[-1], unit, limit),
            ],
        )
    seconds = median(len(text.split()) for text in shown) / SPOKEN * 60
    report("cards-aloud", [Figure("reading a card aloud, median", seconds, "s")])


if __name__ == "__main__":
    main()

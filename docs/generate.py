"""Writes the documents that are made from the definitions, so that nothing is said twice by hand.

.venv/bin/python -m docs.generate            writes what is generated in docs/
.venv/bin/python -m docs.generate --check    says which of them are out of date, and writes nothing
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from app.routes.connecting import connect_text
from app.settings import PREFIX, Settings
from mappings.concepts.catalogue import load_catalogue
from trial_defs.definition.coverage import Decidable, decidable, why_not_more
from trial_defs.definition.expressions import Criterion, Trial
from trial_defs.definition.loader import OUR_TRIALS, load_trials

ROOT = Path(__file__).parents[1]
SETTINGS = ROOT / "docs" / "settings.md"


def criteria_of(trial: Trial) -> Iterator[tuple[str, Criterion]]:
    """Each criterion once, with the cohorts it is in."""
    cohorts: dict[int, list[str]] = {}
    seen: dict[int, Criterion] = {}
    for cohort in trial.cohorts:
        for criterion in cohort.criteria:
            seen[id(criterion)] = criterion
            cohorts.setdefault(id(criterion), []).append(cohort.id)
    for key, criterion in seen.items():
        names = cohorts[key]
        yield ("all" if len(names) == len(trial.cohorts) else ", ".join(names)), criterion


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def readings(trials: Iterable[Trial]) -> str:
    """Every reading that was chosen where a document is damaged, ambiguous or contradicts itself; and what it lacks."""
    lines = [
        "# Readings to be confirmed",
        "",
        "Made from the definitions by `python -m docs.generate`. Where a document lost a sign, a unit or a heading,",
        "or contradicts itself, the definition states which reading was chosen and why. None is confirmed by a study",
        "team yet.",
    ]
    for trial in trials:
        lines += [
            "",
            f"## {trial.id}: {trial.short_title}",
            "",
            f"Source: `{trial.document}`, read on {trial.read_on}.",
            "",
        ]
        lines += ["| criterion | cohorts | as defined | reading chosen |", "|---|---|---|---|"]
        lines += [
            f"| `{c.id}` | {where} | {_cell(c.text)} | {_cell(c.reading)} |"
            for where, c in criteria_of(trial)
            if c.reading
        ]
        lines += ["", "The document does not state:", "", *(f"- {_cell(item)}" for item in trial.missing)]
    return "\n".join(lines) + "\n"


def coverage(trials: Iterable[Trial]) -> str:
    """What data can decide of each criterion, and the share of it per trial."""
    trials = list(trials)
    lines = [
        "# What is computed",
        "",
        "Made from the definitions by `python -m docs.generate`.",
        "",
        "- **computed**: structured data, a recorded score or a derived value can say yes and no.",
        "- **computed one way**: data can settle one side (an exposure on record, an excluded disease not on record);",
        "  the other side is a question, because records of treatment elsewhere or of severity are not in a chart.",
        "- **evidence for a person**: an investigator judges; the records that help are shown.",
        "- **person only**: consent, promises, opinion; nothing in a chart speaks to it.",
        "",
        "| trial | criteria | computed | one way | evidence | person only | data can decide |",
        "|---|---|---|---|---|---|---|",
    ]
    total: Counter[Decidable] = Counter()
    for trial in trials:
        counts = Counter(decidable(c) for _, c in criteria_of(trial))
        total += counts
        lines.append(_share(trial.id, counts))
    lines.append(_share("**all**", total))
    for trial in trials:
        lines += ["", f"## {trial.id}", "", "| criterion | cohorts | text | how | concepts | why not more |"]
        lines += ["|---|---|---|---|---|---|"]
        lines += [
            f"| `{c.id}` | {where} | {_cell(c.text)} | {decidable(c)} | {', '.join(c.concepts)} "
            f"| {_cell(why_not_more(c))} |"
            for where, c in criteria_of(trial)
        ]
    return "\n".join(lines) + "\n"


def _share(name: str, counts: Counter[Decidable]) -> str:
    every = sum(counts.values())
    decided = counts[Decidable.COMPUTED] + counts[Decidable.ONE_WAY]
    cells = [str(counts[kind]) for kind in Decidable]
    return f"| {name} | {every} | {' | '.join(cells)} | {100 * decided // max(every, 1)} % |"


def settings(text: str) -> str:
    """The document of settings with the table that the code has, between its head and the next empty line."""
    head = "| setting | default | what |\n|---|---|---|\n"
    before, after = text.split(head)
    return before + head + "".join(_settings()) + after[after.index("\n\n") + 1 :]


def _settings() -> Iterator[str]:
    for name, field in Settings.model_fields.items():
        if name != "profile":
            shown = name.upper() if name in ("host", "port") else PREFIX + name.upper()
            default = "none" if field.default in (None, ()) else f"`{field.default}`"
            yield f"| `{shown}` | {default} | {_cell(field.description or '')} |\n"


def documents() -> dict[Path, str]:
    """Every generated document, by its path."""
    catalogue = load_catalogue([ROOT / "mappings" / "concepts"])
    loaded = load_trials([OUR_TRIALS], catalogue)
    trials = list(loaded.trials.values())
    return {
        ROOT / "docs" / "readings.md": readings(trials),
        ROOT / "docs" / "coverage.md": coverage(trials),
        ROOT / "docs" / "connect.md": connect_text(),
        SETTINGS: settings(SETTINGS.read_text("utf-8")),
    }


def main(arguments: list[str]) -> int:
    outdated = {p: text for p, text in documents().items() if not p.exists() or p.read_text("utf-8") != text}
    for path, text in outdated.items():
        if "--check" in arguments:
            sys.stderr.write(f"{path.relative_to(ROOT)} is out of date: run python -m docs.generate\n")
        else:
            path.write_text(text, "utf-8")
    return 1 if outdated and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Writes the tables of docs/registry.md: what drafts have of the definitions made by hand, and how others' records do.

.venv/bin/python -m docs.drafts [FOLDER]     FOLDER holds the documents that the definitions name

Without FOLDER the documents beside this project are read (`../shared/seeds`); the records are in
`../shared/trial-records`, and their table stays as it is where they are not there.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from docs.draft_bars import RECORDS, form_table, import_seconds, measure
from mappings.concepts.catalogue import Catalogue, load_catalogue
from mappings.concepts.vocabulary import OUR_CONCEPTS, pack_folders
from trial_defs.definition.compiler import compile_trial
from trial_defs.definition.expressions import Trial
from trial_defs.definition.language import TrialWords
from trial_defs.definition.loader import OUR_TRIALS, load_trials
from trial_defs.registry.comparison import Comparison, compare, is_limit
from trial_defs.registry.definition_file import as_words
from trial_defs.registry.draft import Draft, draft_of
from trial_defs.registry.forms import TABLE
from trial_defs.registry.record import read_record

ROOT = Path(__file__).parents[1]
DOCUMENTS = ROOT.parent / "shared" / "seeds"
PAGE = ROOT / "docs" / "registry.md"
_HEAD = (
    "| trial | drafted of what was made by hand | limits, of them | drafted limits | wrong | questions |\n"
    "|---|---|---|---|---|---|\n"
)


_BARS_HEAD = "| on registry records of other fields | counted | bar |\n|---|---|---|\n"


def measured(trial: Trial, document: Path, catalogue: Catalogue) -> tuple[Draft, Comparison]:
    """The draft from a trial's document, and what it has of the definition."""
    draft = draft_of(read_record(document.read_bytes()), catalogue)
    words = as_words(draft, catalogue, trial_id=trial.id, document=document.name, read_on=trial.read_on)
    drafted = compile_trial(TrialWords.model_validate(words), catalogue, document, "")
    return draft, compare(drafted, trial)


def rows(folder: Path) -> Iterator[str]:
    catalogue = load_catalogue([ROOT / "mappings" / "concepts"])
    had = every = limits = wrong = asked = own_limits = had_limits = 0
    for trial in load_trials([OUR_TRIALS], catalogue).trials.values():
        draft, found = measured(trial, folder / trial.document, catalogue)
        by_hand = [piece for piece in found.by_hand if is_limit(piece)]
        kept = [piece for piece in found.had if is_limit(piece)]
        yield _row(trial.id, len(found.had), len(found.by_hand), len(kept), len(by_hand), len(found.limits),
                   len(found.wrong_limits), len(draft.questions))  # fmt: skip
        had, every = had + len(found.had), every + len(found.by_hand)
        had_limits, own_limits = had_limits + len(kept), own_limits + len(by_hand)
        limits, wrong, asked = limits + len(found.limits), wrong + len(found.wrong_limits), asked + len(draft.questions)
    yield _row("**all**", had, every, had_limits, own_limits, limits, wrong, asked)


def _row(name: str, had: int, every: int, kept: int, own: int, limits: int, wrong: int, asked: int) -> str:
    return f"| {name} | {had} of {every} ({100 * had // every} %) | {kept} of {own} | {limits} | {wrong} | {asked} |\n"


def main(arguments: list[str]) -> int:
    text = PAGE.read_text("utf-8")
    before, after = text.split(_HEAD)
    table = "".join(rows(Path(arguments[0]) if arguments else DOCUMENTS))
    kept = re.sub(r"\A(?:\|.*\n)*", "", after)
    if RECORDS.is_dir():
        first, rest = kept.split(_BARS_HEAD)
        measured_bars = measure(_catalogue())
        TABLE.write_text(form_table(measured_bars), "utf-8")
        seconds = sorted(
            min(import_seconds(record) for _ in range(3)) for record in sorted(RECORDS.glob("*.json"))[::6]
        )
        timed = (
            "CPU of an import, the longest of ten records, each the best of three",
            f"{seconds[-1]:.1f} s",
            "≤ 1 s",
        )
        bars = "".join(f"| {what} | {count} | {bar} |\n" for what, count, bar in (*measured_bars.rows(), timed))
        sys.stdout.write(bars)
        kept = first + _BARS_HEAD + bars + re.sub(r"\A(?:\|.*\n)*", "", rest)
    PAGE.write_text(before + _HEAD + table + kept, "utf-8")
    return 0


def _catalogue() -> Catalogue:
    return load_catalogue((OUR_CONCEPTS, *pack_folders(None)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

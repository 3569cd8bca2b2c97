"""The ranked list of candidates for people: a sentence in each column, codes to the right; as CSV and as XLSX."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.screen.sql import CANDIDATE
from app.web.spreadsheets import Sheet, cell, open_workbook, shortened
from mappings.facts import Reason
from trial_defs.definition.expressions import Trial
from trial_defs.engine.findings import Verdict

if TYPE_CHECKING:
    import duckdb

SENTENCES = (
    "Patient", "Age", "Sex", "Trial", "Disease", "Verdict", "Not met", "Missing", "To ask", "Check again on",
    "Recruiting", "Also a candidate for",
)  # fmt: skip
_CODES = (
    "verdict", "patient", "trial", "cohort", "recruiting", "met", "not_met", "unknown", "needs_human", "recheck_on",
    "in_the_way", "open",
)  # fmt: skip
COLUMNS = (*SENTENCES, *_CODES)
_WIDTHS = (16, 5, 8, 28, 28, 18, 44, 44, 44, 13, 20, 28)
_MOST_ITEMS = 3
_RECRUITING = {
    "recruiting": "recruiting",
    "not-yet": "not yet recruiting",
    "closed": "closed",
    "unknown": "not known",
}
_REASONS: Mapping[str, str] = {
    Reason.MISSING: "not on record",
    Reason.STALE: "too old",
    Reason.NOT_READABLE: "not in the export",
    Reason.NOT_FINAL: "not final",
    Reason.CONFLICTING: "records disagree",
    Reason.IMPLAUSIBLE: "implausible value",
    Reason.UNIT_UNCONVERTIBLE: "unit not usable",
    Reason.NO_REFERENCE_RANGE: "no reference range",
}
# Best first: verdict, those that recruit before those that do not yet, least in the way, least unknown.
RANKING = "rank, recruiting <> 'recruiting', not_met, unknown, needs_human, patient, trial, cohort"
_ITEMS = """
CREATE TEMP VIEW items AS
SELECT patient, trial, cohort,
       list(explanation ORDER BY place) FILTER (outcome = 'not-met') AS not_met_items,
       list(criterion || chr(31) || coalesce(reason, '') ORDER BY place) FILTER (outcome = 'unknown') AS missing_items,
       list(explanation ORDER BY place) FILTER (outcome = 'needs-human') AS to_ask
FROM criteria SEMI JOIN listed USING (patient, trial, cohort)
WHERE outcome IN ('not-met', 'unknown', 'needs-human') GROUP BY ALL
"""
_ROWS = f"""
SELECT m.*, p.born_from, p.born_to, p.sex, i.not_met_items, i.missing_items, i.to_ask, o.trials AS patients_trials
FROM listed m LEFT JOIN items i USING (patient, trial, cohort) LEFT JOIN patients p USING (patient)
LEFT JOIN (SELECT patient, list(DISTINCT trial ORDER BY trial) AS trials FROM listed GROUP BY patient) o USING (patient)
ORDER BY {RANKING}
"""


class Words:
    """The texts of the definitions by which a list is written."""

    def __init__(self, trials: Sequence[Trial], today: date) -> None:
        self.today = today
        self.trials = {trial.id: trial.short_title for trial in trials}
        self.cohorts = {(trial.id, cohort.id): cohort.title for trial in trials for cohort in trial.cohorts}
        self._criteria = {
            (trial.id, each.id): each.text if each.kind == "inclusion" else f"rule out: {each.text}"
            for trial in trials
            for cohort in trial.cohorts
            for each in cohort.criteria
        }

    def criterion(self, trial: str, name: str) -> str:
        return self._criteria.get((trial, name), name)


def candidates(db: duckdb.DuckDBPyConnection, words: Words) -> Iterator[dict[str, Any]]:
    """The rows of the list, best first, by the names of COLUMNS. `db` has matches, criteria and patients."""
    db.execute(f"CREATE OR REPLACE TEMP VIEW listed AS SELECT * FROM matches WHERE verdict IN {CANDIDATE}")
    db.execute(_ITEMS.replace("CREATE TEMP", "CREATE OR REPLACE TEMP"))
    found = db.execute(_ROWS)
    names = [column[0] for column in found.description or ()]
    while batch := found.fetchmany(5_000):
        for row in batch:
            yield _readable(dict(zip(names, row, strict=True)), words)


def _readable(row: dict[str, Any], words: Words) -> dict[str, Any]:
    trial = row["trial"]
    missing = [_missing(trial, item, words) for item in row["missing_items"] or ()]
    others = [words.trials.get(other, other) for other in row["patients_trials"] or () if other != trial]
    sentences = (
        row["patient"].removeprefix("Patient/"),
        age_words(row["born_from"], row["born_to"], words.today),
        row["sex"] or "not known",
        words.trials.get(trial, trial),
        words.cohorts.get((trial, row["cohort"]), row["cohort"]),
        Verdict(row["verdict"]).label,
        shortened(row["not_met_items"] or (), _MOST_ITEMS),
        shortened(missing, _MOST_ITEMS),
        shortened([_question(each) for each in sorted(row["to_ask"] or (), key=_is_step)], _MOST_ITEMS),
        row["recheck_on"],
        _RECRUITING.get(row["recruiting"], row["recruiting"]),
        ", ".join(others),
    )
    return dict(zip(SENTENCES, sentences, strict=True)) | {name: row[name] for name in _CODES}


def age_words(born_from: str | None, born_to: str | None, today: date) -> str:
    """Age in whole years, as a range where the day of birth is not exact; "not known" without one."""
    if not born_from or not born_to:
        return "not known"
    least, most = (_years(date.fromisoformat(day), today) for day in (born_to, born_from))
    return str(least) if least == most else f"{least}–{most}"


def _years(born: date, today: date) -> int:
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day))


def _missing(trial: str, item: str, words: Words) -> str:
    criterion, _, reason = item.partition("\x1f")
    return f"{words.criterion(trial, criterion)} ({_REASONS.get(reason, reason.replace('-', ' ') or 'open')})"


def _is_step(explanation: str) -> bool:
    """A consent is signed once everything else is answered, so it comes last."""
    return explanation.startswith("To do: ")


def _question(explanation: str) -> str:
    return explanation.replace("For the investigator: ", "").replace("To do: ", "")


def write_candidates(db: duckdb.DuckDBPyConnection, words: Words, csv_path: Path, xlsx_path: Path) -> None:
    """Both files, each there as a whole or not at all. No cell of either is a formula.

    A sheet holds no more than 1,048,575 candidates; the CSV file holds all.
    """
    texts, sheet = (path.with_name(path.name + ".part") for path in (csv_path, xlsx_path))
    with texts.open("w", encoding="utf-8-sig", errors="replace", newline="") as file, open_workbook(str(sheet)) as book:
        writer, page = csv.writer(file, lineterminator="\n"), Sheet(book, "Candidates", COLUMNS, _WIDTHS)
        writer.writerow(COLUMNS)
        for row in candidates(db, words):
            cells = [row[name] for name in COLUMNS]
            writer.writerow([cell(value) for value in cells])
            page.add(cells)
        page.end()
    texts.replace(csv_path)
    sheet.replace(xlsx_path)

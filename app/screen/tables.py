"""The files a screen leaves behind: matches and criteria as Parquet, the ranked list, and what changed since the last.

DuckDB sorts and writes them out of core, under a memory limit.
"""

from __future__ import annotations

import csv
import importlib.util
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from app.screen import changes
from app.screen.funnel import funnel_of
from app.screen.lists import Words, write_candidates
from app.screen.reading import Reading
from app.screen.sql import CANDIDATE, literal
from app.web.spreadsheets import cell

if TYPE_CHECKING:
    import duckdb

MATCHES, CRITERIA, CANDIDATES, CHANGES = "matches.parquet", "criteria.parquet", "candidates.csv", "changes.csv"
PATIENTS, SHEET = "patients.parquet", "candidates.xlsx"
MEMORY = "384MB"
_MATCH = {
    "patient": "VARCHAR",
    "trial": "VARCHAR",
    "cohort": "VARCHAR",
    "verdict": "VARCHAR",
    "rank": "TINYINT",
    "recruiting": "VARCHAR",
    "met": "SMALLINT",
    "not_met": "SMALLINT",
    "unknown": "SMALLINT",
    "needs_human": "SMALLINT",
    "not_applicable": "SMALLINT",
    "recheck_on": "DATE",
    "in_the_way": "VARCHAR",
    "open": "VARCHAR",
    "definition_version": "INTEGER",
    "definition_hash": "VARCHAR",
}
_CRITERION = {
    "patient": "VARCHAR",
    "trial": "VARCHAR",
    "cohort": "VARCHAR",
    "place": "SMALLINT",
    "criterion": "VARCHAR",
    "kind": "VARCHAR",
    "outcome": "VARCHAR",
    "basis": "VARCHAR",
    "reason": "VARCHAR",
    "explanation": "VARCHAR",
    "margin_value": "DOUBLE",
    "margin_unit": "VARCHAR",
    "margin_percent": "DOUBLE",
    "concepts": "VARCHAR[]",
    "evidence": "STRUCT("
    "resource VARCHAR, concept VARCHAR, value VARCHAR, unit VARCHAR, recorded VARCHAR, date VARCHAR)[]",
}
_PATIENT = {
    "patient": "VARCHAR",
    "fate": "VARCHAR",
    "valid_until": "VARCHAR",
    "lines": "VARCHAR",
    "medications": "VARCHAR[]",
    "medication_lines": "VARCHAR",
    "approachable": "BOOLEAN",
    "indicated": "VARCHAR[]",
    "listed": "VARCHAR[]",
    "shows_day": "BOOLEAN",
    "conditions_read": "BOOLEAN",
    "born_from": "VARCHAR",
    "born_to": "VARCHAR",
    "sex": "VARCHAR",
    "doubtful": "VARCHAR[]",
    "not_understood": "VARCHAR[]",
    "person": "VARCHAR",
}
_STANDING = {"patient": "VARCHAR", "trial": "VARCHAR", "shows_day": "BOOLEAN"}


class DuckDbMissing(Exception):
    """DuckDB is an extra."""

    def __init__(self) -> None:
        super().__init__("screening needs DuckDB; install it with: pip install 'trialcards[batch]'")


def require_duckdb() -> None:
    if importlib.util.find_spec("duckdb") is None:
        raise DuckDbMissing


def connect(temporary: Path, threads: int) -> duckdb.DuckDBPyConnection:
    import duckdb

    settings: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": MEMORY,
        "threads": threads,
        "temp_directory": str(temporary),
    }
    return duckdb.connect(config=settings)


@dataclass(frozen=True)
class Comparison:
    """An earlier screen to compare with. `day`, `day_then`: when the charts are read, and were read there.

    `stands`: whether rows may be taken from it, which the parts name.
    """

    folder: Path
    day: date
    day_then: date
    stands: bool


def assemble(parts: Path, out: Path, threads: int, words: Words, since: Comparison | None = None) -> dict[str, Any]:
    """Sort the parts into the tables of `out`, each there as a whole or not at all; what they hold, in figures."""
    with connect(parts / "sorting", threads) as db:
        _read_parts(db, "patients", _PATIENT, parts)
        _read_parts(db, "standing", _STANDING, parts)
        for name, columns in (("matches", _MATCH), ("criteria", _CRITERION)):
            _read_parts(db, f"new_{name}", columns, parts, name)
            db.execute(f"CREATE TEMP VIEW {name} AS FROM new_{name}{_still_standing(name, since)}")
        _copy(db, "SELECT * FROM patients ORDER BY patient", out / PATIENTS)
        _copy(db, "SELECT * FROM matches ORDER BY patient, trial, cohort", out / MATCHES)
        _copy(db, "SELECT * FROM criteria ORDER BY patient, trial, cohort, place", out / CRITERIA)
        write_candidates(db, words, out / CANDIDATES, out / SHEET)
        figures = _figures(db)
        if since is not None:
            figures["changes"] = changes.summarize(db, since.folder)
            _write_csv(db, changes.ROWS, out / CHANGES)
    return figures


def _read_parts(
    db: duckdb.DuckDBPyConnection, view: str, columns: dict[str, str], parts: Path, suffix: str | None = None
) -> None:
    files = [str(path) for path in sorted(parts.glob(f"*.{suffix or view}")) if path.stat().st_size]
    typed = ", ".join(f"'{column}': '{kind}'" for column, kind in columns.items())
    rows = (
        f"read_json({literal(files)}, format='newline_delimited', columns={{{typed}}}, maximum_object_size=16777216)"
        if files
        else f"(SELECT {', '.join(f'NULL::{kind} AS {column}' for column, kind in columns.items())} LIMIT 0)"
    )
    db.execute(f"CREATE TEMP VIEW {view} AS SELECT * FROM {rows}")


def _still_standing(name: str, since: Comparison | None) -> str:
    """The rows of the earlier screen that stand; those that name its day name the day of this one."""
    if since is None or not since.stands:
        return ""
    then, now = literal(since.day_then.isoformat()), literal(since.day.isoformat())
    texts = {
        "matches": f"replace(in_the_way, {then}, {now}) AS in_the_way",
        "criteria": f"replace(explanation, {then}, {now}) AS explanation, list_transform(evidence, lambda each: "
        f"struct_update(each, date := CASE WHEN each.date = {then} THEN {now} ELSE each.date END)) AS evidence",
    }
    rows = literal(str(since.folder / f"{name}.parquet"))
    return "".join(
        f" UNION ALL SELECT {columns} FROM read_parquet({rows}) SEMI JOIN "
        f"(FROM standing WHERE {condition}) USING (patient, trial)"
        for columns, condition in ((f"* REPLACE ({texts[name]})", "shows_day"), ("*", "NOT shows_day"))
    )


def readings_of(folder: Path) -> Iterator[Reading]:
    """What became of each patient of a finished screen."""
    with tempfile.TemporaryDirectory() as temporary, connect(Path(temporary), 1) as db:
        found = db.execute(f"SELECT {', '.join(_PATIENT)} FROM read_parquet({literal(str(folder / PATIENTS))})")
        while rows := found.fetchmany(10_000):
            yield from (msgspec.convert(dict(zip(_PATIENT, row, strict=True)), Reading) for row in rows)


def _copy(db: duckdb.DuckDBPyConnection, query: str, path: Path) -> None:
    temporary = path.with_name(path.name + ".part")
    db.execute(f"COPY ({query}) TO {literal(str(temporary))} (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 50000)")
    temporary.replace(path)


def _write_csv(db: duckdb.DuckDBPyConnection, query: str, path: Path) -> None:
    """A CSV file that a spreadsheet shows as text: no cell begins a formula."""
    found = db.execute(query)
    temporary = path.with_name(path.name + ".part")
    with temporary.open("w", encoding="utf-8", errors="replace", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([column[0] for column in found.description or ()])
        while batch := found.fetchmany(10_000):
            writer.writerows([cell(value) for value in row] for row in batch)
    temporary.replace(path)


def _figures(db: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    rows = db.execute("SELECT trial, cohort, verdict, count(*) FROM matches GROUP BY ALL ORDER BY ALL").fetchall()
    verdicts: dict[str, dict[str, dict[str, int]]] = {}
    for trial, cohort, verdict, count in rows:
        verdicts.setdefault(trial, {}).setdefault(cohort, {})[verdict] = count
    candidates = db.execute(f"SELECT count(DISTINCT patient) FROM matches WHERE verdict IN {CANDIDATE}").fetchone()
    found = {"candidates": candidates[0] if candidates else 0, "verdicts": verdicts}
    return found | {"funnel": funnel_of(db)}

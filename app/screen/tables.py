"""The files a screen leaves behind: matches and criteria as Parquet, the ranked list, and what changed since the last.

DuckDB sorts and writes them out of core, under a memory limit.
"""

from __future__ import annotations

import csv
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.spreadsheets import cell

if TYPE_CHECKING:
    import duckdb

MATCHES, CRITERIA, CANDIDATES, CHANGES = "matches.parquet", "criteria.parquet", "candidates.csv", "changes.csv"
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
_CANDIDATE = "('likely-eligible', 'possibly-eligible', 'near-miss')"
# Best first: verdict, those that recruit before those that do not yet, least in the way, least unknown.
_RANKING = "rank, recruiting <> 'recruiting', not_met, unknown, needs_human, patient, trial, cohort"
_LIST = (
    """verdict, patient, trial, cohort, recruiting, met, not_met, unknown, needs_human, recheck_on, in_the_way, open"""
)


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


def assemble(
    parts: Path, out: Path, threads: int, since: Path | None = None, reused: Sequence[str] = ()
) -> dict[str, Any]:
    """Sort the parts into the tables of `out`, each there as a whole or not at all; what they hold, in figures.

    `since` is the folder of an earlier screen; the rows of the trials in `reused` are taken from there.
    """
    with connect(parts / "sorting", threads) as db:
        for name, columns in (("matches", _MATCH), ("criteria", _CRITERION)):
            _gather(db, name, columns, parts, since, reused)
        _copy(db, "SELECT * FROM matches ORDER BY patient, trial, cohort", out / MATCHES)
        _copy(db, "SELECT * FROM criteria ORDER BY patient, trial, cohort, place", out / CRITERIA)
        _write_csv(
            db, f"SELECT {_LIST} FROM matches WHERE verdict IN {_CANDIDATE} ORDER BY {_RANKING}", out / CANDIDATES
        )
        figures = _figures(db)
        if since is not None:
            figures["changes"] = _write_changes(db, since, out)
    return figures


def _gather(
    db: duckdb.DuckDBPyConnection,
    name: str,
    columns: dict[str, str],
    parts: Path,
    since: Path | None,
    reused: Sequence[str],
) -> None:
    typed = ", ".join(f"'{column}': '{kind}'" for column, kind in columns.items())
    files = [str(path) for path in sorted(parts.glob(f"*.{name}")) if path.stat().st_size]
    sources = []
    if files:
        sources.append(
            f"SELECT * FROM read_json({_literal(files)}, format='newline_delimited', columns={{{typed}}}, "
            "maximum_object_size=16777216)"
        )
    if since is not None and reused:
        sources.append(
            f"SELECT * FROM read_parquet({_literal(str(since / f'{name}.parquet'))}) "
            f"WHERE trial IN {_literal_tuple(reused)}"
        )
    if not sources:
        empty = ", ".join(f"NULL::{kind} AS {column}" for column, kind in columns.items())
        sources.append(f"SELECT {empty} LIMIT 0")
    db.execute(f"CREATE TEMP VIEW {name} AS {' UNION ALL '.join(sources)}")


def _copy(db: duckdb.DuckDBPyConnection, query: str, path: Path) -> None:
    temporary = path.with_name(path.name + ".part")
    db.execute(f"COPY ({query}) TO {_literal(str(temporary))} (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 50000)")
    temporary.replace(path)


def _literal(value: str | Sequence[str]) -> str:
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return "[" + ", ".join(map(_literal, value)) + "]"


def _literal_tuple(values: Sequence[str]) -> str:
    return "(" + ", ".join(map(_literal, values)) + ")"


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
    candidates = db.execute(f"SELECT count(DISTINCT patient) FROM matches WHERE verdict IN {_CANDIDATE}").fetchone()
    return {"candidates": candidates[0] if candidates else 0, "verdicts": verdicts}


# Who is new, who is gone, and why. A cohort that is not on record has no row, which is a verdict too.
_CHANGED = f"""
CREATE TEMP VIEW changed AS
SELECT patient, trial, cohort,
       coalesce(o.verdict, 'not-indicated') AS was, coalesce(n.verdict, 'not-indicated') AS now,
       CASE WHEN n.verdict IN {_CANDIDATE} AND (o.verdict IS NULL OR o.verdict NOT IN {_CANDIDATE}) THEN 'new'
            WHEN o.verdict IN {_CANDIDATE} AND (n.verdict IS NULL OR n.verdict NOT IN {_CANDIDATE}) THEN 'gone'
            ELSE 'other' END AS change
FROM old_matches o FULL JOIN matches n USING (patient, trial, cohort)
WHERE o.verdict IS DISTINCT FROM n.verdict
"""
_WHY = """
CREATE TEMP VIEW why AS
SELECT patient, trial, cohort,
       string_agg(criterion || ': ' || coalesce(o.outcome, 'not asked') || ' -> ' || coalesce(n.outcome, 'not asked') ||
                  CASE WHEN n.explanation IS NULL THEN '' ELSE ' (' || n.explanation || ')' END,
                  '; ' ORDER BY coalesce(n.place, o.place)) AS why
FROM (SELECT * FROM old_criteria SEMI JOIN both_sides USING (patient, trial, cohort)) o
FULL JOIN (SELECT * FROM criteria SEMI JOIN both_sides USING (patient, trial, cohort)) n
     USING (patient, trial, cohort, criterion)
WHERE o.outcome IS DISTINCT FROM n.outcome
GROUP BY ALL
"""


def _write_changes(db: duckdb.DuckDBPyConnection, since: Path, out: Path) -> dict[str, int]:
    for name in ("matches", "criteria"):
        path = _literal(str(since / f"{name}.parquet"))
        db.execute(f"CREATE TEMP VIEW old_{name} AS SELECT * FROM read_parquet({path})")
    db.execute(_CHANGED)
    db.execute("""CREATE TEMP VIEW both_sides AS SELECT patient, trial, cohort FROM changed
                  WHERE was <> 'not-indicated' AND now <> 'not-indicated'""")
    db.execute(_WHY)
    _write_csv(
        db,
        """SELECT change, patient, trial, cohort, was, now,
                  CASE WHEN was = 'not-indicated' THEN 'the diagnosis that opens the cohort is now on record'
                       WHEN now = 'not-indicated' THEN 'the diagnosis that opens the cohort is no longer on record, '
                            || 'the patient is no longer in the export, or no longer to be listed'
                       ELSE coalesce(why, 'the trial no longer recruits, or recruits again') END AS why
           FROM changed LEFT JOIN why USING (patient, trial, cohort)
           ORDER BY change = 'other', change, patient, trial, cohort""",
        out / CHANGES,
    )
    counted = db.execute("SELECT change, count(*) FROM changed GROUP BY change").fetchall()
    return {"new": 0, "gone": 0, "other": 0} | dict(counted)

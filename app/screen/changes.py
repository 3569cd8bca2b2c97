"""What changed since an earlier screen: who is new, who is gone, whose verdict is another one, and why."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from app.screen.sql import CANDIDATE, NOT_INDICATED, literal

if TYPE_CHECKING:
    import duckdb

# A cohort that is not on record has no row, which is a verdict too.
_CHANGED = f"""
CREATE TEMP VIEW changed AS
SELECT patient, trial, cohort,
       coalesce(o.verdict, {NOT_INDICATED}) AS was, coalesce(n.verdict, {NOT_INDICATED}) AS now,
       o.definition_version AS version_then, n.definition_version AS version_now,
       o.definition_hash IS DISTINCT FROM n.definition_hash AS redefined,
       CASE WHEN n.verdict IN {CANDIDATE} AND (o.verdict IS NULL OR o.verdict NOT IN {CANDIDATE}) THEN 'new'
            WHEN o.verdict IN {CANDIDATE} AND (n.verdict IS NULL OR n.verdict NOT IN {CANDIDATE}) THEN 'gone'
            ELSE 'other' END AS change
FROM old_matches o FULL JOIN matches n USING (patient, trial, cohort)
WHERE o.verdict IS DISTINCT FROM n.verdict
"""
_BOTH_SIDES = f"""
CREATE TEMP VIEW both_sides AS SELECT patient, trial, cohort FROM changed
WHERE was <> {NOT_INDICATED} AND now <> {NOT_INDICATED}
"""
# A criterion that was not met and still is not may decide too: a near miss that has become a clear one.
_CRITERIA = """
CREATE TEMP VIEW changed_criteria AS
SELECT patient, trial, cohort,
       string_agg(criterion || ': ' || coalesce(o.outcome, 'not asked') || ' -> ' || coalesce(n.outcome, 'not asked') ||
                  CASE WHEN n.explanation IS NULL THEN '' ELSE ' (' || n.explanation || ')' END,
                  '; ' ORDER BY coalesce(n.place, o.place)) AS why
FROM (SELECT * FROM old_criteria SEMI JOIN both_sides USING (patient, trial, cohort)) o
FULL JOIN (SELECT * FROM criteria SEMI JOIN both_sides USING (patient, trial, cohort)) n
     USING (patient, trial, cohort, criterion)
WHERE o.outcome IS DISTINCT FROM n.outcome
   OR (n.outcome = 'not-met' AND o.explanation IS DISTINCT FROM n.explanation)
GROUP BY ALL
"""
_CAUSES = {
    "died": "the patient has died",
    "merged": "the patient record was merged into another one",
    "inactive": "the patient record is no longer in use (active: false)",
    "refused": "the patient is not to be approached for research: a Consent or a Flag says so",
    "restricted": "the match rests on a record that may not be shown",
    "could-not-evaluate": "the conditions could not be read completely",
    "no-patient": "the export holds no Patient resource of this patient that can be read",
    "not-in-export": "no diagnosis of a trial is on record any more, or the patient is no longer in the export",
    "diagnosis-gone": "the diagnosis that opens the cohort is no longer on record",
    "diagnosis-new": "the diagnosis that opens the cohort is now on record",
    "approachable": "the patient may be approached again: Consent, Flag or the patient record has changed",
    "readable": "the chart could not be read completely before",
    "recruiting": "the trial or the cohort recruits again, or no longer",
}


def _cause(name: str) -> str:
    return literal(_CAUSES[name])


_KEPT_BACK = "('not-to-be-approached', 'restricted')"
_CAUSE_OF_LOSS = f"""
CASE WHEN n.patient IS NULL THEN {_cause("not-in-export")}
     WHEN n.fate = 'no-patient' THEN {_cause("no-patient")}
     WHEN n.person = 'died' THEN {_cause("died")}
     WHEN n.person = 'merged' THEN {_cause("merged")}
     WHEN n.person = 'inactive' THEN {_cause("inactive")}
     WHEN n.person = 'refused' OR n.fate = 'not-to-be-approached' THEN {_cause("refused")}
     WHEN n.fate = 'could-not-evaluate' THEN {_cause("could-not-evaluate")}
     WHEN list_contains(n.indicated, changed.trial) AND NOT list_contains(n.listed, changed.trial)
          THEN {_cause("restricted")}
     ELSE {_cause("diagnosis-gone")} END
"""
_CAUSE_OF_GAIN = f"""
CASE WHEN o.fate IN {_KEPT_BACK} AND list_contains(o.indicated, changed.trial) THEN {_cause("approachable")}
     WHEN o.fate = 'could-not-evaluate' THEN {_cause("readable")}
     ELSE {_cause("diagnosis-new")} END
"""
_DEFINITION = """
CASE WHEN redefined THEN 'the definition is another one (version ' || version_then || ' -> ' || version_now || '); '
     ELSE '' END
"""
ROWS = f"""
SELECT change, changed.patient, changed.trial, cohort, was, now,
       CASE WHEN was = {NOT_INDICATED} THEN {_CAUSE_OF_GAIN}
            WHEN now = {NOT_INDICATED} THEN {_CAUSE_OF_LOSS}
            WHEN n.person = 'died' AND o.person IS DISTINCT FROM 'died' THEN {_cause("died")}
            ELSE {_DEFINITION} || coalesce(why, {_cause("recruiting")}) END AS why
FROM changed
LEFT JOIN changed_criteria USING (patient, trial, cohort)
LEFT JOIN old_patients o ON o.patient = changed.patient
LEFT JOIN patients n ON n.patient = changed.patient
ORDER BY change = 'other', change, changed.patient, changed.trial, cohort
"""


def summarize(db: duckdb.DuckDBPyConnection, since: Path) -> dict[str, int]:
    """Prepare the views behind ROWS; how many are new, gone, and changed otherwise.

    `db` has the views `matches`, `criteria` and `patients` of this screen; `since` is the folder of the earlier one.
    """
    for name in ("matches", "criteria", "patients"):
        rows = f"SELECT * FROM read_parquet({literal(str(since / f'{name}.parquet'))})"
        columns = [column[0] for column in db.execute(f"{rows} LIMIT 0").description or ()]
        # An older release wrote no such column.
        more = ", NULL::VARCHAR AS person" if name == "patients" and "person" not in columns else ""
        db.execute(f"CREATE TEMP VIEW old_{name} AS {rows.replace('*', '*' + more, 1)}")
    for statement in (_CHANGED, _BOTH_SIDES, _CRITERIA):
        db.execute(statement)
    counted = db.execute("SELECT change, count(*) FROM changed GROUP BY change").fetchall()
    return {"new": 0, "gone": 0, "other": 0} | dict(counted)

"""How far patients come in each cohort, and which criterion alone stops them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from app.screen.sql import CANDIDATE

if TYPE_CHECKING:
    import duckdb

# Of a patient who died, no criterion is the cause.
_STOPPED = """
WITH failed AS (
    SELECT patient, trial, cohort, criterion, min(place) AS place,
           count(*) OVER (PARTITION BY patient, trial, cohort) AS all_of
    FROM criteria ANTI JOIN (FROM patients WHERE person = 'died') USING (patient)
    WHERE outcome = 'not-met' GROUP BY patient, trial, cohort, criterion
)
SELECT trial, cohort, criterion, count(*) AS failing, count(*) FILTER (all_of = 1) AS alone
FROM failed GROUP BY trial, cohort, criterion ORDER BY trial, cohort, alone DESC, failing DESC, min(place)
"""
_COHORTS = f"""
SELECT m.trial, m.cohort, count(*) AS indicated, count(*) FILTER (m.verdict IN {CANDIDATE}) AS candidates,
       count(*) FILTER (p.person = 'died') AS died
FROM matches m LEFT JOIN patients p USING (patient) GROUP BY m.trial, m.cohort ORDER BY m.trial, m.cohort
"""


def funnel_of(db: duckdb.DuckDBPyConnection) -> dict[str, dict[str, dict[str, Any]]]:
    """By trial and cohort: patients with the diagnosis, those who died, candidates, and the criteria not met.

    `alone` counts patients who meet every other criterion that could be decided. `db` has matches, criteria, patients.
    """
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for trial, cohort, indicated, candidates, died in db.execute(_COHORTS).fetchall():
        figures = {"indicated": indicated, "died": died, "candidates": candidates, "notMet": []}
        found.setdefault(trial, {})[cohort] = figures
    for trial, cohort, criterion, failing, alone in db.execute(_STOPPED).fetchall():
        found[trial][cohort]["notMet"].append({"criterion": criterion, "patients": failing, "alone": alone})
    return found

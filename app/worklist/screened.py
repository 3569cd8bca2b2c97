"""From the folder of a finished screen to what it says to the worklist, patient by patient."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from app.definitions.screened_criteria import Counts
from app.screen.order import REPORT
from app.screen.sql import CANDIDATE, literal
from app.screen.tables import CRITERIA, MATCHES, PATIENTS, connect, require_duckdb
from app.worklist.candidates import Candidate, KnownPerson, Left, Reading
from cds_hooks.cards.dismissals import version_of, what_entry_said
from mappings.time.times import parse_moment
from trial_defs.definition.expressions import Trial
from trial_defs.engine.findings import Verdict, best_of

Json = dict[str, Any]
Place = tuple[str, str, str]  # patient, trial, cohort

_MATCH = (
    "patient", "trial", "cohort", "verdict", "not_met", "unknown", "needs_human", "recheck_on", "definition_version",
    "definition_hash",
)  # fmt: skip
_PERSON = ("born_from", "born_to", "sex")
_CRITERION = ("patient", "trial", "cohort", "criterion", "outcome", "reason", "explanation")
# Only what is not settled, of trials that a patient may be a candidate for: the rest is in no row.
_NOT_SETTLED = f"""
SELECT {{columns}} FROM read_parquet(?) SEMI JOIN (
    SELECT patient, trial FROM read_parquet(?)
    WHERE verdict IN {CANDIDATE}
) USING (patient, trial)
WHERE outcome IN ('not-met', 'unknown', 'needs-human') ORDER BY patient, trial, cohort, place
"""

# A patient whom several cohorts concern counts once for a criterion that they share: failed before open before met.
_COUNTS = """
SELECT trial, criterion, count(*) FILTER (came_to = 'met'), count(*) FILTER (came_to = 'not-met'),
       count(*) FILTER (came_to = 'open'), any_value(hash) FROM (
    SELECT patient, trial, criterion, CASE WHEN bool_or(outcome = 'not-met') THEN 'not-met'
        WHEN bool_or(outcome IN ('unknown', 'needs-human')) THEN 'open' WHEN bool_or(outcome = 'met') THEN 'met'
        END AS came_to
    FROM read_parquet(?) GROUP BY patient, trial, criterion
) JOIN (SELECT trial, max(definition_hash) AS hash FROM read_parquet(?) GROUP BY trial) USING (trial)
WHERE came_to IS NOT NULL GROUP BY trial, criterion ORDER BY trial, criterion
"""


class NotAScreen(Exception):
    """The folder does not hold a finished screen."""


@dataclass(frozen=True, slots=True)
class Screened:
    """A finished screen: when its charts were read, against which trials, and with which labels kept back."""

    folder: Path
    as_of: datetime
    trials: Sequence[str]
    concepts: str  # hash of the concepts that it was made with
    labels: str  # digest of the restricted labels that it was told

    def readings(self, texts: Mapping[str, Trial]) -> Iterator[tuple[str, Reading]]:
        """The id of each patient who has a row, with what it says. `texts` are the definitions as they are served."""
        with tempfile.TemporaryDirectory() as folder, connect(Path(folder), 1) as db:
            matches = str(self.folder / MATCHES)
            people = _people(db, self.folder / PATIENTS)
            rows = db.cursor().execute(
                f"SELECT {', '.join(_MATCH)}, {', '.join(_PERSON)} FROM read_parquet(?) LEFT JOIN ({people}) "
                "USING (patient) ORDER BY patient, trial, cohort",
                [matches],
            )
            query = _NOT_SETTLED.format(columns=", ".join(_CRITERION))
            criteria = db.cursor().execute(query, [str(self.folder / CRITERIA), matches])
            open_ones = _Groups(_named(criteria, _CRITERION))
            for patient, cohorts in itertools.groupby(
                _named(rows, (*_MATCH, *_PERSON)), key=lambda row: str(row["patient"])
            ):
                found = [cohort | {"criteria": open_ones.of(cohort)} for cohort in cohorts]
                yield patient.removeprefix("Patient/"), _reading(found, texts, self.concepts)

    def criterion_counts(self) -> list[Counts]:
        """Of each criterion, how many patients with the diagnosis meet it, fail it or are open; names nobody."""
        with tempfile.TemporaryDirectory() as folder, connect(Path(folder), 1) as db:
            found = db.execute(_COUNTS, [str(self.folder / CRITERIA), str(self.folder / MATCHES)]).fetchall()
        return [Counts(*row) for row in found]


def finished_screen(folder: Path) -> Screened:
    """NotAScreen where there is none, DuckDbMissing where it could not be read."""
    require_duckdb()
    try:
        plan = msgspec.json.decode((folder / REPORT).read_bytes())["plan"]
        moment = parse_moment(plan["asOf"], UTC)
        trials, concepts, labels = list(plan["trials"]), str(plan["concepts"]), str(plan["labels"])
    except (OSError, msgspec.DecodeError, KeyError, TypeError):
        raise NotAScreen from None
    if moment is None or not (folder / MATCHES).is_file() or not (folder / CRITERIA).is_file():
        raise NotAScreen
    return Screened(folder, moment.earliest, trials, concepts, labels)


def _people(db: Any, path: Path) -> str:
    """The query of what is known of each patient; a screen of an older release does not have it."""
    file = literal(str(path))
    there = {row[0] for row in db.execute(f"DESCRIBE SELECT * FROM read_parquet({file})").fetchall()}
    columns = ", ".join(name if name in there else f"NULL AS {name}" for name in _PERSON)
    return f"SELECT patient, {columns} FROM read_parquet({file})"


def _named(cursor: Any, names: Sequence[str]) -> Iterator[Json]:
    while batch := cursor.fetchmany(5000):
        for row in batch:
            yield dict(zip(names, row, strict=True))


class _Groups:
    """The criteria of one cohort after the other, from rows that come in the order of the cohorts."""

    def __init__(self, rows: Iterator[Json]) -> None:
        self._groups = itertools.groupby(rows, key=_place)
        self._step()

    def _step(self) -> None:
        nothing: tuple[Place | None, Iterator[Json]] = (None, iter(()))
        self._key, self._rows = next(self._groups, nothing)

    def of(self, cohort: Json) -> list[Json]:
        """Those of this cohort; none where all is settled."""
        if self._key != _place(cohort):
            return []
        found = [each | {"id": each["criterion"]} for each in self._rows]
        self._step()
        return found


def _place(row: Json) -> Place:
    return row["patient"], row["trial"], row["cohort"]


def _reading(rows: Sequence[Json], texts: Mapping[str, Trial], concepts: str) -> Reading:
    candidates: list[Candidate] = []
    gone: dict[str, Left] = {}
    unclear: list[str] = []
    for trial, cohorts in itertools.groupby(rows, key=lambda row: str(row["trial"])):
        found = list(cohorts)
        verdict = best_of(Verdict(cohort["verdict"]) for cohort in found)
        if verdict.is_candidate:
            candidates.append(_candidate(trial, verdict, found, texts.get(trial), concepts))
        elif verdict is Verdict.COULD_NOT_EVALUATE:
            unclear.append(trial)
        else:
            gone[trial] = Left(verdict.value)
    # It does not say whether the export held what would forbid to approach the patient.
    person = msgspec.convert({name: rows[0][name] for name in _PERSON}, KnownPerson)
    return Reading(candidates, gone, unclear, knows_refusals=False, person=person)


def _candidate(trial: str, verdict: Verdict, cohorts: Sequence[Json], served: Trial | None, concepts: str) -> Candidate:
    best = min((c for c in cohorts if c["verdict"] == verdict.value), key=_least_left)
    texts = {each.id: each.text for cohort in served.cohorts for each in cohort.criteria} if served else {}
    return Candidate(
        trial=trial,
        verdict=verdict,
        cohort=best["cohort"],
        not_met=best["not_met"],
        unknown=best["unknown"],
        needs_human=best["needs_human"],
        recheck_on=best["recheck_on"],
        definition_version=best["definition_version"],
        definition_hash=best["definition_hash"],
        said=what_entry_said(cohorts, version_of(best["definition_hash"], concepts)),
        findings=msgspec.json.encode([_not_settled(cohort, texts) for cohort in cohorts]),
    )


def _least_left(cohort: Json) -> tuple[int, int, int]:
    return cohort["not_met"], cohort["unknown"], cohort["needs_human"]


def _not_settled(cohort: Json, texts: Mapping[str, str]) -> Json:
    """The same form as of a hook: see candidates.py."""
    recheck = cohort["recheck_on"]
    return {
        "cohort": cohort["cohort"],
        "verdict": cohort["verdict"],
        "recheckOn": recheck.isoformat() if recheck else None,
        "criteria": [
            {
                "id": each["id"],
                "outcome": each["outcome"],
                "text": texts.get(each["id"], each["id"]),
                "explanation": each["explanation"],
            }
            for each in cohort["criteria"]
        ],
    }

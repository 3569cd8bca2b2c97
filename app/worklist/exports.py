"""The worklist for other programs: CSV, and FHIR. Rows whose patient can no longer be read are left out of both."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from app.web.spreadsheets import cell, workbook
from app.worklist.records import Row
from app.worklist.sentences import SENTENCES, sentences_of
from cds_hooks.fhir.fhir_worklist import Listed, worklist_bundle
from trial_defs.definition.expressions import Trial
from trial_defs.engine.findings import Verdict

_COLUMNS = (
    "patient_id", "ehr", "tenant", "trial", "verdict", "cohort", "not_met", "unknown", "needs_human", "recheck_on",
    "status", "changed_at", "left", "source", "first_seen", "last_seen", "definition_version", "definition_hash",
)  # fmt: skip


def columns() -> tuple[str, ...]:
    """Sentences on the left, codes on the right."""
    return (*SENTENCES, "patient", *_COLUMNS[1:])


def lines_of(rows: Sequence[Row], trials: Mapping[str, Trial], today: date, base: str) -> Iterator[list[object]]:
    """The cells of each row, in the order of `columns`."""
    for row in rows:
        codes = [_shown(getattr(row, name)) for name in _COLUMNS]
        yield [*sentences_of(row, trials, today, base).values(), *codes]


def as_csv(rows: Sequence[Row], trials: Mapping[str, Trial], today: date, base: str) -> bytes:
    """A header and a line for each row, in UTF-8 with the mark that spreadsheets want."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(columns())
    for line in lines_of(rows, trials, today, base):
        writer.writerow([cell(value) for value in line])
    return text.getvalue().encode("utf-8-sig", "replace")


def as_xlsx(rows: Sequence[Row], trials: Mapping[str, Trial], today: date, base: str) -> bytes:
    """The same as a workbook. No cell is a formula or a link."""
    return workbook("Worklist", columns(), lines_of(rows, trials, today, base))


def _shown(value: object) -> object:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    return "" if value is None else value


def as_fhir(rows: Sequence[Row], trials: Mapping[str, Trial], base: str, now: datetime) -> dict[str, Any]:
    """See cds_hooks/fhir/fhir_worklist.py."""
    return worklist_bundle([_listed(row, trials) for row in rows], base, now)


def _listed(row: Row, trials: Mapping[str, Trial]) -> Listed:
    trial = trials.get(row.trial)
    return Listed(
        id=row.id,
        ehr=row.ehr,
        tenant=row.tenant,
        patient=row.patient_id or "",
        trial=row.trial,
        title=trial.short_title if trial else row.trial,
        verdict=Verdict(row.verdict),
        cohort=row.cohort,
        definition_hash=row.definition_hash,
        status=row.status,
        recheck_on=row.recheck_on,
        changed_at=row.changed_at,
    )

"""The report of a screen as one HTML file that opens from disk: no script, nothing loaded from elsewhere."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from app.screen.export import FORBIDDING
from app.screen.lists import Words
from app.web.html import render

PAGE = "report.html"
_MOST_ROWS = 500  # of candidates; the lists hold all
_MOST_CRITERIA = 8  # of a cohort that stop somebody
_FATES: Mapping[str, str] = {
    "indicated": "have a diagnosis of a trial and are in the tables",
    "not-indicated": "have no diagnosis of a trial after all",
    "not-to-be-approached": "are not to be approached for research, or their record is no longer in use",
    "restricted": "are left out because a match rests on a record that may not be shown",
    "could-not-evaluate": "could not be evaluated: their conditions could not be read completely",
    "not-understood": "could not be evaluated: only a diagnosis that was not understood may be that of a trial",
    "no-patient": "have records, and no Patient resource that can be read",
    "several-patients": "have more than one Patient resource",
    "other-patient": "have a Patient resource with another id",
}


def report_page(report: Mapping[str, Any], words: Words, listed: Path) -> bytes:
    """`report` is what `report.json` holds, `listed` the CSV file of candidates."""
    with listed.open(encoding="utf-8-sig", newline="") as file:
        rows = list(itertools.islice(csv.DictReader(file), _MOST_ROWS))
    without = report["typesWithoutFile"]
    return render(
        "screen.html",
        report=report,
        day=words.today,
        rows=rows,
        total=sum(_candidates(cohort) for cohorts in report["funnel"].values() for cohort in cohorts.values()),
        cohorts=[
            _cohort(trial, cohort, figures, words)
            for trial, cohorts in report["funnel"].items()
            for cohort, figures in cohorts.items()
        ],
        fates=[(count, _FATES.get(fate, fate)) for fate, count in report["patients"].items()],
        forbidding=[kind for kind in FORBIDDING if kind in report["typesOpen"]],
        never_given=[(kind, kind in report["typesOpen"]) for kind in without],
        not_understood=report.get("notUnderstood"),
    ).encode("utf-8", "replace")


def _candidates(figures: Mapping[str, Any]) -> int:
    return int(figures["candidates"])


def _cohort(trial: str, cohort: str, figures: Mapping[str, Any], words: Words) -> dict[str, Any]:
    stopping = [each | {"text": words.criterion(trial, each["criterion"])} for each in figures["notMet"]]
    return {
        "trial": words.trials.get(trial, trial),
        "id": trial,
        "title": words.cohorts.get((trial, cohort), cohort),
        "indicated": figures["indicated"],
        "died": figures["died"],
        "candidates": figures["candidates"],
        "stopping": stopping[:_MOST_CRITERIA],
        "more": max(0, len(stopping) - _MOST_CRITERIA),
    }

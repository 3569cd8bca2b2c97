"""A row of the worklist in words: who it is, what is missing, what to do next."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from app.screen.lists import age_words
from app.web.spreadsheets import shortened
from app.worklist.records import Row
from app.worklist.words import LEFT_WORDS, STATUS_WORDS
from trial_defs.definition.expressions import Trial
from trial_defs.engine.findings import Verdict

SENTENCES = (
    "Patient", "Age", "Sex", "Trial", "Disease", "Verdict", "Not met", "Missing", "To ask", "Next step", "Status",
    "Owner", "Due", "Check again on", "Also a candidate for", "Link",
)  # fmt: skip
_MOST = 3  # items in one cell
_BY_STATUS = {
    "new": "Contact the patient",
    "contacted": "Note what the patient decided",
    "consented": "Start screening",
}


def next_step(row: Row, today: date) -> str:
    """The one thing to do next; empty where nothing is left to do."""
    if row.left or row.status not in _BY_STATUS:
        return ""
    if row.recheck_on and row.recheck_on > today:
        return f"Check again on {row.recheck_on}"
    if row.recheck_on:
        return "Open the chart again: the day to check has come"
    if row.unknown:
        return f"Find out: {row.missing[0]}" if row.missing else "Find out what is missing"
    if row.needs_human:
        return f"Answer: {row.questions[0]}" if row.questions else "Answer what is for a person to judge"
    return _BY_STATUS[row.status]


def person_words(row: Row, today: date) -> tuple[str, str]:
    """Age and sex."""
    born = (row.person.born_from, row.person.born_to)
    first, last = (day.isoformat() if day else None for day in born)
    return age_words(first, last, today), row.person.sex or "not known"


def disease_of(row: Row, trials: Mapping[str, Trial]) -> str:
    """The title of the cohort; its id where the definition is not served."""
    trial = trials.get(row.trial)
    titles = {cohort.id: cohort.title for cohort in trial.cohorts} if trial else {}
    return titles.get(row.cohort, row.cohort)


def title_of(trial: str, trials: Mapping[str, Trial]) -> str:
    return trials[trial].short_title if trial in trials else trial


def sentences_of(row: Row, trials: Mapping[str, Trial], today: date, base: str) -> dict[str, object]:
    """The row as SENTENCES name its columns. `base` is the address under which the worklist is reached."""
    left = LEFT_WORDS.get(row.left, row.left)
    verdict = f"no longer a candidate: {left}" if row.left else Verdict(row.verdict).label
    return dict(
        zip(
            SENTENCES,
            (
                row.patient_id or "",
                *person_words(row, today),
                title_of(row.trial, trials),
                disease_of(row, trials),
                verdict,
                shortened(row.not_met_items, _MOST),
                shortened(row.missing, _MOST),
                shortened(row.questions, _MOST),
                next_step(row, today),
                STATUS_WORDS[row.status],
                row.owner or "",
                row.due_on or "",
                row.recheck_on or "",
                ", ".join(title_of(trial, trials) for trial in row.other_trials),
                f"{base}/worklist/{row.id}",
            ),
            strict=True,
        )
    )

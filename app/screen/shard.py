"""What the trials say about the patients of one shard: from lines to rows, in plain Python.

The one function that every engine calls. It reads and judges with what a hook call reads and judges with.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import msgspec

from app.restricted import without_restricted
from app.screen.lines import reference_of
from cds_hooks.report import Json, trial_entry
from cds_hooks.wording import Titles, titles_of
from mappings.catalogue import Catalogue
from mappings.chart import Chart, ChartBuilder, ChartError
from mappings.labels import restricted_sources
from mappings.read import facts_of
from trial_defs.evaluation import is_indicated, match_facts
from trial_defs.expressions import Trial
from trial_defs.findings import RANK, Verdict

Lines = Sequence[bytes]


class Medications(Protocol):
    """Where the Medications stand to which drug entries refer."""

    def get(self, reference: str) -> Iterable[bytes]:
        """The lines of the Medications meant by "Medication/1"; none where the export has none."""


@dataclass(frozen=True)
class Question:
    """Everything that decides an answer but the charts themselves."""

    trials: tuple[Trial, ...]
    catalogue: Catalogue
    as_of: datetime
    timezone: str
    base_url: str | None
    complete: frozenset[str]  # types of which silence says something
    labels: frozenset[tuple[str, str]]  # security labels whose records no list may show

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)


@dataclass(frozen=True)
class Gaps:
    """What reading the export has shown: types in which silence says nothing after all, and records that are gone."""

    incomplete: frozenset[str] = frozenset()
    deleted: frozenset[str] = frozenset()  # "Observation/abc"


NO_GAPS = Gaps()


@dataclass
class Answers:
    """The rows of one shard, and how many patients had what become of them."""

    matches: list[Json] = field(default_factory=list)
    criteria: list[Json] = field(default_factory=list)
    patients: Counter[str] = field(default_factory=Counter)


def screen_patients(
    patients: Iterable[tuple[str, Lines]], question: Question, gaps: Gaps, medications: Medications
) -> Answers:
    """Each patient with all their lines, in any order."""
    answers = Answers()
    titles = titles_of(question.catalogue)
    for patient, lines in patients:
        fate = _screen(patient, lines, question, gaps, medications, titles, answers)
        answers.patients[fate] += 1
    return answers


def _screen(
    patient: str,
    lines: Lines,
    question: Question,
    gaps: Gaps,
    medications: Medications,
    titles: Titles,
    answers: Answers,
) -> str:
    """What became of the patient, in a word; rows are added to the answers."""
    try:
        chart = read_chart(patient, lines, question, gaps, medications)
    except ChartError as error:
        return error.code
    facts = facts_of(chart, question.catalogue, question.as_of, question.zone)
    cohorts = {
        trial.id: {cohort.id for cohort in trial.cohorts if is_indicated(cohort, facts)} for trial in question.trials
    }
    indicated = [trial for trial in question.trials if cohorts[trial.id]]
    if not indicated:
        return "not-indicated"
    found = match_facts(indicated, chart, facts)
    if not found.approachable:
        return "not-to-be-approached"
    shown = without_restricted(found, restricted_sources(chart, question.labels))
    for match in shown.trials:
        entry = trial_entry(match, titles, indicated_only=True)
        for cohort in entry["cohorts"]:
            if cohort["cohort"] in cohorts[match.trial.id]:
                answers.matches.append(_match_row(found.patient, match.trial, cohort))
                answers.criteria += _criterion_rows(found.patient, match.trial, cohort)
    return "indicated" if shown.trials else "restricted"


def read_chart(patient: str, lines: Lines, question: Question, gaps: Gaps, medications: Medications) -> Chart:
    """The chart of one patient. ChartError where there is no Patient that can be read."""
    builder = ChartBuilder(patient, question.base_url)
    if gaps.deleted:
        lines = [line for line in lines if reference_of(line) not in gaps.deleted]
    # In an order of their own, so that the order of the export changes nothing.
    _add(builder, sorted(lines))
    for kind in question.complete:
        builder.add(b"null", kind)
    for kind in gaps.incomplete:
        builder.fail(kind, "incomplete")
    for reference in builder.missing_medications():
        _add(builder, sorted(medications.get(reference)))
    return builder.build()


def _add(builder: ChartBuilder, lines: Lines) -> None:
    try:
        builder.add(_bundle(lines), None)
    except ChartError:
        # One line is no JSON in a place that sorting does not look at.
        for line in lines:
            try:
                builder.add(_bundle([line]), None)
            except ChartError:
                builder.add(_UNREADABLE, None)


def _bundle(lines: Lines) -> bytes:
    if not lines:
        return b'{"resourceType":"Bundle"}'
    resources = b'},{"resource":'.join(lines)
    return b'{"resourceType":"Bundle","type":"collection","entry":[{"resource":' + resources + b"}]}"


_UNREADABLE = _bundle([b"0"])  # something that the builder counts as unreadable, of a type that nobody knows


def _match_row(patient: str, trial: Trial, cohort: Json) -> Json:
    counts = cohort["counts"]
    return {
        "patient": patient,
        "trial": trial.id,
        "cohort": cohort["cohort"],
        "verdict": cohort["verdict"],
        "rank": RANK[Verdict(cohort["verdict"])],
        "recruiting": trial.status,
        "met": counts["met"],
        "not_met": counts["notMet"],
        "unknown": counts["unknown"],
        "needs_human": counts["needsHuman"],
        "not_applicable": counts["notApplicable"],
        "recheck_on": cohort["recheckOn"],
        "in_the_way": "; ".join(f"{each['id']}: {each['explanation']}" for each in _with(cohort, "not-met")),
        "open": "; ".join(f"{each['id']} ({each['reason']})" for each in _with(cohort, "unknown")),
        "definition_version": trial.version,
        "definition_hash": trial.hash,
    }


def _with(cohort: Json, outcome: str) -> Iterator[Json]:
    return (each for each in cohort["criteria"] if each["outcome"] == outcome)


def _criterion_rows(patient: str, trial: Trial, cohort: Json) -> Iterator[Json]:
    for place, found in enumerate(cohort["criteria"]):
        margin = found["margin"] or {}
        yield {
            "patient": patient,
            "trial": trial.id,
            "cohort": cohort["cohort"],
            "place": place,
            "criterion": found["id"],
            "kind": found["kind"],
            "outcome": found["outcome"],
            "basis": found["basis"],
            "reason": found["reason"],
            "explanation": found["explanation"],
            "margin_value": margin.get("value"),
            "margin_unit": margin.get("unit"),
            "margin_percent": margin.get("percent"),
            "concepts": found["concepts"],
            "evidence": [_evidence_row(each) for each in found["evidence"]],
        }


def _evidence_row(evidence: Mapping[str, Any]) -> Json:
    value = evidence["value"]
    return {**evidence, "value": None if value is None else str(value)}


_encoder = msgspec.json.Encoder()


def as_lines(rows: Iterable[Json]) -> bytes:
    """The rows as NDJSON."""
    return _encoder.encode_lines(list(rows))

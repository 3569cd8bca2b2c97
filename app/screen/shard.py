"""What the trials say about the patients of one shard: from lines to rows, in plain Python.

The one function that every engine calls. It reads and judges with what a hook call reads and judges with.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from dataclasses import replace as replace_fields
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import msgspec
from msgspec.structs import replace

from app.definitions.served import Served
from app.judge import Site, indicated_cohorts, is_doubtful, judge
from app.screen.lines import LineError, LineReader
from app.screen.reading import Earlier, Reading, Readings, digest_of_lines, fate_of, of_trials, together
from cds_hooks.report import Json, instant, trial_entry
from cds_hooks.words.wording import Titles, titles_of
from mappings.chart.addresses import Servers
from mappings.chart.chart import Chart, ChartBuilder, ChartError
from mappings.concepts.catalogue import Catalogue
from mappings.patient_facts import PatientFacts
from mappings.readers.patient import is_replaced
from mappings.time.clock import Clock, WatchedClock
from mappings.time.times import start_of_day
from mappings.time.watched_day import SHOWN
from trial_defs.definition.expressions import Trial
from trial_defs.engine.findings import Verdict

Lines = Sequence[bytes]


class Medications(Protocol):
    """Where the Medications stand to which drug entries refer."""

    def get(self, reference: str) -> Iterable[bytes]:
        """The lines of the Medications meant by "Medication/1"; none where the export has none."""


class Versions(Protocol):
    """What counts of records that have more than one version: see versions.py."""

    def current(self, lines: Lines) -> Lines:
        """These lines without those that a newer version or a deletion has replaced."""

    def doubted(self, patient: str) -> tuple[str, ...]:
        """The types of which it is not certain what counts for this patient."""


class OneVersion:
    """Versions where every record has one."""

    def current(self, lines: Lines) -> Lines:
        return lines

    def doubted(self, patient: str) -> tuple[str, ...]:
        return ()


ONE_VERSION = OneVersion()


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

    @cached_property
    def served(self) -> Served:
        return Served(self.catalogue, {trial.id: trial for trial in self.trials})

    @cached_property
    def site(self) -> Site:
        return Site(self.labels)


@dataclass(frozen=True)
class Sources:
    """Everything that one shard is screened with, but its lines.

    `incomplete` are the types in which silence says nothing after all, as reading the export has shown. `merged`: the
    ids of patients whose records are another's now, by that one's id. `earlier`: a
    screen whose rows may still stand; `changed` finds the lines that can open a gate of a trial whose definition is
    another one since, None where a gate of it may open without a diagnosis.
    """

    question: Question
    incomplete: frozenset[str]
    medications: Medications
    versions: Versions = ONE_VERSION
    merged: Mapping[str, Sequence[str]] = field(default_factory=dict)
    earlier: Earlier | None = None
    readings: Readings | None = None
    changed: LineReader | None = None


@dataclass
class Answers:
    """The rows of one shard as JSON, what became of its patients, and which rows of the earlier screen stand."""

    matches: list[bytes] = field(default_factory=list)
    criteria: list[bytes] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)
    standing: list[Json] = field(default_factory=list)
    patients: Counter[str] = field(default_factory=Counter)
    not_understood: Counter[str] = field(default_factory=Counter)  # records, by "Condition urn:oid:1.2"
    evaluated: int = 0  # patients, for one trial or more


def screen_patients(patients: Iterable[tuple[str, Lines]], sources: Sources) -> Answers:
    """Each patient with all their lines, in any order."""
    answers = Answers()
    titles = titles_of(sources.question.catalogue)
    for patient, lines in patients:
        # In an order of their own, so that the order of the export changes nothing.
        reading = _screen(patient, sorted(sources.versions.current(lines)), sources, titles, answers)
        answers.readings.append(reading)
        answers.patients[reading.fate] += 1
        for each in reading.not_understood:
            kind, count, *system = each.split(" ", 2)
            answers.not_understood[" ".join((kind, *system))] += int(count)
    return answers


def _screen(patient: str, lines: Lines, sources: Sources, titles: Titles, answers: Answers) -> Reading:
    """What became of the patient; rows are added to the answers."""
    question = sources.question
    known = _still_true(patient, lines, sources)
    same = sources.earlier.trials if sources.earlier and known else frozenset()
    trials = [trial for trial in question.trials if trial.id not in same]
    kept = of_trials(known, same.intersection(trial.id for trial in question.trials)) if known else None
    if kept:
        stands = {"patient": kept.patient, "shows_day": kept.shows_day}
        answers.standing += [{**stands, "trial": trial} for trial in kept.listed]
        if not trials or not _may_open(lines, sources.changed):
            return kept
    answers.evaluated += 1
    found = _read(patient, lines, trials, sources, titles, answers)
    return together(kept, found) if kept else found


def _may_open(lines: Lines, gates: LineReader | None) -> bool:
    return gates is None or any(_opens(line, gates) for line in lines)


def _opens(line: bytes, gates: LineReader) -> bool:
    try:
        return gates.read(line)[2]
    except LineError:
        return True


def _still_true(patient: str, lines: Lines, sources: Sources) -> Reading | None:
    """What the earlier screen found of the patient, if no record has changed and time alone changes nothing."""
    if sources.earlier is None or sources.readings is None:
        return None
    known = sources.readings.get(f"Patient/{patient}")
    if known is None or known.valid_until is None or known.lines != _digest(patient, lines, sources):
        return None
    if not sources.earlier.as_of <= sources.question.as_of < datetime.fromisoformat(known.valid_until):
        return None
    medications = _medication_lines(known.medications, sources)
    return known if known.medication_lines == digest_of_lines(medications) else None


def _read(
    patient: str, lines: Lines, trials: Sequence[Trial], sources: Sources, titles: Titles, answers: Answers
) -> Reading:
    """The chart, read and held against these trials; rows are added to the answers."""
    builder = ChartBuilder(patient, Servers.at((sources.question.base_url,)), sources.merged.get(patient, ()))
    references = _fill(builder, patient, lines, sources)
    medications = _medication_lines(references, sources)
    _add(builder, medications)
    digest = _digest(patient, lines, sources)
    reading = Reading(f"Patient/{patient}", "", None, digest, references, digest_of_lines(medications))
    try:
        chart = builder.build()
    except ChartError as error:
        return replace(reading, fate=error.code)
    judged, until, shows_day = _judged_until(chart, (*lines, *medications), trials, sources.question, titles)
    answers.matches += judged.matches
    answers.criteria += judged.criteria
    conditions_read = chart.states["Condition"] == "complete"
    return replace(
        reading,
        fate=fate_of(
            judged.approachable,
            judged.indicated,
            judged.listed,
            conditions_read=conditions_read,
            doubtful=judged.doubtful,
        ),
        valid_until=instant(until) if until else None,
        approachable=judged.approachable,
        indicated=judged.indicated,
        listed=judged.listed,
        shows_day=shows_day,
        conditions_read=conditions_read,
        doubtful=judged.doubtful,
        not_understood=judged.not_understood,
        person=judged.person.state,
        born_from=judged.person.born_from,
        born_to=judged.person.born_to,
        sex=judged.person.sex,
    )


def _digest(patient: str, lines: Lines, sources: Sources) -> str:
    """Of what the export holds of the patient, and of which types it is not certain what counts."""
    return digest_of_lines((*lines, *(kind.encode() for kind in sources.versions.doubted(patient))))


def _fill(builder: ChartBuilder, patient: str, lines: Lines, sources: Sources) -> tuple[str, ...]:
    """Put the lines into the chart, and what silence says; the Medications that are still to come."""
    _add(builder, lines)
    for kind in sources.question.complete:
        builder.add(b"null", kind)
    for kind in (*sources.incomplete, *sources.versions.doubted(patient)):
        builder.fail(kind, "incomplete")
    return builder.missing_medications()


def _medication_lines(references: Sequence[str], sources: Sources) -> Lines:
    found = (sources.versions.current(sorted(sources.medications.get(reference))) for reference in references)
    return [line for lines in found for line in lines]


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


# Judged, and until when


@dataclass(frozen=True)
class _Person:
    """What lists say of the patient: see Reading."""

    state: str
    born_from: str | None
    born_to: str | None
    sex: str | None


@dataclass(frozen=True)
class _Judged:
    """The rows of one chart as JSON, and of which trials there are some."""

    matches: list[bytes]
    criteria: list[bytes]
    approachable: bool
    indicated: tuple[str, ...]
    listed: tuple[str, ...]
    doubtful: tuple[str, ...]
    not_understood: tuple[str, ...]
    person: _Person

    @property
    def text(self) -> str:
        return b"".join((*self.matches, *self.criteria)).decode()

    def on(self, day: date) -> _Judged:
        """The same, with that day in its place."""
        matches, criteria = ([_on(row, day) for row in rows] for rows in (self.matches, self.criteria))
        return replace_fields(self, matches=matches, criteria=criteria)


def _on(row: bytes, day: date) -> bytes:
    return row.replace(SHOWN.encode(), day.isoformat().encode())


_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_AS_SHOWN = re.compile(rb"\xee\x80\x80|\\u[eE]000")  # the character of which SHOWN is made, or its escape


def _judged_until(
    chart: Chart, lines: Lines, trials: Sequence[Trial], question: Question, titles: Titles
) -> tuple[_Judged, datetime | None, bool]:
    """The rows, the first moment at which time alone may change one, and whether one names the day of the screen.

    A row that names it is another one tomorrow, but for that day the same: it can be put in, unless the row names that
    day for another reason as well.
    """
    clock = WatchedClock(question.as_of, question.zone)
    judged = _judge(chart, clock, trials, question, titles)
    text = judged.text
    if SHOWN[0] not in text:
        return judged, clock.until, False
    today = clock.watch.today
    dated = judged.on(today)
    if SHOWN[0] in dated.text or any(map(_AS_SHOWN.search, lines)):
        plain = Clock(question.as_of, question.zone)
        return _judge(chart, plain, trials, question, titles), None, False
    named = [max(day, today + timedelta(1)) for day in _days_in(text) if day >= today]
    return dated, min([clock.until, *(start_of_day(day, question.zone) for day in named)]), True


def _days_in(text: str) -> Iterator[date]:
    for found in set(_DAY.findall(text)):
        try:
            yield date.fromisoformat(found)
        except ValueError:
            continue  # no day, so it is never that of a screen


def _judge(chart: Chart, at: Clock, trials: Sequence[Trial], question: Question, titles: Titles) -> _Judged:
    judged = judge(chart, question.served, at, question.site, trials=trials, indicated_only=True)
    found = judged.found
    cohorts = {trial.id: indicated_cohorts(trial, judged.facts) for trial in trials}
    indicated = [trial for trial in trials if cohorts[trial.id]]
    matches: list[Json] = []
    criteria: list[Json] = []
    for match in found.trials:
        entry = trial_entry(match, titles, indicated_only=True)
        for cohort in entry["cohorts"]:
            if cohort["cohort"] in cohorts[match.trial.id]:
                matches.append(_match_row(found.patient, match.trial, cohort))
                criteria += _criterion_rows(found.patient, match.trial, cohort)
    return _Judged(
        [_encode(row) for row in matches],
        [_encode(row) for row in criteria],
        found.approachable,
        tuple(trial.id for trial in indicated),
        tuple(match.trial.id for match in found.trials),
        tuple(trial.id for trial in trials if is_doubtful(trial, judged.facts)) if judged.facts.left_open else (),
        _not_understood(judged.facts),
        _person(chart, judged.facts),
    )


def _not_understood(facts: PatientFacts) -> tuple[str, ...]:
    """Each type and system with its records: see Reading."""
    systems = (
        (report.resource_type, system, count) for report in facts.sources for system, count in report.not_understood
    )
    return tuple(f"{kind} {count} {system or ''}".rstrip() for kind, system, count in systems)


def _person(chart: Chart, facts: PatientFacts) -> _Person:
    born = facts.person.born
    first, last = (born[0].isoformat(), born[1].isoformat()) if born else (None, None)
    return _Person(_state_of_person(chart, facts), first, last, facts.person.sex)


def _state_of_person(chart: Chart, facts: PatientFacts) -> str:
    """Why the patient can take part in no trial, or may not be approached: see Reading."""
    if facts.person.deceased:
        return "died"
    if not facts.person.active:
        return "merged" if is_replaced(chart.patient) else "inactive"
    return "refused" if facts.declines_research else ""


def _match_row(patient: str, trial: Trial, cohort: Json) -> Json:
    counts = cohort["counts"]
    return {
        "patient": patient,
        "trial": trial.id,
        "cohort": cohort["cohort"],
        "verdict": cohort["verdict"],
        "rank": Verdict(cohort["verdict"]).rank,
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


_encode = msgspec.json.Encoder().encode

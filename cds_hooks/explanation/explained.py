"""The explanation page as values: one trial's match grouped by what matters, with trends, calendar and what to order.

The outcome, its words and its evidence are those of the report that was kept: the page shows what the card said. What
is computed afresh from the kept chart (trends, days on which something turns, tests) is added only while the same
definition is served.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from itertools import groupby
from operator import attrgetter
from typing import Any

from cds_hooks.explanation.trends import Trend, limits_of, trend_of
from cds_hooks.words.groups import group_words
from cds_hooks.words.numbers import number_words, quantity_in
from cds_hooks.words.paraphrase import Phrase, near_miss_words, paraphrase
from cds_hooks.words.texts import Texts, texts_of
from cds_hooks.words.wording import Titles, criterion_words, definition_words, recruiting_words, titles_of
from mappings.concepts.catalogue import Catalogue
from mappings.patient_facts import PatientFacts
from trial_defs.definition import expressions as x
from trial_defs.engine.findings import Finding, Match, Outcome, PersonFact, TrialMatch, Verdict
from trial_defs.planning.needs import Need, what_next

Json = dict[str, Any]
_HORIZON = timedelta(days=366)  # of the calendar


@dataclass(frozen=True, slots=True)
class Row:
    """One criterion as the page shows it. `said` is its entry in the report."""

    said: Json
    asked: str  # the criterion, an exclusion as its absence where it is met
    explanation: str  # as in the report, what its definition asks in the reader's language where that is there
    outcome: str  # in words
    original: str  # the criterion in the language of its definition, where it is shown in another; else ""
    group: str = ""  # of its concept, where it is taken as absent
    how: Phrase | None = None
    only_if: Phrase | None = None
    near: str | None = None
    distance: str | None = None
    reading: str | None = None
    step: str | None = None
    trend: Trend | None = None
    gauge: float | None = None  # the distance in percent of the limit, cut to -100..100
    words: str | None = None  # of the person who answered it


@dataclass(frozen=True, slots=True)
class Group:
    """Criteria that ask for the same thing of the reader."""

    id: str
    heading: str
    jump: str  # the heading in a list of links
    printed: str  # the heading in the summary
    rows: tuple[Row, ...]
    is_open: bool  # shown unfolded

    @property
    def parts(self) -> Sequence[tuple[str, Sequence[Row]]]:
        """The rows by what they are about, where the group has such parts; else all of them under no name."""
        if self.id != "confirm":
            return [("", self.rows)]
        return [(name, list(rows)) for name, rows in groupby(self.rows, key=attrgetter("group"))]


@dataclass(frozen=True, slots=True)
class CalendarEntry:
    """A day on which time alone changes something, and for which criteria or cohorts."""

    day: date
    said: str
    about: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ExplainedCohort:
    id: str
    title: str
    verdict: str
    verdict_words: str
    counts: Json
    recheck_on: str | None
    groups: tuple[Group, ...]


@dataclass(frozen=True, slots=True)
class ExplainedTrial:
    id: str
    title: str
    short_title: str
    verdict: str
    verdict_words: str
    status: str  # of recruitment and of the definition
    registry_url: str | None
    missing: tuple[str, ...]
    is_current: bool  # whether the definition of that day is still the one that is served
    cohorts: tuple[ExplainedCohort, ...]
    quiet: tuple[str, ...]  # cohorts whose disease is not on record
    calendar: tuple[CalendarEntry, ...]
    needs: tuple[Need, ...]


@dataclass(frozen=True, slots=True)
class Source:
    """What a page about a report is made from.

    `match` and `facts` are of the kept chart, where there is one, as far as it may be shown.
    """

    report: Json
    trials: Mapping[str, x.Trial]
    catalogue: Catalogue
    match: Match | None = None
    facts: PatientFacts | None = None
    texts: Texts = field(default_factory=texts_of)

    @property
    def titles(self) -> Titles:
        return titles_of(self.catalogue, self.texts)


def explained(source: Source) -> tuple[ExplainedTrial, ...]:
    """Every trial of the report that says something about this patient, best verdict first."""
    entries = [entry for entry in source.report["trials"] if entry["verdict"] != Verdict.NOT_INDICATED.value]
    order = list(Verdict)
    entries.sort(key=lambda entry: order.index(Verdict(entry["verdict"])))
    return tuple(_trial(entry, source) for entry in entries)


def not_indicated(source: Source) -> list[str]:
    """The ids of the trials whose diseases are not on record."""
    return [entry["trial"] for entry in source.report["trials"] if entry["verdict"] == Verdict.NOT_INDICATED.value]


def _trial(entry: Json, source: Source) -> ExplainedTrial:
    served = source.trials.get(entry["trial"])
    is_current = served is not None and served.hash == entry["definition"]["hash"]
    trial = served if is_current else None
    found = _find(entry, source) if is_current else None
    shown = [cohort for cohort in entry["cohorts"] if cohort["criteria"]]
    return ExplainedTrial(
        id=entry["trial"],
        title=source.texts.translated(entry["title"]),
        short_title=source.texts.translated(served.short_title if served else entry["title"]),
        verdict=entry["verdict"],
        verdict_words=source.texts(f"verdict.{entry['verdict']}"),
        status=_status(trial, entry, source),
        registry_url=served.registry_url if served else None,
        missing=trial.missing if trial else (),
        is_current=is_current,
        cohorts=tuple(_cohort(cohort, trial, source) for cohort in shown),
        quiet=tuple(_cohort_title(c["cohort"], trial) for c in entry["cohorts"] if not c["criteria"]),
        calendar=_calendar(entry, trial, found, source),
        needs=_needs(entry["trial"], source) if found else (),
    )


def _status(trial: x.Trial | None, entry: Json, source: Source) -> str:
    if trial is None:
        return source.texts("status.version", version=entry["definition"]["version"])
    texts, day = source.texts, date.fromisoformat(source.report["asOf"][:10])
    recruiting, definition = recruiting_words(trial, day, texts), definition_words(trial, texts)
    return texts("status.current", recruiting=recruiting, definition=definition, version=trial.version)


def _find(entry: Json, source: Source) -> TrialMatch | None:
    matches = source.match.trials if source.match else ()
    return next((each for each in matches if each.trial.id == entry["trial"]), None)


def _cohort_title(cohort: str, trial: x.Trial | None) -> str:
    return next((each.title for each in trial.cohorts if each.id == cohort), cohort) if trial else cohort


def _criteria(cohort: str, trial: x.Trial | None) -> Mapping[str, x.Criterion]:
    cohorts = trial.cohorts if trial else ()
    return {c.id: c for each in cohorts if each.id == cohort for c in each.criteria}


# -- criteria ---------------------------------------------------------------------------------------------------------

# In the order of the page, and whether the group is shown unfolded.
_GROUPS: Sequence[tuple[str, bool]] = (
    ("in-the-way", True),
    ("missing", True),
    ("judge", True),
    ("confirm", False),
    ("met", False),
    ("not-applicable", False),
)
_GROUP_OF = {
    "not-met": "in-the-way", "unknown": "missing", "needs-human": "judge", "met": "met",
    "not-applicable": "not-applicable",
}  # fmt: skip


def group_of(said: Json) -> str:
    """Where a criterion of a report belongs."""
    if said["outcome"] == "met" and said["basis"] == "presumed":
        return "confirm"
    return _GROUP_OF[said["outcome"]]


def _cohort(entry: Json, trial: x.Trial | None, source: Source) -> ExplainedCohort:
    criteria = _criteria(entry["cohort"], trial)
    name = trial.id if trial else ""
    rows = [_row(said, criteria.get(said["id"]), source, _words(name, said, source)) for said in entry["criteria"]]
    grouped = [
        _group(group, _in_order(group, [row for row in rows if group_of(row.said) == group]), is_open, source.texts)
        for group, is_open in _GROUPS
    ]
    return ExplainedCohort(
        id=entry["cohort"],
        title=source.texts.translated(_cohort_title(entry["cohort"], trial)),
        verdict=entry["verdict"],
        verdict_words=source.texts(f"verdict.{entry['verdict']}"),
        counts=entry["counts"],
        recheck_on=entry["recheckOn"],
        groups=tuple(group for group in grouped if group.rows),
    )


def _group(name: str, rows: tuple[Row, ...], is_open: bool, texts: Texts) -> Group:
    heading = f"heading.{name}"
    jump, printed = (key if texts.has(key) else heading for key in (f"{heading}.jump", f"{heading}.print"))
    return Group(name, texts(heading), texts(jump), texts(printed), rows, is_open)


def _in_order(group: str, rows: list[Row]) -> tuple[Row, ...]:
    """In the order of the text; what is taken as absent by what it is about, the largest part first."""
    if group != "confirm":
        return tuple(rows)
    sizes = Counter(row.group for row in rows)
    first = list(sizes)
    return tuple(sorted(rows, key=lambda row: (-sizes[row.group], first.index(row.group))))


def _group_words(said: Json, source: Source) -> str:
    known = source.catalogue.concepts
    groups = [known[name].group for name in said["concepts"] if name in known]
    return next(iter(group_words(groups[:1], source.texts)), "")


def _words(trial: str, said: Json, source: Source) -> str | None:
    """What the person who settled it said. It is on this page alone, and on no card."""
    answer = source.match.attestations.get((trial, said["id"])) if source.match else None
    return answer.words if answer and said["basis"] == "attested" else None


def _row(said: Json, criterion: x.Criterion | None, source: Source, words: str | None = None) -> Row:
    texts = source.texts
    outcome = texts(f"outcome.{said['outcome']}")
    asked = criterion_words(said["kind"], said["text"], said["outcome"], said["basis"], texts)
    original = said["text"] if texts.translated(said["text"]) != said["text"] else ""
    group = _group_words(said, source)
    explanation = said["explanation"]
    if criterion is None:
        return Row(
            said, asked, explanation, outcome, original, group, distance=_distance(said, texts), gauge=_gauge(said)
        )
    return Row(
        said,
        asked,
        _explain(explanation, criterion, texts),
        outcome,
        original,
        group,
        how=paraphrase(criterion.asks, source.titles),
        only_if=paraphrase(criterion.only_if, source.titles) if criterion.only_if else None,
        near=near_miss_words(criterion.asks),
        distance=_distance(said, texts),
        reading=criterion.reading,
        step=criterion.step,
        trend=_trend(criterion, source),
        gauge=_gauge(said),
        words=words,
    )


def _explain(explanation: str, criterion: x.Criterion, texts: Texts) -> str:
    """The sentence of a report, which keeps questions and steps as its definition has them."""
    for phrase in filter(None, (criterion.step, *map(_asked_of_people, x.leaves_of(criterion.asks)))):
        explanation = explanation.replace(phrase, texts.translated(phrase))
    return explanation


def _asked_of_people(leaf: x.Expression) -> str:
    match leaf:
        case x.Judgement():
            return leaf.question
        case x.Consent():
            return leaf.step
        case _:
            return ""


def _distance(said: Json, texts: Texts) -> str | None:
    """ "1 × 10⁹/L beyond the limit (4 %)"; None without a numeric limit."""
    margin = said["margin"]
    if not margin:
        return None
    value = abs(_decimal(margin["value"]))
    if not value:
        return texts("distance.at")
    amount = quantity_in(texts, value, margin["unit"])
    shown = texts("distance.room" if margin["value"] > 0 else "distance.beyond", amount=amount)
    if margin["percent"] is None:
        return shown
    return texts("distance.percent", said=shown, percent=texts.number(number_words(abs(_decimal(margin["percent"])))))


def _decimal(number: float) -> Decimal:
    return Decimal(str(number))


def _gauge(said: Json) -> float | None:
    margin = said["margin"]
    return max(-100.0, min(100.0, float(margin["percent"]))) if margin and margin["percent"] is not None else None


def _trend(criterion: x.Criterion, source: Source) -> Trend | None:
    """The first measured concept of a criterion over time."""
    if source.facts is None:
        return None
    for leaf in x.leaves_of(criterion.asks):
        if isinstance(leaf, x.Value | x.Change):
            results = source.facts.results(leaf.concept)[:40]
            limits = limits_of(criterion, leaf.concept, results[0]) if results else ()
            if trend := trend_of(results, limits, source.titles):
                return trend
    return None


# -- calendar and tests -----------------------------------------------------------------------------------------------


def _calendar(
    entry: Json, trial: x.Trial | None, found: TrialMatch | None, source: Source
) -> tuple[CalendarEntry, ...]:
    """Days on which a cohort may turn, a criterion passes with time, or a result stops speaking for today."""
    today = date.fromisoformat(source.report["asOf"][:10])
    days: dict[tuple[date, str], dict[str, None]] = {}
    for cohort in entry["cohorts"]:
        if cohort["recheckOn"]:
            title = _cohort_title(cohort["cohort"], trial)
            days.setdefault((date.fromisoformat(cohort["recheckOn"]), source.texts("calendar.recheck")), {})[title] = (
                None
            )
    for day, said, about in _turns(found, source.texts):
        if today <= day <= today + _HORIZON:
            days.setdefault((day, said), {})[about] = None
    return tuple(CalendarEntry(day, said, tuple(about)) for (day, said), about in sorted(days.items()))


def _turns(found: TrialMatch | None, texts: Texts) -> Iterator[tuple[date, str, str]]:
    """The days on which a criterion turns, what happens then, and the criterion."""
    for finding in (f for cohort in (found.cohorts if found else ()) for f in cohort.findings):
        criterion = finding.criterion
        text = criterion_words(criterion.kind, criterion.text, finding.outcome.value, finding.basis, texts)
        if finding.turns_on and finding.outcome is Outcome.NOT_MET:
            yield finding.turns_on, texts("calendar.passes"), text
        elif finding.turns_on and finding.outcome is Outcome.MET:
            yield finding.turns_on, texts("calendar.no-longer-met"), text
        elif finding.stale_on and finding.attested:
            yield finding.stale_on, texts("calendar.answer-ends"), text
        elif finding.stale_on and finding.outcome is Outcome.MET and not _is_of_person(finding):
            yield finding.stale_on, texts("calendar.too-old"), text


def _is_of_person(finding: Finding) -> bool:
    return any(isinstance(each, PersonFact) for each in finding.evidence)


def _needs(trial: str, source: Source) -> tuple[Need, ...]:
    """What this trial waits for, chosen over all trials, in the order in which a clinician would do it."""
    assert source.match
    return tuple(need for need in what_next(source.match.trials, source.catalogue) if trial in _trials_of(need))


def _trials_of(need: Need) -> set[str]:
    return {trial for trial, _, _ in need.settles}


def need_words(need: Need, trial: str, texts: Texts) -> str:
    """ "settles 3 open criteria here and 2 in other trials"."""
    here = {criterion for t, _, criterion in need.settles if t == trial}
    elsewhere = {(t, criterion) for t, _, criterion in need.settles if t != trial}
    said = texts.count("need.here", len(here))
    return texts("need.elsewhere", said=said, count=len(elsewhere)) if elsewhere else said


# -- side by side -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Compared:
    """One line of the comparison of cohorts: what is asked, and its outcome in each; None where it is not asked."""

    text: str
    outcomes: tuple[str | None, ...]


def side_by_side(cohorts: Sequence[ExplainedCohort], texts: Texts) -> tuple[Compared, ...]:
    """Every criterion that is not met or open in a cohort, or answered differently by the cohorts; decisive first."""
    asked: dict[tuple[str, str], dict[str, str]] = {}
    for cohort in cohorts:
        for row in _rows(cohort):
            text = criterion_words(row.said["kind"], row.said["text"], Outcome.UNKNOWN.value, None, texts)
            asked.setdefault((row.said["id"], text), {})[cohort.id] = row.said["outcome"]
    lines = [
        Compared(text, tuple(outcomes.get(cohort.id) for cohort in cohorts)) for (_, text), outcomes in asked.items()
    ]
    return tuple(line for line in lines if _is_worth_comparing(set(line.outcomes)))


def _is_worth_comparing(outcomes: set[str | None]) -> bool:
    return bool(outcomes & {"not-met", "unknown"}) or (len(outcomes) > 1 and outcomes != {"met", None})


def _rows(cohort: ExplainedCohort) -> Iterable[Row]:
    return (row for group in cohort.groups for row in group.rows)

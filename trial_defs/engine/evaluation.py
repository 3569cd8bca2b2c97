"""What a chart says about a trial: a finding for every criterion, a verdict for every cohort.

Polarity is turned once, in `_finding`: an expression says what the text asks about, the finding whether that is good
for enrolment. The verdict ladder is `_verdict`, first rung that applies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, tzinfo
from decimal import Decimal
from functools import partial
from typing import assert_never

from msgspec.structs import replace

from mappings.chart.chart import Chart
from mappings.concepts.catalogue import Catalogue
from mappings.facts import Polarity, Reason, Result
from mappings.lazily import Lazily
from mappings.patient_facts import PatientFacts, facts_of
from mappings.time.times import add_months, start_of_day, whole_years
from mappings.time.watched_day import asked_of
from trial_defs.definition import expressions as x
from trial_defs.engine.anchors import in_its_circumstances
from trial_defs.engine.attestation import NO_ATTESTATIONS, Attestation, Attestations
from trial_defs.engine.episodes import answer_condition, answer_treatment
from trial_defs.engine.findings import (
    Basis,
    CohortMatch,
    Evidence,
    Failed,
    Finding,
    Margin,
    Match,
    Open,
    Outcome,
    PersonFact,
    TrialMatch,
    Verdict,
    best_of,
)
from trial_defs.engine.gates import Gates
from trial_defs.engine.logic import Answer, all_of, any_of, at_least, negate
from trial_defs.engine.ruled_out import with_what_rules_it_out
from trial_defs.engine.silence import Silences
from trial_defs.engine.values import answer_change, answer_value, check, plain, rounded

_NEAR_MISSES = 2  # more than this many not-met criteria are no near miss, however close each is
_SILENT = (Reason.MISSING, Reason.STALE)
_UNREAD = ("failed", "not-requested")


def match(
    trials: Iterable[x.Trial],
    chart: Chart,
    catalogue: Catalogue,
    as_of: datetime,
    zone: tzinfo,
    silences: Silences | None = None,
    attestations: Attestations = NO_ATTESTATIONS,
) -> Match:
    """The chart, read at `as_of` with calendar days of `zone`, held against every trial.

    `silences` of these definitions, where they are kept, spare what was worked out before; the match is the same.
    `attestations` are what people have answered for this patient.
    """
    return match_facts(trials, chart, facts_of(chart, catalogue, as_of, zone), silences, attestations)


def match_facts(
    trials: Iterable[x.Trial],
    chart: Chart,
    facts: PatientFacts,
    silences: Silences | None = None,
    attestations: Attestations = NO_ATTESTATIONS,
) -> Match:
    """The facts of this chart held against every trial."""
    moments = _Moments(chart, _Reading(facts, silences, attestations))
    found = tuple(evaluate(trial, facts, moments.facts_on, silences, attestations) for trial in trials)
    return _match_of(found, facts, attestations)


def match_many(
    gates: Gates,
    chart: Chart,
    facts: PatientFacts,
    silences: Silences | None = None,
    attestations: Attestations = NO_ATTESTATIONS,
) -> Match:
    """As `match_facts` with all trials of the gates, without those that are not indicated.

    What trials have in common is asked once, and a cohort that is out of the question no further: its findings are
    worked out when they are looked at.
    """
    reading = _Reading(facts, silences, attestations, is_shared=True)
    moments = _Moments(chart, reading)
    trials = gates.open_for(facts) if _silence_excludes(facts) else gates.trials
    found = [_evaluate(trial, reading, moments.reading_on) for trial in trials]
    indicated = tuple(trial for trial in found if trial.verdict is not Verdict.NOT_INDICATED)
    return _match_of(indicated, facts, attestations)


def _silence_excludes(facts: PatientFacts) -> bool:
    """Whether nothing else is to be said of a trial whose gate is not on record: neither "died" nor "not read"."""
    return facts.state("Condition") == "complete" and not facts.person.deceased


def _match_of(found: tuple[TrialMatch, ...], facts: PatientFacts, attestations: Attestations) -> Match:
    approachable = facts.person.active and not facts.declines_research
    person = facts.person
    return Match(
        person.reference,
        facts.as_of,
        facts.catalogue.hash,
        facts.sources,
        found,
        approachable,
        attestations,
        facts.unasked,
        person.sex,
    )


@dataclass(slots=True)
class _Reading:
    """A chart read at one moment, and what it was asked before. `is_shared`: by more than one trial."""

    facts: PatientFacts
    silences: Silences | None = None
    attestations: Attestations = field(default_factory=dict)
    is_shared: bool = False
    _gates: dict[int, bool] = field(default_factory=dict)  # by the identity of the gate
    _found: dict[int, Finding] = field(default_factory=dict)  # by the identity of the criterion
    _settled: dict[tuple[str, int], Finding] = field(default_factory=dict)  # by people, by trial and that identity
    _alike: dict[tuple[int, ...], Finding] = field(default_factory=dict)  # by that of everything that is asked

    def is_on_record(self, gate: x.Expression) -> bool:
        key = id(gate)
        if key not in self._gates:
            self._gates[key] = _on_record(gate, self.facts)
        return self._gates[key]

    def findings(self, trial: x.Trial, criteria: Iterable[x.Criterion]) -> Iterator[Finding]:
        """One finding for each criterion. Common criteria are the same objects and are evaluated once."""
        for criterion in criteria:
            finding = self._found.get(id(criterion))
            if finding is None:
                finding = self._found[id(criterion)] = self._known_or_found(criterion)
            yield self._answered(trial, finding) if self.attestations else finding

    def _answered(self, trial: x.Trial, finding: Finding) -> Finding:
        """The finding as a person has settled it, if one has."""
        answer = self.attestations.get((trial.id, finding.criterion.id))
        if answer is None:
            return finding
        key = (trial.id, id(finding.criterion))
        if key not in self._settled:
            self._settled[key] = _attested(finding, self.facts, answer)
        return self._settled[key]

    def _known_or_found(self, criterion: x.Criterion) -> Finding:
        """The same as `_finding`, which is not asked again where the chart is as silent as another was."""
        if self.silences is None:
            return self._alike_or_found(criterion)
        finding, unread = self.silences.look_up(criterion, self.facts)
        if finding is None:
            finding = self._alike_or_found(criterion)
            if unread is not None:
                self.silences.remember(criterion, unread, finding)
        return finding

    def _alike_or_found(self, criterion: x.Criterion) -> Finding:
        """The same as `_finding`, which is not asked again where another criterion asks the same in other words."""
        if not self.is_shared:
            return _finding(criterion, self.facts)
        key = (id(criterion.asks), id(criterion.only_if), id(criterion.shows), criterion.kind == "inclusion")
        alike = self._alike.get(key)
        if alike is None:
            found = self._alike[key] = _finding(criterion, self.facts)
            return found
        return alike.of(criterion)


@dataclass
class _Moments:
    """The same chart read on other days."""

    chart: Chart
    now: _Reading
    _readings: dict[date, _Reading] = field(default_factory=dict)

    def facts_on(self, day: date) -> PatientFacts:
        return self.reading_on(day).facts

    def reading_on(self, day: date) -> _Reading:
        if day not in self._readings:
            now = self.now
            facts = facts_of(self.chart, now.facts.catalogue, start_of_day(day, now.facts.zone), now.facts.zone)
            self._readings[day] = _Reading(facts, now.silences, now.attestations, now.is_shared)
        return self._readings[day]


def evaluate(
    trial: x.Trial,
    facts: PatientFacts,
    facts_on: Callable[[date], PatientFacts] | None = None,
    silences: Silences | None = None,
    attestations: Attestations = NO_ATTESTATIONS,
) -> TrialMatch:
    """One trial against one chart. `facts_on` reads the same chart on a later day; without it no recheck day is set."""

    def reading_on(day: date) -> _Reading:
        assert facts_on
        return _Reading(facts_on(day), silences, attestations)

    return _evaluate(trial, _Reading(facts, silences, attestations), reading_on if facts_on else None)


def _evaluate(trial: x.Trial, reading: _Reading, reading_on: Callable[[date], _Reading] | None) -> TrialMatch:
    cohorts = []
    for cohort in trial.cohorts:
        found = _cohort(trial, cohort, reading)
        if found.verdict is Verdict.NEAR_MISS and reading_on:
            recheck_on = _recheck_on(trial, found, reading_on)
            found = CohortMatch(cohort, found.verdict, found.findings, recheck_on)
        cohorts.append(found)
    best = best_of(c.verdict for c in cohorts)
    return TrialMatch(trial, best, tuple(cohorts))


def is_indicated(cohort: x.Cohort, facts: PatientFacts) -> bool:
    """Whether the cohort's gate is on record, or stands there for a person to confirm."""
    return _on_record(cohort.gate, facts)


def may_be_indicated(cohort: x.Cohort, facts: PatientFacts) -> bool:
    """Whether only a Condition that was not understood can open the cohort's gate, which nothing on record does."""
    return not facts.person.deceased and not is_indicated(cohort, facts) and _may_be_on_record(cohort.gate, facts)


def _cohort(trial: x.Trial, cohort: x.Cohort, reading: _Reading) -> CohortMatch:
    facts = reading.facts
    indicated = reading.is_on_record(cohort.gate)
    complete = facts.state("Condition") == "complete"
    if complete and not indicated and not facts.person.deceased and not _may_be_on_record(cohort.gate, facts):
        return CohortMatch(cohort, Verdict.NOT_INDICATED)
    asked = cohort.criteria if indicated or not facts.person.deceased else ()
    found = reading.findings(trial, asked)
    findings: Sequence[Finding] = Lazily(found) if reading.is_shared else tuple(found)
    verdict = Verdict.NOT_ELIGIBLE if facts.person.deceased else _verdict(trial, cohort, reading, indicated, findings)
    # Of the others nobody may ever look at them.
    return CohortMatch(cohort, verdict, tuple(findings) if verdict.is_candidate else findings)


def _on_record(gate: x.Expression, facts: PatientFacts) -> bool:
    """Whether the gate is on record: certainly, or as an entry that a person must confirm.

    A gate that only an unusable result leaves open (a platelet count in a unit that cannot be converted) is not closed
    in silence: the cohort is evaluated and its criterion says what is wrong.
    """
    match gate:
        case x.All():
            return all(_on_record(part, facts) for part in gate.parts)
        case x.AnyOf():
            return any(_on_record(part, facts) for part in gate.parts)
        case _:
            found = answer(gate, facts)
            if found.truth is not None:
                return found.truth
            return not any(piece.reason in _SILENT or _condition_unread(piece) for piece in found.still_open)


def _condition_unread(piece: Open) -> bool:
    return piece.reason in (Reason.NOT_READABLE, Reason.NOT_UNDERSTOOD) and isinstance(piece.leaf, x.Condition)


def _may_be_on_record(gate: x.Expression, facts: PatientFacts) -> bool:
    """Whether a Condition that was not understood could be what the gate lacks."""
    match gate:
        case x.All():
            return all(_may_be_on_record(part, facts) for part in gate.parts)
        case x.AnyOf():
            return any(_may_be_on_record(part, facts) for part in gate.parts)
        case x.Condition():
            return gate.concept in facts.left_open or _on_record(gate, facts)
        case _:
            return _on_record(gate, facts)


def _verdict(
    trial: x.Trial, cohort: x.Cohort, reading: _Reading, indicated: bool, findings: Iterable[Finding]
) -> Verdict:
    """The first rung of the ladder that applies; nothing is worked out that it does not need."""
    if trial.status == "closed" or not cohort.open:
        return Verdict.CLOSED
    # Age and sex first: they cost nothing and shut out the most.
    of_person = filter(_is_of_person, cohort.criteria) if reading.is_shared else ()
    if _is_out(reading.findings(trial, of_person)) or _is_out(findings):
        return Verdict.NOT_ELIGIBLE
    if reading.facts.state("Patient") in _UNREAD or not indicated:
        return Verdict.COULD_NOT_EVALUATE
    outcomes = {finding.outcome for finding in findings}
    if Outcome.NOT_MET in outcomes:
        return Verdict.NEAR_MISS
    return Verdict.POSSIBLY_ELIGIBLE if Outcome.UNKNOWN in outcomes else Verdict.LIKELY_ELIGIBLE


def _is_of_person(criterion: x.Criterion) -> bool:
    return isinstance(criterion.asks, x.Age | x.SexIs)


def _is_out(findings: Iterable[Finding]) -> bool:
    """Whether criteria are missed beyond near-miss."""
    missed = 0
    for finding in findings:
        if finding.outcome is Outcome.NOT_MET:
            missed += 1
            if not finding.near or missed > _NEAR_MISSES:
                return True
    return False


def _attested(finding: Finding, facts: PatientFacts, answered: Attestation) -> Finding:
    """What is for a person alone to judge, as a person has answered it; whatever data decide or lack stays."""
    criterion = finding.criterion
    if finding.outcome is not Outcome.NEEDS_HUMAN:
        return finding
    if not answered.holds(facts.as_of, facts.today) or not answered.answers(criterion, facts.catalogue):
        return finding
    return Finding(
        criterion,
        Outcome.MET if answered.is_met else Outcome.NOT_MET,
        basis=Basis.ATTESTED,
        evidence=finding.evidence,
        stale_on=answered.until + timedelta(days=1) if answered.is_met else None,
        attested=answered,
    )


def _recheck_on(trial: x.Trial, found: CohortMatch, reading_on: Callable[[date], _Reading]) -> date | None:
    """The day on which time alone turns the verdict, proved by reading the same chart on that day."""
    days = [f.turns_on for f in found.findings if f.outcome is Outcome.NOT_MET]
    if not days or None in days:
        return None
    day = max(d for d in days if d)
    then = _cohort(trial, found.cohort, reading_on(day))
    return day if then.verdict in (Verdict.LIKELY_ELIGIBLE, Verdict.POSSIBLY_ELIGIBLE) else None


def _finding(criterion: x.Criterion, facts: PatientFacts) -> Finding:
    guard = answer(criterion.only_if, facts) if criterion.only_if else None
    shown = _shown(criterion.shows, facts) if criterion.shows else ()
    if guard and guard.truth is False:
        return Finding(criterion, Outcome.NOT_APPLICABLE, evidence=_each_once(guard.evidence))
    found = answer(criterion.asks, facts)
    if criterion.kind == "exclusion":
        found = negate(found)
    if guard and guard.truth is None and (found.truth is not True or _is_unread(guard)):
        # It may not apply: neither met nor missed until the guard is known. What is met whether it applies or not may
        # be said; but what was not read would still turn "met" into "does not apply".
        pieces = (*guard.still_open, *found.still_open)
        found = Answer(None, evidence=(*guard.evidence, *found.evidence), still_open=pieces)
    evidence = _each_once((*found.evidence, *shown))
    if found.truth is None:
        reason = next((piece.reason for piece in found.still_open if piece.reason), None)
        if reason is None:
            return Finding(criterion, Outcome.NEEDS_HUMAN, evidence=evidence, still_open=found.still_open)
        failed = tuple(dict.fromkeys(_failed(found.beside)))
        evidence = _each_once((*(each for one in failed for each in one.evidence), *evidence)) if failed else evidence
        return Finding(
            criterion, Outcome.UNKNOWN, reason=reason, evidence=evidence, still_open=found.still_open, failed=failed
        )
    missed = found.truth is False
    return Finding(
        criterion,
        Outcome.NOT_MET if missed else Outcome.MET,
        basis=found.basis,
        evidence=evidence,
        margin=found.margin,
        decided_by=found.decided_by,
        near=missed and found.soft,
        turns_on=found.turns_on,
        stale_on=None if missed else found.stale_on,
    )


def _failed(settled: Iterable[Answer]) -> Iterator[Failed]:
    """The measured values among settled parts that speak against enrolment, so that only an alternative is left."""
    for part in settled:
        if part.truth is False and len(part.decided_by) == 1 and part.evidence:
            leaf = part.decided_by[0]
            if isinstance(leaf, x.Value | x.Change | x.Age):
                yield Failed(leaf, _would_help(leaf, part), part.evidence, part.margin)


def _would_help(leaf: x.Value | x.Change | x.Age, part: Answer) -> bool:
    """Whether the leaf should have been true: what missed by a distance should, what is passed and excluded not."""
    first = part.evidence[0]
    if isinstance(leaf.test, Polarity):
        return isinstance(first, Result) and first.polarity is not leaf.test
    if isinstance(leaf, x.Value) and isinstance(first, Result):
        return check(first, leaf.test, leaf).truth is not True
    return True


def _is_unread(answer: Answer) -> bool:
    return any(piece.reason in (Reason.NOT_READABLE, Reason.NOT_UNDERSTOOD) for piece in answer.still_open)


def _each_once(evidence: tuple[Evidence, ...]) -> tuple[Evidence, ...]:
    return evidence if len(evidence) < 2 else tuple(dict.fromkeys(evidence))


def answer(expression: x.Expression, facts: PatientFacts) -> Answer:
    """What the chart says about an expression."""
    match expression:  # the most frequent first
        case x.Condition():
            return _with_cause(with_what_rules_it_out(expression, facts, answer_condition(expression, facts)), facts)
        case x.Value():
            return _with_cause(with_what_rules_it_out(expression, facts, _answer_value(expression, facts)), facts)
        case x.All():
            return all_of([answer(part, facts) for part in expression.parts])
        case x.AnyOf():
            return any_of([answer(part, facts) for part in expression.parts])
        case x.Treatment():
            return _with_cause(answer_treatment(expression, facts), facts)
        case x.Not():
            return negate(answer(expression.part, facts))
        case x.AtLeast():
            return at_least(expression.count, [answer(part, facts) for part in expression.parts])
        case x.Age():
            return _answer_age(expression, facts)
        case x.SexIs():
            return _answer_sex(expression, facts)
        case x.Change():
            return _with_cause(answer_change(expression, facts), facts)
        case x.Judgement():
            evidence = _shown(expression.evidence, facts)
            return Answer(None, evidence, still_open=(Open(expression, None, expression.question, evidence),))
        case x.Consent():
            return Answer(None, still_open=(Open(expression, None, expression.step),))
        case _:
            assert_never(expression)


def _with_cause(found: Answer, facts: PatientFacts) -> Answer:
    """The answer of a leaf; where everything arrived, but a record was not understood, its open pieces say so."""
    if found.truth is not None or not (facts.left_open or facts.names_results):
        return found
    pieces = tuple(
        _not_understood(piece, facts)
        if piece.reason is Reason.NOT_READABLE and all(map(facts.has_arrived, x.concepts_of(piece.leaf)))
        else piece
        for piece in found.still_open
    )
    if pieces == found.still_open:
        return found
    quoted = tuple(each for piece in pieces for each in piece.evidence)
    return replace(found, still_open=pieces, evidence=_each_once((*quoted, *found.evidence)))


def _not_understood(piece: Open, facts: PatientFacts) -> Open:
    """The piece with its cause; results that only their words name are quoted, the newest first."""
    results = [each for each in piece.evidence if isinstance(each, Result)]
    called = [each for result in results for each in facts.called_since(result)] or [
        each for concept in x.concepts_of(piece.leaf) for each in facts.called(concept)
    ]
    called.sort(key=lambda each: each.taken.latest.timestamp() if each.taken else 0, reverse=True)
    if not called:
        return replace(piece, reason=Reason.NOT_UNDERSTOOD)
    evidence = _each_once((called[0], *piece.evidence))
    return replace(piece, reason=Reason.NOT_UNDERSTOOD, note=called[0].note, evidence=evidence)


def _answer_value(leaf: x.Value, facts: PatientFacts) -> Answer:
    return in_its_circumstances(leaf, facts, answer_value(leaf, facts))


def _shown(concepts: Iterable[str], facts: PatientFacts) -> tuple[Evidence, ...]:
    """The newest records of these concepts, to help a person judge."""
    return tuple([record for concept in concepts for record in facts.newest_records(concept)])


def _answer_sex(leaf: x.SexIs, facts: PatientFacts) -> Answer:
    person = facts.person
    if person.sex is None:
        reason = Reason.MISSING if facts.state("Patient") == "complete" else Reason.NOT_READABLE
        return Answer(None, still_open=(Open(leaf, reason, note="sex is not recorded as female or male"),))
    evidence = PersonFact("sex", person.reference, None, "", person.sex)
    return Answer(person.sex == leaf.sex, (evidence,), Basis.RECORDED, decided_by=(leaf,))


def _answer_age(leaf: x.Age, facts: PatientFacts) -> Answer:
    person, today = facts.person, facts.today
    if person.born is None:
        reason = Reason.MISSING if facts.state("Patient") == "complete" else Reason.NOT_READABLE
        return Answer(None, still_open=(Open(leaf, reason, note="date of birth is not recorded"),))
    first, last = person.born
    oldest, youngest = (asked_of(today, partial(whole_years, born)) for born in (first, last))
    recorded = f"{youngest} years" if oldest == youngest else f"{youngest} to {oldest} years"
    evidence = PersonFact("age", person.reference, Decimal(youngest) if oldest == youngest else None, "a", recorded)
    truths = {_age_passes(leaf.test, years) for years in range(youngest, oldest + 1)}
    if len(truths) > 1:
        return Answer(None, (evidence,), still_open=(Open(leaf, Reason.IMPRECISE, evidence=(evidence,)),))
    turns_on = _birthday_that_turns(leaf.test, first, today, oldest)
    return Answer(
        truths.pop(),
        (evidence,),
        Basis.RECORDED,
        margin=_age_margin(leaf.test, youngest),
        decided_by=(leaf,),
        soft=turns_on is not None,
        turns_on=turns_on,
    )


def _bounds(test: x.Bound | x.Between) -> tuple[x.Bound, ...]:
    return (test.low, test.high) if isinstance(test, x.Between) else (test,)


def _age_passes(test: x.Bound | x.Between, years: int) -> bool:
    return all(_passes(bound, Decimal(years)) for bound in _bounds(test))


def _passes(bound: x.Bound, value: Decimal) -> bool:
    match bound.comparator:
        case ">=":
            return value >= bound.canonical
        case ">":
            return value > bound.canonical
        case "<=":
            return value <= bound.canonical
        case "<":
            return value < bound.canonical


def _age_margin(test: x.Bound | x.Between, years: int) -> Margin:
    distances = [
        (years - b.canonical if b.comparator in (">", ">=") else b.canonical - years, b.canonical)
        for b in _bounds(test)
    ]
    distance, limit = min(distances)
    percent = None if limit == 0 else rounded(distance / abs(limit) * 100)
    return Margin(plain(distance), "a", percent, plain(limit))


def _birthday_that_turns(test: x.Bound | x.Between, born: date, today: date, years: int) -> date | None:
    """The next birthday on which the answer changes; someone past an upper limit never comes back under it."""
    now = _age_passes(test, years)
    turning = sorted(int(b.canonical) + extra for b in _bounds(test) for extra in (0, 1))
    for age in turning:
        if age > years and _age_passes(test, age) is not now:
            birthday = add_months(born, 12 * age)
            if (birthday.month, birthday.day) != (born.month, born.day):
                birthday = date(birthday.year, 3, 1)  # born on 29 February
            return birthday
    return None

"""The one door to the engine: a chart in, and out of it only what may be shown.

Every way to an answer (hook, launch, `$match`, `POST /api/v1/match`, the command line, a screen, an explanation) calls
`judge`. It decides who may not be approached for research and what a security label keeps back; the reasons are in
`docs/safety.md`, under "Kept back".
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace

from app.definitions.served import Served
from app.profile import part
from mappings.chart.chart import Chart
from mappings.chart.labels import is_labelled, without_labelled
from mappings.draft_orders import Planned
from mappings.patient_facts import PatientFacts
from mappings.time.clock import Clock
from trial_defs.definition.expressions import Trial
from trial_defs.engine.attestation import NO_ATTESTATIONS, Attestations
from trial_defs.engine.evaluation import is_indicated, match_facts, match_many, may_be_indicated
from trial_defs.engine.findings import CohortMatch, Finding, Match, Outcome, TrialMatch, Verdict
from trial_defs.planning.order_effect import OrderEffect, effects_of

_OPEN = (Outcome.UNKNOWN, Outcome.NEEDS_HUMAN)


@dataclass(frozen=True, slots=True)
class Site:
    """What a site has decided about every answer. `restricted_labels`: security labels as (system, code)."""

    restricted_labels: frozenset[tuple[str, str]] = frozenset()


@dataclass(frozen=True, slots=True)
class Judged:
    """What may be shown of one patient, and nothing else.

    `found` has no trials for a patient who must not be approached. `chart` and `facts` are without restricted records.
    `withheld`: ids of the trials that restricted records keep back.
    """

    found: Match
    chart: Chart
    facts: PatientFacts = field(repr=False)
    withheld: frozenset[str] = frozenset()


def judge(
    chart: Chart,
    served: Served,
    at: Clock,
    site: Site,
    *,
    trials: Iterable[Trial] | None = None,
    attestations: Attestations = NO_ATTESTATIONS,
    indicated_only: bool = False,
) -> Judged:
    """Hold the chart, read at `at`, against the trials served, or against `trials` alone.

    Of many served trials those that are not indicated are left out; with `indicated_only` they always are, and so are
    those whose diagnosis could not be read. `attestations` are what people have answered for this patient.
    """
    open_chart = without_labelled(chart, site.restricted_labels)
    with part("index"):
        facts = PatientFacts(open_chart, served.catalogue, at)
        # A refusal counts whatever its label: to overlook it would be worse than to let it be guessed.
        whole = facts if open_chart is chart else PatientFacts(chart, served.catalogue, at)
    if not (whole.person.active and not whole.declines_research):
        return Judged(replace(match_facts((), open_chart, facts), approachable=False), open_chart, facts)
    question = _Question(served, trials if trials is None else tuple(trials), attestations, indicated_only)
    with part("match"):
        found = question.match(open_chart, facts)
        if open_chart is chart:
            return Judged(found, chart, facts)
        withheld = _withheld(question.match(chart, whole), found, everything=is_labelled(chart, site.restricted_labels))
    shown = tuple(trial for trial in found.trials if trial.trial.id not in withheld)
    return Judged(replace(found, trials=shown), open_chart, facts, withheld)


@dataclass(frozen=True, slots=True)
class _Question:
    """What is asked of a chart."""

    served: Served
    trials: Sequence[Trial] | None
    attestations: Attestations
    indicated_only: bool

    def match(self, chart: Chart, facts: PatientFacts) -> Match:
        served = self.served
        if self.indicated_only:
            asked = served.trials.values() if self.trials is None else self.trials
            indicated = [trial for trial in asked if indicated_cohorts(trial, facts)]
            return match_facts(indicated, chart, facts, served.silences, self.attestations)
        if self.trials is not None:
            return match_facts(self.trials, chart, facts, served.silences, self.attestations)
        if served.are_many:
            return match_many(served.gates, chart, facts, served.silences, self.attestations)
        return match_facts(served.trials.values(), chart, facts, served.silences, self.attestations)


def indicated_cohorts(trial: Trial, facts: PatientFacts) -> frozenset[str]:
    """The ids of the trial's cohorts whose diagnosis is on record, or is there for a person to confirm."""
    return frozenset(cohort.id for cohort in trial.cohorts if is_indicated(cohort, facts))


def is_doubtful(trial: Trial, facts: PatientFacts) -> bool:
    """Whether no cohort's diagnosis is on record, and a Condition that was not understood may be that of one."""
    return not indicated_cohorts(trial, facts) and any(may_be_indicated(cohort, facts) for cohort in trial.cohorts)


# What a label keeps back


def _withheld(whole: Match, shown: Match, *, everything: bool) -> frozenset[str]:
    """The trials of which the chart without its restricted records would say what the whole chart contradicts."""
    known = {trial.trial.id: trial for trial in whole.trials if trial.verdict is not Verdict.NOT_INDICATED}
    said = {trial.trial.id: trial for trial in shown.trials if trial.verdict is not Verdict.NOT_INDICATED}
    if everything:
        return frozenset(known.keys() | {trial.trial.id for trial in shown.trials})
    return frozenset(name for name in known.keys() | said.keys() if not _agree(said.get(name), known.get(name)))


def _agree(shown: TrialMatch | None, whole: TrialMatch | None) -> bool:
    """Whether nothing that would be shown of the trial is false, or better than it is."""
    if shown is None or whole is None:
        return False
    pairs = zip(shown.cohorts, whole.cohorts, strict=True)
    return shown.verdict.rank >= whole.verdict.rank and all(_cohorts_agree(s, w) for s, w in pairs)


def _cohorts_agree(shown: CohortMatch, whole: CohortMatch) -> bool:
    if shown.verdict is Verdict.NOT_INDICATED:
        return True
    if shown.verdict.rank < whole.verdict.rank or len(shown.findings) != len(whole.findings):
        return False
    if shown.verdict is Verdict.NEAR_MISS and shown.recheck_on != whole.recheck_on:
        return False
    return all(map(_findings_agree, shown.findings, whole.findings))


def _findings_agree(shown: Finding, whole: Finding) -> bool:
    """The same outcome; or a point is left open that the whole chart does not fail."""
    return shown.outcome is whole.outcome or (shown.outcome in _OPEN and whole.outcome is not Outcome.NOT_MET)


# Orders


def effects_of_orders(
    judged: Judged,
    chart: Chart,
    served: Served,
    at: Clock,
    orders: Sequence[Planned],
    candidates: Collection[TrialMatch],
) -> tuple[OrderEffect, ...]:
    """What draft orders would do to these trials of what was judged. `chart` is the one that was judged, as it came.

    A warning that the restricted records of the chart would change is not given.
    """
    found = replace(judged.found, trials=tuple(candidates))
    effects = effects_of(found, judged.chart, orders, served.catalogue, at.zone)
    if judged.chart is chart or not effects:
        return effects
    facts = PatientFacts(chart, served.catalogue, at)
    whole = match_facts([e.now.trial for e in effects], chart, facts, None, found.attestations)
    known = set(map(_warning, effects_of(whole, chart, orders, served.catalogue, at.zone)))
    return tuple(effect for effect in effects if _warning(effect) in known)


def _warning(effect: OrderEffect) -> tuple[object, ...]:
    """What a card about an order says."""
    changed = frozenset((finding.criterion.id, finding.outcome) for finding in effect.all_changed)
    cohort = effect.before.cohort.id
    return effect.now.trial.id, cohort, effect.after.verdict, changed, effect.since, effect.until, effect.goes_on

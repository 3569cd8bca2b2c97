"""What draft orders would do to a patient's matches: the chart with them against the chart without, day by day.

Nothing here knows a washout or a dose limit. Both charts are read by the same definitions on the same day, and what
differs is the effect of the orders. Its end is proved in the same way, on the day on which nothing differs any more.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta, tzinfo

from mappings.chart.chart import Chart
from mappings.concepts.catalogue import Catalogue
from mappings.draft_orders import Planned, as_if_given, only_about
from mappings.facts import Result
from mappings.patient_facts import PatientFacts, facts_of
from mappings.time.clock import Clock
from mappings.time.times import Period, start_of_day
from trial_defs.definition import expressions as x
from trial_defs.engine.attestation import Attestations
from trial_defs.engine.evaluation import evaluate
from trial_defs.engine.findings import CohortMatch, Evidence, Finding, Match, Outcome, TrialMatch
from trial_defs.planning.needs import best_cohort

_MOST_DAYS = 5  # on which orders begin that are looked at: the first four, and the last
_SETTLED = (Outcome.MET, Outcome.NOT_MET, Outcome.NOT_APPLICABLE, Outcome.NEEDS_HUMAN)
_MOST_TRIED = 400  # days on which the effect may end, of which a search by halving reads nine


@dataclass(frozen=True, slots=True)
class OrderEffect:
    """One trial that the orders would close, or leave more open than it is.

    `now` is the match without the orders, today; `before` and `after` are one cohort without and with them on `since`,
    the day on which the first of them is given. `changed` is what that order changes, `later` what the orders of later
    days add. `until` is the first day on which the orders make no difference any more, None where there is none.
    `goes_on`: that day does not come while an order without an end is given; `until` then counts from a single dose on
    its first day.
    """

    now: TrialMatch
    before: CohortMatch
    after: CohortMatch
    changed: tuple[Finding, ...]  # as they would be
    orders: tuple[Planned, ...]
    since: date
    until: date | None
    goes_on: bool
    later: tuple[Finding, ...] = ()

    @property
    def all_changed(self) -> tuple[Finding, ...]:
        return (*self.changed, *self.later)

    @property
    def closes(self) -> bool:
        """Whether something would no longer be met; otherwise it would only be open."""
        return any(finding.outcome is Outcome.NOT_MET for finding in self.all_changed)

    @property
    def postpones(self) -> bool:
        """Whether all that would not be met is not met now either, but sooner would be."""
        missed = {f.criterion.id for f in self.before.findings if f.outcome is Outcome.NOT_MET}
        return all(finding.criterion.id in missed for finding in self.all_changed)

    @property
    def lasts_while_given(self) -> bool:
        """Whether it ends as soon as the order does, as a limit on a dose does."""
        return self.goes_on and self.until == self.since + timedelta(days=1)


def effects_of(
    now: Match, chart: Chart, orders: Sequence[Planned], catalogue: Catalogue, zone: tzinfo
) -> tuple[OrderEffect, ...]:
    """What the orders would do to each trial that is worth a card today, in the order of `now.trials`."""
    if not orders or not now.approachable:
        return ()
    candidates = [trial for trial in now.trials if trial.verdict.is_candidate]
    readings = _Readings(chart, orders, catalogue, now.as_of, zone, now.attestations)
    readings.know(candidates)
    found = (_first_effect(trial, readings) for trial in candidates)
    return tuple(effect for effect in found if effect)


@dataclass
class _Readings:
    """The chart without the orders, with them, and with every endless one given once; each read once a day."""

    chart: Chart
    orders: Sequence[Planned]
    catalogue: Catalogue
    as_of: datetime
    zone: tzinfo
    attestations: Attestations
    _charts: dict[str, Chart] = field(default_factory=dict)
    _facts: dict[tuple[str, date], PatientFacts] = field(default_factory=dict)
    _matches: dict[tuple[str, str, date], TrialMatch] = field(default_factory=dict)

    @property
    def today(self) -> date:
        return self.as_of.astimezone(self.zone).date()

    @property
    def outdated(self) -> frozenset[str]:
        return frozenset(concept for order in self.orders for concept in order.outdates)

    def know(self, trials: Iterable[TrialMatch]) -> None:
        """What was found without the orders today."""
        self._matches |= {("without", trial.trial.id, self.today): trial for trial in trials}

    def about(self, concepts: Collection[str]) -> _Readings:
        """The same with what these concepts need only, for reading on many days."""
        chart = only_about(self.chart, concepts, self.catalogue)
        return _Readings(chart, self.orders, self.catalogue, self.as_of, self.zone, self.attestations)

    def match(self, how: str, trial: x.Trial, day: date) -> TrialMatch:
        """The trial held against the chart, read `how` ("without", "with", "once") on that day."""
        key = (how, trial.id, day)
        if key not in self._matches:
            self._matches[key] = evaluate(trial, self._read(how, day), attestations=self.attestations)
        return self._matches[key]

    def _read(self, how: str, day: date) -> PatientFacts:
        key = (how, day)
        if key not in self._facts:
            moment = self.as_of if day == self.today else start_of_day(day, self.zone)
            self._facts[key] = facts_of(self._chart(how), self.catalogue, moment, self.zone)
        return self._facts[key]

    def _chart(self, how: str) -> Chart:
        if how not in self._charts:
            clock = Clock(self.as_of, self.zone)
            given = as_if_given(self.chart, self.orders, self.catalogue, clock, once=how == "once")
            self._charts[how] = self.chart if how == "without" else given
        return self._charts[how]


def _first_effect(now: TrialMatch, readings: _Readings) -> OrderEffect | None:
    """The effect on the first day on which there is one; of the best cohort that is touched, with its later days."""
    days = sorted({order.first for order in readings.orders})
    days = days if len(days) <= _MOST_DAYS else [*days[: _MOST_DAYS - 1], days[-1]]
    for place, day in enumerate(days):
        before, after = (readings.match(how, now.trial, day) for how in ("without", "with"))
        pairs = zip(before.cohorts, after.cohorts, strict=True)
        touched = [(b, a, found) for b, a in pairs if (found := _changed(b, a, readings.outdated))]
        if touched:
            best = best_cohort(
                TrialMatch(now.trial, before.verdict, tuple(b for b, _, _ in touched)), readings.catalogue
            )
            first = next(_effect(now, b, a, found, day, readings) for b, a, found in touched if b is best)
            return _with_later_days(first, days[place + 1 :], readings)
    return None


def _with_later_days(effect: OrderEffect, days: Sequence[date], readings: _Readings) -> OrderEffect:
    """The effect with what the orders of these days add to it, and the last of their ends."""
    cohort = effect.before.cohort.id
    for day in days:
        before, after = (_cohort(readings.match(how, effect.now.trial, day), cohort) for how in ("without", "with"))
        if changed := _changed(before, after, readings.outdated):
            effect = _join(effect, _effect(effect.now, before, after, changed, day, readings))
    return effect


def _cohort(match: TrialMatch, cohort: str) -> CohortMatch:
    return next(each for each in match.cohorts if each.cohort.id == cohort)


def _join(effect: OrderEffect, later: OrderEffect) -> OrderEffect:
    known = {finding.criterion.id for finding in effect.all_changed}
    added = tuple(finding for finding in later.changed if finding.criterion.id not in known)
    return replace(
        effect,
        orders=(*effect.orders, *(order for order in later.orders if order not in effect.orders)),
        # What the earlier orders still change on the later day is part of what was looked at on that day.
        until=later.until,
        goes_on=later.goes_on,
        later=(*effect.later, *added),
    )


def _changed(before: CohortMatch, after: CohortMatch, outdated: frozenset[str]) -> tuple[Finding, ...]:
    """The findings that the orders make worse; none where the cohort is not worth a card without them.

    What would only be open counts where it lowers the verdict, or where an order lowers the very count it rests on.
    """
    if not before.verdict.is_candidate:
        return ()
    pairs = list(zip(before.findings, after.findings, strict=True))
    missed = [a for b, a in pairs if a.outcome is Outcome.NOT_MET and b.outcome is not Outcome.NOT_MET]
    later = [a for b, a in pairs if a.outcome is b.outcome is Outcome.NOT_MET and _turns_later(b, a)]
    opened = [a for b, a in pairs if a.outcome is Outcome.UNKNOWN and b.outcome in _SETTLED]
    recount = [finding for finding in opened if outdated.intersection(finding.criterion.concepts)]
    if missed or later or recount:
        return (*missed, *later, *recount)
    return tuple(opened) if after.verdict.rank > before.verdict.rank else ()


def _turns_later(before: Finding, after: Finding) -> bool:
    return before.turns_on is not None and (after.turns_on is None or after.turns_on > before.turns_on)


def _effect(
    now: TrialMatch,
    before: CohortMatch,
    after: CohortMatch,
    changed: tuple[Finding, ...],
    day: date,
    readings: _Readings,
) -> OrderEffect:
    orders = _behind(changed, readings.orders)
    criteria = tuple(finding.criterion for finding in changed)
    # Its gate, and all else that it asks, was looked at above.
    reduced = replace(now.trial, cohorts=(replace(before.cohort, gate=x.All(()), criteria=criteria),))
    readings = readings.about({concept for criterion in criteria for concept in criterion.concepts})
    days = _days_to_try(changed, orders, day)
    until = _until(reduced, days, "with", readings)
    goes_on = until is None and any(order.last is None for order in orders)
    if goes_on:
        until = _until(reduced, days, "once", readings)
    return OrderEffect(now, before, after, changed, orders, day, until, goes_on)


def _behind(changed: Iterable[Finding], orders: Sequence[Planned]) -> tuple[Planned, ...]:
    """The orders that the findings rest on; all of them where that cannot be told."""
    outdating = [o for o in orders if any(o.outdates.intersection(f.criterion.concepts) for f in changed)]
    sources = {source for finding in changed for evidence in finding.evidence for source in _sources(evidence)}
    return tuple(order for order in orders if order.source in sources or order in outdating) or tuple(orders)


def _sources(evidence: Evidence) -> tuple[str, ...]:
    inputs = evidence.inputs if isinstance(evidence, Result) else ()
    return (evidence.source, *(each.source for each in inputs))


def _until(changed: x.Trial, days: Sequence[date], how: str, readings: _Readings) -> date | None:
    """The first of the days on which the changed criteria come out the same with the orders, read `how`, as without.

    Looked for by halving: what an order changes stays changed until it wears off.
    """

    def is_over(day: date) -> bool:
        without, given = (readings.match(h, changed, day).cohorts[0].findings for h in ("without", how))
        return all(w.outcome is g.outcome for w, g in zip(without, given, strict=True))

    place = bisect_left(days, True, key=is_over)
    return days[place] if place < len(days) else None


def _days_to_try(changed: Sequence[Finding], orders: Sequence[Planned], since: date) -> list[date]:
    """Days on which something may turn: after each last dose, and after every period that the criteria name."""
    lasts = {order.last or order.first for order in orders}
    days = {finding.turns_on for finding in changed if finding.turns_on}
    for last in lasts:
        for reach in (last, *(period.after(last) for f in changed for period in periods_of(f.criterion))):
            days |= {date.fromordinal(min(reach.toordinal() + n, date.max.toordinal())) for n in (0, 1, 2)}
    return sorted(day for day in days if since < day < date.max - timedelta(days=3))[:_MOST_TRIED]


def periods_of(criterion: x.Criterion) -> set[Period]:
    """Every length of time that a criterion names."""
    asked = (criterion.asks, *((criterion.only_if,) if criterion.only_if else ()))
    leaves = (leaf for expression in asked for leaf in x.leaves_of(expression))
    names = ("within", "lasting", "began_within", "stable_for", "over")
    return {period for leaf in leaves for name in names if (period := getattr(leaf, name, None))}

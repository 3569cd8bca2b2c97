"""Doses as results: today's dose of a drug, that of earlier days, by body weight, in all, and the number of cycles."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal

from msgspec.structs import replace

from mappings.concepts.catalogue import DOSE_UNITS, Catalogue, DoseMeasure, DoseRule, current_for
from mappings.derived import amounts, doses
from mappings.derived.formulas import DERIVATIONS
from mappings.derived.recorded_facts import WEIGHT_SPEAKS_FOR, RecordedFacts
from mappings.facts import Episode, Interval, Reason, Result
from mappings.time.times import Moment

Derived = tuple[Result | None, date | None]  # and the day since when it has been so
_NAMES: Mapping[DoseMeasure, str] = {
    "daily": "daily dose",
    "daily-per-kg": "daily dose per kg of body weight",
    "cumulative": "cumulative dose",
    "cycles": "number of cycles",
}


def dose_of(concept: str, facts: RecordedFacts) -> Derived:
    """Today's dose. A recorded one wins if no drug was started after it; over silence, while it speaks for today."""
    rule = facts.catalogue.doses[concept]
    if rule.of not in facts.catalogue.concepts:
        return None, None
    episodes = facts.episodes(rule.of)
    if not episodes and facts.readable(rule.of):
        return None, None  # silence is no dose of zero; a definition says what it means
    unread = facts.unread(rule.of) - {"Observation"}
    dose = _summed(concept, rule, episodes, facts, unread)
    if not dose.episodes and not facts.readable(rule.of):
        return _not_read(concept, rule, facts), None
    since = _unchanged_since(concept, dose, facts)
    problem = Reason.IMPRECISE if dose.high is None and dose.low == 0 else None
    if (problem and unread) or not facts.results_are_whole_from(since):
        problem = Reason.NOT_READABLE  # more drugs, or a later dose that somebody recorded as a result
    result = _as_result(concept, dose, facts.catalogue, facts.now)
    result = replace(
        result,
        source=result.inputs[0].source if result.inputs else facts.person.reference,
        problem=problem,
        formula=_formula(concept, rule) if dose.episodes else _none_current(rule, facts.catalogue),
    )
    return (_per_kg(result, facts) if rule.measure == "daily-per-kg" else result), since


def _summed(
    concept: str, rule: DoseRule, episodes: Sequence[Episode], facts: RecordedFacts, unread: frozenset[str]
) -> doses.DailyDose:
    if rule.measure == "cumulative":
        return amounts.cumulative_dose(episodes, facts.catalogue, facts.today, unread)
    if rule.measure == "cycles":
        return amounts.cycles(episodes, facts.today, unread)
    is_weekly = facts.catalogue.concepts[concept].unit == "mg/wk"
    recent = doses.RECENT_WEEKLY if is_weekly else doses.RECENT
    return doses.current_dose(episodes, facts.catalogue, facts.today, unread, recent)


def _formula(concept: str, rule: DoseRule) -> str:
    known = DERIVATIONS.get(concept)
    return known.name if known else f"{_NAMES[rule.measure]}{f' as {rule.as_}' if rule.as_ else ''}"


def _none_current(rule: DoseRule, catalogue: Catalogue) -> str:
    name = catalogue.title(rule.of).split(",")[0]
    return f"no current {name[:1].lower()}{name[1:]}"


def _as_result(concept: str, dose: doses.DailyDose, catalogue: Catalogue, taken: Moment) -> Result:
    """A dose in the unit of its concept."""
    rule, unit = catalogue.doses[concept], catalogue.concepts[concept].unit or ""
    factor = DOSE_UNITS[rule.measure][unit]
    inputs = tuple(_told(episode) for episode in dose.episodes)
    value = Interval(dose.low * factor, None if dose.high is None else dose.high * factor)
    return Result(
        concept=concept,
        source=inputs[0].source if inputs else "",
        taken=taken,
        value=value if factor == 1 else _round_off(value),
        unit=unit,
        recorded="; ".join(dict.fromkeys(i.recorded for i in inputs if i.recorded)) or "calculated",
        formula=_formula(concept, rule),
        inputs=inputs,
        note=dose.note,
    )


def _not_read(concept: str, rule: DoseRule, facts: RecordedFacts) -> Result:
    return Result(
        concept=concept,
        source=facts.person.reference,
        taken=None,
        value=None,
        unit=facts.catalogue.concepts[concept].unit or "",
        recorded="",
        problem=Reason.NOT_READABLE,
        formula=_formula(concept, rule),
        note="medications were not read completely",
    )


def _per_kg(result: Result, facts: RecordedFacts) -> Result:
    """The dose by the newest body weight of the last 180 days; it is 0 whatever the weight."""
    if result.value is None or result.value.exact == 0:
        return result
    weight = _current_weight(facts)
    if weight is None or weight.value is None or not weight.value.low or not weight.value.high:
        is_certain = facts.readable("body-weight")
        return replace(
            result,
            value=Interval(Decimal(0), None),
            problem=Reason.IMPRECISE if is_certain else Reason.NOT_READABLE,
            note="a body weight of the last 180 days is missing" if is_certain else "body weight could not be read",
        )
    value = result.value
    low = None if value.low is None else value.low / weight.value.high
    high = None if value.high is None else value.high / weight.value.low
    assert weight.taken
    is_newest = facts.results_are_whole_from(weight.taken.last_day)
    return replace(
        result,
        value=_round_off(Interval(low, high)),
        inputs=(*result.inputs, weight),
        problem=result.problem if is_newest else Reason.NOT_READABLE,
    )


def _round_off(value: Interval) -> Interval:
    """Without the dust of division: seven times a seventh of 20 mg are 20 mg."""
    ends = [None if end is None else end.quantize(Decimal("0.0001")) for end in (value.low, value.high)]
    return Interval(ends[0], ends[1])


def _current_weight(facts: RecordedFacts) -> Result | None:
    if "body-weight" not in facts.catalogue.concepts:
        return None
    for weight in facts.results("body-weight"):
        if weight.taken is None or weight.problem or weight.value is None:
            continue
        return weight if weight.taken.first_day >= facts.today - WEIGHT_SPEAKS_FOR else None
    return None


def past_doses_of(concept: str, facts: RecordedFacts) -> Iterator[Result]:
    """The dose of earlier days: a pulse that has come and gone is found there.

    They are worked out when they are asked for, so they must not hold the facts: a ring would keep the chart alive.
    """
    rule = facts.catalogue.doses[concept]
    unread = facts.unread(rule.of) - {"Observation"}
    past = doses.past_doses(facts.episodes(rule.of), facts.catalogue, facts.today, unread)
    return _as_results(concept, facts.catalogue, past, facts.day)


def _as_results(
    concept: str,
    catalogue: Catalogue,
    past: Iterable[tuple[date, doses.DailyDose]],
    moment_of: Callable[[date], Moment],
) -> Iterator[Result]:
    for day, dose in past:
        result = _as_result(concept, dose, catalogue, moment_of(day))
        yield replace(result, source=result.inputs[0].source)


def _unchanged_since(concept: str, dose: doses.DailyDose, facts: RecordedFacts) -> date:
    if not dose.episodes:
        window = current_for(facts.catalogue.concepts[concept])
        return window.before(facts.today) if window else facts.today
    return max(_applies_since(episode, facts.today) for episode in dose.episodes)


def _applies_since(episode: Episode, today: date) -> date:
    """Since when today's dose has been the dose: the begin of the step that applies, or of the course."""
    steps = [step.first for step in episode.steps if step.first and step.may_apply(today)]
    return max(steps, default=episode.start.last_day if episode.start else today)


def _told(episode: Episode) -> Result:
    """A drug entry as the input that it is: its own dose a day."""
    dose = episode.dose
    known = dose and (dose.low is not None or dose.high is not None)
    return Result(
        concept=episode.member or episode.concept,
        source=episode.source,
        taken=episode.start,
        value=Interval(dose.low, dose.high) if dose and known else None,
        unit="mg/d",
        recorded=(dose.text if dose else "") or episode.label,
        problem=None if known else Reason.MISSING,
    )

"""What a result says about a limit: the newest usable value, its window, its reference range, its distance."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import takewhile

from msgspec import Struct
from msgspec.structs import replace

from mappings.concepts.catalogue import ON_ROOM_AIR
from mappings.facts import Certainty, Interval, Polarity, Reason, Result
from mappings.patient_facts import PatientFacts
from mappings.time.times import Moment, Period, first_day_when
from mappings.time.watched_day import asked_of
from trial_defs.definition.expressions import Between, Bound, Change, Test, Value
from trial_defs.engine.findings import Basis, Margin, Open
from trial_defs.engine.logic import Answer, all_of

_A_NUMBER = re.compile(r"[<>=≤≥]*\s*\d[\d.,]*(?!\S*\+)")


def unknown(leaf: Value | Change, reason: Reason, results: Sequence[Result] = (), note: str | None = None) -> Answer:
    """An open answer with its cause and what was found."""
    found = tuple(results)
    note = note or next((r.note for r in found if r.note), None)
    return Answer(None, evidence=found, still_open=(Open(leaf, reason, None, found, note),))


def in_window(taken: Moment, window: Period | None, today: date) -> bool | None:
    """Whether that lies inside the look-back; None where a partial date straddles its edge."""
    if window is None:
        return True
    edge = window.before(today)
    if taken.first_day >= edge:
        return True
    return False if taken.last_day < edge else None


def day_after_window(taken: Moment, window: Period | None, today: date) -> date | None:
    """The first day on which that no longer surely lies inside the look-back."""
    if window is None:
        return None
    if window.unit in ("d", "wk"):
        days = window.count * (7 if window.unit == "wk" else 1)
        return date.fromordinal(min(taken.first_day.toordinal() + days + 1, date.max.toordinal()))
    last = window.after(taken.first_day)
    far = date.fromordinal(min(last.toordinal() + 40, date.max.toordinal()))
    return first_day_when(lambda day: window.before(day) > taken.first_day, today, far)


class _Check(Struct, frozen=True, gc=False):
    """One value against one test: `truth` None with a reason, or settled; the margin where the limit is a number."""

    truth: bool | None
    reason: Reason | None = None
    margin: Margin | None = None


def compare(value: Interval, bound: Bound, limit: Decimal) -> bool | None:
    """Whether every number that the value may be passes, none does, or only some do (None)."""
    above = bound.comparator in (">", ">=")
    strict = bound.comparator in (">", "<")
    near, near_open = (value.low, value.low_open) if above else (value.high, value.high_open)
    far, far_open = (value.high, value.high_open) if above else (value.low, value.low_open)

    def passes(number: Decimal, is_open: bool) -> bool:
        # An open end never reaches its number: for ">= 3" an interval (3, 5) passes, and for "> 3" too.
        distance = number - limit if above else limit - number
        return distance > 0 or (distance == 0 and (not strict or is_open))

    if near is not None and passes(near, near_open):
        return True
    if far is not None:
        distance = far - limit if above else limit - far
        if distance < 0 or (distance == 0 and (strict or far_open)):
            return False
    return None


def limit_of(bound: Bound, result: Result) -> Decimal | None:
    """The limit in the result's unit; None where it needs a reference range that the result does not have."""
    if bound.times is None:
        return bound.canonical
    if result.range is None:
        return None
    edge = result.range.high if bound.times == "ULN" else result.range.low
    return None if edge is None else edge * bound.number + bound.plus


def check(result: Result, test: Test, leaf: Value) -> _Check:
    """One result against the test."""
    if result.problem:
        return _Check(None, result.problem)
    match test:
        case Polarity():
            if result.polarity is None:
                return _Check(None, Reason.NO_REFERENCE_RANGE)
            if result.polarity is Polarity.INDETERMINATE:
                return _Check(None, Reason.IMPRECISE)
            return _Check(result.polarity is test)
        case Between():
            low, high = check(result, test.low, leaf), check(result, test.high, leaf)
            tightest = min((c.margin for c in (low, high) if c.margin), key=lambda m: m.value, default=None)
            if low.truth is False or high.truth is False:
                return _Check(False, None, tightest)
            if low.truth is None or high.truth is None:
                return _Check(None, low.reason or high.reason, tightest)
            return _Check(True, None, tightest)
        case Bound():
            return _check_bound(result, test, leaf)


def _check_bound(result: Result, bound: Bound, leaf: Value) -> _Check:
    if result.value is None:
        # A number that is beside its reference range speaks of normal or not; a limit asks for its unit.
        return _Check(None, Reason.UNIT_UNCONVERTIBLE if _A_NUMBER.match(result.recorded) else Reason.IMPRECISE)
    limit = limit_of(bound, result)
    if limit is None:
        return _Check(None, Reason.NO_REFERENCE_RANGE)
    truth = compare(result.value, bound, limit)
    margin = _margin(result, bound, limit, leaf)
    return _Check(truth, None if truth is not None else Reason.IMPRECISE, margin)


def _margin(result: Result, bound: Bound, limit: Decimal, leaf: Value) -> Margin | None:
    assert result.value is not None
    above = bound.comparator in (">", ">=")
    ends = (result.value.low, result.value.high) if above else (result.value.high, result.value.low)
    number = next((end for end in ends if end is not None), None)
    if number is None:
        return None
    distance = number - limit if above else limit - number
    tolerance = leaf.tolerance
    if tolerance is None and leaf.tolerance_percent is not None:
        tolerance = abs(limit) * leaf.tolerance_percent / 100
    # "< 100" may be 2: near is only what is near however far the record leaves it open.
    near = tolerance is not None and all(end is not None and abs(end - limit) <= tolerance for end in ends)
    percent = None if limit == 0 else rounded(distance / abs(limit) * 100)
    if bound.times or bound.number == bound.canonical or bound.canonical == 0:
        unit = result.unit if bound.times else bound.unit
        return Margin(plain(distance), unit, percent, plain(limit), near)
    # Back into the unit that the text uses; the factor is exact for powers of ten and 12 digits otherwise.
    factor = bound.number / bound.canonical
    value = +(distance * factor).quantize(Decimal("1e-9"))
    return Margin(plain(value), bound.unit, percent, bound.number, near)


def rounded(number: Decimal) -> Decimal:
    """To one decimal place, without trailing zeros."""
    return plain(number.quantize(Decimal("0.1")))


def plain(number: Decimal) -> Decimal:
    """The same number without trailing zeros and without an exponent: 1.80E+2 -> 180."""
    text = format(number, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return Decimal("0") if text in ("-0", "") else Decimal(text)


def newest(results: Iterable[Result]) -> tuple[Result, ...]:
    """The newest dated results; several where their dates overlap, so that none is surely the newer one.

    `results` come newest first, undated last, and are read no further than needed. Recorded and derived results never
    are beside each other: the one that the reader put first speaks alone.
    """
    group: list[Result] = []
    edge: datetime | None = None
    for result in results:
        if result.taken is None:
            if edge is None:
                group.append(result)
            continue
        if edge is None:
            group = []
        elif result.taken.latest < edge:
            break
        if group and result.formula:
            continue
        group.append(result)
        if result.formula:
            break
        edge = result.taken.earliest if edge is None else max(edge, result.taken.earliest)
    return tuple(r for r in group if edge is None or r.formula or (r.taken and r.taken.latest >= edge))


def answer_value(leaf: Value, facts: PatientFacts) -> Answer:
    """The meaning of `value`."""
    usable: Sequence[Result] = facts.usable_results(leaf.concept)
    if leaf.absent == "ask" and _is_over_all_time(leaf, facts):
        usable = [_open_above(result) for result in usable]
    if isinstance(leaf.test, Polarity):
        answer = _with_diagnosis(leaf, facts, _of_results(leaf, facts, usable))
    else:
        answer = _of_results(leaf, facts, usable)
    return _stable(leaf, facts, answer) if leaf.stable_for and answer.truth is not False else answer


def _is_over_all_time(leaf: Value, facts: PatientFacts) -> bool:
    rule = facts.catalogue.doses.get(leaf.concept)
    return rule is not None and rule.measure in ("cumulative", "cycles")


def _open_above(result: Result) -> Result:
    """What was given elsewhere may be missing from the chart: the amount on record is the least that it may be."""
    value = Interval(result.value.low, None) if result.value and result.formula else result.value
    return replace(result, value=value)


def _of_results(leaf: Value, facts: PatientFacts, usable: Sequence[Result]) -> Answer:
    if not usable:
        return _silent(leaf, facts)
    if leaf.pick == "any":
        return _any_result(leaf, facts, usable)
    if leaf.runs > 1:
        return _consecutive(leaf, facts, usable)
    return _one(leaf, facts, newest(usable))


def _silent(leaf: Value, facts: PatientFacts) -> Answer:
    """No usable result: the cause is what was found instead, an unreadable source, or silence."""
    found = facts.results(leaf.concept)
    pending = [r for r in found if r.problem is Reason.NOT_FINAL]
    if pending:
        return unknown(leaf, Reason.NOT_FINAL, pending[:1])
    if facts.unread(leaf.concept):
        return unknown(leaf, Reason.NOT_READABLE)
    if named := [r for r in found if r.only_named]:
        return unknown(leaf, Reason.MISSING, named[:1])
    if leaf.absent == "presume":
        return Answer(_holds_for_nothing(leaf.test), basis=Basis.PRESUMED, decided_by=(leaf,))
    return unknown(leaf, Reason.MISSING, found[:1])


def _holds_for_nothing(test: Test) -> bool:
    """What presumed absence comes to: no dose is a dose of 0, no finding is negative."""
    match test:
        case Polarity():
            return test is Polarity.NEGATIVE
        case Between():
            return _holds_for_nothing(test.low) and _holds_for_nothing(test.high)
        case Bound():
            return bool(compare(Interval.exactly(Decimal(0)), test, test.canonical))


def _window(leaf: Value) -> Period | None:
    return leaf.within or leaf.current_for


def _one(leaf: Value, facts: PatientFacts, group: Sequence[Result]) -> Answer:
    """The newest result, or several of which none is surely the newest."""
    clean = [r for r in group if not r.problem]
    if not clean:
        return unknown(leaf, group[0].problem or Reason.MISSING, group[:1])
    if not _is_newest(facts, clean):
        return unknown(leaf, Reason.NOT_READABLE, clean[:1])
    window, today = _window(leaf), facts.today
    inside = {in_window(r.taken, window, today) for r in clean if r.taken}
    if True not in inside:
        return unknown(leaf, Reason.IMPRECISE if None in inside else Reason.STALE, clean[:1])
    checks = [check(r, leaf.test, leaf) for r in clean]
    truths = {c.truth for c in checks}
    if len(truths) > 1:
        return unknown(leaf, Reason.CONFLICTING, clean)
    if truths == {None}:
        return unknown(leaf, _reason(leaf, facts, clean[0], checks[0]), clean[:1])
    if undated := _undated_otherwise(leaf, facts, clean[0], checks[0]):
        return undated
    answer = _settled(leaf, facts, clean[0], checks[0])
    pending = _pending_otherwise(leaf, facts, clean[0], checks[0])
    return replace(answer, evidence=(*answer.evidence, *pending)) if pending else answer


def _is_newest(facts: PatientFacts, group: Sequence[Result]) -> bool:
    """Whether nothing that was not read could be newer, or take its place.

    A daily dose that somebody recorded gives way to a drug that was begun later, and a saturation says nothing of
    room air where oxygen was given at the time.
    """
    concept = group[0].concept
    depends = concept == ON_ROOM_AIR or (concept in facts.catalogue.doses and not group[0].formula)
    if depends and facts.unread(concept) - {"Observation"}:
        return False
    return all(facts.is_newest(result) for result in group)


def _reason(leaf: Value, facts: PatientFacts, result: Result, verdict: _Check) -> Reason:
    """Why it is open: a sum of which the greatest is open because drugs were not read is not imprecise."""
    reason = verdict.reason or Reason.IMPRECISE
    is_sum = leaf.concept in facts.catalogue.doses and result.formula is not None
    return Reason.NOT_READABLE if is_sum and reason is Reason.IMPRECISE and facts.unread(leaf.concept) else reason


def _pending_otherwise(leaf: Value, facts: PatientFacts, settled: Result, verdict: _Check) -> tuple[Result, ...]:
    """A newer result that would answer otherwise but is not final yet: it decides nothing, and must be told."""
    for result in facts.results(leaf.concept):
        if result is settled:
            break
        if result.problem is Reason.NOT_FINAL and result.taken and settled.taken:
            newer = result.taken.earliest >= settled.taken.earliest
            if newer and check(replace(result, problem=None), leaf.test, leaf).truth is not verdict.truth:
                return (result,)
    return ()


_UNDATED = "it has no date and may be the newer one"


def _undated_otherwise(leaf: Value, facts: PatientFacts, settled: Result, verdict: _Check) -> Answer | None:
    """Open where a result without a date would answer otherwise: it may be newer than the one that has a date.

    Of a calculated value, so does an undated result of what it was calculated from.
    """
    for result in facts.undated_results(leaf.concept):
        truth = check(replace(result, problem=_but_its_date(result.problem)), leaf.test, leaf).truth
        if truth is not verdict.truth:
            reason = Reason.IMPRECISE if truth is None else Reason.CONFLICTING
            return unknown(leaf, reason, (settled, result), _UNDATED)
    if settled.formula:
        for used in settled.inputs:
            for result in facts.undated_results(used.concept):
                if result.value != used.value:
                    return unknown(leaf, Reason.IMPRECISE, (settled, result), _UNDATED)
    return None


def _but_its_date(problem: Reason | None) -> Reason | None:
    """What else is wrong with an undated result; a missing date makes it imprecise."""
    return None if problem in (Reason.IMPRECISE, Reason.CONFLICTING) else problem


def _settled(leaf: Value, facts: PatientFacts, result: Result, verdict: _Check) -> Answer:
    stale = None
    # What is worked out for the moment of reading is worked out anew at the next, and never old.
    if result.taken and not (result.formula and result.taken == facts.now):
        stale = day_after_window(result.taken, _window(leaf), facts.today)
    return Answer(
        verdict.truth,
        evidence=(result, *result.inputs),
        basis=Basis.DERIVED if result.formula else Basis.RECORDED,
        margin=verdict.margin,
        decided_by=(leaf,),
        soft=verdict.margin is not None and verdict.margin.within_tolerance,
        stale_on=stale,
    )


def _any_result(leaf: Value, facts: PatientFacts, usable: Sequence[Result]) -> Answer:
    window, today = _window(leaf), facts.today
    inside: list[Result] = []
    checks: list[tuple[Result, _Check]] = []
    for result in usable:  # newest first, and read no further than to the one that settles it
        is_inside = None if result.taken is None else in_window(result.taken, window, today)
        if is_inside is False:
            if facts.are_in_order_of_time(leaf.concept):
                break
            continue
        verdict = check(result, leaf.test, leaf)
        if verdict.truth is True and is_inside:
            turns = _passes_with_time(leaf, facts, result, inside)
            return replace(
                _settled(leaf, facts, result, verdict), soft=turns is not None, stale_on=None, turns_on=turns
            )
        inside.append(result)
        checks.append((result, verdict))
    is_whole = facts.is_whole_from(leaf.concept, window.before(today) if window else None)
    if not inside:
        return unknown(leaf, Reason.STALE if is_whole else Reason.NOT_READABLE, usable[:1])
    for result, verdict in checks:
        if verdict.truth is not False:
            return unknown(leaf, _reason(leaf, facts, result, verdict), (result,))
    if not is_whole:
        return unknown(leaf, Reason.NOT_READABLE, inside[:1])
    return _settled(leaf, facts, *checks[0])


def _passes_with_time(leaf: Value, facts: PatientFacts, found: Result, newer: Sequence[Result]) -> date | None:
    """The day on which a finding of the past leaves the look-back; None where no newer result shows that it is over."""
    if not newer or found.taken is None or leaf.within is None:
        return None
    return day_after_window(found.taken, leaf.within, facts.today)


def _consecutive(leaf: Value, facts: PatientFacts, usable: Sequence[Result]) -> Answer:
    """The newest `runs` results, each at its own time, must all pass."""
    first = _one(leaf, facts, newest(usable))
    if first.truth is not True:
        return first
    chosen: list[Result] = []
    last: Moment | None = None
    for result in usable:
        taken = result.taken
        if taken is None or (last and (taken.latest >= last.earliest or not _apart(taken, last, leaf.apart))):
            continue
        chosen.append(result)
        last = taken
        if len(chosen) == leaf.runs:
            break
    if not all(facts.is_newest(r) for r in chosen):
        return unknown(leaf, Reason.NOT_READABLE, chosen)  # one that is missing may stand between them
    checks = [check(r, leaf.test, leaf) for r in chosen]
    if any(c.truth is False for c in checks):
        failed = next((r, c) for r, c in zip(chosen, checks, strict=True) if c.truth is False)
        # The one that misses comes first: the margin is its own.
        return replace(_settled(leaf, facts, *failed), evidence=(failed[0], *(r for r in chosen if r is not failed[0])))
    if any(c.truth is None for c in checks):
        return unknown(leaf, next(c.reason for c in checks if c.reason) or Reason.IMPRECISE, chosen)
    if len(chosen) < leaf.runs:
        reason = Reason.NOT_READABLE if facts.unread(leaf.concept) else Reason.MISSING
        return unknown(leaf, reason, chosen, f"{len(chosen)} of {leaf.runs} consecutive results")
    return replace(first, evidence=tuple(chosen))


def _apart(earlier: Moment, later: Moment, apart: Period | None) -> bool:
    return apart is None or apart.after(earlier.last_day) <= later.first_day


def _stable(leaf: Value, facts: PatientFacts, answer: Answer) -> Answer:
    """The dose passes, and has not changed for that long."""
    assert leaf.stable_for
    changed = facts.dose_changed_since(leaf.concept, leaf.stable_for.before(facts.today))
    if changed is None:
        note = "not every dose of that time is on record"
        reason = Reason.NOT_READABLE if facts.unread(leaf.concept) else Reason.IMPRECISE
        return all_of([answer, unknown(leaf, reason, facts.results(leaf.concept)[:1], note)])
    if not changed:
        return answer
    period, far = leaf.stable_for, leaf.stable_for.after(facts.today) + timedelta(days=3)
    steady = first_day_when(lambda day: _is_steady(leaf, facts, period.before(day)), facts.today, far)
    basis = answer.basis or Basis.DERIVED
    return Answer(False, answer.evidence, basis, decided_by=(leaf,), soft=steady is not None, turns_on=steady)


def _is_steady(leaf: Value, facts: PatientFacts, since: date) -> bool:
    return facts.dose_changed_since(leaf.concept, since) is False


def _with_diagnosis(leaf: Value, facts: PatientFacts, answer: Answer) -> Answer:
    """A diagnosis on record (HIV infection) says positive where no current result speaks, and may contradict one."""
    present = [e for e in facts.episodes(leaf.concept) if e.ongoing is not False]
    confirmed = tuple(e for e in present if e.certainty is Certainty.CONFIRMED)
    says = leaf.test is Polarity.POSITIVE
    if answer.truth is says:
        return answer
    if not present:
        # A diagnosis that was not read may contradict the result.
        unread = answer.truth is not None and facts.unread(leaf.concept) - {"Observation"}
        return unknown(leaf, Reason.NOT_READABLE, facts.results(leaf.concept)[:1]) if unread else answer
    if not confirmed:
        if answer.truth is not None:
            return answer
        asked = Open(leaf, None, f"Confirm: {present[0].certainty} entry", tuple(present))
        return Answer(None, evidence=tuple(present), still_open=(asked,))
    if answer.truth is not None:
        evidence = (*answer.evidence, *confirmed)
        return Answer(None, evidence=evidence, still_open=(Open(leaf, Reason.CONFLICTING, None, evidence),))
    return Answer(says, evidence=confirmed, basis=Basis.RECORDED, decided_by=(leaf,))


def answer_change(leaf: Change, facts: PatientFacts) -> Answer:
    """The meaning of `change`: the newest result against every earlier one inside the period.

    One earlier result that shows the change settles it. "No change" is only said when an earlier result lies at least
    half of the period back; two results a week apart do not speak for six months.
    """
    latest = next(iter(facts.usable_results(leaf.concept)), None)
    if latest and latest.taken and not _is_exact(latest):
        return unknown(leaf, latest.problem or Reason.IMPRECISE, (latest,))
    usable = facts.results(leaf.concept).where(_is_exact)
    if not usable:
        as_value = Value(leaf.concept, leaf.test, current_for=leaf.current_for)
        found = _silent(as_value, facts)
        return replace(found, still_open=tuple(replace(o, leaf=leaf) for o in found.still_open))
    last = usable[0]
    if undated := facts.undated_results(leaf.concept):
        return unknown(leaf, Reason.IMPRECISE, (last, undated[0]), _UNDATED)
    if not facts.is_newest(last):
        return unknown(leaf, Reason.NOT_READABLE, (last,))
    if last.taken is None or in_window(last.taken, leaf.current_for, facts.today) is not True:
        return unknown(leaf, Reason.STALE if last.taken else Reason.IMPRECISE, (last,))
    edge = leaf.over.before(facts.today)
    inside = takewhile(lambda r: r.taken is not None and r.taken.last_day >= edge, usable)
    earlier = [r for r in inside if r.taken and edge <= r.taken.first_day and r.taken.latest < last.taken.earliest]
    half_of_it = asked_of(facts.today, lambda day: (day - leaf.over.before(day)).days // 2, for_good=False)
    half = last.taken.first_day.toordinal() - half_of_it
    for base in earlier:
        amount = _difference(leaf, last, base)
        if amount is not None and compare(Interval.exactly(amount), leaf.test, leaf.test.canonical):
            return _changed(leaf, True, last, base, amount)
    if not facts.is_whole_from(leaf.concept, edge):
        return unknown(leaf, Reason.NOT_READABLE, (last, *earlier[:1]))
    spoken = [r for r in earlier if r.taken and r.taken.last_day.toordinal() <= half]
    if spoken and (amount := _difference(leaf, last, spoken[-1])) is not None:
        return _changed(leaf, False, last, spoken[-1], amount)
    return unknown(leaf, Reason.MISSING, (last, *earlier[:1]), f"an earlier result within {leaf.over} is needed")


def _is_exact(result: Result) -> bool:
    return not result.problem and result.value is not None and result.value.exact is not None


def _difference(leaf: Change, last: Result, base: Result) -> Decimal | None:
    assert last.value
    assert base.value
    assert last.value.exact is not None
    assert base.value.exact is not None
    amount = last.value.exact - base.value.exact
    if not leaf.relative:
        return amount
    return None if base.value.exact == 0 else amount / abs(base.value.exact) * 100


def _changed(leaf: Change, truth: bool, last: Result, base: Result, amount: Decimal) -> Answer:
    bound = leaf.test
    distance = amount - bound.canonical if bound.comparator in (">", ">=") else bound.canonical - amount
    percent = None if bound.canonical == 0 else rounded(distance / abs(bound.canonical) * 100)
    margin = Margin(rounded(distance), bound.unit, percent, bound.number)
    return Answer(truth, evidence=(last, base), basis=Basis.DERIVED, margin=margin, decided_by=(leaf,))

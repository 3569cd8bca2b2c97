"""What diagnoses, drugs and procedures say: presence, onset, length, washout, and what silence means.

An open-world reading: a record can settle that something was there; only where the definition allows it does the lack
of a record settle that it was not, and never where a source could not be read completely.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta

from msgspec import Struct
from msgspec.structs import replace

from mappings.facts import Certainty, Episode, Polarity, Reason
from mappings.patient_facts import PatientFacts
from mappings.time.times import Moment, Period, first_day_when
from mappings.time.watched_day import asked_of
from trial_defs.definition.expressions import Anchor, Condition, Treatment
from trial_defs.engine.anchors import Event, Events, began_in, events_of, lies_in
from trial_defs.engine.findings import Basis, Evidence, Open
from trial_defs.engine.logic import Answer
from trial_defs.engine.values import day_after_window, in_window, newest


class _Seen(Struct, frozen=True, gc=False):
    """What one episode says: it fits, it does not, or its dates leave that open (None). `turns_on` as in Answer."""

    truth: bool | None
    turns_on: date | None = None
    note: str | None = None


_YES = _Seen(True)
_NO = _Seen(False)


def present_within(episode: Episode, period: Period, today: date) -> _Seen:
    """Whether the episode, from start to end, reaches into the look-back."""
    edge = period.before(today)
    if episode.contradiction and not (episode.start and episode.start.first_day >= edge):
        return _Seen(None, None, episode.contradiction)
    if episode.was_over and episode.recorded and episode.recorded.last_day < edge:
        return _NO
    if episode.end:
        inside = in_window(episode.end, period, today)
        if inside is None and episode.start and episode.start.first_day >= edge:
            inside = True
        return _Seen(inside, day_after_window(episode.end, period, today) if inside else None, "end date is partial")
    if episode.ongoing and not episode.is_old_order:
        return _YES
    if episode.start and episode.start.first_day >= edge:
        # Over, and begun inside: it ended inside as well.
        return _Seen(True)
    if episode.start is None and episode.recorded and episode.recorded.last_day < edge and episode.ongoing is False:
        return _Seen(None, None, "neither start nor end is recorded")
    return _Seen(None, None, "end date is not recorded")


def _began_within(episode: Episode, period: Period, today: date) -> _Seen:
    if episode.start:
        inside = in_window(episode.start, period, today)
        return _Seen(
            inside, day_after_window(episode.start, period, today) if inside else None, "onset date is partial"
        )
    if episode.recorded and in_window(episode.recorded, period, today) is False:
        return _NO  # written down before the window, so it began before it
    return _Seen(None, None, episode.contradiction or "onset is not recorded")


def _lasting(episode: Episode, period: Period, today: date) -> _Seen:
    if episode.start is None:
        if episode.recorded and period.after(episode.recorded.last_day) <= today and not episode.contradiction:
            return _YES  # on record that long, so it began at least that long ago
        return _Seen(None, None, episode.contradiction or "onset is not recorded")
    if period.after(episode.start.last_day) <= today:
        return _YES
    if period.after(episode.start.first_day) > today:
        return _Seen(False, _first_day_lasting(episode.start, period, today))
    return _Seen(None, None, "onset date is partial")


def _first_day_lasting(start: Moment, period: Period, today: date) -> date | None:
    """The first day on which that length may have been reached."""
    far = period.after(start.first_day) + timedelta(days=3)
    return first_day_when(lambda day: period.after(start.first_day) <= day, today, far)


def _both(one: _Seen, other: _Seen) -> _Seen:
    """Kleene's and; a false that time turns gives way to one that it does not."""
    parts = (one, other)
    false = [p for p in parts if p.truth is False]
    if false:
        days = [p.turns_on for p in false]
        return _Seen(False, None if None in days else max(d for d in days if d))
    unclear = [p for p in parts if p.truth is None]
    if unclear:
        return unclear[0]
    return _Seen(True, min((p.turns_on for p in parts if p.turns_on), default=None))


def _fits(leaf: Condition, episode: Episode, today: date, events: Sequence[Event] = ()) -> _Seen:
    seen = _YES
    if leaf.when == "active" and episode.ongoing is False:
        return _NO
    if leaf.when == "active" and episode.ongoing is None:
        seen = _Seen(None, None, episode.contradiction or "whether it goes on is not recorded")
    if leaf.within:
        seen = _both(seen, present_within(episode, leaf.within, today))
    if leaf.began_within and leaf.anchor:
        near = [began_in(episode, leaf.began_within, leaf.anchor.side, event, today) for event in events]
        truth = True if True in near else None if None in near else False
        seen = _both(seen, _Seen(truth, None, "one of the two dates is not exact enough"))
    elif leaf.began_within:
        seen = _both(seen, _began_within(episode, leaf.began_within, today))
    if leaf.lasting:
        seen = _both(seen, _lasting(episode, leaf.lasting, today))
    return seen


def answer_condition(leaf: Condition, facts: PatientFacts) -> Answer:
    """The meaning of `condition`."""
    excepted = {e.source for name in leaf.excepting for e in facts.episodes(name)}
    episodes = [e for e in facts.episodes(leaf.concept) if e.source not in excepted]
    events: Events = events_of(leaf.anchor, facts) if leaf.anchor and episodes else ()
    if isinstance(events, Reason):
        return _open(leaf, events, episodes, "the onset that it is counted from is not on record")
    seen = [(episode, _fits(leaf, episode, facts.today, events)) for episode in episodes]
    fitting = [(e, s) for e, s in seen if s.truth is True and e.certainty is Certainty.CONFIRMED]
    if fitting:
        turns = [s.turns_on for _, s in fitting]
        turns_on = None if None in turns else max(d for d in turns if d)
        return _recorded(leaf, True, [e for e, _ in fitting], turns_on)
    stated = _stated(leaf, facts)
    if stated and stated.truth is not False:
        return stated
    unclear = [(e, s) for e, s in seen if s.truth is None and e.certainty is Certainty.CONFIRMED]
    if unclear:
        return _unclear(leaf, [e for e, _ in unclear], unclear[0][1].note)
    uncertain = [e for e, s in seen if s.truth is not False and e.certainty is not Certainty.CONFIRMED]
    if uncertain:
        return _to_confirm(leaf, uncertain)
    if stated:
        # A diagnosis that was not read would speak before the denial.
        unread = facts.unread(leaf.concept) - {"Observation"}
        return _open(leaf, Reason.NOT_READABLE, stated.evidence, None) if unread else stated
    return _absent_condition(leaf, facts, seen)


def _absent_condition(leaf: Condition, facts: PatientFacts, seen: Sequence[tuple[Episode, _Seen]]) -> Answer:
    """Nothing fits. A disease that is there but too young is a clear no; otherwise silence is asked what it means."""
    too_young = [(e, s) for e, s in seen if s.turns_on or (s.truth is False and e.ongoing)]
    if too_young and (leaf.lasting or leaf.began_within) and facts.readable(leaf.concept):
        days = [s.turns_on for _, s in too_young if s.turns_on]
        return _recorded(leaf, False, [e for e, _ in too_young], min(days, default=None))
    return _silence(leaf, facts, (leaf.concept,), leaf.absent, [e for e, _ in seen])


def _stated(leaf: Condition, facts: PatientFacts) -> Answer | None:
    """An observation that states presence or absence ("pregnancy status: not pregnant"), while it is current."""
    if leaf.when == "ever" or leaf.began_within or leaf.lasting:
        return None
    group = newest(facts.usable_results(leaf.concept))
    current = [r for r in group if not r.taken or in_window(r.taken, leaf.current_for, facts.today) is not False]
    if not current:
        return None
    if problems := [r for r in current if r.problem]:
        return _open(leaf, problems[0].problem or Reason.IMPRECISE, problems[:1], problems[0].note)
    if not all(r.taken and in_window(r.taken, leaf.current_for, facts.today) for r in current):
        return _open(leaf, Reason.IMPRECISE, current, None)
    said = {r.polarity for r in current}
    if not all(facts.is_newest(r) for r in current):
        return _open(leaf, Reason.NOT_READABLE, current, None)
    if len(said) > 1:
        return _open(leaf, Reason.CONFLICTING, current, None)
    if said == {Polarity.INDETERMINATE}:
        return _open(leaf, Reason.IMPRECISE, current, None)
    # One without a date may be newer, and say the opposite.
    if otherwise := [r for r in facts.undated_results(leaf.concept) if r not in current and r.polarity not in said]:
        return _open(leaf, Reason.CONFLICTING, (*current[:1], otherwise[0]), None)
    return _recorded(leaf, said == {Polarity.POSITIVE}, current[:1], None)


def _recorded(leaf: Condition | Treatment, truth: bool, evidence: Sequence[Evidence], turns_on: date | None) -> Answer:
    return Answer(
        truth,
        evidence=tuple(evidence),
        basis=Basis.RECORDED,
        decided_by=(leaf,),
        soft=turns_on is not None,
        turns_on=turns_on,
    )


def _open(leaf: Condition | Treatment, reason: Reason, evidence: Sequence[Evidence], note: str | None) -> Answer:
    found = tuple(evidence)
    return Answer(None, evidence=found, still_open=(Open(leaf, reason, None, found, note),))


def _unclear(leaf: Condition | Treatment, episodes: Sequence[Episode], note: str | None) -> Answer:
    """The dates of the records leave it open, or contradict each other."""
    contradicts = any(episode.contradiction and episode.contradiction == note for episode in episodes)
    return _open(leaf, Reason.CONFLICTING if contradicts else Reason.IMPRECISE, episodes, note)


def _to_confirm(leaf: Condition | Treatment, episodes: Sequence[Episode]) -> Answer:
    """Provisional, named only in text, or quiet: a person is asked."""
    found = tuple(episodes)
    return Answer(None, evidence=found, still_open=(Open(leaf, None, _TO_CONFIRM[found[0].certainty], found),))


_TO_CONFIRM: Mapping[Certainty, str] = {
    Certainty.PROVISIONAL: "Confirm the provisional entry",
    Certainty.PLANNED: "Say whether the planned drug was taken",
    Certainty.TEXT_ONLY: "Confirm the uncoded entry",
    Certainty.IN_REMISSION: "Say whether it counts while it is in remission",
}


def _silence(
    leaf: Condition | Treatment,
    facts: PatientFacts,
    concepts: Iterable[str],
    absent: str,
    others: Sequence[Episode],
    note: str | None = None,
) -> Answer:
    """No record fits: unreadable, presumed absent where the definition allows it, or missing."""
    if not all(facts.readable(concept) for concept in concepts):
        return _open(leaf, Reason.NOT_READABLE, others, None)
    if absent == "presume":
        if others:
            return _recorded(leaf, False, others, None)
        return Answer(False, basis=Basis.PRESUMED, decided_by=(leaf,))
    return _open(leaf, Reason.MISSING, others, note)


def answer_treatment(leaf: Treatment, facts: PatientFacts) -> Answer:
    """The meaning of `treatment`. Records too short or too few never say no: earlier treatment may be elsewhere."""
    episodes = list(dict.fromkeys(e for concept in leaf.concepts for e in facts.episodes(concept)))
    if leaf.anchor and episodes:
        return _answer_anchored(leaf, leaf.anchor, facts, episodes)
    confirmed = [e for e in episodes if e.certainty is Certainty.CONFIRMED]
    by_member: dict[str, list[Episode]] = {}
    for episode in confirmed:
        by_member.setdefault(episode.member or episode.concept, []).append(episode)
    seen = {member: _exposed(leaf, entries, facts.today) for member, entries in by_member.items()}
    true = [member for member, s in seen.items() if s.truth is True]
    if len(true) >= leaf.different:
        days = [None if _goes_on(by_member[member], facts.today) else seen[member].turns_on for member in true]
        turns_on = None if None in days else max(d for d in days if d)
        return _recorded(leaf, True, [e for member in true for e in by_member[member]], turns_on)
    unclear = [member for member, s in seen.items() if s.truth is None]
    if len(true) + len(unclear) >= leaf.different and unclear:
        found = [e for member in (*true, *unclear) for e in by_member[member]]
        return _unclear(leaf, found, seen[unclear[0]].note)
    uncertain = [e for e in episodes if e.certainty is not Certainty.CONFIRMED and _may_count(leaf, e, facts.today)]
    if uncertain:
        return _to_confirm(leaf, uncertain)
    note = f"{len(true)} of {leaf.different} on record" if leaf.different > 1 else None
    return _silence(leaf, facts, leaf.concepts, leaf.absent, episodes, note)


def _answer_anchored(leaf: Treatment, anchor: Anchor, facts: PatientFacts, episodes: Sequence[Episode]) -> Answer:
    """Whether any of them lies in the window of an event: of each result in use, where there are several.

    A result that was taken too soon after a treatment is no fault of the patient: a new one settles it, so what is
    found counts as a near miss. Where none is in use, one would be taken today, and time alone turns the answer.
    """
    events = events_of(anchor, facts)
    if isinstance(events, Reason):
        note = None if events is Reason.NOT_READABLE else "the date that it is counted from is not on record"
        return _open(leaf, events, episodes, note)
    seen = [(e, event, _seen_from(leaf, anchor, e, event, facts.today)) for e in episodes for event in events]
    sure = [(e, event, s) for e, event, s in seen if s.truth is True and e.certainty is Certainty.CONFIRMED]
    if sure:
        found = tuple(dict.fromkeys(e for e, _, _ in sure))
        results = tuple(dict.fromkeys(event.result for _, event, _ in sure if event.result))
        days = [s.turns_on for _, _, s in sure]
        turns_on = None if None in days or _goes_on(found, facts.today) else max(d for d in days if d)
        soft = turns_on is not None or (bool(results) and not _goes_on(found, facts.today))
        return replace(_recorded(leaf, True, (*found, *results), turns_on), soft=soft)
    unclear = [(e, event, s) for e, event, s in seen if s.truth is None and e.certainty is Certainty.CONFIRMED]
    if unclear:
        results = tuple(event.result for _, event, _ in unclear[:1] if event.result)
        return _open(leaf, Reason.IMPRECISE, (unclear[0][0], *results), unclear[0][2].note)
    uncertain = [e for e, _, s in seen if s.truth is not False and e.certainty is not Certainty.CONFIRMED]
    if uncertain:
        return _to_confirm(leaf, uncertain)
    return _silence(leaf, facts, leaf.concepts, leaf.absent, episodes)


def _seen_from(leaf: Treatment, anchor: Anchor, episode: Episode, event: Event, today: date) -> _Seen:
    assert leaf.within
    if event.is_today:
        return present_within(episode, leaf.within, today)
    truth = lies_in(episode, leaf.within, anchor.side, event, today)
    return _Seen(truth, None, "which of the two came first is not recorded to the hour" if truth is None else None)


_SESSIONS = 3  # from which something that was done again and again has a rhythm
_KINDS_OF_SESSIONS = ("procedure", "drug")
_LATE = 2  # times the longest pause between them: no session for so long, and it may be over


def _goes_on(entries: Sequence[Episode], today: date) -> bool:
    """Whether single sessions recur (dialysis, plasma exchange, infusions) and the next one is not overdue.

    What recurs and continues does not pass with time: waiting for the window to end helps nobody. The last sessions
    show the rhythm; two of them, as of a course of rituximab, show none.
    """
    days = sorted({e.start.first_day for e in entries if e.kind in _KINDS_OF_SESSIONS and e.start and e.end})
    last = days[-_SESSIONS:]
    if len(last) < _SESSIONS:
        return False
    pause = max(later - earlier for earlier, later in itertools.pairwise(last))
    return today - last[-1] <= _LATE * pause


def _may_count(leaf: Treatment, episode: Episode, today: date) -> bool:
    """Whether it would count, or might, if a person confirmed it: not where its dates lie outside the look-back."""
    return leaf.lasting is not None or leaf.different > 1 or _in_time(leaf, episode, today).truth is not False


def _exposed(leaf: Treatment, entries: Sequence[Episode], today: date) -> _Seen:
    """What all entries of one ingredient say together."""
    seen = [_in_time(leaf, entry, today) for entry in entries]
    if leaf.lasting:
        fitting = [e for e, s in zip(entries, seen, strict=True) if s.truth is not False]
        length = _length(fitting, leaf.lasting, today)
        return length if all(s.truth is True for s in seen) or length.truth is False else _both(length, _any(seen))
    return _any(seen)


def _any(seen: Sequence[_Seen]) -> _Seen:
    true = [s for s in seen if s.truth is True]
    if true:
        days = [s.turns_on for s in true]
        return _Seen(True, None if None in days else max(d for d in days if d))
    return next((s for s in seen if s.truth is None), _NO)


def _in_time(leaf: Treatment, episode: Episode, today: date) -> _Seen:
    if leaf.when == "ever":
        return _YES
    if leaf.when == "current":
        goes_on = None if episode.is_old_order else episode.ongoing
        return _Seen(goes_on, None, episode.contradiction or "whether it goes on is not recorded")
    assert leaf.within
    return present_within(episode, leaf.within, today)


def _length(entries: Sequence[Episode], lasting: Period, today: date) -> _Seen:
    """Whether the exposure, overlaps counted once and gaps left out, reaches that length."""
    return asked_of(today, lambda day: _length_on(day, entries, lasting))


def _length_on(today: date, entries: Sequence[Episode], lasting: Period) -> _Seen:
    sure = _days([span for e in entries if (span := _span(e, today, sure=True))])
    possible = [span for e in entries if (span := _span(e, today, sure=False))]
    starts = [e.start.first_day for e in entries if e.start]
    if not starts:
        return _Seen(None, None, "start is not recorded")
    needed = (lasting.after(min(starts)) - min(starts)).days
    if sure >= needed:
        return _YES
    if _days(possible) >= needed or len(starts) < len(entries):
        return _Seen(None, None, "its length is not recorded")
    return _NO


def _span(episode: Episode, today: date, *, sure: bool) -> tuple[date, date] | None:
    """First and last day of exposure: the shortest that the record says for certain, or the longest it leaves open."""
    if episode.start is None:
        return None
    begin = episode.start.last_day if sure else episode.start.first_day
    if episode.end:
        last = episode.end.first_day if sure else episode.end.last_day
    elif episode.ongoing:
        last = today
    else:
        last = begin if sure else today
    return (begin, min(last, today)) if begin <= min(last, today) else None


def _days(spans: Iterable[tuple[date, date]]) -> int:
    total, reach = 0, date.min
    for begin, last in sorted(spans):
        if last <= reach:
            continue
        total += (last - max(begin, reach)).days
        reach = last
    return total

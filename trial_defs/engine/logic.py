"""Three-valued logic that carries its evidence: what an expression came to, on what, and what would turn it.

Kleene's strong logic: one false part settles an `all`, one true part an `any`; otherwise anything unknown leaves it
open. `any` is `all` seen from the other side, so that there is one rule for evidence, basis and margin, not two.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from itertools import chain

from msgspec import Struct
from msgspec.structs import replace

from trial_defs.definition.expressions import Expression
from trial_defs.engine.findings import Basis, Evidence, Margin, Open


class Answer(Struct, frozen=True, gc=False):
    """`truth` True, False or None (open). A settled answer has a basis; an open one says what is open.

    The same piece of evidence may be in it twice, where two parts rest on it.
    `soft`: a settled truth that tolerance or time may turn; `turns_on`: the day on which time alone turns it.
    `stale_on`: the day on which its evidence stops speaking for today.
    """

    truth: bool | None
    evidence: tuple[Evidence, ...] = ()
    basis: Basis | None = None
    margin: Margin | None = None  # positive: true with room; negative: that far from being true
    still_open: tuple[Open, ...] = ()
    decided_by: tuple[Expression, ...] = ()
    soft: bool = False
    turns_on: date | None = None
    stale_on: date | None = None
    beside: tuple[Answer, ...] = ()  # of an open one: the settled parts of the same combination


_WEAKNESS = {Basis.RECORDED: 0, Basis.DERIVED: 1, Basis.ATTESTED: 2, Basis.PRESUMED: 3}


def negate(answer: Answer) -> Answer:
    """The opposite truth on the same evidence; room left becomes distance missed."""
    if answer.truth is None:
        return replace(answer, beside=tuple(map(negate, answer.beside))) if answer.beside else answer
    margin = answer.margin
    if margin:
        percent = -margin.percent if margin.percent is not None else None
        margin = Margin(-margin.value, margin.unit, percent, margin.limit, margin.within_tolerance)
    return Answer(
        not answer.truth,
        answer.evidence,
        answer.basis,
        margin,
        answer.still_open,
        answer.decided_by,
        answer.soft,
        answer.turns_on,
        answer.stale_on,
    )


def all_of(answers: Sequence[Answer]) -> Answer:
    """True when every part is; false when one is; else open."""
    false = [a for a in answers if a.truth is False]
    if false:
        return _all_false(_firm(false))
    unknown = [a for a in answers if a.truth is None]
    if unknown:
        return _open(unknown, [a for a in answers if a.truth is True])
    return _all_true(answers)


def any_of(answers: Sequence[Answer]) -> Answer:
    """True when one part is; false when every part is; else open."""
    return negate(all_of([negate(a) for a in answers]))


def at_least(count: int, answers: Sequence[Answer]) -> Answer:
    """True when `count` parts are true; false when too few can still become true; else open."""
    true = [a for a in answers if a.truth is True]
    false = [a for a in answers if a.truth is False]
    if len(true) >= count:
        return replace(_all_true(true), soft=False, turns_on=None)
    if len(answers) - len(false) < count:
        needed = count - (len(answers) - len(false))
        turning = sorted(a.turns_on for a in false if a.turns_on)
        return replace(
            _all_false(false),
            soft=sum(a.soft for a in false) >= needed,
            turns_on=turning[needed - 1] if len(turning) >= needed else None,
        )
    return _open([a for a in answers if a.truth is None], false)


def _firm(answers: Sequence[Answer]) -> Sequence[Answer]:
    """What the record decides speaks before what silence was taken to mean."""
    return [a for a in answers if a.basis is not Basis.PRESUMED] or answers


def _all_false(answers: Sequence[Answer]) -> Answer:
    days = [a.turns_on for a in answers]
    return Answer(
        False,
        evidence=_all_evidence(answers),
        basis=_weakest(answers),
        margin=_tightest(answers),
        decided_by=_deciders(answers),
        soft=all(a.soft for a in answers),
        turns_on=None if None in days else max((day for day in days if day), default=None),
        stale_on=_earliest([a.stale_on for a in answers]),
    )


def _all_true(answers: Sequence[Answer]) -> Answer:
    return Answer(
        True,
        evidence=_all_evidence(answers),
        basis=_weakest(answers),
        margin=_tightest(answers),
        decided_by=_deciders(answers),
        soft=any(a.soft for a in answers),
        turns_on=_earliest([a.turns_on for a in answers]),
        stale_on=_earliest([a.stale_on for a in answers]),
    )


def _open(answers: Sequence[Answer], settled: Sequence[Answer]) -> Answer:
    beside = (*settled, *chain.from_iterable(a.beside for a in answers))
    if len(answers) == 1:
        return Answer(None, answers[0].evidence, still_open=answers[0].still_open, beside=beside)
    pieces = tuple(dict.fromkeys(piece for a in answers for piece in a.still_open))
    return Answer(None, _all_evidence(answers), still_open=pieces, beside=beside)


def _all_evidence(answers: Sequence[Answer]) -> tuple[Evidence, ...]:
    return tuple(chain.from_iterable(a.evidence for a in answers))


def _deciders(answers: Sequence[Answer]) -> tuple[Expression, ...]:
    return tuple(leaf for a in answers for leaf in a.decided_by)


def _weakest(answers: Sequence[Answer]) -> Basis | None:
    return max((a.basis for a in answers if a.basis), key=_WEAKNESS.__getitem__, default=None)


def _tightest(answers: Sequence[Answer]) -> Margin | None:
    margins = [a.margin for a in answers if a.margin]
    return min(margins, key=lambda m: m.value if m.percent is None else m.percent, default=None)


def _earliest(days: Sequence[date | None]) -> date | None:
    return min((day for day in days if day), default=None)

"""Three-valued logic: its whole truth table, and which evidence, margin and basis an answer carries."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappings.facts import Reason
from trial_defs.definition.expressions import Consent
from trial_defs.engine.findings import Basis, Margin, Open
from trial_defs.engine.logic import Answer, all_of, any_of, at_least, negate

LEAF = Consent("a step")
TRUE = Answer(True, basis=Basis.RECORDED)
FALSE = Answer(False, basis=Basis.RECORDED)
UNKNOWN = Answer(None, still_open=(Open(LEAF, Reason.MISSING),))
BY_TRUTH = {True: TRUE, False: FALSE, None: UNKNOWN}


@pytest.mark.parametrize(("one", "other"), list(product((True, False, None), repeat=2)))
def test_all_and_any_are_kleenes(one: bool | None, other: bool | None) -> None:
    parts = [BY_TRUTH[one], BY_TRUTH[other]]
    both = False if False in (one, other) else None if None in (one, other) else True
    either = True if True in (one, other) else None if None in (one, other) else False
    assert all_of(parts).truth is both
    assert any_of(parts).truth is either


@given(st.lists(st.sampled_from([True, False, None]), min_size=1, max_size=6), st.integers(1, 6))
def test_at_least_n_counts_what_is_and_what_may_still_be(truths: list[bool | None], count: int) -> None:
    found = at_least(count, [BY_TRUTH[t] for t in truths]).truth
    if truths.count(True) >= count:
        assert found is True
    elif len(truths) - truths.count(False) < count:
        assert found is False
    else:
        assert found is None


@given(st.lists(st.sampled_from([True, False, None]), min_size=1, max_size=6), st.integers(0, 5))
def test_learning_more_never_flips_a_settled_answer(truths: list[bool | None], which: int) -> None:
    before = [all_of, any_of]
    for combine in before:
        settled = combine([BY_TRUTH[t] for t in truths]).truth
        if settled is None:
            continue
        index = which % len(truths)
        if truths[index] is None:
            for learned in (True, False):
                more = [*truths[:index], learned, *truths[index + 1 :]]
                assert combine([BY_TRUTH[t] for t in more]).truth is settled


def test_an_open_answer_says_every_piece_that_is_open() -> None:
    judgement = Answer(None, still_open=(Open(LEAF, None, "Fit?"),))
    assert [piece.reason for piece in all_of([TRUE, UNKNOWN, judgement]).still_open] == [Reason.MISSING, None]


def test_one_true_branch_of_any_clears_the_missing_ones() -> None:
    assert any_of([UNKNOWN, TRUE]).still_open == ()


def _margin(value: int) -> Margin:
    return Margin(Decimal(value), "U/L", Decimal(value), Decimal(100))


def test_all_shows_the_tightest_margin_and_any_the_widest() -> None:
    tight, wide = (Answer(True, margin=_margin(n), basis=Basis.RECORDED) for n in (5, 50))
    assert all_of([wide, tight]).margin == _margin(5)
    assert any_of([wide, tight]).margin == _margin(50)


def test_turning_an_answer_turns_its_margin() -> None:
    turned = negate(Answer(True, margin=_margin(5), basis=Basis.RECORDED))
    assert turned.truth is False
    assert turned.margin is not None
    assert turned.margin.value == -5


def test_what_is_on_record_speaks_before_what_silence_was_taken_to_mean() -> None:
    presumed = Answer(False, basis=Basis.PRESUMED)
    assert all_of([presumed, FALSE]).basis is Basis.RECORDED
    assert all_of([presumed, TRUE]).basis is Basis.PRESUMED


def test_a_conjunction_rests_on_its_weakest_part() -> None:
    assert all_of([TRUE, Answer(True, basis=Basis.DERIVED)]).basis is Basis.DERIVED


def test_time_turns_a_failed_all_only_when_it_turns_every_failed_part() -> None:
    one = Answer(False, basis=Basis.RECORDED, soft=True, turns_on=date(2026, 12, 1))
    other = Answer(False, basis=Basis.RECORDED, soft=True, turns_on=date(2027, 1, 1))
    assert all_of([one, other]).turns_on == date(2027, 1, 1)
    assert all_of([one, FALSE]).turns_on is None
    assert any_of([one, other]).turns_on == date(2026, 12, 1)
    assert not all_of([one, FALSE]).soft

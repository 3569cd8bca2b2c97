"""When a card that was set aside would say something new."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import pytest

from cds_hooks.cards.dismissals import is_of_version, says_the_same, version_of, what_it_said
from mappings.concepts.catalogue import Catalogue
from mappings.facts import Reason
from tests.cds_hooks.matches import Findings, a_cohort, a_trial, missed, unknown
from trial_defs.definition import expressions as x
from trial_defs.engine.findings import TrialMatch, Verdict

LIKELY, POSSIBLY, NEAR = Verdict.LIKELY_ELIGIBLE, Verdict.POSSIBLY_ELIGIBLE, Verdict.NEAR_MISS
OUT, UNREAD, ELSEWHERE = Verdict.NOT_ELIGIBLE, Verdict.COULD_NOT_EVALUATE, Verdict.NOT_INDICATED
missing, stale, unread = (partial(unknown, reason=r) for r in (Reason.MISSING, Reason.STALE, Reason.NOT_READABLE))

Make = Callable[[Verdict, Findings], TrialMatch]


def said(match: TrialMatch) -> str:
    return what_it_said(match, "sha256:c0ffee")


@pytest.fixture
def sle(trials: Mapping[str, x.Trial], catalogue: Catalogue) -> Make:
    trial = trials["NCT06711146"]
    return lambda verdict, but: a_trial(trial, a_cohort(trial.cohorts[0], catalogue, verdict, but))


@pytest.fixture
def names(trials: Mapping[str, x.Trial]) -> tuple[str, str]:
    """Two criteria with a numeric limit."""
    numeric = [c.id for c in trials["NCT06711146"].cohorts[0].criteria if isinstance(c.asks, x.Value)]
    return numeric[0], numeric[1]


def test_the_same_match_says_the_same(sle: Make, names: tuple[str, str]) -> None:
    match = sle(POSSIBLY, {names[0]: missing})
    assert says_the_same(said(match), match)


def test_another_open_criterion_or_one_less_is_news(sle: Make, names: tuple[str, str]) -> None:
    one, both = sle(POSSIBLY, {names[0]: missing}), sle(POSSIBLY, {names[0]: missing, names[1]: missing})
    assert not says_the_same(said(one), both)
    assert not says_the_same(said(both), one)


def test_what_was_missing_and_is_now_not_met_is_news(sle: Make, names: tuple[str, str], catalogue: Catalogue) -> None:
    before = sle(POSSIBLY, {names[0]: missing})
    assert not says_the_same(said(before), sle(NEAR, {names[0]: missed("1", catalogue)}))


@pytest.mark.parametrize("no_news", [stale, unread])
def test_a_result_that_aged_or_could_not_be_read_is_no_news_in_either_direction(
    sle: Make, names: tuple[str, str], no_news: Callable[[x.Criterion], object]
) -> None:
    fine, unsure = sle(LIKELY, {}), sle(POSSIBLY, {names[0]: no_news})  # type: ignore[dict-item]
    assert says_the_same(said(fine), unsure)
    assert says_the_same(said(unsure), fine)


def test_news_beside_a_result_that_aged_is_still_news(sle: Make, names: tuple[str, str]) -> None:
    aged = sle(POSSIBLY, {names[0]: stale})
    assert not says_the_same(said(aged), sle(POSSIBLY, {names[0]: stale, names[1]: missing}))


def test_another_verdict_is_news(sle: Make) -> None:
    assert not says_the_same(said(sle(POSSIBLY, {})), sle(LIKELY, {}))
    assert not says_the_same(said(sle(ELSEWHERE, {})), sle(LIKELY, {}))


def test_a_cohort_that_could_not_be_evaluated_is_no_news(sle: Make) -> None:
    assert says_the_same(said(sle(UNREAD, {})), sle(LIKELY, {}))


def test_what_changes_in_a_cohort_that_no_card_speaks_of_is_no_news(sle: Make, names: tuple[str, str]) -> None:
    assert says_the_same(said(sle(OUT, {names[0]: missing})), sle(OUT, {}))


def test_what_is_stored_names_the_version_that_said_it(sle: Make) -> None:
    match = sle(LIKELY, {})
    stored = said(match)
    assert is_of_version(stored, version_of(match.trial.hash, "sha256:c0ffee"))
    assert not is_of_version(stored, version_of(match.trial.hash, "sha256:other"))
    assert not is_of_version(stored, version_of("sha256:other", "sha256:c0ffee"))
    assert not is_of_version('{"sle":["likely-eligible",{}]}', version_of(match.trial.hash, "sha256:c0ffee"))

"""Every computed criterion has cases for each outcome that data can bring about.

The boundaries, a step beyond them and the last day of each window are not counted here but proved: `make mutants`
changes each of them and demands that a case notices.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from tests.case_files import all_cases
from trial_defs.definition.coverage import sides_of
from trial_defs.definition.expressions import Criterion, Trial
from trial_defs.definition.loader import OUR_TRIALS
from trial_defs.engine.findings import Outcome

OPEN = frozenset({Outcome.UNKNOWN, Outcome.NEEDS_HUMAN})

# Outcomes that no chart can bring about, with the reason.
IMPOSSIBLE: Mapping[tuple[str, str], tuple[set[Outcome], str]] = {
    ("NCT06464679", "R1.not-healthy"): (
        {Outcome.NOT_MET, Outcome.UNKNOWN},
        "one of the four diseases opens the cohort, so it is on record whenever the criterion is asked",
    ),
}


def wanted(criterion: Criterion) -> Iterator[frozenset[Outcome]]:
    """What some case must show; of several outcomes in one set, any will do."""
    sides = sides_of(criterion.asks)
    good = criterion.kind == "inclusion"
    for side in sides:
        yield frozenset({Outcome.MET if side is good else Outcome.NOT_MET})
    if len(sides) == 2:
        yield frozenset({Outcome.UNKNOWN})
    elif sides:
        yield OPEN  # the side that data cannot settle
    if criterion.only_if is not None:
        yield frozenset({Outcome.NOT_APPLICABLE})


def lacking(criterion: Criterion, shown: set[str], impossible: set[Outcome]) -> list[str]:
    return [
        " or ".join(sorted(wish)) for wish in wanted(criterion) if wish.isdisjoint(shown) and not wish <= impossible
    ]


@pytest.mark.parametrize("name", [path.stem for path in sorted(OUR_TRIALS.glob("*.yaml"))])
def test_every_outcome_that_data_can_bring_about_has_a_case(name: str, trials: Mapping[str, Trial]) -> None:
    shown: dict[str, set[str]] = {}
    for case in all_cases():
        if case.trial == name:
            for criterion, outcome in case.expect.items():
                shown.setdefault(criterion, set()).add(outcome)
    criteria = {c.id: c for cohort in trials[name].cohorts for c in cohort.criteria}
    missing = {
        key: found
        for key, criterion in criteria.items()
        if (found := lacking(criterion, shown.get(key, set()), IMPOSSIBLE.get((name, key), (set(), ""))[0]))
    }
    assert missing == {}


def test_a_criterion_that_only_ever_passes_is_found_out(trials: Mapping[str, Trial]) -> None:
    sledai = next(c for c in trials["CT1190B-SLE-SSC"].cohorts[0].criteria if c.id == "I4.sledai")
    assert sorted(lacking(sledai, {"met"}, set())) == ["not-met", "unknown"]


def test_what_is_called_impossible_has_no_case(trials: Mapping[str, Trial]) -> None:
    """An exception that a case contradicts is no exception."""
    for (name, key), (impossible, _) in IMPOSSIBLE.items():
        shown = {case.expect[key] for case in all_cases() if case.trial == name and key in case.expect}
        assert shown.isdisjoint(impossible)

"""How much of a criterion data can decide, and the reason where it is not all of it."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from trial_defs.definition.coverage import Decidable, decidable, why_not_more
from trial_defs.definition.expressions import Criterion, Trial


def _criterion(trials: Mapping[str, Trial], trial: str, name: str) -> Criterion:
    return next(c for cohort in trials[trial].cohorts for c in cohort.criteria if c.id == name)


@pytest.mark.parametrize(
    ("trial", "name", "how", "why"),
    [
        ("NCT06711146", "I9.platelets", Decidable.COMPUTED, ""),
        ("NCT06680388", "E16.pregnancy", Decidable.COMPUTED, ""),
        ("NCT06711146", "I1.consent", Decidable.HUMAN, "given in person, not found in a chart"),
        (
            "NCT06711146", "I4.glucocorticoid", Decidable.ONE_WAY,
            "treatment given elsewhere may be missing from the chart, so no record is no proof",
        ),
        ("CT1190B-SLE-SSC", "I1.diffuse", Decidable.COMPUTED, ""),  # the limited form is a no
        (
            "CT1190B-SLE-SSC", "I2.interstitial-lung-disease", Decidable.ONE_WAY,
            "no entry of interstitial-lung-disease is no proof of its absence",
        ),
        (
            "NCT06711146", "I9.dyspnea", Decidable.EVIDENCE,
            "no record holds the answer of an investigator: Is dyspnea absent, or grade 1 (on moderate exertion only) "
            "by CTCAE?",
        ),
    ],
)  # fmt: skip
def test_what_data_decide_and_why_not_more(
    trials: Mapping[str, Trial], trial: str, name: str, how: Decidable, why: str
) -> None:
    criterion = _criterion(trials, trial, name)
    assert (decidable(criterion), why_not_more(criterion)) == (how, why)


def test_whatever_is_not_computed_says_why(trials: Mapping[str, Trial]) -> None:
    silent = {
        (trial.id, criterion.id)
        for trial in trials.values()
        for cohort in trial.cohorts
        for criterion in cohort.criteria
        if decidable(criterion) is not Decidable.COMPUTED and not why_not_more(criterion)
    }
    assert silent == set()


def test_more_than_half_of_the_criteria_are_computed(trials: Mapping[str, Trial]) -> None:
    """At least 55 %, one-way criteria included; the rest is not forced."""
    for trial in trials.values():
        every = {c.id: c for cohort in trial.cohorts for c in cohort.criteria}.values()
        decided = [c for c in every if decidable(c) in (Decidable.COMPUTED, Decidable.ONE_WAY)]
        assert len(decided) / len(every) >= 0.55, trial.id

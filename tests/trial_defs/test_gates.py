"""Which diagnoses a gate needs: a chart without any of them cannot be indicated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

import pytest

from mappings.concepts.catalogue import Catalogue
from mappings.facts import Polarity
from trial_defs.definition.expressions import (
    Age,
    All,
    AnyOf,
    AtLeast,
    Bound,
    Condition,
    Expression,
    Not,
    SexIs,
    Treatment,
    Trial,
    Value,
)
from trial_defs.engine.gates import needed_for

SLE = Condition("systemic-lupus-erythematosus", "ever")
ITP = Condition("immune-thrombocytopenia", "ever")
SSC = Condition("systemic-sclerosis", "ever")
LOW = Value("platelets", Bound("<", Decimal(50), "10*9/L", Decimal(50)))
ADULT = Age(Bound(">=", Decimal(18), "a", Decimal(18)))
RITUXIMAB = Treatment(("rituximab",), "ever")


def needed(gate: Expression, trials: Mapping[str, Trial], catalogue: Catalogue) -> frozenset[str] | None:
    trial = next(iter(trials.values()))
    cohort = replace(trial.cohorts[0], gate=gate)
    return needed_for([replace(trial, cohorts=(cohort,))], catalogue)


TOLD = [
    (SLE, {"systemic-lupus-erythematosus"}),
    (All((SLE, AnyOf((ITP, LOW)))), {"systemic-lupus-erythematosus"}),
    (All((ADULT, SSC)), {"systemic-sclerosis"}),
    (AnyOf((SLE, SSC)), {"systemic-lupus-erythematosus", "systemic-sclerosis"}),
    (AtLeast(2, (SLE, SSC)), {"systemic-lupus-erythematosus", "systemic-sclerosis"}),
    (All((AnyOf((SLE, SSC)), ITP)), {"immune-thrombocytopenia"}),
]


@pytest.mark.parametrize(("gate", "concepts"), TOLD)
def test_one_diagnosis_that_must_be_there_tells_a_gate(
    gate: Expression, concepts: set[str], trials: Mapping[str, Trial], catalogue: Catalogue
) -> None:
    assert needed(gate, trials, catalogue) == frozenset(concepts)


UNTOLD = [ADULT, SexIs("female"), LOW, RITUXIMAB, Not(SLE), AnyOf((SLE, LOW)), AnyOf((SLE, RITUXIMAB)),
          All((ADULT, LOW)), Value("hiv", Polarity.POSITIVE)]  # fmt: skip


@pytest.mark.parametrize("gate", UNTOLD)
def test_a_gate_that_opens_without_a_diagnosis_needs_none(
    gate: Expression, trials: Mapping[str, Trial], catalogue: Catalogue
) -> None:
    assert needed(gate, trials, catalogue) is None


def test_one_such_gate_is_enough_for_all_patients_to_be_evaluated(
    trials: Mapping[str, Trial], catalogue: Catalogue
) -> None:
    trial = next(iter(trials.values()))
    open_to_all = replace(trial, cohorts=(replace(trial.cohorts[0], gate=ADULT),))
    assert needed_for(trials.values(), catalogue) is not None
    assert needed_for([*trials.values(), open_to_all], catalogue) is None

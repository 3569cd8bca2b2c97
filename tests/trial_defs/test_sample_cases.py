"""The cases that a reviewer is shown are what the engine answers."""

from __future__ import annotations

from typing import Any

import pytest

from mappings.concepts.catalogue import Catalogue
from tests.small_trial import a_trial
from trial_defs.definition import expressions as x
from trial_defs.engine.sample_cases import cases_of

LIMIT = {"value": {"of": "platelets", "is": ">= 75 10*9/L"}}


def told(catalogue: Catalogue, **asked: Any) -> list[str]:
    """The cases of one criterion, each in a line."""
    criterion: x.Criterion = a_trial(catalogue, asked).cohorts[0].criteria[0]
    found = cases_of(criterion, catalogue, lambda number, unit: f"{number} {unit}")
    return [f"{each.about}: {', '.join(f'{case.given} → {case.outcome}' for case in each.cases)}" for each in found]


@pytest.mark.parametrize(
    ("asked", "lines"),
    [
        ({"include": LIMIT}, ["Platelets: 74 10*9/L → not met, 75 10*9/L → met, no result → unknown"]),
        ({"exclude": LIMIT}, ["Platelets: 74 10*9/L → met, 75 10*9/L → not met, no result → unknown"]),
        ({"include": {"not": LIMIT}}, ["Platelets: 74 10*9/L → met, 75 10*9/L → not met, no result → unknown"]),
        (
            {"include": {"value": {"of": "alt", "is": "<= 2.5 ULN"}}},
            ["Alanine aminotransferase (ALT): 2.5 × ULN → met, 2.6 × ULN → not met, no result → unknown"],
        ),
        (
            {"include": {"value": {"of": "prothrombin-time", "is": "<= ULN + 4 s"}}},
            ["Prothrombin time (PT): 1 × ULN + 4 s → met, 1.1 × ULN + 4 s → not met, no result → unknown"],
        ),
        (
            {"include": {"value": {"of": "lvef", "is": "45..70 %"}}},
            [
                "Left ventricular ejection fraction (LVEF): 44 % → not met, 45 % → met, 70 % → met, 71 % → not met, "
                "no result → unknown"
            ],
        ),
        (
            {"exclude": {"value": {"of": "hbsag", "is": "positive"}}},
            ["Hepatitis B surface antigen (HBsAg): positive → not met, negative → met, no result → unknown"],
        ),
        ({"include": {"age": {"is": ">= 18 a"}}}, ["Age: 17 years → not met, 18 years → met"]),
        (
            {"exclude": {"condition": {"is": "epilepsy", "absent": "presume"}}},
            ["Epilepsy: on record → not met, not on record → met"],
        ),
        ({"exclude": {"judgement": {"ask": "Is it so?"}}}, []),
        ({"include": {"value": {"of": "platelets", "is": ">= 75 10*9/L", "runs": 2}}}, []),
    ],
)
def test_each_limit_has_its_cases(asked: dict[str, Any], lines: list[str], catalogue: Catalogue) -> None:
    assert told(catalogue, **asked) == lines

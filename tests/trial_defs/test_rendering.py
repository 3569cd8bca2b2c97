"""Definitions written back in their own language: what is read again is the same."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from app.definitions.served import OUR_CONCEPTS
from mappings.concepts.catalogue import Catalogue, load_catalogue
from tests.small_trial import a_trial
from trial_defs.definition.expressions import Criterion
from trial_defs.definition.loader import OUR_TRIALS, load_trials
from trial_defs.definition.rendering import criterion_words


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load_catalogue([OUR_CONCEPTS])


def _read_again(words: list[dict[str, Any]], catalogue: Catalogue) -> tuple[Criterion, ...]:
    return a_trial(catalogue, *words).cohorts[0].criteria


def test_every_criterion_of_every_trial_reads_the_same_when_written_back(catalogue: Catalogue) -> None:
    trials = load_trials([OUR_TRIALS], catalogue).trials
    assert len(trials) == 5
    for trial in trials.values():
        for cohort in trial.cohorts:
            again = _read_again([criterion_words(c, catalogue) for c in cohort.criteria], catalogue)
            assert again == cohort.criteria


@pytest.mark.parametrize(
    "asks",
    [
        {"value": {"of": "prothrombin-time", "is": "<= ULN + 4 s"}},
        {"value": {"of": "iga", "is": "< 10 mg/dL", "within": "6 mo", "pick": "any"}},
        {"value": {"of": "platelets", "is": "< 50 10*9/L", "runs": 2, "apart": "7 d", "absent": "presume"}},
        {"change": {"of": "fvc-percent-predicted", "is": "<= -5 %-points", "over": "6 mo"}},
        {"change": {"of": "mrss", "is": ">= 5 {score}", "over": "6 mo"}},
        {"condition": {"is": "arrhythmia", "when": "within 6 mo", "excepting": ["atrial-fibrillation"]}},
        {"condition": {"is": "lupus-nephritis", "when": "ever", "began_within": "6 mo", "lasting": "1 mo"}},
        {"treatment": {"of": ["ivig", "rituximab"], "when": "current", "lasting": "3 mo", "different": 2}},
        {"at_least": {"n": 1, "of": [{"sex": "male"}, {"not": {"age": {"is": "18..70 a"}}}]}},
        {"judgement": {"ask": "Is it so?", "by": "nephrologist", "evidence": ["egfr"]}},
    ],
)
@pytest.mark.parametrize("near", [None, "none", "10 %"])
def test_each_verb_reads_the_same_when_written_back(
    asks: dict[str, Any], near: str | None, catalogue: Catalogue
) -> None:
    written: dict[str, Any] = {"id": "I1", "source": "1", "text": "T", "exclude": asks}
    once = _read_again([written | ({"near": near} if near else {})], catalogue)
    assert _read_again([criterion_words(once[0], catalogue)], catalogue) == once


def test_a_criterion_that_asks_something_else_is_written_otherwise(catalogue: Catalogue) -> None:
    written: dict[str, Any] = {"id": "I1", "source": "1", "text": "T", "include": {"sex": "male"}}
    one = _read_again([written], catalogue)[0]
    other = replace(one, kind="exclusion")
    assert criterion_words(one, catalogue) != criterion_words(other, catalogue)

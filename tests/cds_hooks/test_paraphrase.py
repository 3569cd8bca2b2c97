"""The words that say how a criterion is computed, made from its definition."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from cds_hooks.words.paraphrase import near_miss_words, paraphrase
from cds_hooks.words.wording import titles_of
from mappings.concepts.catalogue import Catalogue
from tests.support.paraphrase import asked
from trial_defs.definition.expressions import Trial


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            '{value: {of: platelets, is: ">= 25 10*9/L"}}',
            "Platelets at least 25 × 10⁹/L, newest result, at most 90 days old",
        ),
        (
            '{value: {of: platelets, is: "< 50 10*9/L", runs: 2, apart: 7 d}}',
            "Platelets below 50 × 10⁹/L, each of the newest 2 results, each at least 7 days apart, at most 90 days old",
        ),
        (
            '{value: {of: alt, is: "<= 3 ULN", within: 1 mo}}',
            "Alanine aminotransferase (ALT) at most 3 × the upper limit of normal, newest result, at most 1 month old",
        ),
        (
            '{value: {of: prothrombin-time, is: "<= ULN + 4 s"}}',
            "Prothrombin time (PT) at most the upper limit of normal + 4 s, newest result, at most 90 days old",
        ),
        ('{age: {is: "18..70 a"}}', "Age from 18 to 70 years, in completed years"),
        ("{sex: female}", "Sex recorded as female"),
        (
            "{value: {of: anti-mpo, is: positive, pick: any, within: 50 a}}",
            "Anti-myeloperoxidase antibodies (MPO-ANCA) positive, any result of the last 50 years",
        ),
        (
            '{change: {of: fvc-percent-predicted, is: "<= -10 %", over: 6 mo}}',
            "Forced vital capacity, percent of predicted fallen by at least 10 % of the earlier value over the last "
            "6 months",
        ),
        (
            "{condition: {is: epilepsy, when: ever, absent: presume}}",
            "Epilepsy on record, now or in the past, no record is taken as absent",
        ),
        (
            "{condition: {is: systemic-lupus-erythematosus, lasting: 6 mo}}",
            "Systemic lupus erythematosus on record as active, known for at least 6 months",
        ),
        (
            "{treatment: {of: live-vaccine, when: within 6 wk}}",
            "Live vaccine in the last 6 weeks",
        ),
        (
            "{treatment: {of: immunosuppressant, when: ever, lasting: 3 mo, different: 2}}",
            "Immunosuppressant, conventional at any time, at least 2 different ones, each for at least 3 months",
        ),
        (
            '{judgement: {ask: "Is it severe?", by: nephrologist, evidence: [egfr]}}',
            "Asked of the nephrologist: Is it severe? Shown beside it: Glomerular filtration rate, estimated.",
        ),
        ("{consent: Sign the form}", "To do with the patient: Sign the form"),
    ],
)
def test_a_leaf_is_said_in_plain_words(text: str, said: str, catalogue: Catalogue) -> None:
    assert paraphrase(asked(text, catalogue), titles_of(catalogue)).flat() == said


def test_a_combination_keeps_its_shape(catalogue: Catalogue) -> None:
    text = '{any: [{sex: male}, {all: [{age: {is: ">= 60 a"}}, {not: {sex: male}}]}]}'
    phrase = paraphrase(asked(text, catalogue), titles_of(catalogue))
    assert phrase.text == "At least one of these"
    assert [part.text for part in phrase.parts] == ["Sex recorded as male", "All of these"]
    assert phrase.flat().endswith(
        "(All of these: Age at least 60 years, in completed years; (Not so: Sex recorded as male))"
    )


def test_every_criterion_that_is_served_can_be_said(trials: Mapping[str, Trial], catalogue: Catalogue) -> None:
    titles = titles_of(catalogue)
    for trial in trials.values():
        for criterion in (c for cohort in trial.cohorts for c in cohort.criteria):
            said = paraphrase(criterion.asks, titles).flat()
            assert said
            assert "None" not in said
            assert "{" not in said


def test_a_near_miss_is_said_in_the_units_of_the_limit(catalogue: Catalogue) -> None:
    assert near_miss_words(asked('{value: {of: platelets, is: ">= 25 10*9/L"}}', catalogue)) == (
        "up to 10 % beside the limit"
    )
    assert near_miss_words(asked("{value: {of: hiv, is: positive}}", catalogue)) is None

"""The form of a draft, by which a reviewer's reading is ordered."""

from __future__ import annotations

from typing import Any

import pytest

from mappings.concepts.catalogue import Catalogue
from tests.small_trial import a_trial
from trial_defs.registry.forms import PERSON, FormError, error_of, form_errors, form_of

LIMIT = {"value": {"of": "platelets", "is": ">= 75 10*9/L"}}
ILLNESS = {"condition": {"is": "epilepsy"}}
ASKS = {"judgement": {"ask": "Is it so?"}}


@pytest.mark.parametrize(
    ("asks", "form"),
    [
        (LIMIT, "limit"),
        ({"value": {"of": "hbsag", "is": "positive"}}, "positive or negative"),
        (ILLNESS, "diagnosis"),
        ({"treatment": {"of": "rituximab", "when": "ever"}}, "treatment"),
        ({"age": {"is": ">= 18 a"}}, "age or sex"),
        ({"any": [LIMIT, ILLNESS]}, "one of several"),
        ({"all": [LIMIT, {"at_least": {"n": 1, "of": [ILLNESS, LIMIT]}}]}, "one of several"),
        ({"all": [ILLNESS, ASKS]}, "diagnosis, with a question"),
        (ASKS, PERSON),
    ],
)
def test_the_form_says_what_a_draft_asks_of_the_record(asks: dict[str, Any], form: str, catalogue: Catalogue) -> None:
    expression = a_trial(catalogue, {"include": asks}).cohorts[0].criteria[0].asks
    assert form_of(expression, has_question=False) == form


def test_a_question_beside_a_draft_is_another_form(catalogue: Catalogue) -> None:
    expression = a_trial(catalogue, {"include": LIMIT}).cohorts[0].criteria[0].asks
    assert form_of(expression, has_question=True) == "limit, with a question"


def test_a_form_that_was_hardly_read_is_not_taken_for_a_good_one() -> None:
    assert FormError(0, 2).rate > FormError(2, 50).rate > FormError(0, 170).rate
    assert error_of("limit, with a question").rate > error_of("limit").rate
    assert error_of("never seen") == FormError(0, 0)
    assert all(0 <= each.wrong <= each.drafts for each in form_errors().values())

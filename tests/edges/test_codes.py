"""Codes that name two things at once, and their neighbours that name only one."""

from __future__ import annotations

import pytest

from tests.edges.asking import Asked, condition
from tests.mappings.charts import a_condition


@pytest.mark.parametrize(
    ("concept", "code", "says"),
    [
        ("angina", "I25.119", "not-met"),  # coronary disease with angina
        ("angina", "I25.110", "not-met"),  # with an unstable one
        ("angina", "I25.709", "not-met"),  # of a bypass
        ("angina", "I25.10", "met"),  # coronary disease without angina
        ("unstable-angina", "I25.119", "met"),
        ("granulomatosis-with-polyangiitis", "M31.31", "not-met"),  # with the kidney
        ("kidney-disease", "M31.31", "not-met"),
        ("kidney-disease", "M31.30", "met"),
        ("sjogren-disease", "M35.04", "not-met"),
        ("kidney-disease", "M35.04", "not-met"),
        ("kidney-disease", "M35.0A", "not-met"),
        ("kidney-disease", "M35.02", "met"),  # with the lung
        ("sjogren-disease", "M35.07", "not-met"),
        ("central-nervous-system-disease", "M35.07", "not-met"),
        ("central-nervous-system-disease", "M35.06", "met"),  # of peripheral nerves
        ("autoimmune-disease", "L40.0", "not-met"),  # psoriasis of the skin
        ("psoriatic-arthritis", "L40.0", "met"),
        ("psoriatic-arthritis", "L40.52", "not-met"),
    ],
)
def test_a_code_that_names_two_things_is_found_for_both(ask: Asked, concept: str, code: str, says: str) -> None:
    asks = condition(concept, excepting=["systemic-lupus-erythematosus"], absent="presume")
    if concept != "autoimmune-disease":
        asks = condition(concept, absent="presume")
    assert ask(asks, a_condition(code, id="c9"), kind="exclude").says == says

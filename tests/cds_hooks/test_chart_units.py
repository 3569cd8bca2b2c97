"""The unit of the chart: its own number and unit, a limit in it, and when ours must be shown instead."""

from __future__ import annotations

from decimal import Decimal

import pytest
from msgspec import structs

from cds_hooks.words.chart_units import chart_unit
from cds_hooks.words.limits import calculated
from cds_hooks.words.texts import texts_of
from mappings.facts import Interval
from tests.cds_hooks.matches import a_result

ENGLISH = texts_of()


@pytest.mark.parametrize(
    ("recorded", "value", "unit", "shown", "limit_of_60"),
    [
        ("5.8 g/dL", "58", "g/L", "5.8 g/dL", "6.0"),
        ("58 g/L", "58", "g/L", "58 g/L", "60"),
        ("180 K/uL", "180", "10*9/L", "180 × 10³/µL", "60"),
        ("180000 /uL", "180", "10*9/L", "180000 /µL", "60000"),
        ("88.4 umol/L", "1", "mg/dL", "88.4 µmol/L", "5304.0"),
        ("40 IU/L", "40", "U/L", "40 IU/L", "60"),
    ],
)
def test_a_limit_is_said_in_the_unit_and_decimals_of_the_chart(
    recorded: str, value: str, unit: str, shown: str, limit_of_60: str
) -> None:
    found = chart_unit(a_result("x", value, unit, recorded=recorded))
    assert found
    assert found.value(ENGLISH) == shown
    assert found.limit(Decimal(60), ENGLISH) == limit_of_60


@pytest.mark.parametrize(
    ("recorded", "value", "unit"),
    [
        ("2.100 /uL", "2.1", "10*9/L"),  # read as two thousand one hundred
        ("1.234 umol/L", "13.96", "mg/dL"),  # which of the two it is cannot be seen
        ("1:320", "320", "{titer}"),
        ("positive", "1", ""),
        ("7 bananas", "7", "10*9/L"),
        ("0 g/dL", "0", "g/L"),
    ],
)
def test_what_is_not_read_as_the_plain_number_is_said_in_our_unit(recorded: str, value: str, unit: str) -> None:
    assert chart_unit(a_result("x", value, unit, recorded=recorded)) is None


def test_a_comparator_stays_with_its_number() -> None:
    below = structs.replace(a_result("x", "3", "g/L", recorded="< 0.3 g/dL"), value=Interval(None, Decimal(3)))
    found = chart_unit(below)
    assert found
    assert found.value(ENGLISH) == "< 0.3 g/dL"


def test_a_calculated_value_has_three_digits_and_never_looks_like_its_limit() -> None:
    limit = Decimal(60)
    assert calculated(Interval.exactly(Decimal("57.946")), limit).exact == Decimal("57.9")
    assert calculated(Interval.exactly(Decimal("59.96")), limit).exact == Decimal("59.96")
    assert calculated(Interval.exactly(Decimal("0.95023")), limit).exact == Decimal("0.950")

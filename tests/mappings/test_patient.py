"""What the Patient resource says for certain."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from tests.mappings.charts import a_patient, facts_from

BIRTH_SEX = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-birthsex"


@pytest.mark.parametrize(
    ("birth_date", "born"),
    [
        ("1980-06-15", (date(1980, 6, 15), date(1980, 6, 15))),
        ("1980-06", (date(1980, 6, 1), date(1980, 6, 30))),
        ("1980", (date(1980, 1, 1), date(1980, 12, 31))),
        ("2026", (date(2026, 1, 1), date(2026, 11, 1))),
        ("2026-11-02", None),
        ("1801-01-01", None),
        ("15.06.1980", None),
        (None, None),
    ],
)
def test_the_day_of_birth_is_as_exact_as_it_was_recorded(
    birth_date: str | None, born: tuple[date, date] | None
) -> None:
    assert facts_from(a_patient(birthDate=birth_date)).person.born == born


@pytest.mark.parametrize(
    ("gender", "birth_sex", "sex"),
    [
        ("female", None, "female"),
        ("Male ", None, "male"),
        ("other", None, None),
        ("unknown", None, None),
        (None, "F", None),
        ("female", "F", "female"),
        ("female", "UNK", "female"),
        ("female", "M", None),
    ],
)
def test_sex_is_the_administrative_gender_unless_the_chart_contradicts_it(
    gender: str | None, birth_sex: str | None, sex: str | None
) -> None:
    extension = [{"url": BIRTH_SEX, "valueCode": birth_sex}] if birth_sex else []
    assert facts_from(a_patient(gender=gender, extension=extension)).person.sex == sex


@pytest.mark.parametrize(
    ("death", "deceased"),
    [
        ({}, False),
        ({"deceasedBoolean": True}, True),
        ({"deceasedBoolean": False}, False),
        ({"deceasedDateTime": "2026-10-31"}, True),
        ({"deceasedDateTime": "2026-11-02"}, False),
    ],
)
def test_a_death_counts_from_its_date(death: dict[str, Any], deceased: bool) -> None:
    assert facts_from(a_patient(**death)).person.deceased is deceased


@pytest.mark.parametrize(
    ("changes", "active"),
    [
        ({}, True),
        ({"active": True}, True),
        ({"active": False}, False),
        ({"active": "false"}, False),
        ({"link": [{"type": "replaced-by", "other": {"reference": "Patient/p2"}}]}, False),
        ({"link": [{"type": "replaces", "other": {"reference": "Patient/p0"}}]}, True),
    ],
)
def test_a_record_that_was_replaced_is_not_active(changes: dict[str, Any], active: bool) -> None:
    assert facts_from(a_patient(**changes)).person.active is active

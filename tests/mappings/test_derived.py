"""The formulas, against worked examples and against what must always hold."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappings.derived.formulas import (
    DERIVATIONS,
    ckd_epi_2021,
    cockcroft_gault,
    equivalent_dose,
    protein_creatinine_ratio,
    qtc_bazett,
)
from mappings.facts import Sex

ADULTS = st.integers(18, 100)
SEXES = st.sampled_from(["female", "male"])
CREATININE = st.decimals("0.2", "15", places=2)
WEIGHTS = st.decimals("30", "200", places=1)


@pytest.mark.parametrize(
    ("age", "sex", "weight", "creatinine", "clearance"),
    [
        (68, "male", "72", "1.0", "72"),
        (40, "female", "72", "1.0", "85"),
        (50, "male", "80", "1.25", "80"),
        (60, "female", "54", "1.5", "34"),
        (140, "male", "80", "1", "0"),
        (150, "male", "80", "1", "0"),
    ],
)
def test_cockcroft_gault_by_hand(age: int, sex: Sex, weight: str, creatinine: str, clearance: str) -> None:
    assert cockcroft_gault(age, sex, Decimal(weight), Decimal(creatinine)) == Decimal(clearance)


# Computed once with IEEE doubles from the published equation, and rounded as a laboratory reports it.
@pytest.mark.parametrize(
    ("age", "sex", "creatinine", "rate"),
    [(50, "female", "1.0", 69), (50, "male", "1.0", 92), (20, "female", "0.7", 127), (60, "male", "2.0", 38)],
)
def test_ckd_epi_2021_gives_the_published_figures(age: int, sex: Sex, creatinine: str, rate: int) -> None:
    assert round(ckd_epi_2021(age, sex, Decimal(creatinine))) == rate


def test_ckd_epi_2021_at_kappa_is_its_constants_alone() -> None:
    assert ckd_epi_2021(0, "male", Decimal("0.9")) == 142
    assert ckd_epi_2021(0, "female", Decimal("0.7")) == Decimal("143.704")


def test_bazett_leaves_a_rate_of_60_alone_and_doubles_at_240() -> None:
    assert qtc_bazett(Decimal(400), Decimal(60)) == 400
    assert qtc_bazett(Decimal(200), Decimal(240)) == 400
    assert round(qtc_bazett(Decimal(360), Decimal(75)), 1) == Decimal("402.5")


@pytest.mark.parametrize(
    ("mg", "factor", "prednisone"),
    [("8", "1.25", "10"), ("20", "0.25", "5"), ("7.5", "1", "7.5"), ("0", "1", "0")],
)
def test_equivalent_doses_of_common_doses(mg: str, factor: str, prednisone: str) -> None:
    assert equivalent_dose(Decimal(mg), Decimal(1), Decimal(factor)) == Decimal(prednisone)


def test_protein_by_creatinine_is_grams_per_gram() -> None:
    assert protein_creatinine_ratio(Decimal(60), Decimal(120)) == Decimal("0.5")


@pytest.mark.parametrize(
    "calculate",
    [
        lambda: cockcroft_gault(50, "male", Decimal(0), Decimal(1)),
        lambda: cockcroft_gault(50, "male", Decimal(80), Decimal(0)),
        lambda: cockcroft_gault(-1, "male", Decimal(80), Decimal(1)),
        lambda: ckd_epi_2021(50, "male", Decimal("-1")),
        lambda: ckd_epi_2021(50, "male", Decimal("NaN")),
        lambda: qtc_bazett(Decimal(400), Decimal(0)),
        lambda: equivalent_dose(Decimal(-1), Decimal(1), Decimal(1)),
        lambda: equivalent_dose(Decimal(1), Decimal(0), Decimal(1)),
        lambda: equivalent_dose(Decimal(1), Decimal(1), Decimal(0)),
        lambda: protein_creatinine_ratio(Decimal(10), Decimal(0)),
        lambda: protein_creatinine_ratio(Decimal(-1), Decimal(10)),
    ],
)
def test_a_formula_refuses_what_no_patient_has(calculate: Callable[[], Decimal]) -> None:
    with pytest.raises(ValueError, match="zero"):
        calculate()


@given(ADULTS, SEXES, WEIGHTS, CREATININE, CREATININE)
def test_clearance_falls_as_creatinine_rises(age: int, sex: Sex, weight: Decimal, one: Decimal, other: Decimal) -> None:
    low, high = sorted((one, other))
    assert cockcroft_gault(age, sex, weight, low) >= cockcroft_gault(age, sex, weight, high)
    assert ckd_epi_2021(age, sex, low) >= ckd_epi_2021(age, sex, high)


@given(ADULTS, SEXES, WEIGHTS, CREATININE)
def test_clearance_falls_with_age(age: int, sex: Sex, weight: Decimal, creatinine: Decimal) -> None:
    assert cockcroft_gault(age, sex, weight, creatinine) > cockcroft_gault(age + 1, sex, weight, creatinine)
    assert ckd_epi_2021(age, sex, creatinine) > ckd_epi_2021(age + 1, sex, creatinine)


@given(ADULTS, WEIGHTS, CREATININE)
def test_a_woman_has_85_per_cent_of_a_mans_clearance(age: int, weight: Decimal, creatinine: Decimal) -> None:
    woman, man = (cockcroft_gault(age, sex, weight, creatinine) for sex in ("female", "male"))
    assert abs(woman / man - Decimal("0.85")) < Decimal("1e-15")


@given(ADULTS, SEXES, CREATININE)
def test_the_two_branches_of_ckd_epi_agree_with_doubles(age: int, sex: Sex, creatinine: Decimal) -> None:
    kappa, alpha, factor = (0.7, -0.241, 1.012) if sex == "female" else (0.9, -0.302, 1.0)
    scr = float(creatinine) / kappa
    expected = 142 * min(scr, 1) ** alpha * max(scr, 1) ** -1.2 * 0.9938**age * factor
    assert float(ckd_epi_2021(age, sex, creatinine)) == pytest.approx(expected, rel=1e-12)


@given(st.decimals("200", "700", places=0), st.decimals("30", "200", places=0))
def test_bazett_squared_is_qt_squared_times_rate(qt: Decimal, rate: Decimal) -> None:
    assert float(qtc_bazett(qt, rate) ** 2) == pytest.approx(float(qt * qt * rate / 60), rel=1e-12)


def test_every_derivation_names_its_source_and_inputs() -> None:
    for concept, derivation in DERIVATIONS.items():
        assert derivation.concept == concept
        assert derivation.inputs
        assert derivation.source
        assert derivation.validity

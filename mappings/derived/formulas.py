"""Values that are calculated and not measured: pure formulas, each with its validity and its source.

Numbers in and out are `Decimal`, in the units that the names say; nothing is rounded beyond 20 significant digits.
Inputs must be above zero (ValueError otherwise); whether a patient is inside a formula's validity is the caller's
question, and `DERIVATIONS` has the answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Context, Decimal

from mappings.facts import Sex

_MATH = Context(prec=20)


def cockcroft_gault(age_years: int, sex: Sex, weight_kg: Decimal, creatinine_mg_dl: Decimal) -> Decimal:
    """Creatinine clearance in mL/min: (140 - age) x weight / (72 x creatinine), x 0.85 in women.

    Actual body weight. For adults with stable creatinine; zero at 140 years. Cockcroft DW, Gault MH.
    Nephron 1976;16:31-41, doi:10.1159/000180580.
    """
    _above_zero(weight_kg, creatinine_mg_dl)
    _years(age_years)
    men = _MATH.divide(_MATH.multiply(Decimal(max(0, 140 - age_years)), weight_kg), 72 * creatinine_mg_dl)
    return _MATH.multiply(men, Decimal("0.85")) if sex == "female" else men


_CKD_EPI_2021: Mapping[Sex, tuple[Decimal, Decimal, Decimal]] = {  # kappa (mg/dL), alpha, factor
    "female": (Decimal("0.7"), Decimal("-0.241"), Decimal("1.012")),
    "male": (Decimal("0.9"), Decimal("-0.302"), Decimal(1)),
}


def ckd_epi_2021(age_years: int, sex: Sex, creatinine_mg_dl: Decimal) -> Decimal:
    """Estimated GFR in mL/min/{1.73_m2}, the race-free creatinine equation.

    142 x min(creatinine/k, 1)^a x max(creatinine/k, 1)^-1.200 x 0.9938^age, x 1.012 in women; k 0.7 and a -0.241 in
    women, 0.9 and -0.302 in men. For adults with stable creatinine. Inker LA et al. N Engl J Med 2021;385:1737-1749,
    doi:10.1056/NEJMoa2102953.
    """
    _above_zero(creatinine_mg_dl)
    _years(age_years)
    kappa, alpha, factor = _CKD_EPI_2021[sex]
    relative = _MATH.divide(creatinine_mg_dl, kappa)
    exponent = alpha if relative < 1 else Decimal("-1.200")
    value = _MATH.multiply(Decimal(142), _MATH.power(relative, exponent))
    value = _MATH.multiply(value, _MATH.power(Decimal("0.9938"), age_years))
    return _MATH.multiply(value, factor)


def qtc_bazett(qt_ms: Decimal, heart_rate: Decimal) -> Decimal:
    """QT interval corrected for heart rate, in ms: QT / sqrt(60 / rate), the rate in beats per minute.

    Over-corrects above about 90 and under-corrects below about 60 beats per minute. Bazett HC. Heart 1920;7:353-370.
    """
    _above_zero(qt_ms, heart_rate)
    return _MATH.multiply(qt_ms, _MATH.sqrt(_MATH.divide(heart_rate, Decimal(60))))


def equivalent_dose(mg: Decimal, of: Decimal, equals: Decimal) -> Decimal:
    """The dose in mg of the reference drug or salt that `mg` of another equal, where `of` mg of it equal `equals` mg.

    155 mg of hydroxychloroquine base equal 200 mg of the sulfate; 1 mg of methylprednisolone equals 1.25 mg of
    prednisone. The pairs are in the catalogue, each with its source; tables of glucocorticoids differ by some per cent
    (Liu D et al. Allergy Asthma Clin Immunol 2013;9:30, doi:10.1186/1710-1492-9-30, table 1). A dose of 0 is 0.
    """
    if mg < 0 or of <= 0 or equals <= 0:
        raise ValueError("a dose is not below zero, and both parts of an equivalence are above zero")
    return _MATH.divide(_MATH.multiply(mg, equals), of)


def protein_creatinine_ratio(protein_mg_dl: Decimal, creatinine_mg_dl: Decimal) -> Decimal:
    """Urine protein by urine creatinine, in g/g; both from one spot urine.

    Estimates the protein of 24 hours in g per 1.73 m2. Ginsberg JM et al. N Engl J Med 1983;309:1543-1546,
    doi:10.1056/NEJM198312223092503.
    """
    if protein_mg_dl < 0:
        raise ValueError("a concentration is not below zero")
    _above_zero(creatinine_mg_dl)
    return _MATH.divide(protein_mg_dl, creatinine_mg_dl)


def _above_zero(*numbers: Decimal) -> None:
    if not all(number.is_finite() and number > 0 for number in numbers):
        raise ValueError("the inputs of a formula are numbers above zero")


def _years(age: int) -> None:
    if age < 0:
        raise ValueError("an age is not below zero")


@dataclass(frozen=True, slots=True)
class Derivation:
    """What the documentation and a card say about a formula."""

    concept: str  # the concept whose value it gives
    name: str
    formula: str
    inputs: tuple[str, ...]  # concepts
    unit: str
    adults_only: bool  # no value for a patient under 18
    validity: str
    source: str


DERIVATIONS: Mapping[str, Derivation] = {
    derivation.concept: derivation
    for derivation in (
        Derivation(
            "creatinine-clearance",
            "Cockcroft-Gault",
            "(140 - age) × weight / (72 × creatinine), × 0.85 in women",
            ("age", "sex", "body-weight", "creatinine"),
            "mL/min",
            True,
            "adults with stable creatinine; actual body weight",
            "Cockcroft DW, Gault MH. Nephron 1976;16:31-41",
        ),
        Derivation(
            "egfr",
            "CKD-EPI 2021 (creatinine)",
            "142 × min(creatinine/κ, 1)^α × max(creatinine/κ, 1)^-1.2 × 0.9938^age, × 1.012 in women",
            ("age", "sex", "creatinine"),
            "mL/min/{1.73_m2}",
            True,
            "adults with stable creatinine",
            "Inker LA et al. N Engl J Med 2021;385:1737-1749",
        ),
        Derivation(
            "qtc",
            "Bazett",
            "QT / √(60 / heart rate)",
            ("qt-interval", "heart-rate"),
            "ms",
            False,
            "QT and heart rate of one recording; over-corrects above 90, under-corrects below 60 beats per minute",
            "Bazett HC. Heart 1920;7:353-370",
        ),
        Derivation(
            "glucocorticoid-dose",
            "prednisone equivalent",
            "sum over current glucocorticoids of daily dose × factor",
            ("glucocorticoid",),
            "mg/d",
            False,
            "systemic use, scheduled doses; the factors are in the concept catalogue",
            "Liu D et al. Allergy Asthma Clin Immunol 2013;9:30, table 1",
        ),
    )
}

"""How much of a drug a day."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from mappings.chart import fhir
from mappings.facts import Dose
from mappings.values.dosage import daily_dose, is_local, strength_of
from tests.mappings.charts import a_dosage, code, quantity

Json = dict[str, Any]
_dosage = msgspec.json.Decoder(fhir.Dosage)
_ingredient = msgspec.json.Decoder(fhir.Ingredient)


def dose_of(*dosages: Json, strength: str | None = None) -> Dose:
    read = [_dosage.decode(msgspec.json.encode(dosage)) for dosage in dosages]
    dose = daily_dose(read, Decimal(strength) if strength else None)
    assert dose is not None
    return dose


def span(dose: Dose) -> tuple[float | None, float | None]:
    return tuple(None if end is None else round(float(end), 3) for end in (dose.low, dose.high))  # type: ignore[return-value]


def timed(amount: Json, **timing: object) -> Json:
    return {"doseAndRate": [{"doseQuantity": amount}], "timing": timing}


FIVE_TO_TEN = {"low": quantity(5, "mg"), "high": quantity(10, "mg")}


def twenty_mg_in(what: Json) -> Json:
    return {"strength": {"numerator": quantity(20, "mg"), "denominator": what}}


def test_no_instruction_is_no_dose() -> None:
    assert daily_dose([], None) is None


@pytest.mark.parametrize(
    ("dosage", "expected"),
    [
        (a_dosage(10), (10, 10)),
        (a_dosage(5, frequency=2), (10, 10)),
        (timed(quantity(1, "g"), repeat={"frequency": 1, "period": 1, "periodUnit": "d"}), (1000, 1000)),
        (timed(quantity(10, "mg"), repeat={"period": 2, "periodUnit": "d"}), (5, 5)),
        (timed(quantity(10, "mg"), repeat={"frequency": 1, "period": 8, "periodUnit": "h"}), (30, 30)),
        (timed(quantity(14, "mg"), repeat={"frequency": 1, "period": 1, "periodUnit": "wk"}), (2, 2)),
        (timed(quantity(5, "mg"), repeat={"frequency": 1, "frequencyMax": 3, "period": 1, "periodUnit": "d"}), (5, 15)),
        (timed(quantity(5, "mg"), repeat={"when": ["MORN", "EVE"]}), (10, 10)),
        (timed(quantity(5, "mg"), repeat={"timeOfDay": ["08:00:00"]}), (5, 5)),
        (timed(quantity(7, "mg"), repeat={"period": 1, "periodUnit": "d", "dayOfWeek": ["mon"]}), (1, 1)),
        (timed(quantity(5, "mg"), code=code("urn:v3", "BID")), (10, 10)),
        (timed(quantity(5, "mg"), code={"text": "three times a day"}), (15, 15)),
        ({"doseQuantity": quantity(5, "mg"), "timing": {"code": code("urn:v3", "QD")}}, (5, 5)),
        (a_dosage(5) | {"doseAndRate": [{"doseRange": FIVE_TO_TEN}]}, (5, 10)),
        (a_dosage(5) | {"timing": {"repeat": {"frequency": 1}}}, (None, None)),
        (a_dosage(5) | {"modifierExtension": [{"url": "urn:not"}]}, (None, None)),
        ({"timing": a_dosage(5)["timing"]}, (None, None)),
    ],
)  # fmt: skip
def test_a_structured_instruction_is_amount_times_frequency(dosage: Json, expected: tuple[float, float]) -> None:
    assert span(dose_of(dosage)) == expected


def test_tablets_need_their_strength() -> None:
    two_tablets = timed({"value": 2, "unit": "tablet"}, repeat={"frequency": 1, "period": 1, "periodUnit": "d"})
    assert span(dose_of(two_tablets, strength="2.5")) == (5, 5)
    assert span(dose_of(two_tablets)) == (None, None)


def test_instructions_of_one_step_add_up_and_steps_are_a_range() -> None:
    assert span(dose_of(a_dosage(10), a_dosage(5))) == (15, 15)
    assert span(dose_of(a_dosage(40, sequence=1), a_dosage(20, sequence=2), a_dosage(5, sequence=3))) == (5, 40)


@pytest.mark.parametrize("as_needed", [{"asNeededBoolean": True}, {"asNeededCodeableConcept": {"text": "flare"}}])
def test_as_needed_may_be_nothing(as_needed: Json) -> None:
    dose = dose_of(a_dosage(10, **as_needed))
    assert (span(dose), dose.as_needed) == ((0, 10), True)


def test_the_most_that_may_be_taken_bounds_the_dose() -> None:
    limit = {"numerator": quantity(20, "mg"), "denominator": quantity(1, "d")}
    assert span(dose_of(a_dosage(10, frequency=4, asNeededBoolean=True, maxDosePerPeriod=[limit]))) == (0, 20)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10 mg daily", (10, 10)),
        ("Take 5 mg by mouth twice a day.", (10, 10)),
        ("7.5 mg once daily", (7.5, 7.5)),
        ("5-10 mg every morning", (5, 10)),
        ("20 mg every other day", (10, 10)),
        ("4 mg po qd", (4, 4)),
        ("8 mg TID with food", (24, 24)),
        ("500 mcg daily", (0.5, 0.5)),
        ("1 tablet daily", (5, 5)),
        ("take 2 tablets by mouth twice daily", (20, 20)),
        ("10 mg daily as needed", (0, 10)),
        ("10 mg daily for 5 days, then 5 mg daily", (None, None)),
        ("taper from 40 mg daily", (None, None)),
        ("10 mg/kg daily", (None, None)),
        ("as directed", (None, None)),
        ("10 mg", (None, None)),
        ("10,000 mg daily", (None, None)),
        ("Take 2 tablets (10 mg total) by mouth daily", (10, 10)),
        ("Take 1 tablet (20 mg total) by mouth 2 (two) times a day", (40, 40)),
        ("2 tablets (10 mg) daily", (None, None)),  # each, or in all
        ("5 mg 1-0-1", (10, 10)),
        ("7,5 mg 1-0-0-0", (7.5, 7.5)),
        ("1-0-1/2", (7.5, 7.5)),  # of 5 mg
        ("10-0-5", (None, None)),  # tablets, or mg
        ("10 mg täglich", (10, 10)),
        ("5 mg alle 2 Tage", (2.5, 2.5)),
        ("5 mg tds", (15, 15)),
        ("2.5-5 ml daily", (None, None)),
        ("1.000 mg täglich", (None, None)),  # a thousand, or one
        ("1,000 mg daily", (None, None)),
        ("0.125 mg daily", (0.125, 0.125)),
        ("1.25 mg daily", (1.25, 1.25)),
    ],
)
def test_plain_words_are_read_when_every_word_is_understood(text: str, expected: tuple[float, float]) -> None:
    assert span(dose_of({"text": text}, strength="5")) == expected


@pytest.mark.parametrize(
    ("words", "ingredient", "expected"),
    [
        ("prednisone 5 MG Oral Tablet", None, "5"),
        ("methylprednisolone 500 MG Injection", None, None),
        ("combination 5 MG / 10 MG tablet", None, None),
        ("prednisone 1,000 mg tablet", None, None),  # a thousand, or one
        ("Methylprednisolon 1.000 mg", None, None),
        ("Prednison 2,5 mg Tabletten", None, "2.5"),
        ("prednisone", twenty_mg_in({"value": 1, "unit": "tablet"}), "20"),
        ("prednisone", twenty_mg_in(quantity(1, "mL")), None),
    ],
)  # fmt: skip
def test_the_strength_of_a_tablet_is_its_ingredients_or_stands_in_its_name(
    words: str, ingredient: Json | None, expected: str | None
) -> None:
    ingredients = [_ingredient.decode(msgspec.json.encode(ingredient))] if ingredient else []
    assert strength_of(words, ingredients) == (Decimal(expected) if expected else None)


@pytest.mark.parametrize(
    ("words", "local"),
    [
        ("hydrocortisone 1 %", True),
        ("PREDNISOLONE ACETATE 1 % OPHT DRPS", True),
        ("Prednisolon Augentropfen", True),
        ("Methylprednisolone 1000 mg in sodium chloride 0.9 % 250 mL", False),
        ("methylPREDNISolone sodium succinate in sodium chloride 0.9 % 50 mL IVPB", False),
        ("Solu-Decortin 250 in NaCl 0,9 %", False),
        ("Dexamethasone 0.4 % for injection", False),
        ("prednisone 5 mg tablet", False),
    ],
)
def test_what_is_put_on_skin_or_eye_is_told_by_its_name(words: str, local: bool) -> None:
    assert is_local((), words) is local

"""Doses of drugs other than glucocorticoids: salts and forms, weekly, by body weight, in all, and cycles."""

from __future__ import annotations

from datetime import UTC
from typing import Any

import pytest

from mappings.concepts.catalogue import Catalogue, load_catalogue
from mappings.facts import Reason, Result
from mappings.patient_facts import PatientFacts, facts_of
from mappings.yaml_files import DefinitionError
from tests.mappings.charts import (
    AS_OF,
    LOINC,
    RXNORM,
    SUBJECT,
    a_chart,
    a_dosage,
    a_request,
    an_administration,
    an_observation,
    code,
    quantity,
)

Json = dict[str, Any]
ATC = "http://www.whocc.no/atc"
HYDROXYCHLOROQUINE, CHLOROQUINE, MYCOPHENOLATE, AZATHIOPRINE, METHOTREXATE, CYCLOPHOSPHAMIDE = (
    "5521", "2393", "68149", "1256", "6851", "3002",
)  # fmt: skip
WEEKLY = {"repeat": {"frequency": 1, "period": 1, "periodUnit": "wk"}}


def order(mg: object, rxnorm: str, name: str | None = None, **more: Any) -> Json:
    drug = code(RXNORM, rxnorm, name)
    return a_request(medicationCodeableConcept=drug, **({"dosageInstruction": [a_dosage(mg)]} | more))


def by_atc(mg: object, atc: str, name: str) -> Json:
    return order(mg, "0") | {"medicationCodeableConcept": code(ATC, atc, name)}


def weight(kg: object, day: str = "2026-10-20") -> Json:
    return an_observation("29463-7", {"valueQuantity": quantity(kg, "kg")}, id="weight", effectiveDateTime=day)


def given(mg: object, day: str, **more: Any) -> Json:
    drug = code(RXNORM, CYCLOPHOSPHAMIDE)
    dose = {"dosage": {"dose": quantity(mg, "mg")}}
    fixed = {"id": f"a{day}", "medicationCodeableConcept": drug, "effectiveDateTime": day}
    return an_administration(**(fixed | dose | more))


def result_of(catalogue: Catalogue, concept: str, *resources: Json) -> Result:
    return facts_of_chart(catalogue, *resources).results(concept)[0]


def facts_of_chart(catalogue: Catalogue, *resources: Json) -> PatientFacts:
    return facts_of(a_chart(*resources), catalogue, AS_OF, UTC)


def span(result: Result) -> tuple[float | None, float | None]:
    assert result.value
    low, high = result.value.low, result.value.high
    return None if low is None else float(low), None if high is None else float(high)


@pytest.mark.parametrize(
    ("concept", "resource", "expected"),
    [
        ("hydroxychloroquine-dose", order(200, "979092"), (200, 200)),
        ("hydroxychloroquine-dose", order(400, HYDROXYCHLOROQUINE), (400, 400)),  # labels state the sulfate
        ("hydroxychloroquine-dose", order(310, HYDROXYCHLOROQUINE, "Hydroxychloroquine base"), (400, 400)),
        ("hydroxychloroquine-dose", order(400, HYDROXYCHLOROQUINE, "Hydroxychloroquine sulphate"), (400, 400)),
        ("hydroxychloroquine-dose", by_atc(155, "P01BA02", "Hydroxychloroquine 155 mg (base)"), (200, 200)),
        ("chloroquine-dose", order(250, CHLOROQUINE, "Chloroquine phosphate 250 MG Oral Tablet"), (250, 250)),
        ("chloroquine-dose", order(300, CHLOROQUINE, "chloroquine base"), (500, 500)),
        ("chloroquine-dose", order(200, CHLOROQUINE, "chloroquine sulfate"), (250, 250)),
        ("chloroquine-dose", order(300, CHLOROQUINE, "chloroquine"), (300, 500)),  # salt or base: not recorded
        ("mycophenolate-dose", order(1000, MYCOPHENOLATE), (1, 1)),
        ("mycophenolate-dose", order(720, "7145"), (1, 1)),
        ("mycophenolate-dose", by_atc(720, "L04AA06", "Myfortic 360 mg"), (1, 1)),
        ("mycophenolate-dose", by_atc(1000, "L04AA06", "Mycophenolate mofetil 500 mg tablets"), (1, 1)),
        ("mycophenolate-dose", by_atc(720, "L04AA06", "MYCOPHENOLATE"), (0.72, 1)),  # which form: not recorded
        ("methotrexate-dose", order(20, METHOTREXATE, dosageInstruction=[a_dosage(20, timing=WEEKLY)]), (20, 20)),
        ("methotrexate-dose", order("2.5", METHOTREXATE), (17.5, 17.5)),  # every day
    ],
)
def test_a_dose_is_counted_in_the_salt_or_form_of_its_concept(
    catalogue: Catalogue, concept: str, resource: Json, expected: tuple[float, float]
) -> None:
    assert span(result_of(catalogue, concept, resource)) == expected


def test_a_form_that_is_not_recorded_is_the_reason_of_the_range(catalogue: Catalogue) -> None:
    result = result_of(catalogue, "mycophenolate-dose", by_atc(720, "L04AA06", "mycophenolate"))
    assert result.note == "which salt or form its dose counts is not recorded"
    assert result.formula == "daily dose as mycophenolate mofetil"


def test_two_forms_of_one_drug_are_no_renewal_of_each_other(catalogue: Catalogue) -> None:
    mofetil = by_atc(720, "L04AA06", "mycophenolate mofetil") | {"id": "m2", "authoredOn": "2026-10-01"}
    acid = by_atc(720, "L04AA06", "mycophenolic acid")
    assert span(result_of(catalogue, "mycophenolate-dose", mofetil, acid)) == (1, 1.72)


@pytest.mark.parametrize(
    ("resources", "expected", "problem"),
    [
        ([order(100, AZATHIOPRINE), weight(50)], (2, 2), None),
        ([order(100, AZATHIOPRINE), weight(50, "2026-06-01")], (2, 2), None),
        ([order(100, AZATHIOPRINE), weight(50, "2026-03-01")], (0, None), Reason.IMPRECISE),
        ([order(100, AZATHIOPRINE)], (0, None), Reason.IMPRECISE),
        ([order(100, AZATHIOPRINE), weight(40, "2026-06-01") | {"id": "old"}, weight(50)], (2, 2), None),
        ([order(100, AZATHIOPRINE, status="stopped")], (0, 0), None),
    ],
)
def test_a_dose_by_body_weight_takes_the_newest_weight_of_180_days(
    catalogue: Catalogue, resources: list[Json], expected: tuple[float, float | None], problem: Reason | None
) -> None:
    result = result_of(catalogue, "azathioprine-dose-per-kg", *resources)
    assert (span(result), result.problem) == (expected, problem)


def test_the_weight_is_among_the_inputs_with_its_date(catalogue: Catalogue) -> None:
    result = result_of(catalogue, "azathioprine-dose-per-kg", order(100, AZATHIOPRINE), weight(50))
    assert [each.source for each in result.inputs] == ["MedicationRequest/m1", "Observation/weight"]
    without = result_of(catalogue, "azathioprine-dose-per-kg", order(100, AZATHIOPRINE))
    assert without.note == "a body weight of the last 180 days is missing"


def test_a_weekly_drug_that_was_given_lately_without_an_order_leaves_the_dose_open(catalogue: Catalogue) -> None:
    injection = given(15, "2026-10-12") | {"medicationCodeableConcept": code(RXNORM, METHOTREXATE)}
    assert span(result_of(catalogue, "methotrexate-dose", injection)) == (0, None)
    old = injection | {"effectiveDateTime": "2026-09-20"}
    assert span(result_of(catalogue, "methotrexate-dose", old)) == (0, 0)


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ([given(500, "2026-01-05"), given(500, "2026-02-05"), given(1000, "2026-03-05")], (2, 2)),
        ([given(500, "2026-01-05"), given(500, "2026-01-05", id="again")], (0.5, 1)),
        ([given(500, "2026-01")], (0, None)),
        ([given(500, "2026-01-05", dosage=None)], (0, None)),
        ([order(100, CYCLOPHOSPHAMIDE, authoredOn="2026-10-23")], (1, 1)),  # ten days, today included
        ([order(100, CYCLOPHOSPHAMIDE, authoredOn="2026-10-23"), given(100, "2026-10-30")], (1, 1)),
    ],
)
def test_a_cumulative_dose_is_what_is_certain_and_what_may_come_on_top(
    catalogue: Catalogue, resources: list[Json], expected: tuple[float, float | None]
) -> None:
    cleaned = [{key: item for key, item in each.items() if item is not None} for each in resources]
    assert span(result_of(catalogue, "cyclophosphamide-cumulative-dose", *cleaned)) == expected


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        (["2026-01-05", "2026-02-02", "2026-03-02"], (3, 3)),
        (["2026-01-05", "2026-01-12", "2026-02-02"], (2, 3)),  # days 1 and 8 of one cycle
        (["2026-01-05", "2026-01-19"], (1, 2)),
        (["2026-01-05", "2026-01-20"], (2, 2)),
    ],
)
def test_cycles_are_days_of_administration_that_lie_apart(
    catalogue: Catalogue, days: list[str], expected: tuple[float, float]
) -> None:
    assert span(result_of(catalogue, "cyclophosphamide-cycles", *(given(500, day) for day in days))) == expected


def test_an_order_proves_one_cycle_and_does_not_say_how_many(catalogue: Catalogue) -> None:
    result = result_of(catalogue, "cyclophosphamide-cycles", order(500, CYCLOPHOSPHAMIDE))
    assert span(result) == (1, None)
    assert result.note == "orders and statements do not say how many cycles were given"


def test_a_dose_is_not_zero_where_medications_were_not_read(catalogue: Catalogue) -> None:
    unknown = a_request(medicationCodeableConcept=None, medicationReference={"reference": "Medication/x"})
    result = result_of(catalogue, "hydroxychloroquine-dose", unknown)
    assert (result.value, result.problem) == (None, Reason.NOT_READABLE)
    both = result_of(catalogue, "hydroxychloroquine-dose", unknown, order(200, HYDROXYCHLOROQUINE, id="m2"))
    assert span(both) == (200, None)


def test_a_dose_result_that_an_observation_records_stands_beside_older_orders(catalogue: Catalogue) -> None:
    ours = "https://trialcards.org/fhir/CodeSystem/concept"
    said = an_observation(
        value={"valueQuantity": quantity(300, "mg/d")}, code=code(ours, "hydroxychloroquine-dose"), subject=SUBJECT
    )
    assert span(result_of(catalogue, "hydroxychloroquine-dose", said, order(200, HYDROXYCHLOROQUINE))) == (300, 300)
    assert LOINC not in str(said["code"])


HEAD = "drug:\n  title: Drug\n  kind: treatment\n"


@pytest.mark.parametrize(
    ("text", "objection"),
    [
        (f"{HEAD}a:\n  title: A\n  kind: result\n  unit: mg/d\n  dose: {{of: drug}}\n", '"drug" has no `forms`'),
        (f"{HEAD}a:\n  title: A\n  kind: result\n  unit: mg/d\n  dose: {{of: nothing}}\n", '"nothing" is not a treat'),
        (f"{HEAD}a:\n  title: A\n  kind: result\n  unit: g/L\n  dose: {{of: drug}}\n", "is counted in mg/d or g/d"),
        (f"{HEAD}  forms: {{base: {{}}}}\n  form_unstated: [salt]\n", "salt is none of the forms"),
        (f"{HEAD}  forms: {{base: {{mg: 0}}}}\n", "greater than 0"),
    ],
)
def test_a_dose_that_cannot_be_counted_is_refused(tmp_path: Any, text: str, objection: str) -> None:
    (tmp_path / "drugs.yaml").write_text(text)
    with pytest.raises(DefinitionError) as refused:
        load_catalogue([tmp_path])
    assert objection in str(refused.value)

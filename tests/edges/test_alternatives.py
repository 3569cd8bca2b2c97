"""What is said of a criterion that rests on alternatives; what rules a pregnancy out; what recurs and continues."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from mappings.concepts.catalogue import load_catalogue
from mappings.yaml_files import DefinitionError
from tests.edges.asking import ALT, AS_OF, BILIRUBIN, CREATININE, Asked, Json, a_result, condition, treatment, value
from tests.mappings.charts import SNOMED, SUBJECT, a_condition, a_patient, an_observation, code, quantity

GILBERT = {
    "any": [
        value("bilirubin-total", "<= 2 ULN"),
        {"all": [condition("gilbert-syndrome", when="ever"), value("bilirubin-total", "<= 3 ULN")]},
    ]
}
NOT_PREGNANT = {"any": [condition("pregnancy"), value("hcg", "positive")]}


def bilirubin(number: float) -> Json:
    return a_result(BILIRUBIN, number, "mg/dL", referenceRange=[{"high": {"value": 1.2, "unit": "mg/dL"}}])


def test_the_value_that_failed_its_limit_and_what_would_still_allow_it_are_said(ask: Asked) -> None:
    found = ask(GILBERT, bilirubin(3.0))
    assert found.says == "unknown: missing"
    assert found.explanation.startswith(
        "Bilirubin, total 3.0 mg/dL on 2026-10-20, needs ≤ 2.4 = 2 × upper limit of normal; "
        "up to 3.6 with Gilbert's syndrome: not recorded"
    )
    assert [each["concept"] for each in found.criterion["evidence"]] == ["bilirubin-total"]


@pytest.mark.parametrize(
    ("asks", "kind", "results", "expected"),
    [
        # what passes, or fails every alternative, says nothing of alternatives
        (GILBERT, "include", [bilirubin(2.4)], "Bilirubin, total 2.4 mg/dL on 2026-10-20 (needs ≤ 2.4 = 2 × upper"),
        (GILBERT, "include", [bilirubin(4.0)], "Bilirubin, total 4.0 mg/dL on 2026-10-20"),
        # an exclusion is told from the patient's side
        (
            {"all": [value("creatinine", "> 2.5 mg/dL"), value("alt", "> 100 U/L")]}, "exclude",
            [a_result(CREATININE, 3, "mg/dL")],
            "Creatinine in serum 3 mg/dL on 2026-10-20, needs ≤ 2.5; Alanine aminotransferase (ALT): no result",
        ),
        (
            {"all": [value("hbsag", "positive"), value("hbv-dna", "positive")]}, "exclude",
            [an_observation("5196-1", {"valueCodeableConcept": code(SNOMED, "10828004")})],
            "Hepatitis B surface antigen (HBsAg) positive on 2026-10-20, needs negative; Hepatitis B virus DNA",
        ),
        (
            {"any": [value("lvef", "45..70 %"), value("alt", "<= 40 U/L")]}, "include",
            [a_result("10230-1", 30, "%")],
            "Left ventricular ejection fraction (LVEF) 30 % on 2026-10-20, needs 45 to 70; Alanine",
        ),
        (
            {"any": [value("alt", "< 40 U/L"), {"judgement": {"ask": "Is it the muscle?"}}, value("ast", "< 40 U/L")]},
            "include", [a_result(ALT, 90, "U/L")],
            "Alanine aminotransferase (ALT) 90 U/L on 2026-10-20, needs < 40; For the investigator: Is it",
        ),
    ],
)  # fmt: skip
def test_what_an_open_alternative_says(asks: Json, kind: str, results: list[Json], expected: str, ask: Asked) -> None:
    assert ask(asks, *results, kind=kind).explanation.startswith(expected)


def test_the_parts_of_what_must_all_hold_are_no_alternatives(ask: Asked) -> None:
    found = ask({"all": [value("creatinine", "<= 2.5 mg/dL"), value("alt", "<= 100 U/L")]},
                  a_result(CREATININE, 1, "mg/dL"))  # fmt: skip
    assert found.explanation.startswith("Alanine aminotransferase (ALT): no result on record")


# -- pregnancy --------------------------------------------------------------------------------------------------------


def a_procedure(snomed: str, **more: object) -> Json:
    return {"resourceType": "Procedure", "id": "p", "status": "completed", "subject": SUBJECT,
            "code": code(SNOMED, snomed), "performedDateTime": "2015-03-04"} | more  # fmt: skip


HYSTERECTOMY = a_procedure("236886002")
MENOPAUSE = a_condition("Z78.0", id="menopause")


@pytest.mark.parametrize("record", [HYSTERECTOMY, MENOPAUSE])
def test_what_is_on_record_rules_a_pregnancy_out(record: Json, ask: Asked) -> None:
    found = ask(NOT_PREGNANT, record, kind="exclude")
    assert (found.says, found.criterion["basis"]) == ("met", "derived")
    assert "no record" not in found.explanation
    assert [each["resource"] for each in found.criterion["evidence"]] == [f"{record['resourceType']}/{record['id']}"]
    test = ask(value("hcg", "negative"), record)
    assert (test.says, test.criterion["basis"]) == ("met", "derived")


def test_a_positive_test_after_a_hysterectomy_is_conflicting_and_a_negative_one_is_recorded(ask: Asked) -> None:
    positive = an_observation("2118-8", {"valueCodeableConcept": code(SNOMED, "10828004")})
    assert ask(value("hcg", "positive"), HYSTERECTOMY, positive, kind="exclude").says == "unknown: conflicting"
    negative = an_observation("2118-8", {"valueCodeableConcept": code(SNOMED, "260385009")})
    found = ask(value("hcg", "positive"), HYSTERECTOMY, negative, kind="exclude")
    assert (found.says, found.criterion["basis"]) == ("met", "recorded")


def test_an_uncertain_hysterectomy_rules_nothing_out(ask: Asked) -> None:
    named = HYSTERECTOMY | {"code": {"text": "Hysterectomy"}}
    assert ask(NOT_PREGNANT, named, kind="exclude").says == "unknown: missing"


@pytest.mark.parametrize(
    ("born", "sex", "expected"),
    [
        ("1965-10-31", "female", "needs-human"),  # 61
        ("1965-11-02", "female", "unknown: missing"),  # 60
        ("1965", "female", "unknown: missing"),  # 60 or 61
        ("1950-01-01", "male", "unknown: missing"),
    ],
)
def test_above_an_age_menopause_is_asked_about_once_and_no_test_is_ordered(
    born: str, sex: str, expected: str, ask: Asked
) -> None:
    found = ask(NOT_PREGNANT, a_patient(birthDate=born, gender=sex), kind="exclude")
    assert found.says == expected
    if expected == "needs-human":
        assert found.explanation == (
            "For the investigator: Is she past menopause (no period for 12 months), or without uterus or ovaries?"
        )


def test_a_site_sets_the_age_in_its_overlay(tmp_path: Path, ask: Asked) -> None:
    (tmp_path / "site.yaml").write_text("pregnancy:\n  asked_until: 50\nhcg:\n  asked_until: 50\n")
    ours = Path(__file__).parents[2] / "mappings" / "concepts"
    older = Asked(load_catalogue([ours, tmp_path]))
    patient = a_patient(birthDate="1970-01-01")
    assert ask(NOT_PREGNANT, patient, kind="exclude").says == "unknown: missing"
    assert older(NOT_PREGNANT, patient, kind="exclude").says == "needs-human"
    (tmp_path / "site.yaml").write_text("lactation:\n  asked_until: 50\n")
    with pytest.raises(DefinitionError, match="asked_until and asked_instead go together"):
        load_catalogue([ours, tmp_path])
    (tmp_path / "site.yaml").write_text("lactation:\n  ruled_out_by: [nonsense]\n")
    with pytest.raises(DefinitionError, match='"nonsense" is not a concept'):
        load_catalogue([ours, tmp_path])


# -- what recurs ------------------------------------------------------------------------------------------------------


def sessions(*days_ago: int) -> list[Json]:
    today = date(AS_OF.year, AS_OF.month, AS_OF.day)
    return [
        a_procedure("302497006", id=f"s{n}", performedDateTime=(today - timedelta(n)).isoformat()) for n in days_ago
    ]


@pytest.mark.parametrize(
    ("days_ago", "verdict"),
    [
        ((1, 8, 15), "not-eligible"),
        ((1, 3, 5, 8, 10), "not-eligible"),
        ((14, 21, 28), "not-eligible"),  # the next one may be late
        ((15, 22, 29), "near-miss"),  # two were left out
        ((1, 8), "near-miss"),
        ((1,), "near-miss"),
        ((1, 1, 1), "near-miss"),
    ],
)
def test_what_recurs_and_continues_is_no_near_miss(days_ago: tuple[int, ...], verdict: str, ask: Asked) -> None:
    found = ask(treatment("dialysis", when="within 1 mo", absent="presume"), *sessions(*days_ago), kind="exclude")
    assert found.says == "not-met"
    assert found.cohort["verdict"] == verdict


def test_recurring_doses_of_a_drug_are_sessions_too(ask: Asked) -> None:
    doses = [
        {"resourceType": "MedicationAdministration", "id": f"a{day}", "status": "completed", "subject": SUBJECT,
         "medicationCodeableConcept": {"coding": [{"system": "http://www.whocc.no/atc", "code": "J06BA02"}]},
         "effectiveDateTime": f"2026-{day}", "dosage": {"dose": quantity(30, "g")}}
        for day in ("10-20", "09-22", "08-25")
    ]  # fmt: skip
    asks = treatment("ivig", when="within 1 mo", absent="presume")
    assert ask(asks, *doses, kind="exclude").cohort["verdict"] == "not-eligible"
    assert ask(asks, *doses[:2], kind="exclude").cohort["verdict"] == "near-miss"

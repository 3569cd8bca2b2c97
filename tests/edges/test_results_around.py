"""What stands around a result: modifiers, the report it is in, its date, and codes that say it is of something else."""

from __future__ import annotations

from typing import Any

import pytest

from tests.edges.asking import PLATELETS, Asked, Json, a_result, condition, value
from tests.mappings.charts import LOINC, SNOMED, SUBJECT, code, quantity

AT_LEAST_100 = value("platelets", ">= 100 10*9/L")
SODIUM = "2951-2"
MODIFIER = [{"url": "urn:example:specimen-haemolysed", "valueBoolean": True}]


def codes(*pairs: tuple[str, str], text: str | None = None) -> Json:
    return {"coding": [{"system": system, "code": name} for system, name in pairs]} | ({"text": text} if text else {})


def platelets(number: int = 180, **more: Any) -> Json:
    return a_result(PLATELETS, number, "10*9/L", **more)


# Modifiers


def test_a_modifier_makes_no_other_result_unreadable(ask: Asked) -> None:
    haemolysed = a_result(SODIUM, 140, "mmol/L", id="o2", modifierExtension=MODIFIER)
    answered = ask(value("hemoglobin", "< 80 g/L", absent="presume"), haemolysed, kind="exclude")
    assert answered.criterion["basis"] == "presumed"
    assert ask(AT_LEAST_100, platelets(), haemolysed).says == "met"


@pytest.mark.parametrize("modified", [{"modifierExtension": MODIFIER}, {"implicitRules": "http://example.org/rules"}])
def test_a_result_with_a_modifier_is_not_readable_and_hides_an_older_one(ask: Asked, modified: Json) -> None:
    older = platelets(id="o0", effectiveDateTime="2026-10-01")
    answered = ask(AT_LEAST_100, older, platelets(20, **modified))
    assert answered.says == "unknown: not-readable"
    assert ask(value("platelets", "< 50 10*9/L", absent="presume"), platelets(20, **modified)).says.startswith(
        "unknown"
    )


def test_a_component_with_a_modifier_is_not_readable_alone(ask: Asked) -> None:
    pressure = blood_pressure(code(LOINC, "85354-9"), systolic={"modifierExtension": MODIFIER})
    assert ask(value("systolic-blood-pressure", ">= 90 mm[Hg]"), pressure).says == "unknown: not-readable"
    assert ask(value("diastolic-blood-pressure", "<= 110 mm[Hg]"), pressure).says == "met"


# Pressures of other places, weights of other times


def blood_pressure(outer: Json, systolic: Json | None = None, also: tuple[tuple[str, str], ...] = ()) -> Json:
    upper = {"code": codes((LOINC, "8480-6"), *also), "valueQuantity": quantity(40, "mm[Hg]")}
    lower = {"code": code(LOINC, "8462-4"), "valueQuantity": quantity(20, "mm[Hg]")}
    return a_result("1-8", component=[upper | (systolic or {}), lower]) | {"code": outer}


@pytest.mark.parametrize(
    ("outer", "also"),
    [
        (code(LOINC, "85354-9"), ((LOINC, "8440-0"),)),
        (codes((SNOMED, "250767002"), (LOINC, "76284-9")), ()),
        (code(SNOMED, "276769008"), ((LOINC, "8430-1"),)),
        (code(SNOMED, "276756009"), ()),
        (code(LOINC, "85354-9"), ((SNOMED, "250768007"),)),
        ({"text": "Pulmonary artery pressure"}, ()),
        ({"text": "Linksventrikulärer Druck"}, ()),
        ({"coding": [{"system": "urn:example:device", "code": "1", "display": "Right ventricular pressure"}]}, ()),
    ],
)
def test_a_pressure_in_the_lung_or_a_ventricle_is_no_blood_pressure(
    ask: Asked, outer: Json, also: tuple[tuple[str, str], ...]
) -> None:
    asks = value("systolic-blood-pressure", ">= 90 mm[Hg]")
    assert ask(asks, blood_pressure(outer, also=also)).says == "unknown: missing"


@pytest.mark.parametrize("outer", [code(LOINC, "85354-9"), code(SNOMED, "75367002"), {"text": "Blood pressure"}])
def test_a_blood_pressure_is_read_whatever_its_panel_is_called(ask: Asked, outer: Json) -> None:
    assert ask(value("systolic-blood-pressure", ">= 90 mm[Hg]"), blood_pressure(outer)).says == "not-met"


def test_a_mean_pulmonary_pressure_is_still_read_in_its_panel(ask: Asked) -> None:
    mean = {"code": codes((LOINC, "8478-0"), (LOINC, "8414-5")), "valueQuantity": quantity(15, "mm[Hg]")}
    panel = a_result("1-8", component=[mean]) | {"code": code(LOINC, "76284-9")}
    assert ask(value("mean-pulmonary-artery-pressure", "<= 20 mm[Hg]"), panel).says == "met"


@pytest.mark.parametrize(
    "birth",
    [
        codes((LOINC, "29463-7"), (LOINC, "8339-4")),
        codes((SNOMED, "364589006"), (LOINC, "29463-7")),
        codes((LOINC, "29463-7"), text="Geburtsgewicht"),
        codes((LOINC, "29463-7"), text="Birth weight"),
    ],
)
def test_the_weight_at_birth_is_not_todays(ask: Asked, birth: Json) -> None:
    weight = a_result("29463-7", 3.4, "kg") | {"code": birth}
    assert ask(value("body-weight", ">= 40 kg"), weight).says == "unknown: missing"


@pytest.mark.parametrize(
    "birth", [codes((LOINC, "8302-2"), (LOINC, "89269-5")), codes((LOINC, "8302-2"), (SNOMED, "169886007"))]
)
def test_the_length_at_birth_is_not_todays_height(ask: Asked, birth: Json) -> None:
    height = a_result("8302-2", 51, "cm") | {"code": birth}
    assert ask(value("body-height", ">= 140 cm"), height).says == "unknown: missing"


# Results inside reports, and reports' dates


def a_report(*contained: Json, **more: Any) -> Json:
    report = {"resourceType": "DiagnosticReport", "id": "r1", "status": "final", "subject": SUBJECT}
    report |= {"code": code(LOINC, "58410-2"), "effectiveDateTime": "2026-10-20"}
    return report | ({"contained": list(contained)} if contained else {}) | more


def without(resource: Json, *members: str) -> Json:
    return {key: member for key, member in resource.items() if key not in members}


INSIDE = without(platelets(180), "subject", "effectiveDateTime")


def test_a_result_inside_a_report_is_read_with_the_reports_patient_and_date(ask: Asked) -> None:
    answered = ask(AT_LEAST_100, a_report(INSIDE, result=[{"reference": "#o1"}]))
    assert answered.says == "met"
    assert answered.criterion["evidence"][0]["resource"] == "DiagnosticReport/r1#o1"
    assert answered.criterion["evidence"][0]["date"] == "2026-10-20"


def test_results_inside_two_reports_do_not_replace_each_other(ask: Asked) -> None:
    low = INSIDE | {"valueQuantity": quantity(20, "10*9/L")}
    newer = a_report(low, id="r2", effectiveDateTime="2026-10-25")
    answered = ask(AT_LEAST_100, newer, a_report(INSIDE))
    assert answered.says == "not-met"
    assert answered.report["sources"][1]["count"] == 2


def test_a_result_inside_a_panel_is_read(ask: Asked) -> None:
    panel = a_result("58410-2", contained=[INSIDE], hasMember=[{"reference": "#o1"}], id="p1")
    assert ask(AT_LEAST_100, panel).says == "met"


@pytest.mark.parametrize(
    ("report", "says"),
    [
        (a_report(INSIDE, status="entered-in-error"), "unknown: missing"),
        (a_report(INSIDE, modifierExtension=MODIFIER), "unknown: not-readable"),
        (a_report(INSIDE | {"status": "preliminary"}), "unknown: not-final"),
        (a_report(INSIDE, subject={"reference": "Patient/other"}), "unknown: missing"),
        (a_report({"resourceType": "Observation", "id": "o1", "status": {"x": 1}}), "unknown: not-readable"),
        (a_report(INSIDE | {"subject": {"reference": "#p"}}, {"resourceType": "Patient", "id": "p"}), "met"),
        (a_report(INSIDE, effectiveDateTime="2026-12-24"), "unknown: missing"),
    ],
)
def test_a_result_inside_a_report_shares_what_is_wrong_with_it(ask: Asked, report: Json, says: str) -> None:
    assert ask(AT_LEAST_100, report).says == says


UNDATED = without(platelets(180), "effectiveDateTime")


@pytest.mark.parametrize(
    "dated",
    [
        {"effectiveDateTime": "2026-10-20"},
        {"effectiveDateTime": None, "effectivePeriod": {"start": "2026-10-19", "end": "2026-10-20"}},
        {"effectiveDateTime": None, "issued": "2026-10-20T08:00:00Z"},
    ],
)
def test_a_reports_date_serves_its_results(ask: Asked, dated: Json) -> None:
    report = a_report(result=[{"reference": "Observation/o1"}]) | dated
    answered = ask(AT_LEAST_100, UNDATED, {k: v for k, v in report.items() if v is not None})
    assert answered.says == "met"
    assert answered.criterion["evidence"][0]["date"].startswith("2026-10-20")


def test_a_results_own_date_is_kept(ask: Asked) -> None:
    report = a_report(result=[{"reference": "Observation/o1"}])
    answered = ask(AT_LEAST_100, platelets(effectiveDateTime="2026-10-05"), report)
    assert answered.criterion["evidence"][0]["date"] == "2026-10-05"


@pytest.mark.parametrize("second", [{"id": "r2", "effectiveDateTime": "2026-09-01"}, {"status": "entered-in-error"}])
def test_a_report_that_is_void_or_contradicted_dates_nothing(ask: Asked, second: Json) -> None:
    listed = [{"reference": "Observation/o1"}]
    first = [a_report(result=listed)] if "id" in second else []
    assert ask(AT_LEAST_100, UNDATED, *first, a_report(result=listed, **second)).says == "unknown: imprecise"


def test_a_final_result_without_any_date_is_reported(ask: Asked) -> None:
    answered = ask(AT_LEAST_100, UNDATED)
    assert answered.says == "unknown: imprecise"
    assert "the result has no date" in answered.explanation
    low = without(platelets(20, id="o2"), "effectiveDateTime")
    beside = ask(AT_LEAST_100, platelets(), low)
    assert beside.says == "unknown: conflicting"
    assert "Platelets 20 × 10⁹/L, undated" in beside.explanation
    alike = ask(AT_LEAST_100, platelets(), UNDATED | {"id": "o2"})
    assert [each["resource"] for each in alike.criterion["evidence"]] == ["Observation/o1"]


@pytest.mark.parametrize(
    "when",
    [
        {"effectiveDateTime": "18.11.2026"},
        {"effectiveDateTime": "20261118"},
        {"effectiveDateTime": None, "effectivePeriod": {"start": "2026-10-25", "end": "2026-02-01"}},
    ],
)
def test_a_result_whose_date_cannot_be_believed_contradicts_a_dated_one_and_is_shown_beside_it(
    ask: Asked, when: Json
) -> None:
    low = {name: value for name, value in (platelets(20, id="o2") | when).items() if value is not None}
    beside = ask(AT_LEAST_100, platelets(), low)
    assert beside.says == "unknown: conflicting"
    assert "Platelets 20 × 10⁹/L, undated" in beside.explanation
    assert len(beside.criterion["evidence"]) == 2


# A state that an Observation tells

PREGNANT, BREASTFEEDING = condition("pregnancy", when="active"), condition("lactation", when="active")


def a_state(system: str, name: str, **more: Any) -> Json:
    return a_result("1-8", **more) | {"code": code(system, name)}


@pytest.mark.parametrize(
    "answer",
    [
        {"valueCodeableConcept": code(SNOMED, "373066001")},
        {"valueCodeableConcept": code(f"{SNOMED}|http://snomed.info/sct/900000000000207008", "373066001")},
        {"valueCodeableConcept": code("http://snomed.info/sct/11000274103/version/20231115", "373066001")},
        {"valueCodeableConcept": code("http://terminology.hl7.org/CodeSystem/v2-0136", "Y")},
        {"valueCodeableConcept": code("http://terminology.hl7.org/CodeSystem/v2-0532", "Y")},
        {"valueCodeableConcept": code(LOINC, "LA33-6")},
        {"valueBoolean": True},
        {"valueString": "Yes"},
    ],
)
def test_a_finding_that_is_answered_with_yes_is_there(ask: Asked, answer: Json) -> None:
    assert ask(PREGNANT, a_state(SNOMED, "77386006", **answer), kind="exclude").says == "not-met"
    assert ask(BREASTFEEDING, a_state(SNOMED, "413712001", **answer), kind="exclude").says == "not-met"


@pytest.mark.parametrize(("answer", "says"), [("LA29252-6", "not-met"), ("LA29253-4", "met")])
def test_the_breastfeeding_status_is_read(ask: Asked, answer: str, says: str) -> None:
    status = a_state(LOINC, "63895-7", valueCodeableConcept=code(LOINC, answer))
    assert ask(BREASTFEEDING, status, kind="exclude").says == says


def test_a_finding_that_cannot_be_read_or_dated_is_open(ask: Asked) -> None:
    yes = a_state(SNOMED, "77386006", valueBoolean=True)
    assert ask(PREGNANT, without(yes, "effectiveDateTime"), kind="exclude").says == "unknown: imprecise"
    assert ask(PREGNANT, yes | {"modifierExtension": MODIFIER}, kind="exclude").says == "unknown: not-readable"
    unclear = a_state(SNOMED, "77386006", valueString="see letter")
    assert ask(PREGNANT, unclear, kind="exclude").says == "unknown: imprecise"

"""Entries that carry no code we know but say in words what they are: no answer, and never silence."""

from __future__ import annotations

from typing import Any

import pytest

from mappings.chart import fhir
from mappings.readers.uncoded import named_by
from tests.edges.asking import Asked, condition, treatment, value
from tests.mappings.charts import SNOMED, SUBJECT, a_condition, an_administration, code

NO_EPILEPSY = condition("epilepsy", when="ever", absent="presume")
NO_DIALYSIS = treatment("dialysis", when="within 8 wk", absent="presume")
LOCAL = "urn:oid:1.2.3.4"


def called(text: str, **more: Any) -> dict[str, Any]:
    return a_condition(code={"text": text}, id="c2") | more


def displayed(system: str, name: str, display: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": name, "display": display}]}


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        (called("Epilepsy"), "needs-human"),
        (called("Focal EPILEPSY, since childhood"), "needs-human"),
        (called("", code=displayed(LOCAL, "77", "Epilepsy")), "needs-human"),
        (called("", code=displayed(SNOMED, "1", "Epilepsy of a kind that nobody has listed")), "needs-human"),
        (called("Family history of epilepsy"), "met"),
        (called("No epilepsy"), "met"),
        (called("Strange dreams"), "met"),
        (called("Epilepsy", verificationStatus=code("x", "refuted")), "met"),
        # ICD-10 is mapped whole: what its code does not say, the words beside it do not say either.
        (a_condition("Z82.0", id="c2") | {"code": a_condition("Z82.0")["code"] | {"text": "Epilepsy"}}, "met"),
    ],
)
def test_a_diagnosis_that_is_only_named_is_asked_about(ask: Asked, entry: dict[str, Any], says: str) -> None:
    answered = ask(NO_EPILEPSY, entry, kind="exclude")
    assert answered.says == says
    assert (says == "met") is (answered.criterion["basis"] == "presumed")


def test_the_question_quotes_the_entry(ask: Asked) -> None:
    assert "named only in the text “Focal epilepsy”" in ask(NO_EPILEPSY, called("Focal epilepsy")).explanation


def test_a_code_that_was_left_out_on_purpose_is_not_let_in_by_its_words(ask: Asked) -> None:
    lupus = condition("systemic-lupus-erythematosus", when="ever")
    by_a_drug = code(SNOMED, "80258006") | {"text": "Drug-induced systemic lupus erythematosus"}
    assert ask(lupus, called("", code=by_a_drug)).cohort["criteria"][-1]["evidence"][0]["resource"] == "Condition/lupus"


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        ({"text": "Hemodialysis, one treatment"}, "completed", "needs-human"),
        (displayed("http://example.org/local", "D1", "Haemodialysis"), "completed", "needs-human"),
        ({"text": "Hemodialysis"}, "not-done", "met"),
        ({"text": "Dialysate culture"}, "completed", "met"),
    ],
)
def test_a_procedure_without_a_known_code_is_not_passed_over(
    ask: Asked, words: dict[str, Any], status: str, says: str
) -> None:
    procedure = {"resourceType": "Procedure", "id": "x1", "status": status, "subject": SUBJECT, "code": words}
    answered = ask(NO_DIALYSIS, procedure | {"performedDateTime": "2026-10-01"}, kind="exclude")
    assert answered.says == says


def test_a_joint_that_was_injected_is_no_course_of_a_steroid(ask: Asked) -> None:
    knee = {"resourceType": "Procedure", "id": "x1", "status": "completed", "subject": SUBJECT}
    knee |= {"code": {"text": "Triamcinolone injection, knee"}, "performedDateTime": "2026-10-01"}
    asks = value("glucocorticoid-dose", "<= 10 mg/d", absent="presume")
    assert ask(asks, knee).says == "met"


def a_named_result(words: dict[str, Any], number: object = 180) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": "o1",
        "status": "final",
        "code": words,
        "subject": SUBJECT,
        "effectiveDateTime": "2026-10-20",
        "valueQuantity": {"value": number, "unit": "10*3/uL"},
    }


def test_a_result_that_is_only_named_is_missing_and_told(ask: Asked) -> None:
    answered = ask(value("platelets", ">= 100 10*9/L"), a_named_result(displayed(LOCAL, "PLT", "Platelet count")))
    assert answered.says == "unknown: missing"
    assert "one called “Platelet count” (180 10*3/uL) carries no code that is known" in answered.explanation
    assert answered.criterion["evidence"][0]["recorded"] == "180 10*3/uL"


def test_an_unlisted_snomed_code_does_not_stop_the_words_of_a_result(ask: Asked) -> None:
    british = a_named_result(displayed(SNOMED, "1999999999999105", "Platelet count"))
    assert "one called “Platelet count”" in ask(value("platelets", ">= 100 10*9/L"), british).explanation


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ({"coding": [{"system": LOCAL, "code": "Rituximab"}]}, "needs-human"),
        ({"coding": [{"code": "RITUXIMAB 500 mg"}]}, "needs-human"),
        ({"coding": [{"system": SNOMED, "code": "Rituximab"}]}, "needs-human"),
        ({"coding": [{"system": LOCAL, "code": "Paracetamol"}]}, "met"),
        # Beside words for people the code is a key, and no word.
        ({"coding": [{"system": LOCAL, "code": "Rituximab", "display": "Paracetamol"}]}, "met"),
        ({"coding": [{"system": LOCAL, "code": "Rituximab"}], "text": "Paracetamol"}, "met"),
    ],
)
def test_a_code_that_is_itself_a_word_is_read_as_that_word(ask: Asked, words: dict[str, Any], says: str) -> None:
    given = an_administration(medicationCodeableConcept=words, effectiveDateTime="2026-10-20")
    asks = treatment("b-cell-depleting-therapy", when="within 1 mo", absent="presume")
    assert ask(asks, given, kind="exclude").says == says


def test_a_result_is_called_by_a_code_that_is_a_word(ask: Asked) -> None:
    local = a_named_result({"coding": [{"system": LOCAL, "code": "Platelets"}]})
    assert "one called “Platelets”" in ask(value("platelets", ">= 100 10*9/L"), local).explanation


@pytest.mark.parametrize(
    "words",
    [
        {"text": "Platelet function assay"},
        {"text": "Platelets, urine"},
        {"coding": [{"system": "http://loinc.org", "code": "1-8", "display": "Platelets"}]},
    ],
)
def test_a_result_is_named_by_its_whole_name_and_never_against_a_code_of_loinc(
    ask: Asked, words: dict[str, Any]
) -> None:
    answered = ask(value("platelets", ">= 100 10*9/L"), a_named_result(words))
    assert answered.says == "unknown: missing"
    assert answered.criterion["evidence"] == []


@pytest.mark.parametrize(
    "words",
    [
        "Methotrexat 15 mg", "Méthotrexate 2,5 mg comprimé", "Metotrexato 2,5 mg", "Methotrexaat", "Metotreksaatti",
        "Metotreksat tabletter", "メトトレキサート錠2mg", "甲氨蝶呤片",
    ],
)  # fmt: skip
def test_a_drug_is_called_by_its_name_in_other_languages(ask: Asked, words: str) -> None:
    given = an_administration(medicationCodeableConcept={"text": words}, effectiveDateTime="2026-10-20")
    asks = treatment("methotrexate", when="within 1 mo", absent="presume")
    assert ask(asks, given, kind="exclude").says == "needs-human"


@pytest.mark.parametrize(
    "words",
    ["Epilepsie", "Épilepsie partielle", "Epilessia", "Epilepsia", "Epilepsi", "てんかんの疑い", "继发性癫痫"],
)
def test_a_diagnosis_is_called_by_its_name_in_other_languages(ask: Asked, words: str) -> None:
    assert ask(NO_EPILEPSY, called(words), kind="exclude").says == "needs-human"


def test_of_japanese_and_chinese_names_inside_each_other_the_longer_counts(ask: Asked) -> None:
    def asked(name: str, words: str) -> str:
        given = an_administration(medicationCodeableConcept={"text": words}, effectiveDateTime="2026-10-20")
        return ask(treatment(name, when="within 1 mo", absent="presume"), given, kind="exclude").says

    assert asked("prednisolone", "泼尼松龙片5mg") == "needs-human"
    assert asked("prednisone", "泼尼松龙片5mg") == "met"
    assert asked("prednisone", "泼尼松片5mg") == "needs-human"
    assert asked("prednisolone", "メチルプレドニゾロン注射用") == "met"
    assert asked("methylprednisolone", "メチルプレドニゾロン注射用") == "needs-human"


ENOUGH = value("platelets", ">= 100 10*9/L")


def a_coded_result(number: object, at: str = "2026-10-01", loinc: str = "777-3") -> dict[str, Any]:
    return a_named_result(code("http://loinc.org", loinc), number) | {"id": f"o-{at}", "effectiveDateTime": at}


def named_at(at: str | None, **more: Any) -> dict[str, Any]:
    record = a_named_result({"text": "Platelets"}, 10) | {"effectiveDateTime": at} | more
    return {key: each for key, each in record.items() if each is not None}


def test_an_older_coded_result_does_not_speak_for_a_newer_one_that_is_only_named(ask: Asked) -> None:
    answered = ask(ENOUGH, named_at("2026-10-20"), a_coded_result(150))
    assert answered.says == "unknown: not-understood"
    assert "one called “Platelets” (10 10*3/uL) carries no code that is known" in answered.explanation
    assert [each["recorded"] for each in answered.criterion["evidence"]] == ["10 10*3/uL", "150 10*3/uL"]


@pytest.mark.parametrize(
    ("named", "coded"),
    [
        ("2026-09-20", "2026-10-01"),
        ("2026-10-01", "2026-10-01"),
        ("2026-10-01T08:00:00Z", "2026-10-01T08:00:00Z"),
        ("2026-10-01", "2026-10-01T08:00:00Z"),
    ],
)
def test_a_coded_result_speaks_where_none_that_is_only_named_is_newer(ask: Asked, named: str, coded: str) -> None:
    assert ask(ENOUGH, named_at(named), a_coded_result(150, coded)).says == "met"


@pytest.mark.parametrize("at", ["2026-10", "2026-10-01T09:00:00Z", None])
def test_one_that_is_only_named_and_may_be_newer_counts_as_newer(ask: Asked, at: str | None) -> None:
    assert ask(ENOUGH, named_at(at), a_coded_result(150, "2026-10-01T08:00:00Z")).says == "unknown: not-understood"


@pytest.mark.parametrize("more", [{"status": "preliminary"}, {"valueQuantity": None}, {"status": "entered-in-error"}])
def test_one_that_is_only_named_and_holds_no_final_value_takes_no_place(ask: Asked, more: dict[str, Any]) -> None:
    assert ask(ENOUGH, named_at("2026-10-20", **more), a_coded_result(150)).says == "met"


def test_a_result_of_the_past_that_is_only_named_leaves_open_whether_any_was_too_low(ask: Asked) -> None:
    ever_low = value("platelets", "< 50 10*9/L", pick="any", within="3 mo")
    assert ask(ever_low, a_coded_result(150), kind="exclude").says == "met"
    assert ask(ever_low, named_at("2026-09-20"), a_coded_result(150), kind="exclude").says == "unknown: not-understood"
    assert ask(ever_low, named_at("2026-03-20"), a_coded_result(150), kind="exclude").says == "met"
    assert ask(ever_low, named_at("2026-09-20"), a_coded_result(10), kind="exclude").says == "not-met"


def test_an_estimate_gives_way_to_a_newer_creatinine_that_is_only_named(ask: Asked) -> None:
    filtration = value("egfr", ">= 30 mL/min/{1.73_m2}")
    coded = a_coded_result(1, loinc="2160-0") | {"valueQuantity": {"value": 1, "unit": "mg/dL"}}
    named = named_at("2026-10-20", code={"text": "Creatinine"}, valueQuantity={"value": 6, "unit": "mg/dL"})
    assert ask(filtration, coded).says == "met"
    assert ask(filtration, coded, named).says == "unknown: not-understood"


def test_a_result_that_is_only_named_is_not_presumed_absent(ask: Asked) -> None:
    asks = value("glucocorticoid-dose", "<= 10 mg/d", absent="presume")
    assert ask(asks).criterion["basis"] == "presumed"
    low = value("platelets", "< 50 10*9/L", absent="presume")
    assert ask(low, kind="exclude").criterion["basis"] == "presumed"
    assert ask(low, a_named_result({"text": "Platelets"}, 10), kind="exclude").says == "unknown: missing"


def test_a_gate_that_is_only_named_opens_and_is_asked_about(ask: Asked) -> None:
    report = ask(NO_EPILEPSY, called("Systemic lupus erythematosus", id="lupus"), kind="exclude")
    assert report.cohort["verdict"] == "likely-eligible"


NO_LIVE_VACCINE = treatment("live-vaccine", when="within 6 wk", absent="presume")


def a_shot(words: dict[str, Any], **more: Any) -> dict[str, Any]:
    shot = {"resourceType": "Immunization", "id": "x1", "status": "completed", "patient": SUBJECT}
    return shot | {"vaccineCode": words, "occurrenceDateTime": "2026-10-20"} | more


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ({"text": "MMR II"}, "needs-human"),
        ({"text": "M-M-R II, lot on file"}, "needs-human"),
        ({"text": "MMR vaccination"}, "needs-human"),
        ({"text": "Yellow fever immunization (travel clinic)"}, "needs-human"),
        ({"text": "Varivax"}, "needs-human"),
        ({"text": "Zoster, live"}, "needs-human"),
        ({"text": "Imojev"}, "needs-human"),
        ({"text": "Influenza, intranasal"}, "needs-human"),
        ({"text": "Gelbfieber"}, "needs-human"),
        ({"text": "Shingrix"}, "met"),
        # SNOMED CT names the product, and none of its codes is listed.
        (
            displayed(SNOMED, "1", "Vaccine product containing only live attenuated Measles morbillivirus"),
            "needs-human",
        ),
        ({"text": "Hepatitis B vaccine"}, "met"),
        ({"text": "Influenza, inactivated"}, "met"),
        # CVX is mapped whole: its code says which vaccine it was.
        (displayed("http://hl7.org/fhir/sid/cvx", "187", "zoster recombinant, no varicella in it"), "met"),
    ],
)
def test_a_live_vaccine_that_is_only_named_is_asked_about(ask: Asked, words: dict[str, Any], says: str) -> None:
    assert ask(NO_LIVE_VACCINE, a_shot(words), kind="exclude").says == says


def test_a_vaccination_that_was_not_given_is_none(ask: Asked) -> None:
    assert ask(NO_LIVE_VACCINE, a_shot({"text": "MMR II"}, status="not-done"), kind="exclude").says == "met"


@pytest.mark.parametrize("disease", ["Varicella", "Measles, as a child"])
def test_a_disease_is_not_the_vaccine_against_it(ask: Asked, disease: str) -> None:
    assert ask(NO_LIVE_VACCINE, called(disease), kind="exclude").says == "met"


def test_a_vaccination_against_a_disease_is_not_the_disease(ask: Asked) -> None:
    against = a_shot({"text": "Pneumonia vaccine (pneumococcal)"})
    assert ask(condition("active-infection"), against, kind="exclude").says == "unknown: missing"


@pytest.mark.parametrize(
    ("concept", "words"),
    [
        ("car-t-therapy", "Kymriah"),
        ("car-t-therapy", "Carvykti (CAR-T)"),
        ("b-cell-depleting-therapy", "Rixathon 500 mg"),
        ("b-cell-depleting-therapy", "BRIUMVI 150 mg/6 mL"),
        ("ivig", "Immune globulin (human) IV 10 %"),
        ("ivig", "Kiovig"),
        ("immunosuppressant", "Methotrexat 15 mg s.c."),
        ("growth-factor", "tbo-filgrastim 300 mcg"),
        ("erythropoietin", "EPO"),
        ("erythropoietin", "Erypo 4000 IE s.c."),
    ],
)
def test_a_drug_that_is_only_called_by_a_brand_or_in_german_is_asked_about(
    ask: Asked, concept: str, words: str
) -> None:
    given = an_administration(medicationCodeableConcept={"text": words}, effectiveDateTime="2026-10-20")
    asks = treatment(concept, when="within 1 mo", absent="presume")
    assert ask(asks, given, kind="exclude").says == "needs-human"


@pytest.mark.parametrize(
    ("concept", "words"),
    [
        ("malignancy", "Adenocarcinoma of colon"),
        ("malignancy", "Glioma, grade II"),
        ("malignancy", "Liver metastases"),
        ("epilepsy", "Seizure disorder"),
        ("cerebrovascular-disease", "TIA"),
        ("heart-failure", "HFrEF"),
        ("depression", "Depressive episode"),
        ("cirrhosis", "Leberzirrhose"),
        ("behcet-disease", "Behçet disease"),
    ],
)
def test_a_disease_is_asked_about_under_its_other_names(ask: Asked, concept: str, words: str) -> None:
    # SNOMED CT has thousands of codes for tumours, of which the commonest are listed.
    entry = called("", code=displayed(SNOMED, "1", words))
    assert ask(condition(concept, when="ever", absent="presume"), entry, kind="exclude").says == "needs-human"


@pytest.mark.parametrize(("day", "says"), [("2026-10-01", "needs-human"), ("2026-09-30", "met")])
def test_what_is_only_named_is_asked_about_only_where_it_would_count(ask: Asked, day: str, says: str) -> None:
    given = an_administration(medicationCodeableConcept={"text": "Rixathon"}, effectiveDateTime=day)
    asks = treatment("b-cell-depleting-therapy", when="within 1 mo", absent="presume")
    answered = ask(asks, given, kind="exclude")
    assert answered.says == says
    assert "Rixathon" in answered.explanation  # never "no record"


@pytest.mark.parametrize(
    ("concept", "words"),
    [
        ("coronary-revascularization", "PCI with stent"),
        ("mechanical-ventilation", "BiPAP"),
        ("dialysis", "CRRT"),
        ("major-surgery", "Total hip replacement, left"),
        ("organ-transplant", "Transplantation of kidney"),
        ("organ-transplant", "Simultaneous pancreas-kidney transplantation"),
        ("organ-transplant", "Nierentransplantation"),
        ("stem-cell-transplant", "Autologous hematopoietic cell transplantation"),
        ("car-t-therapy", "CAR-T-Zelltherapie"),
    ],
)
def test_a_procedure_is_asked_about_however_it_is_worded(ask: Asked, concept: str, words: str) -> None:
    done = {"resourceType": "Procedure", "id": "x1", "status": "completed", "subject": SUBJECT}
    answered = ask(treatment(concept, when="ever", absent="presume"), done | {"code": {"text": words}}, kind="exclude")
    assert answered.says == "needs-human"


@pytest.mark.parametrize(
    ("words", "more", "within", "ever"),
    [
        ("History of seizure", {"recordedDate": "2026-04-30"}, "met", "needs-human"),
        ("History of seizure", {"recordedDate": "2026-05-01"}, "needs-human", "needs-human"),
        ("Seizure", {"recordedDate": "2026-04-30"}, "needs-human", "needs-human"),
    ],
)
def test_an_entry_that_calls_itself_a_history_was_over_when_it_was_written(
    ask: Asked, words: str, more: dict[str, Any], within: str, ever: str
) -> None:
    entry = called(words, **more)
    for when, says in (("within 6 mo", within), ("ever", ever)):
        assert ask(condition("seizure", when=when, absent="presume"), entry, kind="exclude").says == says


def test_a_history_in_words_still_opens_a_gate(ask: Asked) -> None:
    entry = called("History of systemic lupus erythematosus", id="lupus", recordedDate="2015-01-01")
    assert ask(condition("systemic-lupus-erythematosus"), entry).says == "needs-human"


@pytest.mark.parametrize(
    ("words", "concept"),
    [
        ("Atherosclerotic heart disease of native coronary artery", "coronary-artery-disease"),
        ("Coronary atherosclerosis of native coronary artery", "coronary-artery-disease"),
        ("Chronic ischemic heart disease, unspecified", "coronary-artery-disease"),
        ("Stem cells transplant status", "stem-cell-transplant"),
        ("Presence of aortocoronary bypass graft", "coronary-bypass"),
        ("Urinary tract infection, site not specified", "active-infection"),
    ],
)
def test_titles_of_icd_without_their_code_name_their_concept(ask: Asked, words: str, concept: str) -> None:
    assert concept in named_by(fhir.Condition(code=fhir.DiagnosisCode(text=words)), ask.catalogue)

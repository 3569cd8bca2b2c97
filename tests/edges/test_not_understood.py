"""Records that arrived and in which nothing is known: they are never silence, and never more than a question."""

from __future__ import annotations

from datetime import UTC
from typing import Any

import pytest

from tests.edges.asking import AS_OF, Asked, condition, treatment, value
from tests.mappings.charts import (
    SNOMED,
    SUBJECT,
    a_chart,
    a_condition,
    a_dosage,
    a_patient,
    a_request,
    an_administration,
)
from tests.small_trial import a_trial
from trial_defs.engine.evaluation import match

IPS = "http://hl7.org/fhir/uv/ips/CodeSystem/absent-unknown-uv-ips"
NDC = "http://hl7.org/fhir/sid/ndc"
NO_CANCER = condition("malignancy", when="ever", absent="presume")
NO_EPILEPSY = condition("epilepsy", when="ever", absent="presume")
NO_RITUXIMAB = treatment("rituximab", when="within 6 mo", absent="presume")
NO_METHOTREXATE = treatment("methotrexate", when="within 6 mo", absent="presume")
NO_DIALYSIS = treatment("dialysis", when="within 8 wk", absent="presume")
NO_LIVE_VACCINE = treatment("live-vaccine", when="within 8 wk", absent="presume")
NOT_UNDERSTOOD = "unknown: not-understood"


def diagnosis(**concept: Any) -> dict[str, Any]:
    return a_condition(code=concept, id="c2")


def drug(**concept: Any) -> dict[str, Any]:
    return an_administration(id="m1", effectiveDateTime="2026-10-01", medicationCodeableConcept=concept)


def procedure(**concept: Any) -> dict[str, Any]:
    return {
        "resourceType": "Procedure", "id": "x1", "status": "completed", "subject": SUBJECT, "code": concept,
        "performedDateTime": "2026-10-01",
    }  # fmt: skip


def vaccine(**concept: Any) -> dict[str, Any]:
    return {
        "resourceType": "Immunization", "id": "v1", "status": "completed", "patient": SUBJECT, "vaccineCode": concept,
        "occurrenceDateTime": "2026-10-01",
    }  # fmt: skip


def coding(system: str, name: str, display: str | None = None) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": name} | ({"display": display} if display else {})]}


MASKED: dict[str, Any] = coding("http://terminology.hl7.org/CodeSystem/data-absent-reason", "masked")


@pytest.mark.parametrize(
    ("asks", "record"),
    [
        (NO_CANCER, diagnosis(**MASKED)),
        (NO_CANCER, diagnosis()),
        (NO_CANCER, diagnosis(text="Rakovina prsu")),
        (NO_CANCER, diagnosis(text="Unknown")),
        (NO_CANCER, diagnosis(**coding("urn:example:national", "C50.9"))),
        (NO_CANCER, diagnosis(**coding(SNOMED, "195111005", "Zweverige aandoening"))),
        (NO_CANCER, diagnosis(**coding(IPS, "no-problem-info"))),
        (NO_RITUXIMAB, drug(**coding(NDC, "50242005121"))),
        (NO_RITUXIMAB, drug(text="リツキサン点滴静注")),
        (NO_RITUXIMAB, drug(**coding(IPS, "no-medication-info"))),
        (NO_RITUXIMAB, drug(text="Antibody infusion")),
        (NO_DIALYSIS, procedure(**coding("http://fhir.de/CodeSystem/bfarm/ops", "8-854.2"))),
        (NO_DIALYSIS, procedure(**coding(IPS, "no-procedure-info"))),
        (NO_LIVE_VACCINE, vaccine(**coding("urn:example:vaccines", "12"))),
    ],
)
def test_what_is_not_understood_leaves_open_what_it_may_be(
    ask: Asked, asks: dict[str, Any], record: dict[str, Any]
) -> None:
    assert ask(asks, record, kind="exclude").says == NOT_UNDERSTOOD


@pytest.mark.parametrize(
    ("asks", "record"),
    [
        (NO_EPILEPSY, diagnosis(text="Acute bronchitis")),
        (NO_EPILEPSY, diagnosis(**coding("urn:oid:1.2.246.537.6.1", "J45.9"))),
        (NO_EPILEPSY, diagnosis(**coding(IPS, "no-known-problems"))),
        (NO_EPILEPSY, diagnosis(**coding(SNOMED, "1", "Full-time employment (finding)"))),
        (NO_EPILEPSY, drug(**coding(NDC, "50242005121"))),
        (NO_RITUXIMAB, drug(text="Ramipril 5 mg tablet")),
        (NO_RITUXIMAB, drug(**coding("http://www.whocc.no/atc", "C09AA05"))),
        (NO_METHOTREXATE, drug(**coding("http://www.whocc.no/atc", "L01F"))),
        (NO_DIALYSIS, procedure(text="Appendectomy")),
        (NO_RITUXIMAB, vaccine(**coding("urn:example:vaccines", "12"))),
    ],
)
def test_what_is_certainly_something_else_is_silence(ask: Asked, asks: dict[str, Any], record: dict[str, Any]) -> None:
    answered = ask(asks, record, kind="exclude")
    assert (answered.says, answered.criterion["basis"]) == ("met", "presumed")


@pytest.mark.parametrize(
    ("system", "name"),
    [
        ("urn:oid:1.2.246.537.6.1", "C50.9"),
        ("urn:oid:1.2.208.176.2.4.12", "DC509"),
        ("urn:oid:2.16.578.1.12.4.1.1.7110", "C509"),
        ("urn:oid:1.2.752.116.1.1.1.1.3", "C509"),
        ("http://jpfhir.jp/fhir/core/mhlw/CodeSystem/ICD10-2013-full", "C509"),
        ("https://smt.esante.gouv.fr/terminologie-cim-10", "C50.9"),
        ("https://uzis.cz/terminology/CodeSystem/mkn-10", "C509"),
        ("http://hl7.org/fhir/sid/icd-10-be", "C50.9"),
        ("http://www.hl7korea.or.kr/CodeSystem/kostat-kcd-8", "C50.9"),
        ("http://www.hl7korea.or.kr/CodeSystem/kostat-kcd-9", "C5091"),
        ("urn:oid:2.16.756.5.30.1.126.3.2", "C50.9"),
        ("urn:oid:2.16.756.5.30.1.126.3.2.2012", "C50.9"),
        ("http://www.saude.gov.br/fhir/r4/CodeSystem/BRCID10", "C509"),
        ("https://example.org/CodeSystem/mkb-10", "C50.9"),
    ],
)
def test_icd_10_is_read_under_national_addresses(ask: Asked, system: str, name: str) -> None:
    assert ask(NO_CANCER, diagnosis(**coding(system, name)), kind="exclude").says == "not-met"


def test_icd_10_pcs_is_no_icd_10(ask: Asked) -> None:
    record = diagnosis(**coding("http://www.icd10data.com/icd10pcs", "C509"))
    assert ask(NO_CANCER, record, kind="exclude").says == NOT_UNDERSTOOD


def test_a_gate_that_only_an_unknown_diagnosis_could_open_is_not_evaluated(ask: Asked) -> None:
    trial = a_trial(ask.catalogue, {"include": {"age": {"is": ">= 18 a"}}}, gate=condition("rheumatoid-arthritis"))

    def verdict(*records: dict[str, Any]) -> str:
        return match([trial], a_chart(a_patient(), *records), ask.catalogue, AS_OF, UTC).trials[0].verdict

    assert verdict(diagnosis(**MASKED)) == "could-not-evaluate"
    assert verdict(diagnosis(text="Zweverige aandoening")) == "could-not-evaluate"
    assert verdict(diagnosis(text="Acute bronchitis")) == "not-indicated"
    assert verdict(drug(**coding(NDC, "50242005121"))) == "not-indicated"
    assert verdict(a_condition("M05.9"), diagnosis(**MASKED)) == "likely-eligible"


def test_a_ceiling_on_a_dose_is_open_while_a_drug_is_not_understood(ask: Asked) -> None:
    ceiling = value("glucocorticoid-dose", "<= 15 mg/d", absent="presume")
    ten = a_request(dosageInstruction=[a_dosage(10)])
    foreign = drug(**coding(NDC, "50242005121"))
    assert ask(ceiling).says == "met"
    assert ask(ceiling, ten).says == "met"
    assert ask(ceiling, foreign).says == NOT_UNDERSTOOD
    assert ask(ceiling, ten, foreign).says == NOT_UNDERSTOOD


def test_what_is_known_still_decides(ask: Asked) -> None:
    cancer = a_condition("C50.9", id="c3")
    assert ask(NO_CANCER, cancer, diagnosis(**MASKED), kind="exclude").says == "not-met"


def test_the_sources_count_what_was_not_understood_by_system(ask: Asked) -> None:
    answered = ask(NO_CANCER, diagnosis(**MASKED), drug(**coding(NDC, "50242005121")), kind="exclude")
    told = {s["resourceType"]: s["notUnderstood"] for s in answered.report["sources"] if s["notUnderstood"]}
    assert told == {
        "Condition": [{"system": None, "count": 1}],
        "MedicationAdministration": [{"system": NDC, "count": 1}],
    }

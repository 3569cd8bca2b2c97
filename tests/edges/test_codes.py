"""Codes that name two things at once, and their neighbours that name only one."""

from __future__ import annotations

import pytest

from tests.edges.asking import Asked, condition, treatment, value
from tests.mappings.charts import a_condition, an_observation, code


@pytest.mark.parametrize(
    ("concept", "icd", "says"),
    [
        ("angina", "I25.119", "not-met"),  # coronary disease with angina
        ("angina", "I25.110", "not-met"),  # with an unstable one
        ("angina", "I25.709", "not-met"),  # of a bypass
        ("angina", "I25.10", "met"),  # coronary disease without angina
        ("unstable-angina", "I25.119", "met"),
        ("granulomatosis-with-polyangiitis", "M31.31", "not-met"),  # with the kidney
        ("kidney-disease", "M31.31", "not-met"),
        ("kidney-disease", "M31.30", "met"),
        ("sjogren-disease", "M35.04", "not-met"),
        ("kidney-disease", "M35.04", "not-met"),
        ("kidney-disease", "M35.0A", "not-met"),
        ("kidney-disease", "M35.02", "met"),  # with the lung
        ("sjogren-disease", "M35.07", "not-met"),
        ("central-nervous-system-disease", "M35.07", "not-met"),
        ("central-nervous-system-disease", "M35.06", "met"),  # of peripheral nerves
        ("autoimmune-disease", "L40.0", "not-met"),  # psoriasis of the skin
        ("psoriatic-arthritis", "L40.0", "met"),
        ("psoriatic-arthritis", "L40.52", "not-met"),
    ],
)
def test_a_code_that_names_two_things_is_found_for_both(ask: Asked, concept: str, icd: str, says: str) -> None:
    asks = condition(concept, excepting=["systemic-lupus-erythematosus"], absent="presume")
    if concept != "autoimmune-disease":
        asks = condition(concept, absent="presume")
    assert ask(asks, a_condition(icd, id="c9"), kind="exclude").says == says


@pytest.mark.parametrize("country", ["cm", "gm", "uk", "nl", "am", "ca"])
def test_icd_10_is_known_in_the_edition_of_every_country(ask: Asked, country: str) -> None:
    address = f"http://hl7.org/fhir/sid/icd-10-{country}"
    entry = a_condition("G40.9", id="c9", code={"coding": [{"system": address, "code": "G40.9"}]})
    assert ask(condition("epilepsy", absent="presume"), entry, kind="exclude").says == "not-met"


@pytest.mark.parametrize("address", ["https://loinc.org", "http://www.loinc.org", "http://loinc.org/"])
def test_a_system_is_known_though_its_address_is_written_with_a_liberty(ask: Asked, address: str) -> None:
    count = an_observation(code={"coding": [{"system": address, "code": "777-3"}]})
    assert ask(value("platelets", ">= 100 10*9/L"), count).says == "met"


def test_a_vaccine_is_known_though_its_number_lost_a_zero(ask: Asked) -> None:
    asks = treatment("live-vaccine", when="within 6 wk", absent="presume")
    shot = {
        "resourceType": "Immunization",
        "id": "v1",
        "status": "completed",
        "patient": {"reference": "Patient/p1"},
        "vaccineCode": code("http://hl7.org/fhir/sid/cvx", "3"),
        "occurrenceDateTime": "2026-10-10",
    }
    assert ask(asks, shot, kind="exclude").says == "not-met"


@pytest.mark.parametrize(
    ("number", "name"),
    [("1022651000000100", "Platelet count"), ("1108041000000107", "Platelet count in blood")],
)
def test_results_of_the_uk_edition_of_snomed_are_read(ask: Asked, number: str, name: str) -> None:
    count = an_observation(code=code("http://snomed.info/sct", number, name))
    assert ask(value("platelets", ">= 100 10*9/L"), count).says == "met"


def test_a_snomed_code_that_is_not_listed_does_not_hide_the_words_beside_it(ask: Asked) -> None:
    record = a_condition("-", id="c9", code=code("http://snomed.info/sct", "195111005", "Hartfalen"))
    assert ask(condition("heart-failure", absent="presume"), record, kind="exclude").says == "needs-human"

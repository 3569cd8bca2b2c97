"""Diagnoses and drugs as charts record them: without status, by reference, as needed, tapering, in free text."""

from __future__ import annotations

from typing import Any

import pytest

from tests.edges.asking import Asked, condition, treatment, value
from tests.mappings.charts import (
    RXNORM,
    SNOMED,
    SUBJECT,
    a_condition,
    a_dosage,
    a_patient,
    a_request,
    an_administration,
    an_observation,
    code,
)

ACTIVE_CANCER = condition("malignancy", absent="presume")
ANY_CANCER = condition("malignancy", when="ever", absent="presume")
RITUXIMAB, PREDNISONE, METHYLPREDNISOLONE = "121191", "8640", "6902"
NO_RITUXIMAB = treatment("rituximab", when="within 6 mo", absent="presume")


def cancer(**more: Any) -> dict[str, Any]:
    return a_condition("C50.9", id="c9", **more)


@pytest.mark.parametrize(
    ("more", "active", "ever"),
    [
        ({}, "not-met", "not-met"),
        ({"clinicalStatus": None}, "not-met", "not-met"),
        ({"clinicalStatus": None, "verificationStatus": None}, "not-met", "not-met"),
        ({"clinicalStatus": code("x", "remission")}, "not-met", "not-met"),
        ({"clinicalStatus": code("x", "resolved")}, "met", "not-met"),
        ({"clinicalStatus": {"text": "Resolved"}}, "met", "not-met"),
        ({"clinicalStatus": None, "abatementDateTime": "2020-01-01"}, "met", "not-met"),
        ({"clinicalStatus": None, "abatementString": "after surgery"}, "met", "not-met"),
        ({"abatementDateTime": "2027-01-01"}, "not-met", "not-met"),
        ({"verificationStatus": code("x", "provisional")}, "needs-human", "needs-human"),
        ({"verificationStatus": {"text": "Provisional"}}, "needs-human", "needs-human"),
        ({"verificationStatus": code("x", "refuted")}, "met", "met"),
        ({"verificationStatus": code("x", "entered-in-error")}, "met", "met"),
        ({"onsetDateTime": "2027-01-01"}, "met", "met"),
        ({"subject": {"reference": "Patient/p2"}}, "met", "met"),
        ({"category": [code("x", "family-history")]}, "met", "met"),
    ],
)
def test_a_diagnosis_excludes_unless_the_chart_says_that_it_is_over_or_no_diagnosis(
    ask: Asked, more: dict[str, Any], active: str, ever: str
) -> None:
    assert ask(ACTIVE_CANCER, cancer(**more), kind="exclude").says == active
    assert ask(ANY_CANCER, cancer(**more), kind="exclude").says == ever


def test_a_diagnosis_with_an_unknown_modifier_lets_silence_say_nothing(ask: Asked) -> None:
    modified = cancer(modifierExtension=[{"url": "urn:example:negated", "valueBoolean": True}])
    assert ask(ACTIVE_CANCER, modified, kind="exclude").says == "unknown: not-readable"


# -- drugs


def rituximab(**more: Any) -> dict[str, Any]:
    return a_request(RITUXIMAB, id="m9", **more)


MEDICATION = {"resourceType": "Medication", "id": "rtx", "code": code(RXNORM, RITUXIMAB)}


@pytest.mark.parametrize(
    "resources",
    [
        [rituximab()],
        [rituximab(medicationCodeableConcept=None, medicationReference={"reference": "Medication/rtx"}), MEDICATION],
        [rituximab(medicationCodeableConcept=None, medicationReference={"reference": "#x"},
                   contained=[MEDICATION | {"id": "x"}])],
        [rituximab(status="unknown")],
        [{"resourceType": "MedicationStatement", "id": "s", "status": "unknown", "subject": SUBJECT,
          "medicationCodeableConcept": code(RXNORM, RITUXIMAB), "effectiveDateTime": "2026-07-01"}],
        [{"resourceType": "MedicationAdministration", "id": "a", "status": "completed", "subject": SUBJECT,
          "medicationCodeableConcept": code(RXNORM, RITUXIMAB), "effectiveDateTime": "2026-05-01"}],
    ],
)  # fmt: skip
def test_an_exposure_excludes_however_the_drug_is_named(ask: Asked, resources: list[dict[str, Any]]) -> None:
    assert ask(NO_RITUXIMAB, *resources, kind="exclude").says == "not-met"


@pytest.mark.parametrize(
    ("resource", "says"),
    [
        (rituximab(medicationCodeableConcept=None, medicationReference={"reference": "Medication/gone"}),
         "unknown: not-readable"),
        (rituximab(medicationCodeableConcept={"text": "Rituximab 1 g iv"}), "needs-human"),
        (rituximab(medicationCodeableConcept={"coding": [
            {"system": RXNORM, "code": "999999999", "display": "rituximab-abbs 10 MG/ML"}]}), "needs-human"),
        (rituximab(status="stopped", authoredOn="2024-01-01"), "unknown: imprecise"),
        (rituximab(status="completed", authoredOn="2024-01-01"), "unknown: imprecise"),
        (rituximab(doNotPerform=True), "met"),
        (rituximab(intent="proposal"), "needs-human"),
        (rituximab(intent="plan"), "needs-human"),
        (rituximab(intent="plan", reportedBoolean=True), "not-met"),
        (rituximab(dosageInstruction=[{"timing": {"repeat": {"boundsPeriod": {
            "start": "2026-10-10", "end": "2025-10-10"}}}}]), "unknown: conflicting"),
        (rituximab(status="draft"), "met"),
        (rituximab(subject={"reference": "Patient/p2"}), "met"),
        ({"resourceType": "MedicationStatement", "id": "s", "status": "not-taken", "subject": SUBJECT,
          "medicationCodeableConcept": code(RXNORM, RITUXIMAB)}, "met"),
        ({"resourceType": "AllergyIntolerance", "id": "a", "patient": SUBJECT, "code": code(RXNORM, RITUXIMAB)}, "met"),
    ],
)  # fmt: skip
def test_a_washout_is_presumed_only_where_no_entry_leaves_it_in_doubt(
    ask: Asked, resource: dict[str, Any], says: str
) -> None:
    assert ask(NO_RITUXIMAB, resource, kind="exclude").says == says


# -- the dose


def steroid(*dosages: dict[str, Any], rxnorm: str = PREDNISONE, **more: Any) -> dict[str, Any]:
    return a_request(rxnorm, id="m9", dosageInstruction=list(dosages), **more)


AT_MOST_10 = value("glucocorticoid-dose", "<= 10 mg/d")


@pytest.mark.parametrize(
    ("resource", "says"),
    [
        (steroid(a_dosage(10)), "met"),
        (steroid(a_dosage(10.5)), "not-met"),
        (steroid(a_dosage(5, 2)), "met"),
        (steroid(a_dosage(8), rxnorm=METHYLPREDNISOLONE), "met"),  # 10 mg of prednisone
        (steroid(a_dosage(9), rxnorm=METHYLPREDNISOLONE), "not-met"),
        (steroid({"text": "take 10 mg by mouth daily"}), "met"),
        (steroid({"text": "10 mg twice a day"}), "not-met"),
        (steroid({"text": "taper as discussed"}), "unknown: imprecise"),
        (steroid({"text": "10 mg daily, then as directed"}), "unknown: imprecise"),
        (steroid(a_dosage(10, asNeededBoolean=True)), "met"),
        (steroid(a_dosage(20, asNeededBoolean=True)), "unknown: imprecise"),
        (steroid(a_dosage(20, sequence=1), a_dosage(10, sequence=2), a_dosage(5, sequence=3)), "unknown: imprecise"),
        (steroid(a_dosage(10, sequence=1), a_dosage(5, sequence=2)), "met"),
        (steroid(a_dosage(20, sequence=1), a_dosage(15, sequence=2)), "not-met"),
        (steroid(a_dosage(20), medicationCodeableConcept={"text": "prednisone 5 mg tablet"}), "unknown: imprecise"),
        (steroid(a_dosage(50), status="stopped", authoredOn="2026-01-01"), "met"),  # it was stopped
        (a_patient(), "unknown: missing"),  # that nothing is on record does not say that nothing is taken
    ],
)
def test_the_daily_dose_is_decided_where_every_way_to_read_it_agrees(
    ask: Asked, resource: dict[str, Any], says: str
) -> None:
    assert ask(AT_MOST_10, resource).says == says


def test_a_dose_changed_lately_is_not_stable_and_says_when_it_will_be(ask: Asked) -> None:
    stable = value("glucocorticoid-dose", "<= 10 mg/d", stable_for="2 wk")
    assert ask(stable, steroid(a_dosage(10))).says == "met"
    changed = ask(stable, steroid(a_dosage(10), authoredOn="2026-10-25"))
    assert (changed.says, changed.cohort["recheckOn"]) == ("not-met", "2026-11-08")
    assert "in the last 2 weeks" in changed.explanation


PREGNANT = {"any": [condition("pregnancy"), value("hcg", "positive")]}


def a_pregnancy(**more: Any) -> dict[str, Any]:
    return a_condition("Z33.1", id="c9") | more


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"onsetDateTime": "2026-08-01"}, "not-met"),
        ({"onsetDateTime": "2026-01-05"}, "not-met"),  # 300 days ago to the day
        ({"onsetDateTime": "2026-01-04"}, "unknown: missing"),
        ({"onsetDateTime": "2019", "recordedDate": "2026-10-01"}, "unknown: missing"),
        ({"recordedDate": "2019-03-01"}, "unknown: missing"),
        ({"recordedDate": "2026-10-01"}, "not-met"),
        ({}, "not-met"),  # undated: nothing says that it is over
    ],
)
def test_a_pregnancy_that_no_one_took_off_the_list_is_over_after_its_time(
    ask: Asked, more: dict[str, Any], says: str
) -> None:
    assert ask(PREGNANT, a_pregnancy(**more), kind="exclude").says == says


def test_a_negative_test_speaks_beside_a_pregnancy_of_years_ago(ask: Asked) -> None:
    negative = an_observation("2110-5", {"valueString": "Negative"})
    assert ask(PREGNANT, a_pregnancy(onsetDateTime="2019-01-01"), negative, kind="exclude").says == "met"


GERMAN, CERTAINTY = "http://fhir.de/CodeSystem/bfarm/icd-10-gm", "icd-10-gm-diagnosesicherheit"


@pytest.mark.parametrize(
    ("letter", "active", "ever"),
    [
        ("G", "not-met", "not-met"),  # certain
        ("V", "needs-human", "needs-human"),  # suspected
        ("A", "met", "met"),  # ruled out
        ("Z", "met", "not-met"),  # state after
        ("?", "not-met", "not-met"),
    ],
)
def test_the_certainty_that_germany_puts_beside_the_code_counts(
    ask: Asked, letter: str, active: str, ever: str
) -> None:
    beside = {"url": f"http://fhir.de/StructureDefinition/{CERTAINTY}", "valueCoding": {"code": letter}}
    coding = {"system": GERMAN, "code": "C50.9", "extension": [{"url": "urn:other", "valueString": "A"}, beside]}
    entry = cancer(code={"coding": [coding]}, clinicalStatus=None, verificationStatus=None)
    assert ask(ACTIVE_CANCER, entry, kind="exclude").says == active
    assert ask(ANY_CANCER, entry, kind="exclude").says == ever


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"clinicalStatus": code("x", "resolved"), "abatementDateTime": "2026"}, "met"),
        ({"abatementDateTime": "2026"}, "unknown: imprecise"),
        ({"clinicalStatus": None, "abatementDateTime": "2026-11"}, "unknown: imprecise"),
        ({"abatementDateTime": "2026-11-01"}, "not-met"),  # on its last day
    ],
)
def test_an_end_known_to_the_year_alone_is_over_where_the_status_says_so(
    ask: Asked, more: dict[str, Any], says: str
) -> None:
    assert ask(ACTIVE_CANCER, cancer(**more), kind="exclude").says == says


INFECTION = condition("active-infection")


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"clinicalStatus": None, "recordedDate": "2019-02-01"}, "unknown: imprecise"),
        ({"clinicalStatus": None}, "unknown: imprecise"),
        ({"clinicalStatus": None, "recordedDate": "2026-08-03"}, "not-met"),  # 90 days ago to the day
        ({"clinicalStatus": None, "recordedDate": "2026-08-02"}, "unknown: imprecise"),
        ({"recordedDate": "2019-02-01"}, "not-met"),  # a status that somebody gave is believed
        ({"clinicalStatus": code("x", "inactive"), "recordedDate": "2026-10-20"}, "unknown: missing"),
    ],
)
def test_an_infection_that_nobody_closed_is_not_believed_to_go_on_for_ever(
    ask: Asked, more: dict[str, Any], says: str
) -> None:
    pneumonia = a_condition("J18.9", id="c9", verificationStatus=None, **more)
    assert ask(INFECTION, pneumonia, kind="exclude").says == says


def test_a_seizure_of_years_ago_without_a_status_is_asked_about(ask: Asked) -> None:
    seizure = a_condition("R56.9", id="c9", clinicalStatus=None, recordedDate="2019-02-01")
    asks = condition("seizure", when="within 6 mo", absent="presume")
    assert ask(asks, seizure, kind="exclude").says == "unknown: imprecise"


@pytest.mark.parametrize(
    ("recorded", "says"), [("2026-04-30", "met"), ("2026-05-01", "unknown: imprecise"), (None, "unknown: imprecise")]
)
def test_a_history_written_down_before_the_window_was_over_before_it(
    ask: Asked, recorded: str | None, says: str
) -> None:
    history = a_condition("Z86.73", id="c9", recordedDate=recorded)
    asks = condition("cerebrovascular-disease", when="within 6 mo", absent="presume")
    assert ask(asks, history, kind="exclude").says == says


@pytest.mark.parametrize(
    ("icd", "more", "says"),
    [
        ("F32.5", {}, "needs-human"),  # in full remission
        ("F33.42", {}, "needs-human"),
        ("F33.41", {}, "not-met"),  # in partial remission
        ("F33.1", {"clinicalStatus": code("x", "remission")}, "needs-human"),
        ("F33.1", {"clinicalStatus": code("x", "resolved")}, "met"),
        ("F33.1", {}, "not-met"),
    ],
)
def test_a_depression_in_remission_is_put_to_a_person(ask: Asked, icd: str, more: dict[str, Any], says: str) -> None:
    answered = ask(condition("depression", absent="presume"), a_condition(icd, id="c9", **more), kind="exclude")
    assert answered.says == says
    assert ("in remission" in answered.explanation) is (says == "needs-human")


@pytest.mark.parametrize(
    ("authored", "says"), [("2026-10-10", "not-met"), ("2026-05-01", "not-met"), ("2026-04-30", "unknown: imprecise")]
)
def test_an_order_of_an_infusion_that_is_open_for_long_does_not_say_when_the_last_one_was(
    ask: Asked, authored: str, says: str
) -> None:
    asks = treatment("rituximab", when="within 1 mo", absent="presume")
    assert ask(asks, rituximab(authoredOn=authored), kind="exclude").says == says


def test_an_infusion_that_was_given_counts_beside_its_old_order(ask: Asked) -> None:
    given = an_administration(effectiveDateTime="2026-10-20")
    asks = treatment("rituximab", when="within 1 mo", absent="presume")
    assert ask(asks, rituximab(authoredOn="2024-03-01"), given, kind="exclude").says == "not-met"


@pytest.mark.parametrize(
    ("status", "says"),
    [
        ("completed", "not-met"),
        ("aborted", "not-met"),  # STU3
        ("unknown", "needs-human"),
        (None, "needs-human"),
        ("not-done", "met"),
        ("preparation", "met"),
    ],
)
def test_a_procedure_of_unknown_status_is_put_to_a_person(ask: Asked, status: str | None, says: str) -> None:
    kidney = {"resourceType": "Procedure", "id": "x1", "subject": SUBJECT, "code": code(SNOMED, "70536003")}
    done = kidney | ({"status": status} if status else {}) | {"performedDateTime": "2020-01-01"}
    assert ask(treatment("organ-transplant", when="ever", absent="presume"), done, kind="exclude").says == says


def test_a_vaccination_without_a_status_is_put_to_a_person(ask: Asked) -> None:
    shot = {"resourceType": "Immunization", "id": "x1", "patient": SUBJECT, "occurrenceDateTime": "2026-10-20"}
    shot |= {"vaccineCode": code("http://hl7.org/fhir/sid/cvx", "03")}
    asks = treatment("live-vaccine", when="within 6 wk", absent="presume")
    assert ask(asks, shot, kind="exclude").says == "needs-human"

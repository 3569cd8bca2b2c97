"""Diagnoses, drugs, procedures, vaccinations, trials and allergies: what is on record, since when, and how surely."""

from __future__ import annotations

import json
from datetime import UTC, date
from decimal import Decimal
from typing import Any

import pytest

from mappings.chart.addresses import Servers
from mappings.chart.chart import ChartBuilder
from mappings.facts import Certainty, Dose
from mappings.patient_facts import facts_of
from tests.mappings.charts import (
    AS_OF,
    RXNORM,
    SNOMED,
    SUBJECT,
    a_bundle,
    a_condition,
    a_dispense,
    a_dosage,
    a_patient,
    a_request,
    an_administration,
    code,
    episode_from,
    facts_from,
    quantity,
    small_catalogue,
    source_of,
)

SLE = "systemic-lupus-erythematosus"
CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
VERIFICATION = "http://terminology.hl7.org/CodeSystem/condition-ver-status"


def days(moment: Any) -> tuple[date, date] | None:
    return (moment.first_day, moment.last_day) if moment else None


# Conditions


def test_an_active_confirmed_condition_is_ongoing_and_certain() -> None:
    episode = episode_from(SLE, a_condition(onsetDateTime="2019-03-02", recordedDate="2019-04-01"))
    assert (episode.ongoing, episode.certainty, episode.remission) == (True, Certainty.CONFIRMED, False)
    assert days(episode.start) == (date(2019, 3, 2), date(2019, 3, 2))
    assert days(episode.recorded) == (date(2019, 4, 1), date(2019, 4, 1))
    assert (episode.source, episode.kind, episode.member) == ("Condition/c1", "diagnosis", SLE)


@pytest.mark.parametrize(
    ("clinical", "ongoing", "remission"),
    [
        ("active", True, False),
        ("recurrence", True, False),
        ("relapse", True, False),
        (" Active", True, False),
        (None, True, False),
        ("remission", True, True),
        ("inactive", True, True),
        ("resolved", False, False),
    ],
)
def test_a_disease_goes_on_until_it_is_resolved(clinical: str | None, ongoing: bool, remission: bool) -> None:
    status = code(CLINICAL, clinical) if clinical else None
    episode = episode_from(SLE, a_condition(clinicalStatus=status))
    assert (episode.ongoing, episode.remission) == (ongoing, remission)


def test_a_condition_with_no_status_at_all_is_on_record() -> None:
    episode = episode_from(SLE, a_condition(clinicalStatus=None, verificationStatus=None))
    assert (episode.ongoing, episode.certainty) == (True, Certainty.CONFIRMED)


@pytest.mark.parametrize("verification", ["provisional", "differential", "unconfirmed"])
def test_a_doubtful_diagnosis_is_provisional(verification: str) -> None:
    episode = episode_from(SLE, a_condition(verificationStatus=code(VERIFICATION, verification)))
    assert episode.certainty is Certainty.PROVISIONAL


@pytest.mark.parametrize("verification", ["refuted", "entered-in-error"])
def test_a_refuted_diagnosis_is_not_on_record_but_counted(verification: str) -> None:
    facts = facts_from(a_condition(verificationStatus=code(VERIFICATION, verification)))
    assert facts.episodes(SLE) == ()
    assert source_of(facts, "Condition").excluded == ((verification, 1),)


@pytest.mark.parametrize(
    ("abatement", "ongoing"),
    [
        ({"clinicalStatus": None, "abatementDateTime": "2026-10-31"}, False),
        ({"clinicalStatus": code(CLINICAL, "inactive"), "abatementDateTime": "2026-10-31"}, False),
        ({"abatementDateTime": "2026-10-31"}, None),  # active, and ended
        ({"abatementDateTime": "2026-11-02"}, True),
        ({"abatementDateTime": "2026"}, None),
        ({"clinicalStatus": None, "abatementPeriod": {"start": "2020-01-01", "end": "2020-02-01"}}, False),
        ({"abatementBoolean": True}, False),
        ({"abatementString": "years ago"}, False),
        ({"clinicalStatus": None, "abatementAge": quantity(40, "a")}, False),
        ({"clinicalStatus": code(CLINICAL, "resolved"), "abatementDateTime": "2026-12-01"}, True),
    ],
)
def test_an_end_before_the_moment_of_reading_ends_it_and_a_later_one_does_not(
    abatement: dict[str, Any], ongoing: bool | None
) -> None:
    assert episode_from(SLE, a_condition(**abatement)).ongoing is ongoing


@pytest.mark.parametrize(
    ("onset", "expected"),
    [
        ({"onsetDateTime": "2020"}, (date(2020, 1, 1), date(2020, 12, 31))),
        ({"onsetPeriod": {"start": "2020-05", "end": "2021"}}, (date(2020, 5, 1), date(2020, 5, 31))),
        ({"onsetAge": quantity(30, "a")}, (date(2010, 6, 15), date(2011, 6, 14))),
        ({"onsetRange": {"low": quantity(30, "a"), "high": quantity(31, "a")}}, (date(2010, 6, 15), date(2012, 6, 14))),
        ({"onsetAge": quantity(30, "a", comparator="<")}, None),
        ({"onsetString": "in her thirties"}, None),
        ({}, None),
    ],
)
def test_the_onset_is_as_exact_as_it_was_recorded(onset: dict[str, Any], expected: tuple[date, date] | None) -> None:
    assert days(episode_from(SLE, a_condition(**onset)).start) == expected


@pytest.mark.parametrize("later", [{"recordedDate": "2026-11-02"}, {"onsetDateTime": "2026-12"}])
def test_a_condition_written_or_begun_later_does_not_exist_yet(later: dict[str, str]) -> None:
    facts = facts_from(a_condition(**later))
    assert facts.episodes(SLE) == ()
    assert source_of(facts, "Condition").excluded == (("future", 1),)


STATEMENT = {
    "resourceType": "MedicationStatement",
    "id": "s1",
    "status": "active",
    "subject": SUBJECT,
    "medicationCodeableConcept": code(RXNORM, "121191"),
}


@pytest.mark.parametrize(
    ("concept", "record"),
    [
        (SLE, a_condition(onsetDateTime="2062-05-01", recordedDate="2026-05-02")),
        (SLE, a_condition(onsetPeriod={"start": "2026-12-01"}, recordedDate="2026-10-01")),
        (SLE, a_condition(onsetDateTime="2026-12", assertedDate="2026-10-31")),
        ("rituximab", STATEMENT | {"effectiveDateTime": "2062-05-04", "dateAsserted": "2026-05-05"}),
        ("rituximab", STATEMENT | {"effectivePeriod": {"start": "2026-12-01", "end": "2026-12-31"},
                                   "dateAsserted": "2026-05-05"}),
    ],
)  # fmt: skip
def test_what_was_written_down_before_it_began_is_open_and_not_set_aside(concept: str, record: dict[str, Any]) -> None:
    episode = episode_from(concept, record)
    assert (episode.start, episode.end, episode.ongoing) == (None, None, None)
    assert episode.contradiction
    assert "after it was written down on 2026-" in episode.contradiction


@pytest.mark.parametrize(
    "record",
    [
        a_condition(onsetDateTime="2026-12-01", recordedDate="2026-12-02"),
        STATEMENT | {"effectiveDateTime": "2026-12-01", "dateAsserted": "2026-12-02"},
        STATEMENT | {"effectiveDateTime": "2026-12-01"},
        a_request("121191", dosageInstruction=[{"timing": {"repeat": {"boundsPeriod": {"start": "2026-12-01"}}}}]),
    ],
)
def test_what_was_written_down_later_or_is_ordered_for_later_does_not_exist_yet(record: dict[str, Any]) -> None:
    facts = facts_from(record)
    assert facts.episodes(SLE) == facts.episodes("rituximab") == ()
    assert source_of(facts, record["resourceType"]).excluded == (("future", 1),)


def test_an_allergy_recorded_before_its_onset_is_one() -> None:
    allergy = {
        "resourceType": "AllergyIntolerance",
        "id": "al1",
        "patient": SUBJECT,
        "code": code(RXNORM, "121191"),
        "onsetDateTime": "2062-01-01",
        "recordedDate": "2026-01-02",
    }
    (episode,) = facts_from(allergy).allergies("rituximab")
    assert episode.start is None


def test_a_disease_of_the_family_is_not_the_patients() -> None:
    history = {"resourceType": "FamilyMemberHistory", "id": "f", "status": "completed", "patient": SUBJECT}
    facts = facts_from(a_condition(category=[code(SNOMED, "57177007")]), history)
    assert facts.episodes(SLE) == ()
    assert source_of(facts, "FamilyMemberHistory").count == 1


def test_a_member_of_a_class_is_found_under_the_class_and_named() -> None:
    episode = episode_from("malignancy", a_condition("C61"))
    assert (episode.concept, episode.member) == ("malignancy", "prostate-cancer")


def test_a_code_for_a_disease_of_the_past_is_over_whatever_its_status() -> None:
    assert episode_from("malignancy", a_condition("Z85.46")).ongoing is False


def test_episodes_come_latest_first() -> None:
    early, late = a_condition(onsetDateTime="2019"), a_condition(id="c2", onsetDateTime="2021")
    assert [e.source for e in facts_from(early, late).episodes(SLE)] == ["Condition/c2", "Condition/c1"]


# Drugs


@pytest.mark.parametrize(
    ("changes", "ongoing"),
    [
        ({}, True),
        ({"status": "ACTIVE "}, True),
        ({"status": "on-hold"}, False),
        ({"status": "stopped"}, False),
        ({"status": "completed"}, False),
        ({"status": "unknown"}, None),
        ({"dispenseRequest": {"validityPeriod": {"end": "2026-10-01"}}}, True),
    ],
)
def test_an_order_is_current_while_it_is_active(changes: dict[str, Any], ongoing: bool | None) -> None:
    assert episode_from("prednisone", a_request(**changes)).ongoing is ongoing


INPATIENT = {"category": [code("http://terminology.hl7.org/CodeSystem/medicationrequest-category", "inpatient")]}
SHORT = {
    "courseOfTherapyType": code("http://terminology.hl7.org/CodeSystem/medicationrequest-course-of-therapy", "acute")
}
FIVE_DAYS = {"expectedSupplyDuration": {"value": 5, "unit": "d"}}


@pytest.mark.parametrize(
    ("changes", "ongoing"),
    [
        (INPATIENT, None),
        (INPATIENT | {"authoredOn": "2026-10-20"}, True),
        (INPATIENT | {"authoredOn": None}, True),
        (SHORT, None),
        (SHORT | {"authoredOn": "2026-10-20"}, True),
        (SHORT | {"authoredOn": "2026-10-20", "dispenseRequest": FIVE_DAYS}, None),
        (SHORT | {"authoredOn": "2026-10-28", "dispenseRequest": FIVE_DAYS}, True),
        (SHORT | {"dispenseRequest": FIVE_DAYS | {"numberOfRepeatsAllowed": 3}}, True),
        ({"dispenseRequest": FIVE_DAYS}, True),  # an order like any other is current until it is closed
    ],
)
def test_an_order_of_a_stay_or_a_short_course_is_not_believed_to_go_on_for_ever(
    changes: dict[str, Any], ongoing: bool | None
) -> None:
    assert episode_from("prednisone", a_request(**changes)).ongoing is ongoing


def bounded(**bounds: object) -> list[dict[str, Any]]:
    return [{"timing": {"repeat": bounds}}]


@pytest.mark.parametrize(
    ("dosage", "ongoing", "end"),
    [
        (bounded(boundsPeriod={"start": "2026-09-10", "end": "2026-09-20"}), False, date(2026, 9, 20)),
        (bounded(boundsPeriod={"start": "2026-09-10", "end": "2026-12-20"}), True, date(2026, 12, 20)),
        (bounded(boundsDuration=quantity(5, "d")), False, date(2026, 9, 6)),
        (bounded(boundsDuration=quantity(1, "a")), True, date(2027, 9, 1)),
        ([*bounded(boundsDuration=quantity(5, "d")), {"text": "then continue"}], True, None),
    ],
)
def test_a_course_ends_when_its_instructions_end(dosage: list[dict[str, Any]], ongoing: bool, end: date | None) -> None:
    episode = episode_from("prednisone", a_request(dosageInstruction=dosage))
    assert episode.ongoing is ongoing
    assert (episode.end and episode.end.last_day) == end


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"status": "entered-in-error"}, "entered-in-error"),
        ({"status": "cancelled"}, "cancelled"),
        ({"status": "draft"}, "draft"),
        ({"doNotPerform": True}, "not-done"),
        ({"authoredOn": "2026-11-02"}, "future"),
    ],
)
def test_what_was_not_ordered_is_no_exposure(changes: dict[str, Any], reason: str) -> None:
    facts = facts_from(a_request(**changes))
    assert facts.episodes("prednisone") == ()
    assert source_of(facts, "MedicationRequest").excluded == ((reason, 1),)


REPORTER = {"reference": "Practitioner/x"}


@pytest.mark.parametrize(
    ("changes", "certainty"),
    [
        ({"intent": "plan"}, Certainty.PLANNED),
        ({"intent": "plan", "reportedBoolean": False}, Certainty.PLANNED),
        ({"intent": " Plan", "reportedBoolean": True}, Certainty.CONFIRMED),
        ({"intent": "plan", "reportedReference": REPORTER}, Certainty.CONFIRMED),
        ({"intent": "plan", "reported": True}, Certainty.CONFIRMED),  # R5
        ({"intent": "proposal"}, Certainty.PLANNED),
        ({"intent": "option"}, Certainty.PLANNED),
        ({"intent": "instance-order"}, Certainty.CONFIRMED),
        ({"intent": None}, Certainty.CONFIRMED),
    ],
)
def test_a_plan_counts_where_it_reports_what_is_taken_and_is_open_otherwise(
    changes: dict[str, Any], certainty: Certainty
) -> None:
    assert episode_from("prednisone", a_request(**changes)).certainty is certainty


def test_a_planned_dose_may_be_taken_or_not() -> None:
    planned = a_request(intent="plan", dosageInstruction=[a_dosage(10)])
    (dose, *_) = facts_from(planned).results("glucocorticoid-dose")
    assert dose.value
    assert (float(dose.value.low or 0), float(dose.value.high or 0)) == (0, 10)
    assert dose.note == "whether a planned drug is taken is not recorded"


def a_statement(**more: object) -> dict[str, Any]:
    resource = {
        "resourceType": "MedicationStatement",
        "id": "s1",
        "status": "active",
        "subject": SUBJECT,
        "medicationCodeableConcept": code(RXNORM, "8640"),
        "effectivePeriod": {"start": "2025-01-01"},
    } | more
    return {key: item for key, item in resource.items() if item is not None}


@pytest.mark.parametrize(
    ("changes", "ongoing"),
    [
        ({}, True),
        ({"status": "completed"}, False),
        ({"status": "recorded"}, None),
        ({"status": "recorded", "effectivePeriod": {"start": "2025-01-01", "end": "2026-12-01"}}, True),
        ({"status": "recorded", "effectivePeriod": {"start": "2025-01-01", "end": "2026-01-01"}}, False),
        ({"effectivePeriod": {"start": "2025-01-01", "end": "2026-01-01"}}, None),  # active, and ended
        ({"status": None, "effectivePeriod": {"start": "2025-01-01", "end": "2026-01-01"}}, False),
    ],
)
def test_a_statement_is_current_by_its_status_and_its_period(changes: dict[str, Any], ongoing: bool | None) -> None:
    assert episode_from("prednisone", a_statement(**changes)).ongoing is ongoing


@pytest.mark.parametrize("changes", [{"status": "not-taken"}, {"status": "intended"}, {"taken": "n"}])
def test_a_drug_that_is_not_taken_is_no_exposure(changes: dict[str, Any]) -> None:
    assert facts_from(a_statement(**changes)).episodes("prednisone") == ()


def test_an_administration_is_one_event() -> None:
    episode = episode_from("rituximab", an_administration())
    assert days(episode.start) == days(episode.end) == (date(2026, 5, 4), date(2026, 5, 4))
    assert episode.ongoing is False
    assert facts_from(an_administration(status="not-done")).episodes("rituximab") == ()


@pytest.mark.parametrize(
    ("changes", "ongoing", "end"),
    [
        ({}, True, date(2026, 11, 9)),
        ({"whenHandedOver": "2026-09-15"}, None, date(2026, 10, 15)),  # a refill may still come
        ({"whenHandedOver": "2026-08-01"}, False, date(2026, 8, 31)),
        ({"whenHandedOver": None, "whenPrepared": "2026-10-20"}, True, date(2026, 11, 19)),
        ({"daysSupply": None}, None, date(2027, 1, 8)),
        ({"daysSupply": None, "whenHandedOver": "2026-01-01"}, False, date(2026, 4, 1)),
        ({"whenHandedOver": None}, None, None),
    ],
)
def test_a_supply_is_taken_as_long_as_it_lasts(changes: dict[str, Any], ongoing: bool | None, end: date | None) -> None:
    episode = episode_from("prednisone", a_dispense(**changes))
    assert (episode.ongoing, episode.end and episode.end.last_day) == (ongoing, end)


@pytest.mark.parametrize(
    ("status", "certainty"),
    [("completed", Certainty.CONFIRMED), ("stopped", Certainty.CONFIRMED), ("in-progress", Certainty.PROVISIONAL),
     ("on-hold", Certainty.PROVISIONAL), ("unknown", Certainty.PROVISIONAL)],
)  # fmt: skip
def test_what_may_not_have_been_handed_over_is_put_to_a_person(status: str, certainty: Certainty) -> None:
    assert episode_from("prednisone", a_dispense(status=status)).certainty is certainty


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"status": "declined"}, "not-dispensed"),
        ({"status": "preparation"}, "not-dispensed"),
        ({"status": "cancelled"}, "cancelled"),
        ({"whenHandedOver": "2026-11-02"}, "future"),
    ],
)
def test_what_was_not_handed_over_is_no_exposure(changes: dict[str, Any], reason: str) -> None:
    facts = facts_from(a_dispense(**changes))
    assert facts.episodes("prednisone") == ()
    assert source_of(facts, "MedicationDispense").excluded == ((reason, 1),)


def test_that_nothing_was_read_of_dispenses_leaves_no_silence_open() -> None:
    builder = ChartBuilder(None)
    builder.add(json.dumps(a_bundle(a_patient())).encode(), None)
    builder.whole_chart()
    builder.fail("MedicationDispense", "failed")
    facts = facts_of(builder.build(), small_catalogue(), AS_OF, UTC)
    assert facts.state("MedicationDispense") == "failed"
    assert facts.readable("rituximab")


def by_reference(reference: str, **more: Any) -> dict[str, Any]:
    return a_request(medicationCodeableConcept=None, medicationReference={"reference": reference}, **more)


RITUXIMAB = {"resourceType": "Medication", "id": "med1", "code": code(RXNORM, "121191", "rituximab")}


@pytest.mark.parametrize(
    "resources",
    [
        [by_reference("Medication/med1"), RITUXIMAB],
        [by_reference("Medication/med1/_history/1"), RITUXIMAB],
        [by_reference("#med1", contained=[RITUXIMAB])],
        [
            by_reference("Medication/med1"),
            {
                "resourceType": "Medication",
                "id": "med1",
                "ingredient": [{"itemCodeableConcept": code(RXNORM, "121191")}],
            },
        ],
        [a_request(medicationCodeableConcept=None, medication={"concept": code(RXNORM, "121191")})],
        [
            a_request(medicationCodeableConcept=None, medication={"reference": {"reference": "Medication/med1"}}),
            RITUXIMAB,
        ],
    ],
)
def test_the_drug_is_found_wherever_it_is_named(resources: list[dict[str, Any]]) -> None:
    assert episode_from("rituximab", *resources).certainty is Certainty.CONFIRMED


def test_a_drug_that_is_not_named_makes_its_type_incomplete() -> None:
    facts = facts_from(by_reference("Medication/unknown"))
    assert source_of(facts, "MedicationRequest").excluded == (("medication-not-resolved", 1),)
    assert facts.state("MedicationRequest") == "incomplete"
    assert not facts.readable("rituximab")


def test_a_drug_known_only_by_the_display_of_its_reference_is_put_to_a_person() -> None:
    """It may be rituximab, so silence about rituximab is none, and a person is shown the entry."""
    reference = {"reference": "Medication/gone", "display": "Rituximab 500 mg"}
    facts = facts_from(a_request(medicationCodeableConcept=None, medicationReference=reference))
    (episode,) = facts.episodes("rituximab")
    assert episode.certainty is Certainty.TEXT_ONLY
    assert facts.state("MedicationRequest") == "incomplete"


def test_medications_that_are_still_missing_are_listed_until_they_come() -> None:
    base = "https://ehr.example/fhir"
    builder = ChartBuilder("p1", Servers((base,)))
    wanted = [
        by_reference("Medication/med1"),
        by_reference(f"{base}/Medication/med2", id="m2"),
        by_reference("https://elsewhere.example/Medication/med3", id="m3"),
        by_reference("#med4", id="m4"),
        a_request(id="m5"),
    ]
    builder.add(json.dumps(a_bundle(*wanted)).encode(), "MedicationRequest")
    assert builder.missing_medications() == ("Medication/med1", "Medication/med2")
    builder.add(json.dumps(RITUXIMAB).encode(), "Medication")
    assert builder.missing_medications() == ("Medication/med2",)


def test_a_drug_named_only_in_words_is_a_hint() -> None:
    worded = a_request(medicationCodeableConcept={"text": "Prednisone 5 MG Oral Tablet"})
    assert episode_from("glucocorticoid", worded).certainty is Certainty.TEXT_ONLY
    assert episode_from("glucocorticoid", worded).member == "prednisone"
    unlike = a_request(medicationCodeableConcept={"text": "Methylprednisolone"})
    assert facts_from(unlike).episodes("prednisone") == ()


def test_words_beside_a_code_that_is_known_say_nothing() -> None:
    coded = a_request(medicationCodeableConcept=code(RXNORM, "121191") | {"text": "prednisone premedication"})
    assert facts_from(coded).episodes("prednisone") == ()


@pytest.mark.parametrize(
    "local",
    [
        {"dosageInstruction": [{"route": code(SNOMED, "6064005")}]},
        {"dosageInstruction": [{"route": code(SNOMED, "359540000", "Topical (qualifier value)")}]},
        {"medicationCodeableConcept": code(RXNORM, "8640", "prednisone eye drops")},
    ],
)
def test_a_glucocorticoid_put_where_it_acts_is_no_systemic_exposure(local: dict[str, Any]) -> None:
    facts = facts_from(a_request(**local))
    assert facts.episodes("glucocorticoid") == ()
    assert source_of(facts, "MedicationRequest").excluded == (("local-use", 1),)


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ({"text": "Ineffective"}, "ineffective"),
        ({"text": "lack of efficacy"}, "ineffective"),
        (code("urn:x", "x", "Adverse reaction"), "intolerance"),
        ({"text": "patient moved"}, "other"),
    ],
)
def test_why_a_drug_was_stopped_is_read_where_it_is_plain(reason: dict[str, Any], expected: str) -> None:
    assert episode_from("prednisone", a_request(status="stopped", statusReason=reason)).ended_because == expected
    assert episode_from("prednisone", a_request(statusReason=[reason])).ended_because is None


def test_an_order_knows_its_daily_dose() -> None:
    episode = episode_from("prednisone", a_request(dosageInstruction=[a_dosage(10, text="10 mg in the morning")]))
    assert episode.dose == Dose(Decimal(10), Decimal(10), False, "10 mg in the morning")


# Procedures, vaccinations, trials, allergies


def a_procedure(snomed: str = "387713003", **more: object) -> dict[str, Any]:
    return {
        "resourceType": "Procedure",
        "id": "pr1",
        "status": "completed",
        "subject": SUBJECT,
        "code": code(SNOMED, snomed),
        "performedDateTime": "2026-03-01",
    } | more


@pytest.mark.parametrize(("status", "ongoing"), [("completed", False), ("stopped", False), ("in-progress", True)])
def test_a_procedure_that_was_done_or_begun_is_on_record(status: str, ongoing: bool) -> None:
    episode = episode_from("major-surgery", a_procedure(status=status))
    assert (episode.ongoing, days(episode.start)) == (ongoing, (date(2026, 3, 1), date(2026, 3, 1)))


@pytest.mark.parametrize("status", ["not-done", "preparation", "entered-in-error"])
def test_a_procedure_that_was_not_done_is_not_on_record(status: str) -> None:
    facts = facts_from(a_procedure(status=status))
    assert facts.episodes("major-surgery") == ()
    assert source_of(facts, "Procedure").excluded == ((status, 1),)


def test_one_dialysis_does_not_say_whether_there_will_be_more() -> None:
    assert episode_from("dialysis", a_procedure("302497006")).ongoing is None


def an_immunization(**more: object) -> dict[str, Any]:
    return {
        "resourceType": "Immunization",
        "id": "i1",
        "status": "completed",
        "patient": SUBJECT,
        "vaccineCode": code("http://hl7.org/fhir/sid/cvx", "03"),
        "occurrenceDateTime": "2026-09-15",
    } | more


def test_a_vaccine_counts_when_it_was_given() -> None:
    assert days(episode_from("live-vaccine", an_immunization()).start) == (date(2026, 9, 15), date(2026, 9, 15))
    for changes in ({"status": "not-done"}, {"notGiven": True}, {"occurrenceDateTime": "2026-11-15"}):
        assert facts_from(an_immunization(**changes)).episodes("live-vaccine") == ()


def a_subject(status: str, **more: object) -> dict[str, Any]:
    return {"resourceType": "ResearchSubject", "id": "r1", "status": status, "individual": SUBJECT} | more


@pytest.mark.parametrize(
    ("resource", "ongoing"),
    [
        (a_subject("on-study"), True),
        (a_subject("follow-up", period={"start": "2025-01-01"}), True),
        (a_subject("active", individual=None, subject=SUBJECT), True),
        (a_subject("off-study", period={"start": "2025-01-01", "end": "2026-01-01"}), False),
        (a_subject("on-study", period={"start": "2025-01-01", "end": "2026-01-01"}), None),  # it ended, and goes on
        (a_subject("withdrawn"), False),
        (a_subject("enrolled"), True),  # STU3
        (a_subject("completed", period={"end": "2026-10-01"}), False),
    ],
)
def test_a_participation_lasts_from_enrolment_to_the_end_of_follow_up(resource: dict[str, Any], ongoing: bool) -> None:
    assert episode_from("trial-participation", resource).ongoing is ongoing


@pytest.mark.parametrize("status", ["candidate", "eligible", "screening", "ineligible", "potential-candidate"])
def test_someone_who_was_screened_is_in_no_trial(status: str) -> None:
    assert facts_from(a_subject(status)).episodes("trial-participation") == ()


def test_an_allergy_to_a_drug_is_no_exposure_to_it() -> None:
    allergy = {
        "resourceType": "AllergyIntolerance",
        "id": "al1",
        "patient": SUBJECT,
        "code": code(RXNORM, "121191"),
    }
    facts = facts_from(allergy)
    assert facts.episodes("rituximab") == ()
    assert [episode.source for episode in facts.allergies("rituximab")] == ["AllergyIntolerance/al1"]
    refuted = allergy | {"verificationStatus": code("urn:x", "refuted")}
    assert facts_from(refuted).allergies("rituximab") == ()


# Records that contradict themselves

BACKWARDS = {"start": "2026-10-10", "end": "2025-10-10"}
FROM_A_LATER_DAY = {"start": "2027-01-01", "end": "2025-10-10"}


@pytest.mark.parametrize("period", [BACKWARDS, FROM_A_LATER_DAY])
@pytest.mark.parametrize(
    ("concept", "resource"),
    [
        ("prednisone", lambda period: a_statement(effectivePeriod=period)),
        ("prednisone", lambda period: a_request(dosageInstruction=bounded(boundsPeriod=period))),
        ("rituximab", lambda period: an_administration(effectiveDateTime=None, effectivePeriod=period)),
        ("rituximab", lambda period: an_administration(effectiveDateTime=None, occurencePeriod=period)),
        ("major-surgery", lambda period: a_procedure(performedDateTime=None, performedPeriod=period)),
        ("trial-participation", lambda period: a_subject("on-study", period=period)),
        (SLE, lambda period: a_condition(onsetPeriod=period)),
        (SLE, lambda period: a_condition(clinicalStatus=None, abatementPeriod=period)),
    ],
)
def test_an_end_before_its_start_leaves_the_record_open(concept: str, resource: Any, period: dict[str, str]) -> None:
    episode = episode_from(concept, resource(period))
    assert (episode.start, episode.end, episode.ongoing) == (None, None, None)
    assert episode.contradiction == f"it ends on {period['end']}, before it begins on {period['start']}"


def test_a_disease_that_ended_before_it_began_is_open() -> None:
    episode = episode_from(SLE, a_condition(onsetDateTime="2020-05", abatementDateTime="2019"))
    assert (episode.ongoing, episode.contradiction) == (None, "it ends on 2019, before it begins on 2020-05")
    unsure = episode_from(SLE, a_condition(clinicalStatus=None, onsetDateTime="2020-05", abatementDateTime="2020"))
    assert (unsure.ongoing, unsure.contradiction) == (False, None)


@pytest.mark.parametrize(
    ("concept", "resource"),
    [
        ("prednisone", a_statement(effectivePeriod={"start": "2025-01-01", "end": "2026-01-01"})),
        ("rituximab", an_administration(
            status="in-progress", effectiveDateTime=None, effectivePeriod={"start": "2025-01-01", "end": "2026-01-01"}
        )),
        ("major-surgery", a_procedure(
            status="in-progress", performedDateTime=None, performedPeriod={"start": "2025-01-01", "end": "2026-01-01"}
        )),
        ("trial-participation", a_subject("on-study", period={"start": "2025-01-01", "end": "2026-01-01"})),
        (SLE, a_condition(onsetDateTime="2025-01-01", abatementDateTime="2026-01-01")),
    ],
)  # fmt: skip
def test_a_status_against_the_dates_leaves_open_whether_it_goes_on(concept: str, resource: dict[str, Any]) -> None:
    episode = episode_from(concept, resource)
    assert (days(episode.start), episode.end, episode.ongoing) == ((date(2025, 1, 1), date(2025, 1, 1)), None, None)
    assert episode.contradiction == "by its status it goes on, and it ended on 2026-01-01"


def test_an_order_that_nobody_closed_ends_by_its_dates() -> None:
    order = a_request(dosageInstruction=bounded(boundsPeriod={"start": "2026-09-10", "end": "2026-09-20"}))
    assert (episode_from("prednisone", order).ongoing, episode_from("prednisone", order).contradiction) == (False, None)


# Research


def a_consent(status: str, scope: str, decision: str) -> dict[str, Any]:
    provision = {"type": decision}
    return {"resourceType": "Consent", "status": status, "scope": code("urn:x", scope), "provision": provision}


@pytest.mark.parametrize(
    ("resource", "declines"),
    [
        (a_consent("active", "research", "deny"), True),
        (a_consent("active", "research", "permit"), False),
        (a_consent("inactive", "research", "deny"), False),
        (a_consent("active", "treatment", "deny"), False),
        ({"resourceType": "Flag", "status": "active", "code": {"text": "Do not contact for research"}}, True),
        ({"resourceType": "Flag", "status": "active", "code": {"text": "Takes part in research"}}, False),
    ],
)
def test_a_chart_may_say_that_the_patient_is_not_to_be_approached(resource: dict[str, Any], declines: bool) -> None:
    whose = {"patient": SUBJECT} if resource["resourceType"] == "Consent" else {"subject": SUBJECT}
    assert facts_from(resource | whose | {"id": "x"}).declines_research is declines

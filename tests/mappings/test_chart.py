"""Whose records a chart holds, and how completely each type was read."""

from __future__ import annotations

import json
from datetime import UTC
from typing import Any

import pytest

from mappings.chart.addresses import Servers
from mappings.chart.chart import Chart, ChartBuilder, ChartError, Page
from mappings.chart.fhir import Observation
from mappings.facts import Reason
from mappings.patient_facts import facts_of
from tests.mappings.charts import (
    AS_OF,
    LOINC,
    a_bundle,
    a_chart,
    a_condition,
    a_patient,
    a_request,
    an_observation,
    code,
    facts_from,
    quantity,
    result_from,
    small_catalogue,
    source_of,
)

BASE = "https://ehr.example/fhir"
SERVERS = Servers((BASE,))


def raw(content: object) -> bytes:
    return json.dumps(content).encode()


def searchset(*resources: dict[str, Any], **more: object) -> dict[str, Any]:
    entries = [{"resource": r, "search": {"mode": "match"}} for r in resources]
    return {"resourceType": "Bundle", "type": "searchset", "entry": entries} | more


def hook_chart(builder: ChartBuilder | None = None, **answers: object) -> Chart:
    """A chart of the answers to searches, one for each type; the Patient is there."""
    builder = builder or ChartBuilder("p1", SERVERS)
    builder.add(raw(a_patient()), "Patient")
    for resource_type, answer in answers.items():
        builder.add(raw(answer), resource_type)
    return builder.build()


def whole(bundle: dict[str, Any]) -> Chart:
    builder = ChartBuilder(None)
    builder.add(raw(bundle), None)
    builder.whole_chart()
    return builder.build()


# Whose


@pytest.mark.parametrize(
    ("bundle", "expected"),
    [
        (a_patient(), "not-a-bundle"),
        (None, "not-a-bundle"),
        ([], "not-a-bundle"),
        ({"resourceType": "OperationOutcome", "issue": []}, "not-a-bundle"),
        (a_bundle(an_observation()), "no-patient"),
        (a_bundle(a_patient(), a_patient(id="p2")), "several-patients"),
        (a_bundle(a_patient(modifierExtension=[{"url": "urn:not"}])), "no-patient"),
    ],
)
def test_a_whole_chart_is_a_bundle_of_exactly_one_patient(bundle: dict[str, Any], expected: str) -> None:
    with pytest.raises(ChartError) as refused:
        whole(bundle)
    assert refused.value.code == expected


def test_what_is_not_json_is_no_chart() -> None:
    with pytest.raises(ChartError) as refused:
        ChartBuilder(None).add(b'{"resourceType": "Bundle", ', None)
    assert refused.value.code == "not-json"


def test_a_bottomless_nesting_is_no_chart() -> None:
    with pytest.raises(ChartError):
        ChartBuilder(None).add(b'{"a":' * 100_000, None)


def test_another_patient_than_asked_for_is_refused() -> None:
    builder = ChartBuilder("p2")
    builder.add(raw(a_patient()), "Patient")
    with pytest.raises(ChartError) as refused:
        builder.build()
    assert refused.value.code == "other-patient"


def test_the_same_patient_twice_is_one_patient_in_its_newest_version() -> None:
    old = a_patient(meta={"versionId": "9"}, gender="male")
    new = a_patient(meta={"versionId": "10"})
    for bundle in (a_bundle(old, new), a_bundle(new, old)):
        assert whole(bundle).patient.gender == "female"


def test_a_uuid_reference_is_the_patient_by_the_entrys_full_url() -> None:
    uuid = "urn:uuid:7f2f6e0c-5bd9-4a5e-8c12-0d1f5b9f6f6b"
    bundle = a_bundle(an_observation(subject={"reference": uuid}))
    bundle["entry"].append({"fullUrl": uuid, "resource": a_patient()})
    assert len(whole(bundle).of(Observation)) == 1


def test_a_patient_without_an_id_is_named_by_the_entrys_full_url() -> None:
    uuid = "urn:uuid:7f2f6e0c-5bd9-4a5e-8c12-0d1f5b9f6f6b"
    patient, record = a_patient(id=None), an_observation(subject={"reference": uuid})
    entries = [{"fullUrl": uuid, "resource": patient}, {"resource": record}]
    assert whole({"resourceType": "Bundle", "type": "transaction", "entry": entries}).reference == uuid
    assert whole(a_bundle(patient)).reference == "Patient"


def test_an_absolute_reference_is_the_patient_where_the_entry_says_the_same_server() -> None:
    bundle = a_bundle(an_observation(subject={"reference": f"{BASE}/Patient/p1"}))
    bundle["entry"].append({"fullUrl": f"{BASE}/Patient/p1", "resource": a_patient()})
    assert len(whole(bundle).of(Observation)) == 1


# Once


def test_a_record_that_comes_twice_counts_once_and_in_its_newest_version() -> None:
    old = an_observation(meta={"lastUpdated": "2026-10-20T10:00:00Z"}, status="preliminary")
    new = an_observation(meta={"lastUpdated": "2026-10-21T10:00:00Z"})
    for order in ((old, new), (new, old)):
        chart = a_chart(*order)
        assert [observation.status for _, observation in chart.of(Observation)] == ["final"]
        assert chart.counts["Observation"] == 1


def test_records_without_an_id_are_all_different_and_still_have_a_source() -> None:
    facts = facts_from(an_observation(id=None), an_observation(id=None))
    sources = {result.source for result in facts.results("platelets")}
    assert len(sources) == 2
    assert all(source.startswith("Observation#") for source in sources)


# How completely


def test_in_a_whole_chart_a_type_that_does_not_occur_is_complete_with_none() -> None:
    source = source_of(facts_from(an_observation()), "Condition")
    assert (source.state, source.count) == ("complete", 0)


def test_what_was_never_asked_for_is_not_requested() -> None:
    assert hook_chart(Observation=searchset()).states["Condition"] == "not-requested"


@pytest.mark.parametrize(
    "answer",
    [
        None,
        {"resourceType": "Bundle", "type": "searchset"},
        searchset(total=0),
        {
            "resourceType": "Bundle",
            "type": "searchset",
            "total": 0,
            "entry": [
                {
                    "resource": {"resourceType": "OperationOutcome", "issue": [{"severity": "warning", "code": "x"}]},
                    "search": {"mode": "outcome"},
                }
            ],
        },
    ],
)
def test_every_way_to_say_that_there_is_nothing_is_complete(answer: object) -> None:
    chart = hook_chart(Condition=answer)
    assert chart.states["Condition"] == "complete"
    assert chart.counts["Condition"] == 0


def outcome(severity: str, **issue: object) -> dict[str, Any]:
    return {"resourceType": "OperationOutcome", "issue": [{"severity": severity, "code": "processing"} | issue]}


@pytest.mark.parametrize("answer", [outcome("error"), a_patient(), {"resourceType": "Spaceship"}, 7, "x"])
def test_an_answer_that_is_not_what_was_asked_for_is_a_failure(answer: object) -> None:
    builder = ChartBuilder("p1", SERVERS)
    page = builder.add(raw(answer), "Condition")
    assert page.problem
    assert hook_chart(builder).states["Condition"] == "failed"


def test_an_answer_that_is_not_json_is_a_failure() -> None:
    builder = ChartBuilder("p1", SERVERS)
    assert builder.add(b"<html>", "Condition").problem
    assert hook_chart(builder).states["Condition"] == "failed"


@pytest.mark.parametrize("severity", ["error", "fatal"])
def test_an_error_beside_the_results_makes_the_type_incomplete(severity: str) -> None:
    chart = hook_chart(Observation=searchset(an_observation(), outcome(severity)))
    assert chart.states["Observation"] == "incomplete"
    assert len(chart.of(Observation)) == 1


def test_an_error_in_a_whole_chart_makes_every_type_incomplete_unless_it_names_one() -> None:
    states = a_chart(outcome("error")).states
    assert set(states.values()) == {"incomplete"}
    states = a_chart(outcome("error", expression=["Observation"])).states
    assert [name for name, state in states.items() if state == "incomplete"] == ["Observation"]
    assert set(a_chart(outcome("information")).states.values()) == {"complete"}


def test_fewer_entries_than_the_total_without_a_next_page_are_incomplete() -> None:
    assert hook_chart(Observation=searchset(an_observation(), total=300)).states["Observation"] == "incomplete"
    assert hook_chart(Observation=searchset(an_observation(), total=1)).states["Observation"] == "complete"


def test_included_resources_do_not_count_towards_the_total() -> None:
    medication = {"resource": {"resourceType": "Medication", "id": "x"}, "search": {"mode": "include"}}
    answer = searchset(a_request(), total=2)
    answer["entry"].append(medication)
    assert hook_chart(MedicationRequest=answer).states["MedicationRequest"] == "incomplete"


def test_a_search_is_complete_only_when_its_last_page_has_come() -> None:
    following = {"link": [{"relation": "next", "url": f"{BASE}?page=2"}]}
    builder = ChartBuilder("p1", SERVERS)
    builder.add(raw(a_patient()), "Patient")
    page = builder.add(raw(searchset(an_observation(), total=2, **following)), "Observation")
    assert page == Page(next_url=f"{BASE}?page=2")
    builder.add(raw(searchset(an_observation(id="other", status="final"))), "Observation")
    assert builder.build().states["Observation"] == "incomplete"
    builder.add(raw(searchset(an_observation(id="o2"), total=2)), "Observation", follows=page.next_url)
    chart = builder.build()
    assert chart.states["Observation"] == "complete"
    assert chart.counts["Observation"] == 3


def test_one_failed_search_of_several_leaves_the_type_incomplete() -> None:
    builder = ChartBuilder("p1", SERVERS)
    builder.fail("Observation", "failed")
    assert hook_chart(builder, Observation=searchset(an_observation())).states["Observation"] == "incomplete"


def test_records_of_another_type_under_a_key_are_not_data() -> None:
    builder = ChartBuilder("p1", SERVERS)
    page = builder.add(raw(searchset(an_observation())), "Condition")
    chart = hook_chart(builder)
    assert page.problem
    assert chart.states["Condition"] == "incomplete"
    assert chart.of(Observation) == ()


def test_bundles_inside_bundles_are_read_to_a_depth_of_three() -> None:
    nested = a_bundle(a_bundle(a_bundle(an_observation())), a_patient())
    assert len(whole(nested).of(Observation)) == 1
    deeper = whole(a_bundle(nested))
    assert deeper.of(Observation) == ()
    assert deeper.states["Observation"] == "incomplete"


# Shape


@pytest.mark.parametrize(
    "changes",
    [
        {"category": {"coding": []}},
        {"code": {"coding": {"system": LOINC, "code": "777-3"}}},
        {"subject": "Patient/p1"},
        {"interpretation": code("http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation", "N")},
        {"valueQuantity": {"value": " 180 ", "unit": "10*9/L"}},
        {"referenceRange": {"high": {"value": "400"}}},
        {"id": "x" * 70 + "_1"},
        {"note": "taken while standing"},
        {"meta": 7},
        {"_status": {"extension": []}, "something": {"new": [1, {"a": None}]}},
        {"component": None, "interpretation": [None]},
        {"resourceType": " Observation"},
    ],
)
def test_a_shape_that_is_off_but_clear_is_read(changes: dict[str, Any]) -> None:
    observation = an_observation() | changes
    result = facts_from(observation, an_observation(id="other")).results("platelets")
    assert [r.value and r.value.exact for r in result] == [180, 180]


@pytest.mark.parametrize(
    "changes",
    [
        {"status": {"code": "final"}},
        {"code": 7},
        {"subject": ["Patient/p1", "Patient/p2"]},
        {"component": [{"code": 7}]},
    ],
)
def test_one_record_that_cannot_be_read_is_named_and_the_others_are_read(changes: dict[str, Any]) -> None:
    facts = facts_from(an_observation(id="bad") | changes, an_observation())
    source = source_of(facts, "Observation")
    assert [result.source for result in facts.results("platelets")] == ["Observation/o1"]
    assert source.unreadable == ("Observation/bad",)
    assert source.excluded == (("unreadable", 1),)
    assert (source.state, source.count) == ("incomplete", 2)


@pytest.mark.parametrize(
    "changes",
    [
        {"valueQuantity": {"value": "lots", "unit": "10*9/L"}},
        {"valueQuantity": [1, 2]},
        {"referenceRange": [{"high": {"value": "some"}}]},
        {"interpretation": [{"coding": [[]]}]},
    ],
)
def test_a_result_of_which_the_content_cannot_be_read_says_so_of_itself_alone(changes: dict[str, Any]) -> None:
    facts = facts_from(an_observation(id="x") | changes, an_observation())
    newest, other = facts.results("platelets")
    assert (newest.source, newest.problem, newest.value) == ("Observation/x", Reason.NOT_READABLE, None)
    assert (other.source, other.problem) == ("Observation/o1", None)
    assert source_of(facts, "Observation").state == "complete"


NO_TEXT = b'"\xff"'
TOO_DEEP = b"[" * 600 + b"]" * 600


def chart_with(member: str, written: bytes, **more: Any) -> Chart:
    """Of one result of platelets with a member that is written like this."""
    result = raw(an_observation(**more) | {member: "HERE"}).replace(b'"HERE"', written)
    bundle = b'{"resourceType": "Bundle", "entry": [{"resource": %s}, {"resource": %s}]}' % (raw(a_patient()), result)
    builder = ChartBuilder(None)
    builder.add(bundle, None)
    builder.whole_chart()
    return builder.build()


@pytest.mark.parametrize(
    ("member", "written"),
    [("referenceRange", TOO_DEEP), ("valueString", NO_TEXT)],
)
@pytest.mark.parametrize("more", [{}, {"valueRange": 7}])
def test_a_content_that_proves_to_be_no_text_is_not_readable(member: str, written: bytes, more: dict[str, Any]) -> None:
    chart = chart_with(member, written, **more)
    facts = facts_of(chart, small_catalogue(), AS_OF, UTC)
    assert [result.problem for result in facts.results("platelets")] == [Reason.NOT_READABLE]


def test_two_records_of_one_source_are_read_each_for_itself() -> None:
    named = {"fullUrl": "Observation/x", "resource": an_observation(id=None)}
    other = an_observation(id="x", value={"valueQuantity": quantity(20, "10*9/L")}, effectiveDateTime="2026-10-21")
    builder = ChartBuilder(None)
    builder.add(raw({"resourceType": "Bundle", "entry": [{"resource": a_patient()}, named, {"resource": other}]}), None)
    builder.whole_chart()
    facts = facts_of(builder.build(), small_catalogue(), AS_OF, UTC)
    assert [result.value and result.value.exact for result in facts.results("platelets")] == [20, 180]


def test_a_code_that_proves_to_be_no_text_may_be_any() -> None:
    facts = facts_of(chart_with("code", b'{"text": %s}' % NO_TEXT), small_catalogue(), AS_OF, UTC)
    assert source_of(facts, "Observation").unreadable == ("Observation/o1",)
    assert source_of(facts, "Observation").state == "incomplete"


def test_a_record_without_id_that_cannot_be_read_is_named_by_its_place() -> None:
    facts = facts_from(a_patient(), an_observation(id=None, status={"code": "final"}))
    assert source_of(facts, "Observation").unreadable == ("entry 2",)


@pytest.mark.parametrize("resource", [7, "x", [], {"id": "x"}])
def test_an_entry_of_no_type_may_have_been_anything(resource: object) -> None:
    bundle = a_bundle(a_patient())
    bundle["entry"].append({"resource": resource})
    assert set(whole(bundle).states.values()) == {"incomplete"}


def test_a_bundle_whose_entry_is_one_object_is_read() -> None:
    bundle = a_bundle() | {"entry": {"resource": a_patient()}}
    assert whole(bundle).reference == "Patient/p1"


def test_a_total_in_a_string_is_still_a_total() -> None:
    answer = searchset(an_observation(), total="300")
    assert hook_chart(Observation=answer).states["Observation"] == "incomplete"


def test_types_that_say_nothing_to_us_are_passed_over() -> None:
    chart = a_chart({"resourceType": "Encounter", "id": "e"}, {"resourceType": "Basic", "code": 7}, an_observation())
    assert len(chart.of(Observation)) == 1
    assert set(chart.states.values()) == {"complete"}


def test_names_of_older_versions_are_understood() -> None:
    condition = a_condition(subject=None, patient={"reference": "Patient/p1"}, clinicalStatus="active")
    assert facts_from(condition).episodes("systemic-lupus-erythematosus")[0].ongoing is True


def test_numbers_are_exact_even_in_a_record_that_had_to_be_reshaped() -> None:
    reshaped = an_observation(interpretation={"text": "N"}, valueQuantity={"value": 0.1 + 0.2, "unit": "10*9/L"})
    value = result_from("platelets", reshaped).value
    assert value
    assert str(value.low) == "0.30000000000000004"

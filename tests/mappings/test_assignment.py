"""Whose a record is, by every way in which a reference can name a patient."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mappings.chart.addresses import Servers, normal_address
from mappings.chart.chart import Chart, ChartBuilder, ChartError
from mappings.chart.fhir import Observation, is_given
from tests.mappings.charts import a_bundle, a_patient, an_observation

BASE = "https://ehr.example/fhir"
INNER = "http://10.0.0.7:8080/fhir"
UUID = "urn:uuid:7f2f6e0c-5bd9-4a5e-8c12-0d1f5b9f6f6b"
MRN = {"system": "urn:mrn", "value": "1"}


def chart_with(subject: Any, patient: dict[str, Any] | None = None, *others: dict[str, Any]) -> Chart:
    """A chart with one record that is the patient's, and one of this subject."""
    builder = ChartBuilder("p1", Servers.at((BASE, INNER)))
    builder.add(json.dumps(patient or a_patient()).encode(), "Patient")
    records = a_bundle(an_observation(id="own"), an_observation(id="o2", subject=subject), *others)
    builder.add(json.dumps(records | {"type": "searchset"}).encode(), "Observation")
    return builder.build()


def is_own(chart: Chart) -> bool:
    return len(chart.of(Observation)) == 2


@pytest.mark.parametrize(
    "reference",
    [
        "Patient/p1",
        "Patient/p1/_history/2",
        f"{BASE}/Patient/p1",
        f"{BASE}/Patient/p1/_history/3",
        " Patient/p1",
        "Patient/p1/",
        "Patient/p%31",
        "./Patient/p1",
        "/fhir/Patient/p1",
        "https://ehr.example:443/fhir/Patient/p1",
        "HTTPS://EHR.example/fhir/Patient/p1",
        "https://ehr.example/fhir/Patient/p1/",
        "https://ehr.example/x/../fhir/./Patient/p1",
        "https://ehr.example/%66hir/Patient/p1",
        f"{INNER}/Patient/p1",
        "urn:uuid:p1",
    ],
)
def test_a_record_is_the_patients_by_every_form_of_reference_on_the_ehrs_servers(reference: str) -> None:
    chart = chart_with({"reference": reference})
    assert is_own(chart)
    assert chart.states["Observation"] == "complete"


@pytest.mark.parametrize("reference", ["Patient/p2", "Patient/p11", f"{BASE}/Patient/p2", f"{INNER}/Patient/p2"])
def test_another_patients_record_is_left_out_and_the_type_stays_complete(reference: str) -> None:
    chart = chart_with({"reference": reference, "display": "Patient p1"})
    assert chart.excluded["Observation"] == {"other-patient": 1}
    assert chart.counts["Observation"] == 2
    assert chart.states["Observation"] == "complete"


def test_what_is_about_no_patient_leaves_the_type_complete() -> None:
    chart = chart_with({"reference": "Device/1"})
    assert chart.excluded["Observation"] == {"not-a-patient": 1}
    assert chart.states["Observation"] == "complete"


@pytest.mark.parametrize(
    ("subject", "reason"),
    [
        ({"reference": "https://elsewhere.example/fhir/Patient/p1"}, "unknown-subject"),
        ({"reference": "https://elsewhere.example/fhir/Patient/p2"}, "unknown-subject"),
        ({"reference": "http://ehr.example/fhir/Patient/p1"}, "unknown-subject"),
        ({"reference": "https://ehr.example:8443/fhir/Patient/p1"}, "unknown-subject"),
        ({"reference": "https://ehr.example/FHIR/Patient/p1"}, "unknown-subject"),
        ({"reference": "https://ehr.example/fhir/%2FPatient/p1"}, "unknown-subject"),
        ({"reference": "Group/p1"}, "unknown-subject"),
        ({"reference": "RelatedPerson/p1"}, "unknown-subject"),
        ({"reference": "#p1"}, "unknown-subject"),
        ({"reference": "p1"}, "unknown-subject"),
        ({"reference": "patient/p1"}, "unknown-subject"),
        ({"reference": UUID}, "unknown-subject"),
        ({"reference": "https://[bad/Patient/p1"}, "unknown-subject"),
        ({"identifier": MRN}, "unknown-subject"),
        ({"display": "Somebody"}, "no-subject"),
        (None, "no-subject"),
    ],
)
def test_a_record_that_may_be_the_patients_is_left_out_and_makes_its_type_incomplete(
    subject: dict[str, Any] | None, reason: str
) -> None:
    chart = chart_with(subject)
    assert chart.excluded["Observation"] == {reason: 1}
    assert chart.states["Observation"] == "incomplete"
    assert chart.states["Condition"] != "complete"  # never asked for


@pytest.mark.parametrize(
    ("on_patient", "on_subject", "expected"),
    [
        (MRN, MRN, True),
        (MRN | {"use": "usual"}, MRN | {"use": "official", "type": {"text": "MRN"}}, True),
        (MRN | {"value": " 1 "}, MRN, True),
        (MRN | {"use": "old"}, MRN, False),
        (MRN, MRN | {"use": "old"}, False),
        (MRN | {"period": {"end": "2020-01-01"}}, MRN, False),
        (MRN | {"system": "urn:other"}, MRN, False),
        (MRN | {"value": "2"}, MRN, False),
        ({"value": "1"}, {"value": "1"}, False),
        ({"system": "urn:mrn"}, {"system": "urn:mrn"}, False),
        (MRN | {"value": 1}, MRN, False),
        ("1", MRN, False),
        (MRN, [MRN], True),
        (MRN, "1", False),
    ],
)
def test_an_identifier_assigns_by_system_and_value(on_patient: Any, on_subject: Any, expected: bool) -> None:
    chart = chart_with({"identifier": on_subject}, a_patient(identifier=[on_patient]))
    assert is_own(chart) == expected
    assert (chart.states["Observation"] == "complete") == expected


def test_an_identifier_settles_a_reference_that_is_not_known_and_contradicts_one_to_somebody_else() -> None:
    patient = a_patient(identifier=[MRN])
    assert is_own(chart_with({"reference": "https://mpi.example/Patient/9", "identifier": MRN}, patient))
    assert is_own(chart_with({"reference": "Patient/p1", "identifier": MRN | {"value": "2"}}, patient))
    chart = chart_with({"reference": "Patient/p2", "identifier": MRN}, patient)
    assert chart.excluded["Observation"] == {"unknown-subject": 1}
    assert chart.states["Observation"] == "incomplete"
    chart = chart_with({"reference": "Patient/p2", "identifier": MRN | {"value": "2"}}, patient)
    assert chart.excluded["Observation"] == {"other-patient": 1}


@pytest.mark.parametrize("bar", ["|", "%7C"])
def test_a_conditional_reference_assigns_by_its_identifier(bar: str) -> None:
    patient = a_patient(identifier=[{"system": "https://mrn.example/a", "value": "1"}])
    assert is_own(chart_with({"reference": f"Patient?identifier=https://mrn.example/a{bar}1"}, patient))
    assert not is_own(chart_with({"reference": f"Patient?identifier=https://mrn.example/a{bar}2"}, patient))


def test_the_patients_identifiers_are_not_kept_in_the_chart() -> None:
    chart = chart_with({"identifier": MRN}, a_patient(identifier=[MRN]))
    assert is_own(chart)
    assert not is_given(chart.patient.identifier)


@pytest.mark.parametrize("other", ["Patient/old", f"{BASE}/Patient/old"])
def test_a_record_of_a_patient_that_was_merged_into_this_one_is_theirs(other: str) -> None:
    patient = a_patient(link=[{"type": "replaces", "other": {"reference": other}}])
    assert is_own(chart_with({"reference": "Patient/old"}, patient))


@pytest.mark.parametrize("kind", ["seealso", "refer", "replaced-by", None])
def test_a_linked_patient_is_not_surely_another(kind: str | None) -> None:
    patient = a_patient(link=[{"type": kind, "other": {"reference": "Patient/p9"}}])
    chart = chart_with({"reference": f"{BASE}/Patient/p9"}, patient)
    assert chart.excluded["Observation"] == {"unknown-subject": 1}
    assert chart.states["Observation"] == "incomplete"


def test_a_uuid_of_another_patient_in_the_bundle_is_surely_another() -> None:
    builder = ChartBuilder("p1")
    bundle = a_bundle(a_patient(), an_observation(id="own"), an_observation(id="o2", subject={"reference": UUID}))
    bundle["entry"].append({"fullUrl": UUID.upper().replace("URN:UUID", "urn:uuid"), "resource": a_patient(id="p2")})
    builder.add(json.dumps(bundle).encode(), None)
    assert builder.build().excluded["Observation"] == {"other-patient": 1}


@pytest.mark.parametrize(
    "subject",
    [None, {"display": "x"}, {"reference": "https://elsewhere.example/Patient/p1"}, {"reference": "Patient/p2"}],
)
def test_a_chart_of_which_no_record_can_be_assigned_is_refused(subject: Any) -> None:
    builder = ChartBuilder("p1")
    builder.add(json.dumps(a_patient()).encode(), "Patient")
    builder.add(json.dumps(a_bundle(an_observation(subject=subject))).encode(), "Observation")
    with pytest.raises(ChartError, match="none of the 1 records can be assigned to the Patient") as refused:
        builder.build()
    assert refused.value.code == "none-assigned"


def test_an_empty_chart_is_no_error() -> None:
    builder = ChartBuilder("p1")
    builder.add(json.dumps(a_patient()).encode(), "Patient")
    builder.add(b"null", "Condition")
    builder.add(json.dumps(a_bundle(an_observation(subject={"reference": "Device/1"}))).encode(), "Observation")
    assert builder.build().states["Condition"] == "complete"


@pytest.mark.parametrize(
    ("address", "normal"),
    [
        ("HTTP://Example.COM:80/a/./b/../c/", "http://example.com/a/c"),
        ("https://example.com", "https://example.com"),
        ("https://example.com/", "https://example.com"),
        ("https://example.com:444/%7euser%2f", "https://example.com:444/~user%2F"),
        ("https://u@Example.com/", "https://u@example.com"),
        ("https://[2001:DB8::1]:443/f", "https://[2001:db8::1]/f"),
        ("https://example.com:port/", "https://example.com:port/"),
        ("URN:UUID:ABC", "urn:uuid:abc"),
        ("Patient/1", "Patient/1"),
    ],
)
def test_addresses_in_their_normal_form(address: str, normal: str) -> None:
    assert normal_address(address) == normal

"""Hook requests and feedback: what is accepted, what is refused, and that a refusal never repeats what was sent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cds_hooks.protocol.models import Fault, InvalidRequest, read_feedback, read_request
from cds_hooks.protocol.services import OFFERS
from tests.cds_hooks.oracle import check_feedback

REQUESTS = Path(__file__).parents[3] / "shared" / "cds-requests"
ABSENT = object()
CANARY = "c4n4ry"


def a_request(**changes: Any) -> bytes:
    """A minimal valid request; a change to ABSENT removes the member, a dotted name reaches inside."""
    body: dict[str, Any] = {
        "hook": "patient-view",
        "hookInstance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
        "fhirServer": "https://ehr.example/fhir",
        "fhirAuthorization": {
            "access_token": "some-token",
            "token_type": "Bearer",
            "expires_in": 300,
            "scope": "patient/*.read",
            "subject": "client",
        },
        "context": {"userId": "Practitioner/1", "patientId": "p1"},
        "prefetch": {"patient": {"resourceType": "Patient", "id": "p1"}},
    }
    for name, value in changes.items():
        *path, last = name.split("__")
        inside = body
        for step in path:
            inside = inside[step]
        if value is ABSENT:
            inside.pop(last)
        else:
            inside[last] = value
    return json.dumps(body).encode()


def faults_of(body: bytes, hook: str = "patient-view", **more: Any) -> tuple[Fault, ...]:
    with pytest.raises(InvalidRequest) as caught:
        read_request(body, hook, **more)
    assert CANARY not in str(caught.value)
    return caught.value.faults


def test_a_minimal_request_is_read_with_its_prefetch_as_it_was_sent() -> None:
    request = read_request(a_request(), "patient-view")
    assert (request.patient_id, request.user_id, request.encounter_id) == ("p1", "Practitioner/1", None)
    assert request.fhir_authorization
    assert request.fhir_authorization.expires_in == 300
    assert msgspec.json.decode(request.prefetch["patient"]) == {"resourceType": "Patient", "id": "p1"}


@pytest.mark.parametrize("sent", [ABSENT, None, "", 3, [], {}])
@pytest.mark.parametrize("member", ["hook", "hookInstance", "context", "context__userId", "context__patientId"])
def test_a_needed_member_that_is_missing_empty_or_of_another_kind_is_refused(member: str, sent: Any) -> None:
    (fault, *_) = faults_of(a_request(**{member: sent}))
    assert fault.place.startswith(member.split("__")[0])


@pytest.mark.parametrize("body", [b"[]", b'"x"', b"null", b"3", b"true"])
def test_a_body_that_is_no_object_is_refused(body: bytes) -> None:
    assert faults_of(body) == (Fault("the body", "an object"),)


def test_every_fault_is_named_at_once() -> None:
    places = {fault.place for fault in faults_of(a_request(hook=CANARY, context__patientId="a/b", prefetch=3))}
    assert places == {"hook", "context.patientId", "prefetch"}


@pytest.mark.parametrize(
    "patient",
    ["Patient/1", "1&_include=*", "../Practitioner/2", "1%2F..%2F", "$everything", "1\r\nX: y", "..", "a b", "#"],
)
def test_a_patient_id_that_could_change_a_query_is_refused(patient: str) -> None:
    assert [fault.place for fault in faults_of(a_request(context__patientId=patient))] == ["context.patientId"]


@pytest.mark.parametrize("patient", ["1288992", "eVgg3VZXe743KJUKBA3PGQQ3", "a.b-c", "with_underscore", "x" * 250])
def test_ids_that_real_servers_use_are_accepted(patient: str) -> None:
    assert read_request(a_request(context__patientId=patient), "patient-view").patient_id == patient


@pytest.mark.parametrize(
    ("instance", "is_uuid"),
    [
        ("d1577c69-dfbe-44ad-ba6d-3e05e953b2ea", True),
        ("F399C67C-C703-11EA-87D0-0242AC130003", True),
        ("test-123", False),
    ],
)
def test_any_uuid_is_accepted_and_another_text_is_marked(instance: str, is_uuid: bool) -> None:
    assert read_request(a_request(hookInstance=instance), "patient-view").has_uuid is is_uuid


@pytest.mark.parametrize(
    ("member", "empty"),
    [("fhirServer", None), ("fhirServer", ""), ("prefetch", None), ("prefetch", {}), ("fhirAuthorization", None),
     ("fhirAuthorization", {})],
)  # fmt: skip
def test_an_optional_member_that_is_null_or_empty_is_absent(member: str, empty: Any) -> None:
    changes = {member: empty} | ({"fhirAuthorization": ABSENT} if member == "fhirServer" else {})
    request = read_request(a_request(**changes), "patient-view")
    names = {"fhirServer": "fhir_server", "prefetch": "prefetch", "fhirAuthorization": "fhir_authorization"}
    assert not getattr(request, names[member])


@pytest.mark.parametrize("place", ["zzz", "context__zzz", "fhirAuthorization__zzz", "prefetch__zzz", "extension"])
@pytest.mark.parametrize("value", [1, "x", [], None, {"com.epic.cdshooks.request.bpa-trigger-action": 23}])
def test_unknown_members_and_extensions_are_passed_over(place: str, value: Any) -> None:
    assert read_request(a_request(**{place: value}), "patient-view").patient_id == "p1"


def test_an_authorization_without_a_server_is_refused() -> None:
    assert [fault.place for fault in faults_of(a_request(fhirServer=ABSENT))] == ["fhirServer"]


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("access_token", ABSENT),
        ("access_token", ""),
        ("access_token", "two\nlines"),
        ("token_type", "Basic"),
        ("token_type", 3),
        ("expires_in", "soon"),
        ("expires_in", -1),
        ("expires_in", 1.5),
        ("expires_in", True),
        ("scope", 3),
        ("patient", "p2"),
    ],
)
def test_an_authorization_that_cannot_be_used_is_refused_by_its_member(member: str, value: Any) -> None:
    body = a_request(**{f"fhirAuthorization__{member}": value})
    assert [fault.place for fault in faults_of(body)] == [f"fhirAuthorization.{member}"]


@pytest.mark.parametrize(("sent", "seconds"), [(300, 300), ("300", 300), (300.0, 300), (None, None)])
def test_a_lifetime_is_read_as_a_number_or_a_text_of_digits(sent: Any, seconds: int | None) -> None:
    request = read_request(
        a_request(fhirAuthorization__expires_in=sent, fhirAuthorization__token_type="bearer"), "patient-view"
    )
    assert request.fhir_authorization
    assert request.fhir_authorization.expires_in == seconds


def test_an_authorization_never_shows_its_token_when_printed() -> None:
    request = read_request(a_request(fhirAuthorization__access_token=CANARY), "patient-view")
    assert CANARY not in repr(request)
    assert CANARY not in repr(request.fhir_authorization)


def test_another_hook_than_the_services_is_refused() -> None:
    assert [fault.place for fault in faults_of(a_request(hook="order-sign"))] == ["hook"]


@pytest.mark.parametrize("encounter", [ABSENT, None, ""])
def test_encounter_start_needs_an_encounter(encounter: Any) -> None:
    changes = {"hook": "encounter-start", "context__encounterId": encounter if encounter is not ABSENT else ""}
    faults = faults_of(a_request(**changes), "encounter-start")
    assert [fault.place for fault in faults] == ["context.encounterId"]


def test_patient_view_takes_an_encounter_and_an_empty_one_is_absent() -> None:
    assert read_request(a_request(context__encounterId="e1"), "patient-view").encounter_id == "e1"
    assert read_request(a_request(context__encounterId=""), "patient-view").encounter_id is None
    assert faults_of(a_request(context__encounterId="e/1"))[0].place == "context.encounterId"


def test_no_refusal_repeats_what_was_sent() -> None:
    body = a_request(
        hook=CANARY,
        hookInstance=[CANARY],
        fhirServer=[CANARY],
        context__userId=[CANARY],
        context__patientId=f"{CANARY}/1",
    )
    assert len(faults_of(body)) == 5


@pytest.mark.parametrize("text", ["\\ud800", "\\u0000"])
def test_text_that_is_no_text_is_refused(text: str) -> None:
    assert faults_of(a_request(context__patientId="XX").replace(b"XX", text.encode()))


@pytest.mark.skipif(not REQUESTS.is_dir(), reason="the requests written by others are not here")
def test_requests_written_by_others_are_read_or_refused_by_place() -> None:
    called = read = refused = 0
    for path in sorted(REQUESTS.glob("*.json")):
        for offer in OFFERS:
            try:
                read_request(path.read_bytes(), offer.hook)
                read += 1
            except InvalidRequest as refusal:
                refused += all(fault.place and fault.expected for fault in refusal.faults)
            called += 1
    assert called == read + refused
    assert read >= 5


# -- feedback ---------------------------------------------------------------------------------------------------------

CARD = "9368d37b-283f-44a0-93ea-547cebab93ed"
SUGGESTION = "bcc09aa2-4d6f-4b2a-a7ad-2e5c8e4f4d6e"


def an_item(**changes: Any) -> dict[str, Any]:
    item = {"card": CARD, "outcome": "overridden", "outcomeTimestamp": "2026-11-01T10:05:31Z"} | changes
    return {name: value for name, value in item.items() if value is not ABSENT}


def feedback(*items: Any) -> bytes:
    return json.dumps({"feedback": list(items)}).encode()


def test_an_override_is_read_with_its_coded_reason_and_comment() -> None:
    reason = {"reason": {"code": "ask-later", "system": "https://x.example", "display": "Later"}, "userComment": "busy"}
    sent = feedback(an_item(overrideReason=reason))
    check_feedback(json.loads(sent))
    (item,) = read_feedback(sent)
    assert item.reason
    assert (item.outcome, item.reason.code, item.reason.comment) == ("overridden", "ask-later", "busy")
    assert item.at.utcoffset() is not None


def test_an_acceptance_lists_its_suggestions_once_and_sorted() -> None:
    (item,) = read_feedback(
        feedback(an_item(outcome="accepted", acceptedSuggestions=[{"id": "b"}, {"id": "a"}, {"id": "b"}]))
    )
    assert item.accepted == ("a", "b")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("card", ABSENT),
        ("card", ""),
        ("card", 3),
        ("card", "two words"),
        ("outcome", ABSENT),
        ("outcome", CANARY),
        ("outcomeTimestamp", ABSENT),
        ("outcomeTimestamp", "2026-11-01"),
        ("outcomeTimestamp", "2026-11-01T10:05:31"),
        ("outcomeTimestamp", "2026-13-01T10:05:31Z"),
        ("outcomeTimestamp", "0001-01-01T00:00:00+14:00"),
        ("overrideReason", {"userComment": ""}),
        ("overrideReason", {"zzz": 1}),
        ("overrideReason", CANARY),
    ],
)
def test_an_item_that_cannot_be_used_is_refused_by_place(name: str, value: Any) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_feedback(feedback(an_item(), an_item(**{name: value})))
    assert caught.value.faults[0].place == f"feedback[1].{name}"
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize("suggestions", [ABSENT, None, [], {}, ["a"], [{}], [{"id": 3}], [{"id": ""}]])
def test_an_acceptance_without_a_suggestion_is_refused(suggestions: Any) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_feedback(feedback(an_item(outcome="accepted", acceptedSuggestions=suggestions)))
    assert [fault.place for fault in caught.value.faults] == ["feedback[0].acceptedSuggestions"]


@pytest.mark.parametrize(
    "body", [b"{}", b"[]", b"null", b'{"feedback":[]}', b'{"feedback":{}}', b'{"feedback":[3]}', b'{"card":"x"}']
)
def test_a_body_without_items_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        read_feedback(body)


def test_what_real_ehrs_send_besides_the_specification_is_understood() -> None:
    (plural, no_reason, short, offset) = read_feedback(
        feedback(
            an_item(overrideReasons={"reason": {"code": "c"}}, card="not-a-uuid", zzz=1),
            an_item(overrideReason={"extension": {"com.epic.reason": "2"}}),
            an_item(overrideReason={"reason": {"code": "ask-later"}}),
            an_item(outcomeTimestamp="2026-11-01T10:05:31.123+02:00"),
        )
    )
    assert plural.reason
    assert plural.reason.code == "c"
    assert no_reason.reason
    assert no_reason.reason.code is None
    assert short.reason
    assert short.reason.display is None
    assert offset.at.microsecond == 123000


def test_a_very_long_comment_is_cut() -> None:
    (item,) = read_feedback(feedback(an_item(overrideReason={"userComment": "x" * 100_000})))
    assert item.reason
    assert len(item.reason.comment or "") == 4000

"""One resource that is off does not send a whole Bundle down the slow path."""

from __future__ import annotations

from mappings.chart import decoding, fhir

BUNDLE = b"""{"resourceType": "Bundle", "type": "collection", "entry": [
  {"resource": {"resourceType": "Patient", "id": "1"}},
  {"resource": {"resourceType": "Observation", "id": "o", "status": ["final"], "code": 3}},
  {"fullUrl": "urn:uuid:1"}
]}"""


def test_the_entries_are_taken_apart_before_they_are_read() -> None:
    entries = decoding._loose.decode(BUNDLE).entry
    assert bytes(entries[0].resource).startswith(b'{"resourceType": "Patient"')
    assert bytes(entries[2].resource) == b"null"


def test_the_good_resource_is_read_and_of_the_bad_one_what_can_be() -> None:
    bundle = decoding._decode_loosely(BUNDLE)
    read = [entry.resource for entry in bundle.entry]
    assert isinstance(read[0], fhir.Patient)
    assert isinstance(read[1], fhir.Observation)
    assert (read[1].status, decoding.code_of(read[1])) == ("final", None)
    assert read[2] is None

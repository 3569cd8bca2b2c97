"""Files and lines of an export: every line once, and each read as the reader of charts reads it."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.screen.export import MIB, Broken, Chunk, Export, ExportFile, lines_of
from app.screen.lines import LineError, LineReader, UnassignedLine
from app.screen.spool import PatientFilter, mark_of
from mappings.chart import decoding
from mappings.chart.addresses import Servers
from mappings.chart.assignment import Unassigned, patient_of
from mappings.concepts.catalogue import Catalogue
from tests.conftest import SHARED

GATES = frozenset({"systemic-lupus-erythematosus"})
SLE = {"coding": [{"system": "http://snomed.info/sct", "code": "55464009"}]}
UNLISTED = {"coding": [{"system": "http://snomed.info/sct", "code": "1", "display": "Systemic lupus of some kind"}]}


def pieces(path: Path, size: int) -> tuple[Chunk, ...]:
    return Export((ExportFile(path, path.stat().st_size, 0, None),), frozenset(), None).chunks(size)


@settings(deadline=None, max_examples=60)
@given(
    lines=st.lists(st.sampled_from([b"", b"a", b"{}", b"abc" * 7, b"\r", b" "]), max_size=12),
    size=st.integers(1, 40),
    ended=st.booleans(),
)
def test_every_line_is_in_exactly_one_piece(
    lines: list[bytes], size: int, ended: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("lines") / "x.ndjson"
    path.write_bytes(b"\n".join(lines) + b"\n" * ended)
    found = [line for piece in pieces(path, size) for line in lines_of(piece)]
    assert [line for _, line in found] == [line for line in lines if line.strip()]
    content = path.read_bytes()
    assert all(isinstance(line, bytes) and content[at : at + len(line)] == line for at, line in found)


def test_lines_longer_than_a_block_stay_whole(tmp_path: Path) -> None:
    path = tmp_path / "x.ndjson"
    lines = [b"x" * (3 * MIB), b"y", b"z" * (2 * MIB)]
    path.write_bytes(b"\n".join(lines))
    assert [line for piece in pieces(path, MIB) for _, line in lines_of(piece)] == lines


def test_a_gzip_file_that_ends_in_the_middle_says_so_after_its_good_lines(tmp_path: Path) -> None:
    path = tmp_path / "x.ndjson.gz"
    path.write_bytes(gzip.compress(b'{"a":1}\n' * 200_000)[:-40])
    (piece,) = pieces(path, 10)
    found = [line for _, line in lines_of(piece)]
    assert found[0] == b'{"a":1}'
    assert found[-1] == Broken("the file ends in the middle")


# A Condition without a code may be any disease.
READ = [
    ({"resourceType": "Condition", "subject": {"reference": "Patient/1"}, "code": SLE}, ("1", True)),
    ({"resourceType": "Condition", "subject": {"reference": "Patient/1/_history/2"}, "code": SLE}, ("1", True)),
    ({"resourceType": "Condition", "subject": {"reference": "https://ehr.example/fhir/Patient/1"}}, ("1", True)),
    ({"resourceType": "Condition", "subject": {"reference": "HTTPS://EHR.example:443/fhir/Patient/1"}}, ("1", True)),
    ({"resourceType": "Condition", "subject": {"reference": "urn:uuid:1"}, "code": SLE}, ("1", True)),
    ({"resourceType": "Condition", "subject": {"reference": "urn:uuid:AbC"}, "code": SLE}, ("AbC", True)),
    ({"resourceType": "Condition", "subject": {"reference": "Device/1"}, "code": SLE}, (None, True)),
    ({"resourceType": "Condition", "subject": "Patient/1", "code": SLE["coding"][0]}, ("1", True)),
    ({"resourceType": "Condition", "subject": {"reference": "Patient/1"}, "code": {"text": "SLE"}}, ("1", True)),
    ({"resourceType": "Condition", "subject": {"reference": "Patient/1"}, "code": {"text": "Asthma"}}, ("1", False)),
    ({"resourceType": "Condition", "subject": {"reference": "Patient/1"}, "code": UNLISTED}, ("1", True)),
    ({"resourceType": "Immunization", "patient": {"reference": "Patient/1"}, "vaccineCode": SLE}, ("1", True)),
    ({"resourceType": "ResearchSubject", "individual": {"reference": "Patient/1"}}, ("1", False)),
    ({"resourceType": "Observation", "subject": {"reference": "Patient/1"}, "component": [{"code": SLE}]}, ("1", True)),
    ({"resourceType": "Observation", "subject": {"reference": "Patient/1"}, "component": 7, "code": 8}, ("1", False)),
    ({"resourceType": "Patient", "id": "1"}, ("1", False)),
    ({"resourceType": "Encounter", "subject": {"reference": "Patient/1"}}, (None, False)),
]  # fmt: skip


@pytest.mark.parametrize(("resource", "expected"), READ)
def test_a_line_says_whose_it_is_and_whether_it_opens_a_gate(
    resource: object, expected: tuple[str | None, bool], catalogue: Catalogue
) -> None:
    reader = LineReader(catalogue, GATES, "https://ehr.example/fhir/")
    for _ in range(2):  # the second time from memory
        _, patient, opens, _ = reader.read(json.dumps(resource).encode())
        assert (patient, opens) == expected


@pytest.mark.parametrize(
    ("line", "kind"),
    [(b"{", None), (b'{"resourceType":"Observation","subject":7}', "Observation"), (b"\xff\xfe", None)],
)
def test_a_line_that_names_nobody_is_an_error_of_its_type(line: bytes, kind: str | None, catalogue: Catalogue) -> None:
    with pytest.raises(LineError) as error:
        LineReader(catalogue, GATES, None).read(line)
    assert error.value.kind == kind


@pytest.mark.parametrize(
    "subject",
    [
        None,
        {"display": "Somebody"},
        {"identifier": {"system": "urn:mrn", "value": "1"}},
        {"reference": "https://other.example/fhir/Patient/1"},
        {"reference": "http://ehr.example/fhir/Patient/1"},
        {"reference": "Group/1"},
    ],
)
@pytest.mark.parametrize("kind", ["Condition", "Consent"])
def test_a_line_that_may_be_anybodys_is_an_error_of_its_type(kind: str, subject: object, catalogue: Catalogue) -> None:
    reader = LineReader(catalogue, GATES, "https://ehr.example/fhir/")
    for _ in range(2):  # the second time from memory
        with pytest.raises(UnassignedLine, match="--base-url") as error:
            reader.read(json.dumps({"resourceType": kind, "subject": subject, "code": SLE}).encode())
        assert error.value.kind == kind


@pytest.mark.parametrize("code", [b'{"text": "\xff\xfe"}', b'{"coding": [{"code": "\xff"}]}'])
def test_a_code_that_is_no_text_spoils_no_more_than_its_line(code: bytes, catalogue: Catalogue) -> None:
    reader = LineReader(catalogue, GATES, None)
    line = b'{"resourceType": "Condition", "subject": {"reference": "Patient/1"}, "code": %b}' % code
    with pytest.raises(LineError):
        reader.read(line)
    assert reader.read(line.replace(b"Condition", b"Observation")) == ("Observation", "1", False, None)


@pytest.mark.skipif(not SHARED.exists(), reason="the shared patients are not here")
def test_lines_are_given_to_whom_the_reader_of_charts_gives_them(catalogue: Catalogue) -> None:
    reader = LineReader(catalogue, GATES, None)
    seen = 0
    for path in sorted((SHARED / "patients").glob("*/*.json"))[::7]:
        content = json.loads(path.read_bytes())
        for resource in [entry.get("resource") for entry in content.get("entry", [])] or [content]:
            line = json.dumps(resource).encode()
            decoded = decoding.decode(line)
            if isinstance(decoded, decoding.Unreadable):
                continue
            seen += 1
            try:
                expected = patient_of(decoded, Servers())
            except Unassigned:
                with pytest.raises(UnassignedLine):
                    reader.read(line)
            else:
                assert reader.read(line)[1] == expected
    assert seen > 100


def test_the_filter_of_patients_never_holds_one_too_few(tmp_path: Path) -> None:
    wanted = PatientFilter()
    for number in range(2000):
        wanted.add(mark_of(f"p{number}"))
    wanted.save(tmp_path / "wanted")
    kept = PatientFilter.load(tmp_path / "wanted")
    assert all(mark_of(f"p{number}") in kept for number in range(2000))
    assert sum(mark_of(f"q{number}") in kept for number in range(2000)) < 20

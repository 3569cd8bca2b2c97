"""Our lean decoders read valid FHIR R4B as `fhir.resources` does, member by member."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec
import pytest
from fhir.resources.R4B import get_fhir_model_class
from msgspec import Raw, Struct
from pydantic import ValidationError

from mappings.chart import decoding, fhir

Json = dict[str, Any]

KINDS: tuple[type[Struct], ...] = (*get_args(fhir.PatientRecord), fhir.Patient, fhir.Medication)
USE: Json = {
    "status": "active",
    "subject": {"reference": "Patient/1"},
    "medicationCodeableConcept": {"text": "prednisone"},
}
# What a resource must have, so that each member can be tried alone.
BARE: dict[str, Json] = {
    "Observation": {"status": "final", "code": {"text": "Platelets"}},
    "Condition": {"subject": {"reference": "Patient/1"}},
    "MedicationRequest": USE | {"intent": "order"},
    "MedicationStatement": USE,
    "MedicationAdministration": USE | {"status": "completed", "effectiveDateTime": "2026-03-05"},
    "MedicationDispense": USE | {"status": "completed"},
    "Procedure": {"status": "completed", "subject": {"reference": "Patient/1"}},
    "Immunization": {
        "status": "completed",
        "vaccineCode": {"text": "influenza"},
        "patient": {"reference": "Patient/1"},
        "occurrenceDateTime": "2026-03-05",
    },
    "AllergyIntolerance": {"patient": {"reference": "Patient/1"}},
    "ResearchSubject": {
        "status": "candidate",
        "study": {"reference": "ResearchStudy/1"},
        "individual": {"reference": "Patient/1"},
    },
    "FamilyMemberHistory": {
        "status": "completed",
        "patient": {"reference": "Patient/1"},
        "relationship": {"text": "mother"},
    },
    "DiagnosticReport": {"status": "final", "code": {"text": "report"}},
    "Consent": {
        "status": "active",
        "scope": {"text": "research"},
        "category": [{"text": "research"}],
        "policyRule": {"text": "rule"},
    },
    "Flag": {"status": "active", "code": {"text": "flag"}, "subject": {"reference": "Patient/1"}},
}
TEXTS = ("2026-03-05", "2026-03-05T10:00:00.5+02:00", "10:30:00", "mon", "female", "seealso", "deny", "d", "<", "final")
# Members of other versions of FHIR than R4B.
OTHER_VERSIONS = {
    "Condition": {"abatementBoolean", "assertedDate", "dateRecorded"},
    "MedicationRequest": {"medication", "reported"},
    "MedicationDispense": {"medication", "statusReason"},
    "MedicationStatement": {"medication", "taken", "adherence"},
    "MedicationAdministration": {"medication", "occurenceDateTime", "occurencePeriod"},
    "Procedure": {"occurrenceDateTime", "occurrencePeriod"},
    "Immunization": {"date", "notGiven"},
    "ResearchSubject": {"subject"},
    "Consent": {"subject", "decision", "date"},
}


def samples(kind: Any) -> Iterator[Any]:
    """Values of one of our types as JSON, one of which is hoped to be valid."""
    if kind is str:
        yield from TEXTS
    elif kind is bool:
        yield from (True, False)
    elif kind is Decimal:
        yield from (Decimal("2.50"), 3)
    elif kind is Raw:  # an identifier, of which a Reference has one and a Patient several
        yield {"system": "urn:mrn", "value": "1"}
        yield [{"system": "urn:mrn", "value": "1"}]
        # Or resources inside another, which are read later.
        yield [{"resourceType": "Organization", "id": "inside", "name": "Laboratory"}]
    elif kind is fhir.Provision:  # it holds itself
        yield {"type": "deny", "period": {"start": "2026-03-05"}, "purpose": [{"code": "HRESCH"}]}
    elif kind is fhir.Contained:
        yield {"resourceType": "Medication", "id": "inside", "code": {"text": "prednisone"}}
    else:
        whole = {field.encode_name: value for field, value in members(kind)}
        yield whole
        yield from ({name: value} for name, value in whole.items())


def members(kind: type[Struct]) -> Iterator[tuple[msgspec.structs.FieldInfo, Any]]:
    """Each member of a data type with one value that it may have."""
    hints = get_type_hints(kind)
    for field in msgspec.structs.fields(kind):
        wanted, many = plain(hints[field.name])
        for value in samples(wanted):
            yield field, [value] if many else value
            break


def plain(hint: Any) -> tuple[Any, bool]:
    """The type inside an optional or a tuple, and whether there may be several."""
    found = [part for part in get_args(hint) if part not in (type(None), ...)]
    return (found[0] if found else hint), getattr(hint, "__origin__", None) is tuple


def tried() -> Iterator[tuple[str, str]]:
    """Each member of each resource, those among an Observation's content too."""
    for kind in KINDS:
        yield from (
            (kind.__name__, name)
            for name in sorted(forms_of(kind))
            if name not in OTHER_VERSIONS.get(kind.__name__, ())
        )


def forms_of(kind: type[Struct]) -> dict[str, Any]:
    """Member -> type; of an Observation those of its content in place of what is kept as it was sent."""
    forms = {field.encode_name: get_type_hints(kind)[field.name] for field in msgspec.structs.fields(kind)}
    if kind is fhir.Observation:
        return forms | forms_of(fhir.Content) | {"code": fhir.CodeableConcept}
    return forms


def valid_with(name: str, member: str) -> Json:
    """A resource with this member that `fhir.resources` takes for valid."""
    wanted, many = plain(forms_of(next(kind for kind in KINDS if kind.__name__ == name))[member])
    choice = next((start for start in ("medication", "effective", "occurrence") if member.startswith(start)), member)
    bare = {key: value for key, value in BARE.get(name, {}).items() if not key.startswith(choice)}
    for value in samples(wanted):
        for written in ([value], value) if many else (value,):  # some may be several in R5 alone
            resource = {"resourceType": name} | bare | {member: written}
            if as_theirs(resource) is not None:
                return resource
    pytest.fail(f"no sample makes a valid {name} with {member}")


def as_theirs(resource: Json) -> Json | None:
    """What `fhir.resources` makes of it, written again; None where it is not valid."""
    text = msgspec.json.Encoder(decimal_format="number").encode(resource)
    try:
        read = get_fhir_model_class(resource["resourceType"]).model_validate_json(text)
    except ValidationError:
        return None
    written: Json = json.loads(read.model_dump_json(), parse_float=Decimal)
    return written


def differences(ours: Any, theirs: Any, where: str) -> Iterator[str]:
    """The places at which the two readings are not the same."""
    if isinstance(ours, fhir.Observation):
        yield from differences(decoding.content_of(ours), theirs, where)
        yield from differences(decoding.code_of(ours), theirs.get("code"), f"{where}.code")
    if isinstance(ours, Struct):
        for field in msgspec.structs.fields(type(ours)):
            value, written = getattr(ours, field.name), theirs.get(field.encode_name)
            if isinstance(value, Raw):
                continue  # read when it is looked at
            yield from differences(value, written, f"{where}.{field.encode_name}")
    elif isinstance(ours, tuple):
        listed = theirs if isinstance(theirs, list) else [theirs] if theirs else []
        if len(ours) != len(listed):
            yield where
        for place, (mine, other) in enumerate(zip(ours, listed, strict=False)):
            yield from differences(mine, other, f"{where}[{place}]")
    elif isinstance(ours, Decimal):
        # They hold a number as a float; we keep all its digits.
        if not isinstance(theirs, int | Decimal) or float(ours) != float(theirs):
            yield where
    elif ours != theirs and not is_same_instant(ours, theirs):
        yield where


def is_same_instant(ours: Any, theirs: Any) -> bool:
    if not isinstance(ours, str) or not isinstance(theirs, str) or "T" not in ours:
        return False
    return datetime.fromisoformat(ours) == datetime.fromisoformat(theirs)


def decoded(resource: Json) -> Any:
    return decoding.decode(msgspec.json.Encoder(decimal_format="number").encode(resource))


@pytest.mark.parametrize(("name", "member"), list(tried()))
def test_a_member_is_read_as_fhir_resources_reads_it(name: str, member: str) -> None:
    resource = valid_with(name, member)
    theirs = as_theirs(resource)
    assert theirs is not None
    assert member in theirs
    assert list(differences(decoded(resource), theirs, name)) == []


EXAMPLES = Path(__file__).parents[3] / "shared" / "patients"
FOLDERS = ("hl7_r4_examples", "us_core_examples")


@pytest.mark.parametrize("folder", FOLDERS)
def test_published_examples_are_read_as_fhir_resources_reads_them(folder: str) -> None:
    if not (EXAMPLES / folder).is_dir():
        pytest.skip(f"the examples in {folder} are not there: put them into ../shared/patients/{folder}")
    compared = 0
    for path in sorted((EXAMPLES / folder).glob("*.json")):
        resource = json.loads(path.read_bytes(), parse_float=Decimal)
        if resource["resourceType"] not in {kind.__name__ for kind in KINDS}:
            continue
        theirs = as_theirs(resource)
        if theirs is None:
            continue  # R4 where R4B differs
        compared += 1
        assert list(differences(decoded(resource), theirs, path.name)) == []
    assert compared > 20

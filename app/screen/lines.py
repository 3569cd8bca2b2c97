"""One line of an export: of which type it is, whose, and whether it can open a gate.

Read a hundred times more often than a chart is evaluated, so only the few members that tell are decoded. Where the form
of a line is off, the reader of charts decides what it means, so that both see the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import msgspec
from msgspec import Raw, Struct

from mappings.chart import decoding, fhir
from mappings.chart.addresses import Servers
from mappings.chart.assignment import Unassigned, patient_meant, patient_of
from mappings.concepts.catalogue import Catalogue
from mappings.readers.uncoded import NAMED_EVENTS, named_in
from mappings.resource_types import RESOURCE_TYPES, ROWS
from mappings.understanding.classes import understanding_of

_MOST_REMEMBERED = 100_000  # references and codes; forgetting them costs time only


class _Reference(Struct, gc=False):
    reference: str | None = None


_NOTHING = Raw()


class _Component(Struct, gc=False):
    code: Raw = _NOTHING


class _Line(Struct, gc=False, rename="camel"):
    """Codes stay as they are written: few different ones occur in millions of lines, and each is looked up once."""

    resource_type: str
    id: str | None = None
    subject: _Reference | None = None
    patient: _Reference | None = None
    code: Raw = _NOTHING
    vaccine_code: Raw = _NOTHING
    medication_codeable_concept: Raw = _NOTHING
    component: tuple[_Component, ...] = ()


class _Subject(Struct, gc=False):
    resource_type: Any = msgspec.field(default=None, name="resourceType")
    subject: Any = None
    patient: Any = None


_BY_SUBJECT = frozenset(row.name for row in ROWS if row.subject == ("subject",))
_BY_PATIENT = frozenset(row.name for row in ROWS if row.subject == ("patient",))
# Whose patient may be named by one of several members.
_SLOW = frozenset(
    {row.name for row in ROWS if len(row.subject) > 1} | {row.older_type for row in ROWS if row.older_type}
)
READ = frozenset(RESOURCE_TYPES) | {"Medication"}
OUTCOME = "OperationOutcome"
_decode = msgspec.json.Decoder(_Line).decode
_decode_concept = msgspec.json.Decoder(fhir.CodeableConcept | None).decode
_decode_subject = msgspec.json.Decoder(_Subject).decode
Found = tuple[str, str | None, bool, str | None]  # type, patient, whether it can open a gate, id
# A code that was only skipped before may prove to be no text.
_MISFITS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class LineError(ValueError):
    """A line that cannot be given to any patient; `kind` is its type where that can be told."""

    def __init__(self, kind: str | None, problem: str) -> None:
        super().__init__(problem)
        self.kind, self.problem = kind, problem


class UnassignedLine(LineError):
    """A record that may be any patient's: its subject names none of this server."""

    def __init__(self, kind: str, identity: str | None) -> None:
        super().__init__(kind, "its subject names no patient of this export; see --base-url")
        self.identity = identity


class LineReader:
    """Reads lines of one export. `gates`: the concepts that open a gate; None where any record may.

    `merged`: the ids of patients whose records are another's now, with the id that stays.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        gates: frozenset[str] | None,
        base_url: str | None,
        merged: Mapping[str, str] | None = None,
    ) -> None:
        self._merged = merged or {}
        self._catalogue, self._gates = catalogue, gates or frozenset()
        self._servers = Servers.at((base_url,))
        self._patients: dict[str, str | None] = {}
        self._codes: dict[bytes, bool] = {}
        self._unheard: dict[bytes, bool] = {}  # diagnoses by their code as written

    def read(self, line: bytes) -> Found:
        """Type, patient, whether it can open a gate, and id. The patient is None for what surely is about no patient.

        LineError for what is not JSON, or so far off its form that not even the patient can be told; UnassignedLine
        where the subject does not tell.
        """
        try:
            found = _decode(line)
        except msgspec.ValidationError:
            return self._read_slowly(line)
        except _MISFITS:
            raise LineError(None, "is not JSON") from None
        kind = found.resource_type
        if kind in _BY_SUBJECT:
            subject = found.subject
        elif kind in _BY_PATIENT:
            subject = found.patient
        elif kind in _SLOW:
            return self._read_slowly(line)
        else:
            return kind, found.id if kind == "Patient" else None, False, found.id
        if subject is None or subject.reference is None:
            return self._read_slowly(line)
        try:
            patient = self._patients[subject.reference]
        except KeyError:
            try:
                patient = self._patient(subject.reference)
            except Unassigned:
                raise UnassignedLine(kind, found.id) from None
        if not self._gates:
            return kind, patient, False, found.id
        try:
            return kind, patient, self._opens(found), found.id
        except _MISFITS:
            return self._read_slowly(line)

    def _patient(self, reference: str) -> str | None:
        if len(self._patients) >= _MOST_REMEMBERED:
            self._patients.clear()
            self._servers = Servers(self._servers.bases)
        return self._patients.setdefault(reference, self._whose(patient_meant(reference, self._servers)))

    def _whose(self, patient: str | None) -> str | None:
        """The id under which the records of a patient count."""
        return self._merged.get(patient, patient) if patient else patient

    def _opens(self, found: _Line) -> bool:
        """Whether one of its codes opens a gate. One of _MISFITS where a code is not written in its usual form."""
        written = bytes(found.code)
        if found.resource_type == "Condition" and self._may_be_a_gate(written):
            return True
        for code in (written, found.vaccine_code, found.medication_codeable_concept):
            if code and self._look_up(bytes(code)):
                return True
        if found.component:
            return any(self._look_up(bytes(part.code)) for part in found.component if part.code is not _NOTHING)
        return False

    def _look_up(self, written: bytes) -> bool:
        opens = self._codes.get(written)
        if opens is None:
            if len(self._codes) >= _MOST_REMEMBERED:
                self._codes.clear()
            opens = self._codes[written] = self._stands_for_a_gate(_decode_concept(written))
        return opens

    def _may_be_a_gate(self, written: bytes) -> bool:
        """Whether a diagnosis without a known code may be one, because it is not understood."""
        if written not in self._unheard:
            if len(self._unheard) >= _MOST_REMEMBERED:
                self._unheard.clear()
            self._unheard[written] = self._is_not_understood(_decode_concept(written) if written else None)
        return self._unheard[written]

    def _is_not_understood(self, concept: fhir.CodeableConcept | None) -> bool:
        for coding in concept.coding if concept else ():
            system, code = fhir.clean(coding.system or ""), fhir.clean(coding.code or "")
            if system and code and self._catalogue.find(system, code):
                return False
        left_open = understanding_of(self._catalogue).concepts_left_open("diagnosis", (concept,))
        return not self._gates.isdisjoint(left_open)

    def _stands_for_a_gate(self, concept: fhir.CodeableConcept | None) -> bool:
        """Whether a code of it does, or its words where no code is known: rather a chart too many than one too few."""
        if concept is None or not self._gates:
            return False
        known = False
        for coding in concept.coding:
            system, code = fhir.clean(coding.system or ""), fhir.clean(coding.code or "")
            found = self._catalogue.find(system, code) if system and code else ()
            if not self._gates.isdisjoint(found):
                return True
            known = known or bool(found)
        named = () if known else named_in([concept], NAMED_EVENTS, self._catalogue)
        return any(not self._gates.isdisjoint(self._catalogue.ancestors(name)) for name in named)

    def _read_slowly(self, line: bytes) -> Found:
        try:
            resource = decoding.decode(line)
        except decoding.NotJson:
            raise LineError(None, "is not JSON") from None
        if isinstance(resource, decoding.Unreadable):
            return self._read_subject(line, resource)
        kind, identity = type(resource).__name__, getattr(resource, "id", None)
        try:
            patient = patient_of(resource, self._servers)
            patient = patient if isinstance(resource, fhir.Patient) else self._whose(patient)
        except Unassigned:
            raise UnassignedLine(kind, identity) from None
        opens = any(map(self._stands_for_a_gate, _concepts(resource)))
        if not opens and self._gates and isinstance(resource, fhir.Condition):
            opens = self._is_not_understood(resource.code)
        return kind, patient, opens, identity

    def _read_subject(self, line: bytes, where: decoding.Unreadable) -> Found:
        """A resource that no chart can use still leaves its patient's chart incomplete, if it says whose it is."""
        kind = where.resource_type
        if kind not in READ:
            return kind or "no type", None, False, where.id
        if kind == "Patient" and where.id:
            return kind, where.id, False, where.id
        try:
            found = _decode_subject(line)
        except _MISFITS:
            found = _Subject()
        for subject in (found.subject, found.patient):
            reference = subject.get("reference") if isinstance(subject, dict) else subject
            with suppress(Unassigned):
                if isinstance(reference, str) and (patient := self._whose(patient_meant(reference, self._servers))):
                    return kind, patient, False, where.id
        raise LineError(kind, "does not have the form of its type, and names no patient")


def _concepts(found: Any) -> list[fhir.CodeableConcept | None]:
    """Every code by which a record may be found."""
    if isinstance(found, fhir.Observation):
        return [decoding.code_of(found), *(part.code for part in decoding.parts_of(found) or ())]
    return [getattr(found, name, None) for name in ("code", "vaccine_code", "medication_codeable_concept")]


class _Deletion(Struct):
    method: str = ""
    url: str = ""


class _Entry(Struct):
    request: _Deletion | None = None


class _Deletions(Struct):
    entry: tuple[_Entry, ...] = ()


def deletions(line: bytes) -> list[str]:
    """What a Bundle of deletions names, as "Observation/abc"; servers put them beside the files of a delta."""
    try:
        found = msgspec.json.decode(line, type=_Deletions)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []
    requests = (entry.request for entry in found.entry if entry.request)
    return ["/".join(request.url.split("/")[-2:]) for request in requests if request.method == "DELETE"]


class _Identified(Struct, rename="camel"):
    resource_type: str | None = None
    id: str | None = None


_decode_identity = msgspec.json.Decoder(_Identified).decode


def reference_of(line: bytes) -> str:
    """ "Observation/abc"; nothing where the line has no type or id."""
    try:
        found = _decode_identity(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    return f"{found.resource_type}/{found.id}" if found.resource_type and found.id else ""

"""Whose a record is: this patient's, certainly somebody else's, or not to be told.

A record is left out unless it is this patient's. Only one that certainly is not leaves its type complete.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any, Literal, cast
from urllib.parse import unquote

import msgspec
from msgspec import Raw

from mappings.chart import fhir
from mappings.chart.addresses import Servers
from mappings.resource_types import ROWS

LeftOut = Literal["other-patient", "not-a-patient", "no-subject", "unknown-subject"]
CERTAIN: frozenset[str] = frozenset({"other-patient", "not-a-patient"})

# What a record may be about in place of a patient. A Group may hold the patient, so it is not among them.
_NOT_PATIENTS = frozenset({
    "Device", "Location", "Substance", "Organization", "Practitioner", "PractitionerRole", "Medication", "Procedure",
    "PlanDefinition", "BiologicallyDerivedProduct", "NutritionProduct",
})  # fmt: skip
_BY_IDENTIFIER = re.compile(r"^Patient\?identifier=([^&|]+)(?:\||%7[Cc])([^&]+)$")


def _subject_reader(members: Sequence[str]) -> Callable[[Any], fhir.Reference | None]:
    """The reference to the patient: the first of these members that is there."""
    if len(members) == 1:
        return attrgetter(members[0])
    return lambda resource: next((found for member in members if (found := getattr(resource, member))), None)


# What gives the subject of a record, by its type.
SUBJECTS: Mapping[str, Callable[[Any], fhir.Reference | None]] = {
    row.name: _subject_reader(row.subject) for row in ROWS if row.subject
}

Identifier = tuple[str, str]  # system, value


class Assignment:
    """Tells of each record's subject whether it is the patient. `others`: the fullUrls of other Patients.

    `merged`: ids that are this patient's as well, although the Patient does not say so itself.
    """

    def __init__(
        self,
        patient: fhir.Patient,
        patient_id: str,
        full_url: str | None,
        servers: Servers,
        others: Iterable[str] = (),
        merged: Iterable[str] = (),
    ) -> None:
        self._patient, self._servers = patient, servers
        self._has_id = bool(patient_id)
        own = {f"Patient/{patient_id}", f"urn:uuid:{patient_id.lower()}"} if patient_id else set()
        links = [
            (fhir.clean(link.type or "").lower(), servers.local(link.other.reference))
            for link in patient.link
            if link.other and link.other.reference
        ]
        # What this Patient replaces was merged into it; other links say only that they are no other person's.
        own |= {other for kind, other in links if kind == "replaces"} | {f"Patient/{name}" for name in merged}
        if full_url:
            own.add(servers.local(full_url))
        self._own = frozenset(own)
        self._linked = frozenset(other for _, other in links) - own
        self._others = frozenset(map(servers.local, others)) - own - self._linked
        self._identifiers: frozenset[Identifier] | None = None
        self._known: dict[str, LeftOut | None] = {}

    def left_out(self, subject: fhir.Reference | None) -> LeftOut | None:
        """Why a record of this subject is not the patient's; None where it is."""
        if subject is None:
            return "no-subject"
        found: LeftOut | None = "no-subject"
        if subject.reference:
            if subject.reference not in self._known:
                self._known[subject.reference] = self._by_reference(subject.reference)
            found = self._known[subject.reference]
        return self._by_identifier(subject, found) if found and fhir.is_given(subject.identifier) else found

    def _by_identifier(self, subject: fhir.Reference, found: LeftOut) -> LeftOut | None:
        """What an identifier beside or in place of a reference changes."""
        if self._patients_own.isdisjoint(_identifiers(subject.identifier)):
            # It may still be one of the patient's that the Patient does not list.
            return "unknown-subject" if found == "no-subject" else found
        # Together with a reference to somebody else it contradicts itself.
        return "unknown-subject" if found in CERTAIN else None

    def _by_reference(self, reference: str) -> LeftOut | None:
        if found := _BY_IDENTIFIER.match(reference):
            named = (unquote(found[1]), unquote(found[2]))
            return None if named in self._patients_own else "unknown-subject"
        local = self._servers.local(reference)
        if local in self._own:
            return None
        if local in self._others:
            return "other-patient"
        kind, _, name = local.partition("/")
        if local in self._linked or not name or "/" in name:
            return "unknown-subject"
        if kind == "Patient" and self._has_id:
            return "other-patient"
        return "not-a-patient" if kind in _NOT_PATIENTS else "unknown-subject"

    @property
    def _patients_own(self) -> frozenset[Identifier]:
        if self._identifiers is None:
            self._identifiers = frozenset(_identifiers(self._patient.identifier))
        return self._identifiers


def patient_of(resource: Any, servers: Servers) -> str | None:
    """The id of the patient whose record it is, on these servers; None where it certainly is no patient's of theirs.

    `resource` is what `decoding.decode` makes of a Patient or of one of a patient's records. Unassigned where its
    subject does not tell.
    """
    name = type(resource).__name__
    if name == "Patient":
        return cast("str | None", resource.id)
    if not isinstance(resource, fhir.PatientRecord):
        return None
    subject = SUBJECTS[name](resource)
    if subject is None or not subject.reference:
        raise Unassigned
    return patient_meant(subject.reference, servers)


class Unassigned(ValueError):
    """A subject that does not tell whose the record is."""


def patient_meant(reference: str, servers: Servers) -> str | None:
    """The id in a reference to a patient of these servers: relative, under their address, or as a `urn:uuid`.

    None where it refers to what is no patient; Unassigned where it may mean one, and does not say which.
    """
    kind, _, name = servers.local(reference).rpartition("/")
    if kind == "Patient" and name:
        return name
    if not kind and name.startswith("urn:uuid:") and name != "urn:uuid:":
        return fhir.clean(reference)[len("urn:uuid:") :]  # as written: ids differ by case
    if kind in _NOT_PATIENTS:
        return None
    raise Unassigned


def _identifiers(sent: Raw) -> Iterator[Identifier]:
    """Those that identify today: with system and value, neither old nor of a period that has an end."""
    if not fhir.is_given(sent):
        return
    try:
        content = msgspec.json.decode(sent)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return
    for item in content if isinstance(content, list) else [content]:
        if not isinstance(item, dict):
            continue
        system, value, use = (_text(item.get(name)) for name in ("system", "value", "use"))
        period = item.get("period")
        if system and value and use.lower() != "old" and not (isinstance(period, dict) and period.get("end")):
            yield system, value


def _text(value: object) -> str:
    return fhir.clean(value) if isinstance(value, str) else ""

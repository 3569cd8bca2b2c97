"""One patient's chart: the resources an EHR gave, each once and each this patient's, and how complete every type is.

`ChartBuilder` takes raw JSON (resources, Bundles, `null`) as it comes in. What is not surely this patient's, or cannot
be decoded, is left out and counted; a type of which anything is missing is `incomplete`, so that silence in it says
nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any, TypeVar, cast, get_args

from msgspec import Raw, Struct
from msgspec.structs import replace

from mappings.chart import decoding, fhir, reports
from mappings.chart.addresses import Servers
from mappings.chart.assignment import CERTAIN, SUBJECTS, Assignment
from mappings.chart.dates import date_text, oldest_arrived
from mappings.chart.versions import Version, is_older, read_version
from mappings.facts import SourceState
from mappings.resource_types import RESOURCE_TYPES, names_of
from mappings.time.times import parse_moment

_RECORDS: tuple[type[Struct], ...] = get_args(fhir.PatientRecord)
_KEPT: tuple[type[Struct], ...] = (*_RECORDS, fhir.Patient, fhir.Medication)
_NAMES = {kind: kind.__name__ for kind in _KEPT}
_CONTAINERS = frozenset({"DiagnosticReport", "Observation"})  # whose results may be inside them
_DEEPEST = 3  # Bundles inside Bundles
LONG_LIST = 1000  # records of one search
_MEDICATION = re.compile(r"^Medication/[A-Za-z0-9_-][A-Za-z0-9._-]{0,255}$", re.ASCII)
R = TypeVar("R", bound=Struct)


class ChartError(ValueError):
    """No chart can be made of what was given.

    `code`: "not-json", "not-a-bundle", "no-patient", "several-patients", "other-patient", "none-assigned".
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Page:
    """What became of one piece of JSON: where it goes on, and why it could not be used as what was asked for."""

    next_url: str | None = None
    problem: str | None = None


@dataclass(frozen=True)
class Chart:
    """The resources of one patient, by type; `(source, resource)`, source being "Observation/abc"."""

    patient: fhir.Patient
    reference: str  # "Patient/123"
    records: Mapping[str, tuple[tuple[str, Any], ...]]
    medications: Mapping[str, fhir.Medication]  # every reference by which one may be meant
    servers: Servers
    states: Mapping[str, SourceState]
    counts: Mapping[str, int]
    excluded: Mapping[str, Mapping[str, int]]
    unreadable: Mapping[str, tuple[str, ...]]
    # Of a list that was cut short but came newest first: the date of the last record that came. What is newer is whole.
    arrived_back_to: Mapping[str, str] = field(default_factory=dict)

    def of(self, kind: type[R]) -> tuple[tuple[str, R], ...]:
        """Every record of one type, in the order given."""
        return cast("tuple[tuple[str, R], ...]", self.records.get(kind.__name__, ()))

    def medication(self, reference: str) -> fhir.Medication | None:
        return self.medications.get(self.servers.local(reference))


@dataclass
class _Search:
    """A search that has not ended. `records` are its Observations in the order of arrival, where it asked for one."""

    resource_type: str | None
    found: int
    total: int | None
    newest_first: bool = False
    records: list[fhir.Observation] = field(default_factory=list)


class _Found(Struct, gc=False):
    full_url: str | None
    resource: Any
    place: int


@dataclass
class ChartBuilder:
    """Collects a chart. `patient_id` is whose it must be; None when the one Patient in it says so (a whole chart).

    `servers`: addresses at which a reference means the same as a relative one. `merged`: ids of other Patients whose
    records are this patient's now.
    """

    patient_id: str | None
    servers: Servers = field(default_factory=Servers)
    merged: Sequence[str] = ()
    _found: dict[str, list[_Found]] = field(default_factory=dict)
    _read: set[str] = field(default_factory=set)
    _failed: set[str] = field(default_factory=set)
    _incomplete: set[str] = field(default_factory=set)
    _all_incomplete: bool = False
    _whole: bool = False
    _pending: dict[str, _Search] = field(default_factory=dict)
    _short: list[_Search] = field(default_factory=list)  # ended before the total that they announced
    _unreadable: dict[str, list[str]] = field(default_factory=dict)
    _place: int = 0
    _wanted: tuple[str, ...] = ()

    def add(
        self, raw: bytes | Raw, resource_type: str | None, follows: str | None = None, *, newest_first: bool = False
    ) -> Page:
        """Take in the JSON of one resource, one Bundle, or `null` (the EHR looked and found nothing).

        `resource_type` is what was asked for; None for a Bundle that is a whole chart. `follows` is the `next_url`
        that led here; a search whose next page never comes leaves its type incomplete. `newest_first`: the search
        asked for this order (`_sort=-date`). ChartError where a whole chart is not a Bundle.
        """
        try:
            content = decoding.decode(raw)
        except decoding.NotJson:
            return self._refuse(resource_type, "not-json", "is not readable JSON")
        if isinstance(content, fhir.Bundle):
            return self._add_bundle(content, resource_type, follows, newest_first)
        if resource_type is None:
            raise ChartError("not-a-bundle", "a FHIR Bundle with one patient's chart is needed")
        return self._add_single(content, resource_type)

    def fail(self, resource_type: str, state: SourceState) -> None:
        """Say that a type could not be read ("failed"), or not all of it ("incomplete")."""
        if state == "failed":
            self._failed.add(resource_type)
        elif state == "incomplete":
            self._read.add(resource_type)
            self._incomplete.add(resource_type)

    def is_long(self, next_url: str) -> bool:
        """Whether the search that goes on there has more records than are worth reading page by page."""
        search = self._pending.get(next_url)
        return search is not None and search.found > 0 and (search.total is None or search.total > LONG_LIST)

    def replace_rest(self, next_url: str) -> None:
        """The rest of the search that goes on there is asked for by other searches."""
        self._pending.pop(next_url, None)

    def whole_chart(self) -> None:
        """What was added is everything there is: a type that does not occur in it is complete, with count 0."""
        self._whole = True

    def want_medications(self, references: Iterable[str]) -> None:
        """Medications that something outside the chart refers to (a draft order)."""
        self._wanted = (*self._wanted, *references)

    def missing_medications(self) -> tuple[str, ...]:
        """The Medications that drug entries refer to and that have not come yet, as "Medication/1"."""
        servers = self.servers
        known = self._medications(servers)
        asked = dict.fromkeys(map(servers.local, self._wanted))
        wanted = {local: None for local in asked if _MEDICATION.match(local) and local not in known}
        for name in names_of("drug-use", "drug-supply"):
            for found in self._found.get(name, ()):
                reference = medication_reference(found.resource)
                local = servers.local(reference) if reference else ""
                if _MEDICATION.match(local) and local not in known:
                    wanted[local] = None
        return tuple(wanted)

    def build(self) -> Chart:
        """The chart. ChartError for no Patient, several or another's, and where no record at all is the patient's."""
        entry, patient_id = self._patient()
        servers = self.servers
        if self.patient_id is None:
            servers = Servers.at((*servers.bases, _base_of(entry.full_url, "Patient")))
        full_urls = (found.full_url for found in self._found["Patient"] if found.full_url and found is not entry)
        assignment = Assignment(entry.resource, patient_id, entry.full_url, servers, full_urls, self.merged)
        records: dict[str, tuple[tuple[str, Any], ...]] = {}
        excluded: dict[str, Mapping[str, int]] = {}
        counts: dict[str, int] = {"Patient": 1}
        for kind in _RECORDS:
            name = kind.__name__
            once = _once(self._found.get(name, ()))
            if name == "Observation":
                once = self._dated(once, assignment, servers)
            records[name], excluded[name] = _own(name, once, assignment)
            counts[name] = len(once) + len(self._unreadable.get(name, ()))
        _check_assigned(records, excluded)
        unsure = {name for name, reasons in excluded.items() if not CERTAIN.issuperset(reasons)}
        return Chart(
            patient=replace(entry.resource, identifier=fhir.ABSENT),
            reference=f"Patient/{patient_id}" if patient_id else entry.full_url or "Patient",
            records=records,
            medications=self._medications(servers),
            servers=servers,
            states={name: self._state(name, name in unsure) for name in RESOURCE_TYPES},
            counts=counts,
            excluded=excluded,
            unreadable={name: tuple(places) for name, places in self._unreadable.items()},
            arrived_back_to=self._arrived_back_to("Observation" in unsure),
        )

    def _dated(self, found: list[_Found], assignment: Assignment, servers: Servers) -> list[_Found]:
        """The Observations, those without any date with that of the report that lists them."""
        listed, _ = _own("DiagnosticReport", _once(self._found.get("DiagnosticReport", ())), assignment)
        dates = reports.dates_by_result(report for _, report in listed)
        if not dates:
            return found
        known = {servers.local(reference): date for reference, date in dates.items()}
        dated = []
        for item in found:
            if not date_text(item.resource):
                names = (f"Observation/{item.resource.id}", servers.local(item.full_url or ""))
                date = next((known[name] for name in names if name in known), None)
                item = _Found(item.full_url, replace(item.resource, effective_date_time=date), item.place)
            dated.append(item)
        return dated

    # Taking in

    def _refuse(self, asked: str | None, code: str, message: str) -> Page:
        if asked is None:
            raise ChartError(code, message)
        self._failed.add(asked)
        return Page(problem=message)

    def _add_single(self, content: Any, asked: str) -> Page:
        if content is None:
            self._read.add(asked)
            return Page()
        if isinstance(content, decoding.Unreadable) and content.resource_type == asked:
            self._note_unreadable(content, asked, "resource")
            return Page(problem=f"the {asked} could not be read")
        if type(content).__name__ != asked:
            return self._refuse(asked, "wrong-type", f"is not a {asked} and not a Bundle of them")
        self._read.add(asked)
        if asked not in ("Patient", "Medication"):
            self._incomplete.add(asked)  # a search answers with a Bundle; one resource may be one of many
        self._keep(asked, None, content)
        return Page()

    def _add_bundle(self, bundle: fhir.Bundle, asked: str | None, follows: str | None, newest_first: bool) -> Page:
        search = self._pending.pop(follows, None) if follows else None
        search = search or _Search(asked, 0, None, newest_first)
        misplaced = self._take_entries(bundle, asked, search)
        search.total = bundle.total if bundle.total is not None else search.total
        next_url = next((link.url for link in bundle.link if link.relation == "next" and link.url), None)
        if next_url:
            self._pending[next_url] = search
        elif search.total is not None and search.total > search.found:
            self._short.append(search)
        if asked:
            self._read.add(asked)
        if misplaced:
            self._mark_incomplete(asked)
            return Page(next_url, f"holds other resources than {asked}")
        return Page(next_url)

    def _take_entries(self, bundle: fhir.Bundle, asked: str | None, search: _Search, depth: int = 1) -> bool:
        """Take in every entry; whether any was of a type that was not asked for."""
        misplaced = False
        for entry in bundle.entry:
            resource = entry.resource
            if resource is None:
                continue
            self._place += 1
            is_match = entry.search is None or entry.search.mode not in ("include", "outcome")
            search.found += is_match
            name = _NAMES.get(type(resource))
            if name is None:
                misplaced |= self._take_other(resource, asked, search, depth)
            elif asked and is_match and name != asked and name not in ("Patient", "Medication"):
                misplaced = True
            else:
                self._keep(name, entry.full_url, resource)
                if search.newest_first and isinstance(resource, fhir.Observation):
                    search.records.append(resource)
        return misplaced

    def _take_other(self, resource: Any, asked: str | None, search: _Search, depth: int) -> bool:
        if isinstance(resource, fhir.OperationOutcome):
            self._heed(resource, asked)
        elif isinstance(resource, decoding.Unreadable):
            self._note_unreadable(resource, asked, f"entry {self._place}")
        elif isinstance(resource, fhir.Bundle):
            if depth < _DEEPEST:
                return self._take_entries(resource, asked, search, depth + 1)
            self._mark_incomplete(asked)
        return False

    def _keep(self, name: str, full_url: str | None, resource: Any) -> None:
        if name in _CONTAINERS and resource.contained is not fhir.ABSENT:
            self._keep_contained(name, full_url, resource)
            resource = replace(resource, contained=fhir.ABSENT)
        self._found.setdefault(name, []).append(_Found(full_url, resource, self._place))

    def _keep_contained(self, name: str, full_url: str | None, container: reports.Container) -> None:
        """The results inside a report, each named by the report and its id in it: "DiagnosticReport/r1#o1"."""
        outer = f"{name}/{container.id}" if container.id else full_url or f"{name}#{self._place}"
        for identity, result in reports.contained_results(container):
            source = f"{outer}#{identity}"
            if isinstance(result, decoding.Unreadable):
                self._note_unreadable(decoding.Unreadable("Observation", None), "Observation", source)
            else:
                self._found.setdefault("Observation", []).append(_Found(source, result, self._place))

    def _heed(self, outcome: fhir.OperationOutcome, asked: str | None) -> None:
        """An error beside the results: something was not given. A warning only says that there was nothing."""
        for issue in outcome.issue:
            if issue.severity and fhir.clean(issue.severity).lower() in ("information", "warning", "success"):
                continue
            words = set(re.findall(r"[A-Za-z]+", " ".join((*issue.expression, *issue.location))))
            named = words.intersection(RESOURCE_TYPES)
            self._incomplete |= named
            if not named:
                self._mark_incomplete(asked)

    def _note_unreadable(self, resource: decoding.Unreadable, asked: str | None, place: str) -> None:
        name = resource.resource_type if resource.resource_type in RESOURCE_TYPES else asked
        if name is None:
            self._all_incomplete = True
            return
        where = f"{name}/{resource.id}" if resource.id else place
        self._unreadable.setdefault(name, []).append(where)
        self._read.add(name)
        self._incomplete.add(name)

    def _mark_incomplete(self, asked: str | None) -> None:
        if asked is None:
            self._all_incomplete = True
        else:
            self._read.add(asked)
            self._incomplete.add(asked)

    # Putting together

    def _state(self, name: str, holds_unsure: bool) -> SourceState:
        asked = name in self._read or self._whole
        if name in self._failed:
            return "incomplete" if self._found.get(name) else "failed"
        if not asked and name not in self._incomplete:
            return "incomplete" if self._found.get(name) else "not-requested"
        is_cut = holds_unsure or bool(self._cut_short(name))
        return "incomplete" if is_cut or self._all_incomplete or name in self._incomplete else "complete"

    def _cut_short(self, name: str) -> list[_Search]:
        """The searches for this type of which a page is missing, or that held fewer records than they announced."""
        return [each for each in (*self._pending.values(), *self._short) if each.resource_type in (name, None)]

    def _arrived_back_to(self, holds_unsure: bool) -> Mapping[str, str]:
        """By type, the date back to which a list is whole. Only where nothing is missing but the end of searches."""
        name = "Observation"
        cut = self._cut_short(name)
        if not cut or holds_unsure or self._all_incomplete or name in self._incomplete | self._failed:
            return {}
        ends = [oldest_arrived(each.records) if each.newest_first else None for each in cut]
        known = [(moment.latest, end) for end in ends if end and (moment := parse_moment(end, UTC))]
        return {name: max(known)[1]} if len(known) == len(ends) else {}

    def _patient(self) -> tuple[_Found, str]:
        found = _once(self._found.get("Patient", ()))
        if self.patient_id is not None:
            own = [item for item in found if _id_of(item) in (self.patient_id, None)]
            if found and not own:
                raise ChartError("other-patient", "the Patient is not the one that the chart was asked for")
            found = own[:1]
        if len(found) > 1:
            raise ChartError("several-patients", "the chart of exactly one Patient is needed, there are more")
        if not found:
            raise ChartError("no-patient", "there is no Patient that can be read")
        if found[0].resource.modifier_extension or found[0].resource.implicit_rules:
            raise ChartError("no-patient", "the Patient is modified in a way that is not understood")
        return found[0], self.patient_id or _id_of(found[0]) or ""

    def _medications(self, servers: Servers) -> dict[str, fhir.Medication]:
        found: dict[str, fhir.Medication] = {}
        for item in _once(self._found.get("Medication", ())):
            if item.full_url:
                found[servers.local(item.full_url)] = item.resource
            if item.resource.id:
                found[f"Medication/{item.resource.id}"] = item.resource
        return found


def medication_reference(use: fhir.MedicationUse) -> str | None:
    """The reference to a Medication, of R4 or R5, that a drug entry holds."""
    reference = _medication_meant(use)
    return reference.reference if reference else None


def medication_display(use: fhir.MedicationUse) -> str | None:
    """The words that a drug entry puts beside its reference to a Medication."""
    reference = _medication_meant(use)
    return reference.display if reference else None


def _medication_meant(use: fhir.MedicationUse) -> fhir.MedicationReference | None:
    return use.medication_reference or (use.medication.reference if use.medication else None)


def _base_of(full_url: str | None, name: str) -> str | None:
    base, found, _ = (full_url or "").rpartition(f"/{name}/")
    return base if found else None


def _id_of(found: _Found) -> str | None:
    url = Servers().local(found.full_url or "")
    return found.resource.id or (url.rpartition("/Patient/")[2] if "/Patient/" in url else None)


def _own(
    name: str, found: Iterable[_Found], assignment: Assignment
) -> tuple[tuple[tuple[str, Any], ...], Mapping[str, int]]:
    """The records that are this patient's, each with its source; and how many are not, and why."""
    subject_of = SUBJECTS[name]
    kept: list[tuple[str, Any]] = []
    excluded: Counter[str] = Counter()
    for item in found:
        reason = assignment.left_out(subject_of(item.resource))
        if reason is None:
            kept.append((_source(name, item), item.resource))
        else:
            excluded[reason] += 1
    return tuple(kept), excluded


def _check_assigned(records: Mapping[str, Sized], excluded: Mapping[str, Mapping[str, int]]) -> None:
    """A chart of which every record was left out would read as an empty one; what is about no patient is no record."""
    if any(map(len, records.values())):
        return
    lost = sum(count for reasons in excluded.values() for reason, count in reasons.items() if reason != "not-a-patient")
    if lost:
        raise ChartError(
            "none-assigned",
            f"none of the {lost} records can be assigned to the Patient: their subjects name another patient, "
            "another server, or nobody",
        )


def _source(name: str, found: _Found) -> str:
    if found.resource.id:
        return f"{name}/{found.resource.id}"
    if found.full_url:
        return found.full_url
    return f"{name}#{found.place}"


def _once(found: Iterable[_Found]) -> list[_Found]:
    """Each (type, id) once: the newest version, the last one where versions do not say; without an id all differ."""
    newest: dict[object, _Found] = {}
    for item in found:
        key = item.resource.id or item.full_url or id(item)
        other = newest.get(key)
        if other is None or not is_older(_version(item), _version(other)):
            newest[key] = item
    return list(newest.values())


def _version(found: _Found) -> Version:
    meta = found.resource.meta
    return read_version(meta.version_id, meta.last_updated) if meta else Version()

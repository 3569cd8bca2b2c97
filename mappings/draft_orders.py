"""Draft orders read as if they were signed and given: what the chart would then say.

A draft is not in the chart (`index.py` leaves it out). Here it becomes the record that it would leave behind: a drug
taken from its start to its end, a procedure done, a vaccine given. CDS Hooks 2.0, `draftOrders` of `order-select` and
`order-sign`; R4 resources, with the STU3 names that real EHRs still send.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import Raw, Struct

from mappings.chart import decoding, fhir
from mappings.chart.chart import Chart, ChartError, medication_reference
from mappings.concepts.catalogue import OUR_SYSTEM, Catalogue
from mappings.derived.formulas import DERIVATIONS
from mappings.readers import medications, uncoded
from mappings.time.clock import Clock
from mappings.time.times import add_months
from mappings.values.units import convert

_OVER = frozenset(
    {"entered-in-error", "cancelled", "revoked", "stopped", "completed", "ended", "on-hold", "suspended", "rejected"}
)
_NOT_DUE = frozenset({"immune", "contraindicated", "complete"})  # of an ImmunizationRecommendation
# Drugs that lower a count, whatever they are given for: what was counted before them says nothing after.
_LOWERS: Mapping[str, str] = {
    "alemtuzumab": "lymphocytes",
    "cyclophosphamide": "lymphocytes",
    "fludarabine": "lymphocytes",
}
# Orders that name a treatment and do not give it: what is measured, pictured, talked about or prepared.
_NOT_A_TREATMENT = frozenset({"108252007", "363679005", "409063005", "409073007", "11429006", "laboratory", "imaging"})
_ABOUT_A_TREATMENT = re.compile(
    r"\b(consult\w*|referral|refer|evaluation|assessment|education|counsel\w*|levels?|trough|antibod(?:y|ies)|titers?|"
    r"screen\w*|follow[ -]?up|cross-?match|ig[gm]|pcr|serolog\w*|swab|culture|titres?|immun(?:e|ity) status|"
    r"(?:access|catheter|line) (?:placement|insertion|creation|removal|exchange|care)|"
    r"konsil\w*|\w*spiegel|aufkl\u00e4rung\w*)\b",
    re.I,
)
Record = fhir.MedicationRequest | fhir.Procedure | fhir.Immunization


@dataclass(frozen=True, slots=True)
class DraftOrder:
    """One order: where it is, what it orders, and the later day on which it says that it begins."""

    source: str  # "MedicationRequest/abc"; "draftOrders#3" where it has no id
    record: Record
    begins: str | None = None  # FHIR dateTime
    details: tuple[fhir.CodeableConcept, ...] = ()  # ServiceRequest.orderDetail: "rituximab" beside "infusion"
    names_only: bool = False  # it measures, pictures or discusses what its words name


@dataclass(frozen=True, slots=True)
class Drafts:
    """The orders that count, and the drugs that come with them or have to be asked for."""

    orders: tuple[DraftOrder, ...]
    medications: bytes | None = None  # a Bundle of the Medications that were sent beside the orders
    wanted: tuple[str, ...] = ()  # references to Medications that orders point to

    def may_matter(self, catalogue: Catalogue) -> bool:
        """Whether some order is, or may turn out to be, of a concept that we know."""
        return bool(self.wanted) or any(_heads(order, None, catalogue)[0] for order in self.orders)


@dataclass(frozen=True, slots=True)
class Planned:
    """An order that we recognise: the most specific concepts, and from when to when it would be given.

    `last` is None where it goes on until somebody ends it. `by_text`: no code that we know, but its words name it.
    """

    order: DraftOrder
    concepts: tuple[str, ...]
    first: date
    last: date | None
    by_text: bool = False

    @property
    def source(self) -> str:
        return self.order.source

    @property
    def outdates(self) -> frozenset[str]:
        """The concepts whose results say nothing any more once it has been given."""
        return frozenset(_LOWERS[concept] for concept in self.concepts if concept in _LOWERS)


# Taking in


class _Entry(Struct, rename="camel"):
    full_url: Any = None
    resource: Raw = msgspec.field(default_factory=Raw)


class _Bundle(Struct, rename="camel"):
    resource_type: str
    entry: list[Raw] | None = None


class _Head(Struct, rename="camel"):
    resource_type: str
    id: Any = None


def read_drafts(raw: bytes, patient_id: str, selected: Collection[str] | None = None) -> Drafts:
    """The orders of a `draftOrders` Bundle; with `selected` ("MedicationRequest/abc") only those.

    An order that is another patient's, over, or that says not to do something is none. ChartError: not a Bundle.
    """
    try:
        bundle = msgspec.json.decode(raw, type=_Bundle)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ChartError("not-a-bundle", "a FHIR Bundle of draft orders is needed") from None
    if bundle.resource_type != "Bundle":
        raise ChartError("not-a-bundle", "a FHIR Bundle of draft orders is needed")
    chosen = None if selected is None else {_tail(reference) for reference in selected}
    orders: list[DraftOrder] = []
    drugs: list[_Entry] = []
    for place, item in enumerate(bundle.entry or ()):
        entry, head = _open(item)
        if entry is None or head is None:
            continue
        if head.resource_type == "Medication":
            drugs.append(entry)
        elif chosen is None or chosen & _names(head, entry):
            orders += _orders(bytes(entry.resource), head, place, patient_id)
    sent = msgspec.json.encode({"resourceType": "Bundle", "entry": drugs}) if drugs else None
    return Drafts(tuple(orders), sent, tuple(_references(orders)))


def _open(item: Raw) -> tuple[_Entry | None, _Head | None]:
    """An entry and what its resource is; None where it is no resource."""
    try:
        entry = msgspec.json.decode(item, type=_Entry)
        return entry, msgspec.json.decode(entry.resource, type=_Head)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None, None


def _names(head: _Head, entry: _Entry) -> set[str]:
    """The references by which a selection may mean this entry."""
    names = {f"{head.resource_type}/{head.id}"} if isinstance(head.id, str) else set()
    return names | ({_tail(entry.full_url)} if isinstance(entry.full_url, str) else set())


def _tail(reference: str) -> str:
    """Type and id of a reference, without base and version."""
    return "/".join(fhir.clean(reference).partition("/_history/")[0].rsplit("/", 2)[-2:])


def _references(orders: Iterable[DraftOrder]) -> Iterator[str]:
    for order in orders:
        if isinstance(order.record, fhir.MedicationRequest):
            reference = medication_reference(order.record)
            if reference and not reference.startswith("#"):
                yield reference


def _orders(raw: bytes, head: _Head, place: int, patient_id: str) -> Iterator[DraftOrder]:
    source = f"{head.resource_type}/{head.id}" if isinstance(head.id, str) and head.id else f"draftOrders#{place + 1}"
    match head.resource_type:
        case "MedicationRequest" | "MedicationOrder":
            record = decoding.decode(raw)
            if isinstance(record, fhir.MedicationRequest) and _counts(record, record.subject, patient_id):
                yield DraftOrder(source, record)
        case "ServiceRequest" | "ProcedureRequest":
            yield from _services(raw, source, patient_id)
        case "ImmunizationRecommendation":
            yield from _vaccines(raw, source, patient_id)


def _counts(record: Record, subject: fhir.Reference | None, patient_id: str) -> bool:
    """An order that says to do something, now, for this patient, in terms that we understand."""
    if record.modifier_extension or record.implicit_rules:
        return False
    if isinstance(record, fhir.MedicationRequest) and record.do_not_perform:
        return False
    if subject and subject.reference and _tail(subject.reference).rpartition("/")[2] != patient_id:
        return False
    return fhir.clean(record.status or "").lower() not in _OVER


def _content(raw: bytes) -> Mapping[str, Any]:
    content: Mapping[str, Any] = msgspec.json.decode(raw, type=dict[str, Any])
    return content


def _services(raw: bytes, source: str, patient_id: str) -> Iterator[DraftOrder]:
    """A ServiceRequest as the Procedure that it would become."""
    sent = _content(raw)
    code = sent.get("code")
    if sent.get("doNotPerform") is True:
        return
    if isinstance(code, dict) and isinstance(code.get("concept"), dict):  # R5
        code = code["concept"]
    record = _as("Procedure", sent, code=code, subject=sent.get("subject"))
    if isinstance(record, fhir.Procedure) and _counts(record, record.subject, patient_id):
        period = sent.get("occurrencePeriod")
        begins = sent.get("occurrenceDateTime") or (period.get("start") if isinstance(period, dict) else None)
        details = tuple(concept for detail in _listed(sent.get("orderDetail")) if (concept := _concept_of(detail)))
        begins = begins if isinstance(begins, str) else None
        yield DraftOrder(source, record, begins, details, _is_about_a_treatment(sent))


def _is_about_a_treatment(sent: Mapping[str, Any]) -> bool:
    """Whether a ServiceRequest asks for a test, a picture, advice or a preparation, by its category."""
    codings = (c for category in _listed(sent.get("category")) for c in _listed(category.get("coding")))
    return any(str(coding.get("code")).lower() in _NOT_A_TREATMENT for coding in codings)


def _concept_of(detail: Mapping[str, Any]) -> fhir.CodeableConcept | None:
    """An `orderDetail` of R4 as it was sent; None where it cannot be read (R5 has parameters there)."""
    record = _as("Procedure", {}, code=detail)
    return record.code if isinstance(record, fhir.Procedure) else None


def _vaccines(raw: bytes, source: str, patient_id: str) -> Iterator[DraftOrder]:
    """Each vaccine that an ImmunizationRecommendation finds due, as the Immunization that it would become."""
    sent = _content(raw)
    for recommendation in _listed(sent.get("recommendation")):
        status = recommendation.get("forecastStatus")
        codings = _listed(status.get("coding")) if isinstance(status, dict) else []
        if any(coding.get("code") in _NOT_DUE for coding in codings):
            continue
        for code in _listed(recommendation.get("vaccineCode")):
            record = _as("Immunization", sent, vaccineCode=code, patient=sent.get("patient"))
            if isinstance(record, fhir.Immunization) and _counts(record, record.patient, patient_id):
                yield DraftOrder(source, record)


def _listed(value: Any) -> list[dict[str, Any]]:
    found = value if isinstance(value, list) else [value]
    return [item for item in found if isinstance(item, dict)]


def _as(kind: str, sent: Mapping[str, Any], **members: Any) -> Any:
    kept = {name: sent[name] for name in ("id", "status", "modifierExtension", "implicitRules") if name in sent}
    found = {name: value for name, value in members.items() if value is not None}
    return decoding.decode(msgspec.json.encode({"resourceType": kind, **kept, **found}))


# What is ordered, and for how long


def planned(drafts: Drafts, chart: Chart, catalogue: Catalogue, clock: Clock) -> tuple[Planned, ...]:
    """The orders that we recognise, in their order. One that begins in the past is read as given today."""
    found = []
    for order in drafts.orders:
        heads, by_text = _heads(order, chart, catalogue)
        if heads:
            first, last = _course(order, clock)
            found.append(Planned(order, heads, first, last, by_text))
    return tuple(found)


def _heads(order: DraftOrder, chart: Chart | None, catalogue: Catalogue) -> tuple[tuple[str, ...], bool]:
    """The most specific concepts of what is ordered; by its words where no code is known, and then True."""
    record = order.record
    if isinstance(record, fhir.MedicationRequest):
        if chart is None and _points_elsewhere(record):
            return (), False
        drug = medications.drug_of(record, chart) if chart else medications.own_drug_of(record)
        heads = _most_specific(drug.concepts, catalogue)
        return (heads, False) if heads else (medications.named_in(drug, catalogue), True)
    code = record.code if isinstance(record, fhir.Procedure) else record.vaccine_code
    codes = (*((code,) if code else ()), *order.details)
    heads = _most_specific(codes, catalogue)
    if heads or order.names_only:
        return heads, False
    return tuple(_named(record, codes, catalogue)), True


def _named(
    record: fhir.Procedure | fhir.Immunization, codes: Sequence[fhir.CodeableConcept], catalogue: Catalogue
) -> Iterator[str]:
    """The treatments that the words of a procedure or vaccination ask for."""
    words = " ".join(filter(None, map(fhir.words_of, codes)))
    if isinstance(record, fhir.Procedure) and _ABOUT_A_TREATMENT.search(words):
        return
    for name in uncoded.named_by_any(type(record), codes, catalogue):
        if catalogue.concepts[name].kind == "treatment":
            yield name


def _points_elsewhere(record: fhir.MedicationRequest) -> bool:
    reference = medication_reference(record)
    return reference is not None and not reference.startswith("#")


def _most_specific(codes: Iterable[fhir.CodeableConcept], catalogue: Catalogue) -> tuple[str, ...]:
    codings = (coding for code in codes for coding in code.coding)
    chains = (catalogue.find(fhir.clean(c.system or ""), fhir.clean(c.code or "")) for c in codings)
    return tuple(dict.fromkeys(chain[0] for chain in chains if chain))


def _course(order: DraftOrder, clock: Clock) -> tuple[date, date | None]:
    """First and last day. What has no rhythm is given once."""
    if not isinstance(order.record, fhir.MedicationRequest):
        day = _not_before_today(order.begins, clock)
        return day, day
    dosages = order.record.dosage_instruction
    starts = [t for d in dosages if d.timing for t in _begins(d.timing)]
    first = _not_before_today(min(starts, default=None), clock)
    lasts = [_last(dosage, first, clock) for dosage in dosages]
    known = [last for last in lasts if last is not None]
    return first, (None if len(known) < len(lasts) else max(known, default=first))


def _begins(timing: fhir.Timing) -> Iterator[str]:
    yield from timing.event
    if timing.repeat and timing.repeat.bounds_period and timing.repeat.bounds_period.start:
        yield timing.repeat.bounds_period.start


def _not_before_today(text: str | None, clock: Clock) -> date:
    moment = clock.moment(text)
    return max(moment.first_day, clock.today) if moment else clock.today


def _last(dosage: fhir.Dosage, first: date, clock: Clock) -> date | None:
    """The last day of one instruction; None where it goes on."""
    timing = dosage.timing
    repeat = timing.repeat if timing else None
    ends = [moment.last_day for event in (timing.event if timing else ()) if (moment := clock.moment(event))]
    if repeat and repeat.bounds_period and (end := clock.moment(repeat.bounds_period.end)):
        ends.append(end.last_day)
    elif repeat and (length := _days_of(repeat.bounds_duration)):
        ends.append(first + timedelta(days=length - 1))
    elif repeat and repeat.count:
        ends.append(_last_of(repeat.count, repeat, first))
    if ends:
        return max(first, *ends)
    return None if _has_rhythm(dosage) else first


def _days_of(duration: fhir.Quantity | None) -> int:
    if duration is None or duration.value is None:
        return 0
    days = convert(duration.value, fhir.clean(duration.code or duration.unit or ""), "d")
    return max(1, int(days)) if days is not None and 0 < days < _LONGEST else 0


_LONGEST = 36500
_UNITS: Mapping[str, int] = {"d": 1, "wk": 7}


def _last_of(count: Decimal, repeat: fhir.TimingRepeat, first: date) -> date:
    """The day of the last of so many doses."""
    rounds = int((count - 1) // (repeat.frequency or Decimal(1))) * int(repeat.period or 1)
    if not 0 <= rounds < _LONGEST:
        return first
    unit = fhir.clean(repeat.period_unit or "").lower()
    if unit in ("mo", "a"):
        return add_months(first, min(rounds * (12 if unit == "a" else 1), 1200))
    return first + timedelta(days=rounds * _UNITS.get(unit, 0))


_RHYTHM = re.compile(
    r"\b(daily|a day|per day|each day|every|weekly|a week|per week|monthly|a month|per month|nightly|bedtime|"
    r"[btq]id|qd|qod|q\d+ ?h|in the (morning|evening))\b",
    re.I,
)


def _has_rhythm(dosage: fhir.Dosage) -> bool:
    """Whether the instruction repeats, in its timing or in its words."""
    timing = dosage.timing
    repeat = timing.repeat if timing else None
    if repeat and (repeat.frequency or repeat.period or repeat.when or repeat.time_of_day or repeat.day_of_week):
        return True
    coded = timing.code if timing else None
    words = " ".join(filter(None, (*fhir.codes_of(coded), coded.text if coded else None, dosage.text)))
    return bool(_RHYTHM.search(fhir.clean(words)))


# The chart with them


def as_if_given(
    chart: Chart, orders: Sequence[Planned], catalogue: Catalogue, clock: Clock, *, once: bool = False
) -> Chart:
    """The chart as it would read had the orders been signed and given.

    An order for a drug that is already taken takes its place for as long as it runs. `once`: an order without an end is
    given on its first day only, which is the earliest end that it can have.
    """
    orders = [replace(o, last=o.first) if once and o.last is None else o for o in orders]
    sources = {order.source for order in orders}
    records = {name: [pair for pair in found if pair[0] not in sources] for name, found in chart.records.items()}
    for order in orders:
        if isinstance(order.order.record, fhir.MedicationRequest):
            _make_room(records, order, chart, catalogue, clock)
    if outdated := {concept: order.first for order in orders for concept in order.outdates}:
        found = records.get("Observation", [])
        records["Observation"] = [pair for pair in found if not _is_outdated(pair[1], outdated, catalogue, clock)]
    for order in orders:
        record = _record(order, chart, catalogue)
        records.setdefault(type(record).__name__, []).append((order.source, record))
    return replace(chart, records={name: tuple(found) for name, found in records.items()})


def _is_outdated(
    observation: fhir.Observation, outdated: Mapping[str, date], catalogue: Catalogue, clock: Clock
) -> bool:
    """Whether the result is of an outdated concept, and from before the order. One in a panel of many is not seen."""
    code = decoding.code_of(observation)
    heads = _most_specific((code,) if code else (), catalogue)
    given = max((outdated[head] for head in heads if head in outdated), default=None)
    taken = clock.moment(observation.effective_date_time)
    return given is not None and (taken is None or taken.first_day <= given)


def _record(order: Planned, chart: Chart, catalogue: Catalogue) -> Struct:
    """The record that the order would leave behind.

    Words are taken at their word: a warning that proves unneeded costs less than one that is missing.
    """
    record = order.order.record
    subject = fhir.Reference(reference=chart.reference)
    first, last = order.first.isoformat(), order.last.isoformat() if order.last else None
    codings = tuple(fhir.Coding(OUR_SYSTEM, concept) for concept in order.concepts)
    if isinstance(record, fhir.Procedure):
        code = record.code
        if order.by_text or order.order.details:
            code = fhir.CodeableConcept(codings, code.text if code else None)
        if not any("Procedure" in catalogue.where(concept) for concept in order.concepts):
            # "Rituximab infusion": no procedure of ours, but the drug is given.
            return fhir.MedicationStatement(
                id=record.id,
                status="recorded" if last else "active",
                medication_codeable_concept=code,
                subject=subject,
                effective_period=fhir.Span(first, last),
            )
        return msgspec.structs.replace(
            record, status="completed", subject=subject, performed_date_time=first, code=code
        )
    if isinstance(record, fhir.Immunization):
        code = fhir.CodeableConcept(codings) if order.by_text else record.vaccine_code
        return msgspec.structs.replace(
            record, status="completed", patient=subject, occurrence_date_time=first, vaccine_code=code
        )
    dosages = record.dosage_instruction
    given = _taken(record, subject, first, last, tuple(map(_on_its_day, dosages)) if first == last else dosages)
    if not order.by_text:
        return given
    own = record.medication_codeable_concept
    named = fhir.CodeableConcept(codings, own.text if own else None)
    return msgspec.structs.replace(given, medication_codeable_concept=named)


def _on_its_day(dosage: fhir.Dosage) -> fhir.Dosage:
    """A single dose is that day's dose."""
    repeat = dosage.timing.repeat if dosage.timing else None
    if repeat and (repeat.frequency or repeat.period):
        return dosage
    daily = fhir.Timing(repeat=fhir.TimingRepeat(frequency=Decimal(1), period=Decimal(1), period_unit="d"))
    return msgspec.structs.replace(dosage, timing=daily)


def _taken(
    use: fhir.MedicationUse,
    subject: fhir.Reference | None,
    start: str | None,
    end: str | None,
    dosages: tuple[fhir.Dosage, ...],
) -> fhir.MedicationStatement:
    return fhir.MedicationStatement(
        id=use.id,
        status="recorded" if end else "active",  # an end that has passed leaves no active statement
        medication_codeable_concept=use.medication_codeable_concept,
        medication_reference=use.medication_reference,
        medication=use.medication,
        subject=subject,
        contained=use.contained,
        effective_period=fhir.Span(start, end),
        dosage=dosages,
    )


def _make_room(
    records: dict[str, list[tuple[str, Any]]], order: Planned, chart: Chart, catalogue: Catalogue, clock: Clock
) -> None:
    """End the current entries of the same drug the day before; after an order that has an end they go on."""
    for kind in (fhir.MedicationRequest, fhir.MedicationStatement):
        found: list[tuple[str, Any]] = []
        for source, use in records.get(kind.__name__, ()):
            same = _is_current(use) and set(_heads_of(use, chart, catalogue)) & set(order.concepts)
            found += [(source, part) for part in _around(use, order, clock)] if same else [(source, use)]
        records[kind.__name__] = found


def _is_current(use: fhir.MedicationUse) -> bool:
    return fhir.clean(use.status or "").lower() in ("active", "recorded")


def _heads_of(use: fhir.MedicationUse, chart: Chart, catalogue: Catalogue) -> tuple[str, ...]:
    return _most_specific(medications.drug_of(use, chart).concepts, catalogue)


def _around(use: fhir.MedicationUse, order: Planned, clock: Clock) -> Iterator[fhir.MedicationUse]:
    start, end = medications.course_of(use, clock)
    last = end.last_day if end else None
    if (last and last < order.first) or (start and start.first_day >= order.first):
        yield use
        return
    dosages = medications.dosages_of(use)
    before = (order.first - timedelta(1)).isoformat()
    yield _taken(use, use.subject, start.text if start else None, before, dosages)
    if order.last and (last is None or last > order.last):
        after = (order.last + timedelta(1)).isoformat()
        yield _taken(use, use.subject, after, last.isoformat() if last else None, dosages)


def only_about(chart: Chart, concepts: Collection[str], catalogue: Catalogue) -> Chart:
    """The chart without the results that say nothing about these concepts, to be read again and again."""
    if any(_is_calculated_from_results(concept, catalogue) for concept in concepts):
        return chart
    wanted = frozenset(concepts)
    speaks: dict[tuple[str | None, str | None], bool] = {}

    def is_about(code: fhir.CodeableConcept | None) -> bool:
        for coding in code.coding if code else ():
            key = (coding.system, coding.code)
            if key not in speaks:
                chain = catalogue.find(fhir.clean(coding.system or ""), fhir.clean(coding.code or ""))
                speaks[key] = not wanted.isdisjoint(chain)
            if speaks[key]:
                return True
        return False

    def may_be_about(observation: fhir.Observation) -> bool:
        parts = decoding.parts_of(observation)
        return is_about(decoding.code_of(observation)) or parts is None or any(is_about(part.code) for part in parts)

    kept = tuple(pair for pair in chart.of(fhir.Observation) if may_be_about(pair[1]))
    return replace(chart, records={**chart.records, "Observation": kept})


def _is_calculated_from_results(concept: str, catalogue: Catalogue) -> bool:
    """Whether other results are part of it. A dose is summed from drugs alone, unless it is counted by body weight."""
    rule = catalogue.doses.get(concept)
    return rule.measure == "daily-per-kg" if rule else concept in DERIVATIONS

"""What a DiagnosticReport says for its results: those that it contains, and the date of those that have none.

A result inside a report (`result: "#o1"`) becomes an Observation of its own. It takes from the report what it leaves
out: whose it is, when, and what makes the whole report invalid.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from mappings.chart import decoding, fhir
from mappings.chart.dates import date_text
from mappings.clean_text import clean

Container = fhir.DiagnosticReport | fhir.Observation
_INVALID = frozenset({"entered-in-error", "cancelled"})
_raw_items: msgspec.json.Decoder[tuple[Raw, ...]] = msgspec.json.Decoder(tuple[Raw, ...])


def contained_results(container: Container) -> Iterator[tuple[str, fhir.Observation | decoding.Unreadable]]:
    """The Observations inside a report or a panel, each with its id or place; `Unreadable` where it does not fit."""
    for place, written in enumerate(_items(container.contained), start=1):
        try:
            found = decoding.decode(written)
        except decoding.NotJson:
            continue
        if isinstance(found, decoding.Unreadable) and found.resource_type == "Observation":
            yield found.id or str(place), found
        elif isinstance(found, fhir.Observation):
            yield (found.id or str(place)).removeprefix("#"), _completed(found, container)


def _items(contained: Raw) -> Iterable[Raw]:
    if not fhir.is_given(contained):
        return ()
    try:
        return _raw_items.decode(contained)
    except msgspec.DecodeError:
        return (contained,)


def _completed(result: fhir.Observation, container: Container) -> fhir.Observation:
    status = clean(container.status or "").lower()
    return replace(
        result,
        id=None,
        meta=_meta(result.meta, container.meta),
        status=status if status in _INVALID else result.status,
        subject=result.subject if _names_somebody(result.subject) else container.subject,
        modifier_extension=(*result.modifier_extension, *container.modifier_extension),
        implicit_rules=result.implicit_rules or container.implicit_rules,
        effective_date_time=result.effective_date_time or (None if date_text(result) else date_of(container)),
        contained=fhir.ABSENT,
    )


def _names_somebody(subject: fhir.Reference | None) -> bool:
    return subject is not None and bool(subject.reference) and not (subject.reference or "").startswith("#")


def _meta(own: fhir.Meta | None, outer: fhir.Meta | None) -> fhir.Meta | None:
    """The labels of both, and the container's version: a contained resource has none."""
    if own is None or outer is None:
        return own or outer
    return replace(outer, security=(*outer.security, *own.security))


def date_of(container: Container) -> str | None:
    """The date that a report gives its results: when it was true of the patient, else when it was issued."""
    period = container.effective_period
    return container.effective_date_time or (period and (period.end or period.start)) or container.issued


def dates_by_result(reports: Iterable[fhir.DiagnosticReport]) -> Mapping[str, str]:
    """Reference to a result, as written -> the date of its report; none where reports of different dates list it."""
    found: dict[str, set[str]] = {}
    for report in reports:
        date = date_of(report)
        if date and clean(report.status or "").lower() not in _INVALID and not report.modifier_extension:
            for result in report.result:
                if result.reference:
                    found.setdefault(clean(result.reference), set()).add(date)
    return {reference: dates.pop() for reference, dates in found.items() if len(dates) == 1}

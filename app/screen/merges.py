"""Patients whose records were merged into another patient's, as `Patient.link` says it (R4: replaced-by, replaces)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

import msgspec

from app.screen.export import Broken, Chunk, lines_of
from app.screen.versions import Entry, current, entry_of
from mappings.chart.addresses import Servers
from mappings.chart.assignment import Unassigned, patient_meant

_MARK = b'"link"'
Links = tuple[tuple[str, str], ...]  # type of the link, id of the other patient
Linked = tuple[Entry, Links]


class _Other(msgspec.Struct):
    reference: str | None = None


class _Link(msgspec.Struct):
    type: str | None = None
    other: _Other | None = None


class _Patient(msgspec.Struct, rename="camel"):
    resource_type: str | None = None
    id: str | None = None
    link: tuple[_Link, ...] = ()


_decode = msgspec.json.Decoder(_Patient).decode


def links_in(chunk: Chunk, base_url: str | None, known: Collection[str] | None) -> Iterator[Linked]:
    """The versions of Patients in a piece: those with a link, or of these ids, where `known` names some.

    What is out of form is left to the reader of charts.
    """
    servers = Servers.at((base_url,))
    for _, line in lines_of(chunk):
        if isinstance(line, Broken) or (known is None and _MARK not in line):
            continue
        try:
            found = _decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
        if found.resource_type != "Patient" or not found.id or (known is not None and found.id not in known):
            continue
        links = tuple(_links(found, servers))
        if links or known is not None:
            yield entry_of(f"Patient/{found.id}", chunk.folder, found.id, line.rstrip(b"\r\n")), links


def _links(patient: _Patient, servers: Servers) -> Iterator[tuple[str, str]]:
    for link in patient.link:
        kind = (link.type or "").strip().lower()
        if kind not in ("replaced-by", "replaces") or link.other is None or not link.other.reference:
            continue
        try:
            other = patient_meant(link.other.reference, servers)
        except Unassigned:
            continue
        if other and other != patient.id:
            yield kind, other


def merged_patients(versions: Iterable[Linked]) -> dict[str, str]:
    """Each merged patient's id and the id that stays, chains followed; `versions` in the order of their folders."""
    by_patient: dict[str, list[Linked]] = {}
    for version in versions:
        by_patient.setdefault(str(version[0].patient), []).append(version)
    into: dict[str, str] = {}
    for patient, found in by_patient.items():
        best = {entry.digest for entry in current([entry for entry, _ in found])}
        for kind, other in dict.fromkeys(link for entry, links in found if entry.digest in best for link in links):
            merged, stays = (patient, other) if kind == "replaced-by" else (other, patient)
            into.setdefault(merged, stays)
    ends = {merged: _end_of(merged, into) for merged in into}
    return {merged: end for merged, end in ends.items() if end is not None}


def _end_of(merged: str, into: Mapping[str, str]) -> str | None:
    """Where the chain of merges ends; None where it goes in a circle, which says nothing."""
    seen, stays = {merged}, into[merged]
    while stays in into:
        if stays in seen:
            return None
        seen.add(stays)
        stays = into[stays]
    return stays

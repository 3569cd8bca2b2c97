"""One screen from beginning to end: find the gates, sort the lines, evaluate shard by shard, write the tables.

Every finished piece of work is a file that appears as a whole, so that a screen that was stopped, however hard, goes on
where it was when the same command is given again. What was finished is not done twice; what was not is done again.
"""

from __future__ import annotations

import csv
import io
import itertools
import shutil
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Protocol

import msgspec

from app.screen import tables
from app.screen import work as work_of
from app.screen.export import MIB, Chunk, Export
from app.screen.lists import Words
from app.screen.merges import merged_patients
from app.screen.order import (
    REPORT,
    UNREAD,
    Order,
    ScreenError,
    alone,
    comparison,
    earlier_screen,
    plan_of,
    unfinished,
    way_of_reading,
)
from app.screen.page import PAGE, report_page
from app.screen.reading import Earlier, keep_readings
from app.screen.spool import (
    PatientFilter,
    Runs,
    Sorted,
    assigned,
    mark_of,
    read_index,
    totals,
    write_whole,
)
from app.screen.versions import VERSIONS, Resolved, keep_versions, key_segments, partitions_for, resolved
from app.screen.work import EARLIER, WANTED, WANTED_LATE, Counted, Work, keep_medications
from mappings.chart.chart import ChartBuilder
from mappings.resource_types import RESOURCE_TYPES
from trial_defs.engine.gates import needed_for

_SHARD = 48 * MIB  # what a shard holds where every patient is evaluated, about
_MOST_SHARDS = 2048
_MOST_PLACES = 1000


class Progress(Protocol):
    """Told how far a screen is."""

    def stage(self, title: str, total: int, unit: Literal["bytes", "shards", "steps"]) -> None: ...
    def advance(self, done: int) -> None: ...


class Silent:
    """Progress that nobody watches."""

    def stage(self, title: str, total: int, unit: Literal["bytes", "shards", "steps"]) -> None: ...
    def advance(self, done: int) -> None: ...


def screen(order: Order, progress: Progress | None = None) -> dict[str, Any]:
    """Run or go on with a screen; the report, which is also in `report.json`.

    ScreenError where `out` holds something else.
    """
    tables.require_duckdb()
    started = time.monotonic()
    progress = progress or Silent()
    order.out.mkdir(parents=True, exist_ok=True, mode=0o700)  # charts will be in it
    if order.since and order.since.resolve() == order.out.resolve():
        raise ScreenError("--since: is the folder of --out; the earlier screen would be overwritten")
    with alone(order.out):
        plan = plan_of(order)
        folder, order = unfinished(order, plan)
        (order.out / REPORT).unlink(missing_ok=True)  # it says that the tables beside it are whole
        found = _run(order, folder, progress)
        progress.stage("Writing tables", 1, "steps")
        question = order.question
        words = Words(question.trials, question.as_of.astimezone(question.zone).date())
        figures = tables.assemble(folder / "parts", order.out, order.workers, words, found.compared)
        write_unread(order.out / UNREAD, found)
        report = {"plan": plan} | _told(found, order.export) | figures
        report["seconds"] = round(time.monotonic() - started, 1)
        write_whole(order.out / PAGE, report_page(report, words, order.out / tables.CANDIDATES))
        write_whole(order.out / REPORT, msgspec.json.format(msgspec.json.encode(report), indent=2))
        shutil.rmtree(folder)
        progress.advance(1)
    return report


@dataclass
class Totals:
    """Patients by what became of them, how many were evaluated, and their records that were not understood."""

    patients: Counter[str] = field(default_factory=Counter)
    evaluated: int = 0
    unheard: Counter[str] = field(default_factory=Counter)  # by "Condition urn:oid:1.2"


@dataclass
class Found:
    """What was read, what was not, and what became of the patients."""

    pieces: Sequence[Sorted]
    incomplete: frozenset[str]
    versions: Resolved
    way_of_reading: str
    counted: Totals
    compared: tables.Comparison | None


def _told(found: Found, export: Export) -> dict[str, Any]:
    """The report's part on reading. `patients` counts those whose gate may be open, by what became of them;
    `evaluated` those of them who were held against a trial; of the others the rows of the earlier screen stand.
    `typesWithoutFile` never arrived; of these `typesOpen` were not asked for either, so that what needs them is open.
    """
    lines, foreign, unread = totals(found.pieces)
    return {
        "lines": dict(sorted(lines.items())),
        "linesOfNoPatient": dict(sorted(foreign.items())),
        "linesNotRead": {kind or "unknown": count for kind, count in sorted(unread.items())},
        "incompleteTypes": sorted(found.incomplete),
        "typesWithoutFile": list(export.without_file),
        "typesOpen": [kind for kind in export.without_file if kind not in export.complete],
        "recordsInVersions": found.versions.records,
        "recordsInDoubt": found.versions.unresolved,
        "wayOfReading": found.way_of_reading,
        "patients": dict(sorted(found.counted.patients.items())),
        "evaluated": found.counted.evaluated,
        "notUnderstood": [
            {"resourceType": kind, "system": system or None, "count": count}
            for (kind, _, system), count in sorted((key.partition(" "), n) for key, n in found.counted.unheard.items())
        ],
    }


def write_unread(path: Path, found: Found) -> None:
    """The places that could not be read, as far as they are given, so that those who made the export can mend it."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("file", "byte", "resource_type", "problem"))
    places = (place for piece in found.pieces for place in piece.unread)
    for place in itertools.islice(places, _MOST_PLACES):
        writer.writerow((place.file, place.byte, place.resource_type or "", place.problem))
    write_whole(path, text.getvalue().encode("utf-8", "replace"))


# The passes


def _run(order: Order, folder: Path, progress: Progress) -> Found:
    gates = needed_for(order.question.trials, order.question.catalogue) if order.prefilter else None
    shards = max(1, min(_MOST_SHARDS, order.export.size // _SHARD)) if order.export.size > MIB else 1
    work = Work(folder, order.question, gates, shards, partitions_for(order.export.size))
    chunks = order.export.chunks(order.chunk)
    work = replace(work, merged=_find_merged(order, work, chunks, progress))
    if gates is not None:
        _find_gates(order, work, chunks, progress)
    pieces = _sort(order, work, chunks, "lines", progress)
    late = _sort_late(order, work, chunks, pieces, progress)
    runs = Runs()
    runs.add(folder / "lines", pieces)
    runs.add(folder / "late", late)
    keep_medications(folder, runs.medications)
    _check_assigned(pieces, order)
    _keep_versions(order, work, chunks, pieces, progress)
    incomplete = incomplete_types(pieces)
    way = way_of_reading(order.question, incomplete)
    earlier = earlier_screen(order, way)
    work = replace(work, incomplete=incomplete)
    if earlier and order.since:
        keep_readings(folder / EARLIER, tables.readings_of(order.since))
        work = replace(work, earlier=earlier, changed=_needed_for_changed(order, earlier))
    totals_of_patients = _evaluate(order, work, runs, progress)
    compared = comparison(order, stands=earlier is not None)
    return Found(pieces, incomplete, resolved(folder / VERSIONS), way, totals_of_patients, compared)


def _check_assigned(pieces: Sequence[Sorted], order: Order) -> None:
    """An export of which every record was left out would read as one of people without any illness."""
    unassigned = sum(piece.unassigned for piece in pieces)
    if unassigned and not assigned(pieces):
        given = order.question.base_url
        raise ScreenError(
            f"EXPORT: none of the {unassigned} records can be assigned to a patient; --base-url: give the address of "
            f"the FHIR server that their references hold ({'it is ' + given if given else 'there is none'} now)"
        )


def _needed_for_changed(order: Order, earlier: Earlier) -> frozenset[str] | None:
    changed = [trial for trial in order.question.trials if trial.id not in earlier.trials]
    return needed_for(changed, order.question.catalogue) if order.prefilter else None


def _find_merged(order: Order, work: Work, chunks: Sequence[Chunk], progress: Progress) -> dict[str, str]:
    """Before the first pass, over the files of Patients only: whose records count for another patient."""
    path, engine = work.folder / "merged.json", order.engine
    if path.exists():
        return msgspec.json.decode(path.read_bytes(), type=dict[str, str])
    files = [chunk for chunk in chunks if chunk.kind == "Patient"]
    progress.stage("Looking for merges", sum(chunk.size for chunk in files), "bytes")
    linked: set[str] = set()
    for (chunk, _), found in engine.each(work, work_of.find_links, [(chunk, None) for chunk in files]):
        linked.update(str(entry.patient) for entry, _ in found)
        progress.advance(chunk.size)
    # A newer version may have undone a merge, so of these patients every version is looked at.
    every = [(chunk, frozenset(linked)) for chunk in files if linked]
    versions = {chunk.number: found for (chunk, _), found in engine.each(work, work_of.find_links, every)}
    merged = merged_patients(each for number in sorted(versions) for each in versions[number])
    write_whole(path, msgspec.json.encode(merged))
    return merged


def _find_gates(order: Order, work: Work, chunks: Sequence[Chunk], progress: Progress) -> None:
    """First pass, over the files of Conditions only: whose gates may open."""
    path = work.folder / WANTED
    if path.exists():
        return
    todo = [chunk for chunk in chunks if chunk.kind == "Condition"]
    wanted = PatientFilter()
    progress.stage("Looking for diagnoses", sum(chunk.size for chunk in todo), "bytes")
    for chunk, marks in order.engine.each(work, work_of.find_gates, todo):
        for mark in marks:
            wanted.add(mark)
        progress.advance(chunk.size)
    for merged, stays in work.merged.items():
        if mark_of(stays) in wanted:
            wanted.add(mark_of(merged))  # so that it can be told what became of the record
    wanted.save(path)


def _sort(order: Order, work: Work, chunks: Sequence[Chunk], name: str, progress: Progress) -> list[Sorted]:
    """Second pass, over everything: the lines of these patients, by shard."""
    folder = work.folder / name
    done = {piece.number: piece for chunk in chunks if (piece := read_index(folder, chunk.number)) is not None}
    progress.stage("Reading charts", sum(chunk.size for chunk in chunks), "bytes")
    progress.advance(sum(chunk.size for chunk in chunks if chunk.number in done))
    task = work_of.sort if name == "lines" else work_of.sort_late
    for chunk, piece in order.engine.each(work, task, [chunk for chunk in chunks if chunk.number not in done]):
        done[piece.number] = piece
        progress.advance(chunk.size)
    return [done[chunk.number] for chunk in chunks]


def _sort_late(
    order: Order, work: Work, chunks: Sequence[Chunk], pieces: Sequence[Sorted], progress: Progress
) -> list[Sorted]:
    """Third pass, seldom needed: patients whose gate is opened by something else than a file of Conditions."""
    marks = {mark for piece in pieces for mark in piece.late}
    if not marks:
        return []
    wanted = PatientFilter()
    for mark in marks:
        wanted.add(mark)
    wanted.save(work.folder / WANTED_LATE)
    return _sort(order, work, chunks, "late", progress)


def _keep_versions(
    order: Order, work: Work, chunks: Sequence[Chunk], pieces: Sequence[Sorted], progress: Progress
) -> None:
    """What counts of the records that occur more than once, whoever they name."""
    path = work.folder / VERSIONS
    if path.exists():
        return
    starts = {piece.number: piece.keys for piece in pieces}
    tasks = (key_segments(work.folder / "lines", starts, partition) for partition in range(work.partitions))
    places: dict[int, bytes] = {}
    progress.stage("Comparing versions", work.partitions, "steps")
    for _, found in order.engine.each(work, work_of.find_repeated, tasks):
        for number, some in found.items():
            places[number] = places.get(number, b"") + some
        progress.advance(1)
    by_number = {chunk.number: chunk for chunk in chunks}
    todo = [(by_number[number], places[number]) for number in sorted(places)]
    keep_versions(path, [part for _, part in order.engine.each(work, work_of.read_versions, todo)])


def incomplete_types(pieces: Sequence[Sorted]) -> frozenset[str]:
    """The types of which something could not be read, and nobody knows whose: silence in them says nothing.

    An OperationOutcome that the server put into the export counts as it does in a Bundle.
    """
    _, _, unread = totals(pieces)
    if unread[""]:
        return frozenset(RESOURCE_TYPES)
    builder = ChartBuilder("anyone")
    outcomes = sorted({outcome for piece in pieces for outcome in piece.outcomes})
    resources = ",".join(f'{{"resource":{each}}}' for each in (_SOMEONE, *outcomes))
    builder.add(f'{{"resourceType":"Bundle","entry":[{resources}]}}'.encode(), None)
    builder.whole_chart()
    said = {kind for kind, state in builder.build().states.items() if state != "complete"}
    return frozenset(said | unread.keys()) & frozenset(RESOURCE_TYPES)


_SOMEONE = '{"resourceType":"Patient","id":"anyone"}'


def _evaluate(order: Order, work: Work, runs: Runs, progress: Progress) -> Totals:
    parts = work.folder / "parts"
    todo = [shard for shard in range(work.shards) if not (parts / f"{shard:06}.json").exists()]
    progress.stage("Evaluating", work.shards, "shards")
    progress.advance(work.shards - len(todo))
    for _ in order.engine.each(work, work_of.evaluate, ((shard, runs.of(shard)) for shard in todo)):
        progress.advance(1)
    return counted(parts)


def counted(parts: Path) -> Totals:
    """What became of the patients of all shards."""
    found = Totals()
    for path in sorted(parts.glob("*.json")):
        part = msgspec.json.decode(path.read_bytes(), type=Counted)
        found.patients.update(part.patients)
        found.unheard.update(part.not_understood)
        found.evaluated += part.evaluated
    return found

"""`trialcards worklist`: what a screen of the whole hospital found goes onto the coordinator's list."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from app.commands.arguments import check_known
from app.commands.audit import answers_of, opened, worklist_of
from app.commands.definitions import definitions_of
from app.commands.ending import stop
from app.commands.site import entries_of, run, settings_of
from app.definitions.screened_criteria import counts_write
from app.definitions.served import Served
from app.restricted import digest_of_labels
from app.screen.tables import DuckDbMissing
from app.settings import Settings
from app.storage.attestations import Answers
from app.storage.records import Records, Shown
from app.worklist.candidates import Left, Reading
from app.worklist.records import Worklist
from app.worklist.recounting import settled_by_people, with_answers
from app.worklist.screened import NotAScreen, Screened, finished_screen
from cds_hooks.words.wording import counted

_AT_ONCE = 200  # patients in one transaction

# Of a patient (keyed hash) who was on the list before: the hash under the current secret, and the trials in the screen.
InScreen = dict[str, tuple[str, set[str]]]


def add_command(
    screen: Annotated[Path, typer.Argument(help="Folder of a finished screen, as `trialcards screen --out` wrote it.")],
    ehr: Annotated[str, typer.Option("--ehr", help="Name of the EHR in the file of trusted EHRs whose export it was.")],
    tenant: Annotated[str, typer.Option("--tenant", help="Tenant within the EHR, where its tokens name one.")] = "",
    partial: Annotated[
        bool,
        typer.Option(
            "--partial", help="The export held only some of the EHR's patients: rows of the others stay as they are."
        ),
    ] = False,
    demo: Annotated[bool, typer.Option("--demo", help="Write into the demo's records under var/.")] = False,
) -> None:
    """Put the candidates of a screen onto the worklist, and take those off who are candidates no longer.

    A row keeps its status, notes and history. A chart that was opened after the moment of the screen counts more than
    the screen. Given twice, nothing changes. A patient of this EHR who is on the list and has no row in the screen
    leaves it, since the screen does not say whether the diagnosis is gone or nobody may be told; --partial keeps those.

    Exit status 0 when the list is up to date, 2 when the call, the folder or the database is not usable.
    """
    settings = settings_of("demo" if demo else "production")
    _check_ehr(settings, ehr, tenant)
    if not screen.is_dir():
        stop(f"SCREEN: {screen}: there is no such folder")
    try:
        found = finished_screen(screen)
        if found.labels != digest_of_labels(settings.labels):
            stop(
                "TRIALCARDS_RESTRICTED_LABELS: are others than those of the screen, which may show what the list must "
                "not; screen again with the same labels"
            )
        served = definitions_of(settings)
        taken, gone = run(_add(settings, found, served, (ehr, tenant), partial=partial))
    except NotAScreen:
        stop(
            f"SCREEN: {screen}: is not the folder of a finished screen; that holds report.json, matches.parquet and "
            "criteria.parquet"
        )
    except DuckDbMissing as error:
        stop(str(error))
    typer.echo(f"{counted(taken, 'patient')} on the list, {counted(gone, 'row')} no longer in the screen")


def _check_ehr(settings: Settings, name: str, tenant: str) -> None:
    """A row under a name that no EHR has would never be seen again by a hook."""
    known = {each.name: each.tenants for each in entries_of(settings)}
    check_known("--ehr", [name], known, "is not in the file of trusted EHRs")
    if tenant and known[name]:
        check_known("--tenant", [tenant], known[name], "is not a tenant of this EHR")


def _zone_of(settings: Settings, ehr: str) -> tzinfo:
    """The zone in which the last day of an answer ends."""
    name = next((each.timezone for each in entries_of(settings) if each.name == ehr), "")
    return ZoneInfo(name) if name else settings.zone


def _offered(readings: Iterable[tuple[str, Reading]], offers: frozenset[str] | None) -> Iterator[tuple[str, Reading]]:
    """The readings without trials that the site does not offer; its profile may be newer than the screen."""
    for patient, reading in readings:
        kept = [each for each in reading.candidates if offers is None or each.trial in offers]
        yield patient, replace(reading, candidates=kept)


async def _add(
    settings: Settings, found: Screened, served: Served, where: tuple[str, str], *, partial: bool
) -> tuple[int, int]:
    """How many patients were put on the list, and how many rows left it because the screen has none."""
    async with opened(settings) as records:
        worklist = worklist_of(records, settings)
        before = await worklist.patients_of(*where, found.as_of)
        taken = 0
        in_screen: InScreen = {}
        answers, zone = answers_of(records, settings), _zone_of(settings, where[0])
        for some in _in_batches(_offered(found.readings(served.trials), served.offers)):
            of_interest = list(_of_interest(some, where, records, before, in_screen))
            wanted = [(whose, await _with_answers(whose, each, answers, served, zone)) for whose, each in of_interest]
            await worklist.take(wanted, "screen", found.as_of)
            taken += sum(bool(reading.candidates) for _, reading in wanted)
        if not partial:
            await records.write(counts_write(found.criterion_counts(), found.as_of), None)
        return taken, await _let_go(worklist, found, before, in_screen, partial=partial)


async def _with_answers(whose: Shown, reading: Reading, answers: Answers, served: Served, zone: tzinfo) -> Reading:
    """The reading with what people have answered for this patient: a row that they ruled out does not come back."""
    if not reading.candidates:
        return reading
    now = datetime.now(UTC)
    given, today = (await answers.known(whose, now)).attestations, now.astimezone(zone).date()
    named = {each.trial: served.trials.get(each.trial) for each in reading.candidates}
    settled = {name: settled_by_people(trial, given, served.catalogue, now, today) for name, trial in named.items()}
    return with_answers(reading, settled)


def _of_interest(
    readings: Iterable[tuple[str, Reading]],
    where: tuple[str, str],
    records: Records,
    before: dict[str, set[str]],
    in_screen: InScreen,
) -> Iterator[tuple[Shown, Reading]]:
    """Those that put somebody on the list or concern somebody who is; notes for which trials the screen has rows."""
    for patient, reading in readings:
        whose = Shown(*where, patient, "")
        hashes = records.patient_hashes(whose)
        known = next((each for each in hashes if each in before), None)
        if known:
            trials = {each.trial for each in reading.candidates} | set(reading.gone) | set(reading.unclear)
            in_screen[known] = (hashes[0], trials)
        if known or reading.candidates:
            yield whose, reading


async def _let_go(
    worklist: Worklist, found: Screened, before: dict[str, set[str]], in_screen: InScreen, *, partial: bool
) -> int:
    count = 0
    for patient, trials in before.items():
        if partial and patient not in in_screen:
            continue
        current, there = in_screen.get(patient, (patient, set()))
        if absent := (trials & set(found.trials)) - there:
            await worklist.leave(current, sorted(absent), Left.NOT_IN_SCREEN, found.as_of)
            count += len(absent)
    return count


def _in_batches(readings: Iterable[tuple[str, Reading]]) -> Iterator[Sequence[tuple[str, Reading]]]:
    rest = iter(readings)
    while some := list(itertools.islice(rest, _AT_ONCE)):
        yield some

"""`trialcards replay`: a kept answer repeated, or what an upgrade changes in kept answers."""

from __future__ import annotations

import asyncio
import sys
import uuid
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from app.calls.replay import Unrepeatable, replay
from app.calls.replay_diff import Comparison, compare
from app.commands.arguments import existing_folder
from app.commands.definitions import read_definitions
from app.commands.ending import stop
from app.commands.site import Demo, settings_of
from app.definitions.served import Served
from app.settings import Settings
from app.storage.audit import Audit
from app.storage.database import RecordsUnavailable
from app.storage.records import Records
from app.storage.signing import Keys

Folder = Annotated[
    Path | None,
    typer.Option("--trials", help="With --diff: trial definitions in place of the site's.", callback=existing_folder),
]
Concepts = Annotated[
    Path | None,
    typer.Option("--mappings", help="With --diff: concepts in place of the site's.", callback=existing_folder),
]


def replay_command(
    report_id: Annotated[
        str | None, typer.Argument(help="Id of the report, as it is in the answer and in the audit.")
    ] = None,
    diff: Annotated[
        bool, typer.Option("--diff", help="List what this version would answer otherwise, of this report or of all.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --diff: print JSON.")] = False,
    trials: Folder = None,
    mappings: Concepts = None,
    demo: Demo = False,
) -> None:
    """Repeat a kept answer with the chart, definitions and concepts of its day.

    Prints the report, byte for byte as it was shown, and ends with 0. Ends with 1 where that is not possible, and says
    what is lost or has changed: facts expired or never kept, a definition that was not kept, another engine version.
    The audit trail says that the report was read.

    With --diff: holds kept answers against this version's code, concepts and definitions, and lists each verdict and
    outcome that would be another, by the report's id, with its cause (code, concepts, definition). It shows nothing of
    a patient. Reports that cannot be compared are named. Run it with a new version, on the database or a copy, before
    the upgrade.
    """
    settings = settings_of("demo" if demo else "production")
    if not diff and report_id is None:
        stop("REPORT_ID: is needed without --diff")
    if not diff and (as_json or trials or mappings):
        stop("--json, --trials and --mappings: are only of use with --diff")
    try:
        if diff:
            served = read_definitions(mappings or settings.mappings, trials or settings.trials, settings.site, code=2)
            _print(asyncio.run(_compare(report_id, settings, served)), as_json)
        else:
            sys.stdout.buffer.write(asyncio.run(_replay(str(report_id), settings)) + b"\n")
    except Unrepeatable as error:
        stop(*error.causes, code=1)
    except RecordsUnavailable:
        stop("TRIALCARDS_DATABASE_URL: the database cannot be reached")


def _print(found: Comparison, as_json: bool) -> None:
    if as_json:
        typer.echo(msgspec.json.encode(asdict(found)).decode())
        return
    if found.differences:
        typer.echo("report\ttrial\tcohort\tcriterion\tthen\tnow\twhy")
    for each in found.differences:
        row = (each.report, each.trial, each.cohort, each.criterion or "verdict", each.then, each.now)
        typer.echo("\t".join((*(cell or "-" for cell in row), ", ".join(each.causes))))
    changed = len({each.report for each in found.differences})
    typer.echo(f"{found.compared} kept answers compared, {changed} would be different", err=True)
    for report, why in found.not_compared.items():
        typer.echo(f"{report}: not compared, {why}", err=True)


async def _compare(report_id: str | None, settings: Settings, served: Served) -> Comparison:
    records = _records(settings)
    try:
        await records.prepare()
        now = datetime.now(UTC)
        if report_id is not None and await records.shown_at(report_id) is None:
            raise Unrepeatable("No answer of this id was given.", is_known=False)
        return await compare(records, served, now, report_id)
    finally:
        await records.close()


async def _replay(report_id: str, settings: Settings) -> bytes:
    records = _records(settings)
    try:
        await records.prepare()
        now = datetime.now(UTC)
        report = await replay(report_id, records, now)
        await Audit(records).note_reading(report_id, str(uuid.uuid4()), now)
        return report
    finally:
        await records.close()


def _records(settings: Settings) -> Records:
    keys = Keys(settings.secret_key)
    return Records(settings.database_url, keys, timedelta(settings.retention_days), timedelta(settings.snooze_days))

"""`trialcards screen`: the arguments of a cohort screen, and how far it is."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from app.commands.arguments import (
    SiteFile,
    SiteMappings,
    SiteTrials,
    check_known,
    check_trials,
    end_with_definitions,
    moment_of,
    restricted,
    zone_of,
)
from app.commands.definitions import read_definitions
from app.commands.ending import stop
from app.restricted import LABELS_HELP, LABELS_VARIABLE
from app.screen.engines import LocalEngine, SparkEngine, SparkMissing
from app.screen.export import FORBIDDING, ExportError, open_export
from app.screen.order import UNFINISHED, UNREAD, Order, ScreenError, moment_of_same, planned_as_of
from app.screen.page import PAGE
from app.screen.run import screen
from app.screen.shard import Question
from app.screen.tables import CANDIDATES, CHANGES, SHEET, DuckDbMissing
from cds_hooks.words.wording import counted

out = Console(highlight=False)


class EngineName(StrEnum):
    LOCAL = "local"
    SPARK = "spark"


def screen_command(
    export: Annotated[
        list[Path],
        typer.Argument(help="Folder of a FHIR Bulk Data export (*.ndjson, *.ndjson.gz); its later deltas may follow."),
    ],
    to: Annotated[Path, typer.Option("--out", help="Folder for the results; made where it is missing.")],
    as_of: Annotated[
        str | None,
        typer.Option("--as-of", help="A date, or an instant with offset, at which charts are read. Default: now."),
    ] = None,
    trial: Annotated[list[str] | None, typer.Option("--trial", help="Id of a trial; may repeat. Default: all.")] = None,
    since: Annotated[
        Path | None,
        typer.Option(
            "--since",
            help="Folder of an earlier screen: changes.csv says who is newly a candidate, who no longer, and why. "
            "What records, definitions and time cannot have changed since is taken over from there. Where the export "
            "is the same, the moment is that of the earlier screen unless --as-of says another.",
        ),
    ] = None,
    complete: Annotated[
        bool,
        typer.Option("--complete", help="The export holds every type: one that has no file has no records."),
    ] = False,
    base_url: Annotated[
        str | None,
        typer.Option(
            "--base-url", help="The FHIR server's address, where references hold it. Default: the manifest's."
        ),
    ] = None,
    engine: Annotated[
        EngineName, typer.Option(help="This machine, or the executors of a Spark cluster.")
    ] = EngineName.LOCAL,
    spark_master: Annotated[
        str | None, typer.Option(help="Where the Spark cluster is, like spark://host:7077; spark-submit says it too.")
    ] = None,
    workers: Annotated[
        int, typer.Option(min=1, max=256, help="Processes. Default: one for each core.")
    ] = os.cpu_count() or 1,
    restart: Annotated[bool, typer.Option("--restart", help="Throw an unfinished screen in --out away.")] = False,
    timezone: Annotated[
        str,
        typer.Option(help="The time zone in which a bare date is read.", envvar="TRIALCARDS_TIMEZONE"),
    ] = "UTC",
    restricted_labels: Annotated[
        str,
        typer.Option(help=LABELS_HELP, envvar=LABELS_VARIABLE),
    ] = "",
    trials: SiteTrials = None,
    mappings: SiteMappings = None,
    site: SiteFile = None,
) -> None:
    """Hold every trial that the site offers against every patient of a FHIR Bulk Data export.

    Writes candidates.csv and candidates.xlsx (best first), report.html (candidates, how far patients come, what was not
    read and never given), matches.parquet (a row for each patient and cohort whose diagnosis is on record),
    criteria.parquet (a row for each criterion of these), patients.parquet, report.json and unread.csv. A screen
    that was stopped goes on when the same command is given again.

    Exit status 0 when the screen is done, 1 when it is but definition files could not be used, 2 when something about
    the call or the export is not usable.
    """
    served = read_definitions(mappings, trials, site, code=2)
    check_trials("--trial", trial or (), served)
    offered = served.offered.trials
    check_known("--trial", trial or (), offered, "is not offered here (TRIALCARDS_SITE or --site)")
    zone = zone_of(timezone)
    if since is not None and not since.is_dir():
        stop(f"--since: {since}: there is no such folder")
    if restart:
        shutil.rmtree(to / UNFINISHED, ignore_errors=True)
    try:
        files = open_export(export, base_url=base_url, everything=complete)
        question = Question(
            trials=tuple(each for name, each in offered.items() if not trial or name in trial),
            catalogue=served.catalogue,
            as_of=datetime.now(UTC),
            timezone=timezone,
            base_url=files.base_url,
            complete=files.complete,
            labels=restricted(restricted_labels),
        )
        given = None if as_of is None else moment_of(as_of, zone)
        chosen = given or planned_as_of(to) or moment_of_same(since, files, question)
        question = replace(question, as_of=chosen or question.as_of)
        runs_on = SparkEngine(spark_master) if engine is EngineName.SPARK else LocalEngine(workers)
        with closing(runs_on), _Bars() as bars:
            report = screen(Order(files, question, to, workers, runs_on, since), bars)
    except (ExportError, ScreenError, DuckDbMissing, SparkMissing) as error:
        stop(str(error))
    _print(report, to)
    if not trial:
        end_with_definitions(served)


class _Bars:
    """A bar for each pass, with the time that is left."""

    def __init__(self) -> None:
        columns = (TextColumn("{task.description:<22}"), BarColumn(), TaskProgressColumn())
        times = (TextColumn("elapsed"), TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
        self._bars = Progress(*columns, *times, console=Console(stderr=True))
        self._task = self._bars.add_task("", visible=False)

    def __enter__(self) -> _Bars:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def stage(self, title: str, total: int, unit: Literal["bytes", "shards", "steps"]) -> None:
        self._task = self._bars.add_task(title, total=max(total, 1))

    def advance(self, done: int) -> None:
        self._bars.advance(self._task, done)


def _print(report: dict[str, Any], to: Path) -> None:
    table = Table("Trial", "Cohort", "Verdict", "Patients", box=None, header_style="bold")
    for trial, cohorts in report["verdicts"].items():
        for cohort, verdicts in cohorts.items():
            for verdict, count in verdicts.items():
                table.add_row(trial, cohort, verdict, str(count))
    out.print(table)
    typer.echo(f"{counted(report['candidates'], 'candidate')}: {to / SHEET} and {CANDIDATES}; report: {to / PAGE}")
    if "changes" in report:
        changes = report["changes"]
        typer.echo(f"{changes['new']} newly, {changes['gone']} no longer: {to / CHANGES}")
        typer.echo(f"{report['evaluated']} of {sum(report['patients'].values())} patients had to be evaluated")
    for line in warnings_of(report, to / UNREAD):
        typer.echo(line, err=True)


def warnings_of(report: Mapping[str, Any], unread: Path) -> Iterator[str]:
    """What whoever reads the lists must know: what was not read, and what was never given."""
    if count := sum(report["linesNotRead"].values()):
        yield f"{counted(count, 'place')} could not be read: {unread}"
    if report["incompleteTypes"]:
        types = ", ".join(report["incompleteTypes"])
        yield f"Read only in part, so that no absence is concluded from them: {types}."
    if doubt := report["recordsInDoubt"]:
        yield f"{counted(doubt, 'record')} given in several versions of which none is surely the newest."
    if report["typesOpen"]:
        types = ", ".join(report["typesOpen"])
        yield f"No file of {types}: what needs them is open. If the export holds everything, say --complete."
    if doubtful := report["patients"].get("not-understood"):
        who = counted(doubtful, "patient")
        yield f"{who} not evaluated: only a diagnosis that was not understood may be a trial's; see trialcards gaps."
    if forbidding := [kind for kind in FORBIDDING if kind in report["typesOpen"]]:
        were = "was" if len(forbidding) == 1 else "were"
        yield f"{' and '.join(forbidding)} {were} not seen: check who must not be approached before you contact anyone."

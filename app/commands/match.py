"""`trialcards match`: one chart against the trials, without a server."""

from __future__ import annotations

import sys
import tracemalloc
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from app.commands.arguments import (
    Mappings,
    Trials,
    cause_of,
    check_trials,
    end_with_definitions,
    json_fault,
    moment_of,
    restricted,
    zone_of,
)
from app.commands.arguments import (
    Site as SiteFile,
)
from app.commands.definitions import read_definitions
from app.commands.ending import stop
from app.definitions.served import Served
from app.judge import Site, judge
from app.profile import part, profiled, table_of
from app.restricted import LABELS_HELP, LABELS_VARIABLE
from cds_hooks.report import report_of
from cds_hooks.words.wording import counted
from mappings.chart.chart import ChartBuilder, ChartError
from mappings.time.clock import Clock
from trial_defs.engine.findings import Match
from trial_defs.planning.needs import Need, what_next

out = Console(highlight=False)


def match_command(
    bundle: Annotated[
        Path, typer.Argument(help='A FHIR Bundle with one patient\'s whole chart; "-" reads it from stdin.')
    ],
    as_of: Annotated[
        str | None, typer.Option("--as-of", help="A date, or an instant with offset, at which the chart is read.")
    ] = None,
    trial: Annotated[list[str] | None, typer.Option("--trial", help="Id of a trial; may repeat. Default: all.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole MatchReport as JSON.")] = False,
    timezone: Annotated[str, typer.Option("--timezone", help="The time zone in which a bare date is read.")] = "UTC",
    restricted_labels: Annotated[
        str, typer.Option("--restricted-labels", help=LABELS_HELP, envvar=LABELS_VARIABLE)
    ] = "",
    trials: Trials = None,
    mappings: Mappings = None,
    site_file: SiteFile = None,
    profile: Annotated[
        bool, typer.Option("--profile", help="Also say, on standard error, what each part took in time and memory.")
    ] = False,
) -> None:
    """Match one patient's chart with the trials, without a server.

    All trials are matched, or those of --trial, whether --site offers them or not.

    For a patient who must not be approached for research there are no trials; a trial that restricted records keep back
    is left out.

    Exit status 0 when the chart was matched, 1 when it was but definition files could not be used, 2 when something
    about the call or the chart is not usable.
    """
    served = read_definitions(mappings, trials, site_file)
    check_trials("--trial", trial or (), served)
    zone = zone_of(timezone)
    moment = datetime.now(UTC) if as_of is None else moment_of(as_of, zone)
    chart = _read(bundle)
    at, site = Clock(moment, zone), Site(restricted(restricted_labels))
    found = _match(chart, served, trial, at, site)
    if profile:
        _print_profile(lambda: _report(_match(chart, served, trial, at, site), served))
    if as_json:
        typer.echo(msgspec.json.format(_report(found, served), indent=2).decode())
    else:
        _print_match(found)
        _print_next(what_next(found.trials, served.catalogue))
    if not trial:
        end_with_definitions(served)


@dataclass(frozen=True, slots=True)
class _File:
    """The content of a chart's file, and how it is called in a message."""

    name: str
    content: bytes


def _match(file: _File, served: Served, wanted: list[str] | None, at: Clock, site: Site) -> Match:
    builder = ChartBuilder(None)
    chosen = [trial for name, trial in served.trials.items() if not wanted or name in wanted]
    try:
        with part("chart"):
            builder.add(file.content, None)
            builder.whole_chart()
            chart = builder.build()
    except ChartError as error:
        fault = json_fault(file.content) if error.code == "not-json" else error.message
        stop(f"{file.name}: {fault}")
    return judge(chart, served, at, site, trials=chosen).found


def _report(found: Match, served: Served) -> bytes:
    with part("report"):
        return msgspec.json.encode(report_of(found, str(uuid.uuid4()), served.catalogue))


def _print_profile(again: Callable[[], object]) -> None:
    """Do it twice more, now that everything is loaded: for its times, and for its memory."""
    with profiled() as times:
        again()
    tracemalloc.start()
    with profiled() as memory:
        again()
    tracemalloc.stop()
    Console(stderr=True, highlight=False).print(table_of(times, memory))


def _read(path: Path) -> _File:
    if str(path) == "-":
        return _File("standard input", sys.stdin.buffer.read())
    try:
        return _File(str(path), path.read_bytes())
    except OSError as error:
        stop(f"{path}: {cause_of(error)}")


def _print_match(found: Match) -> None:
    if not found.approachable:
        typer.echo("Not to be approached for research: the chart says so. No trial is shown.")
        return
    table = Table("Trial", "Cohort", "Verdict", "Met", "Not met", "Unknown", "For you", box=None, header_style="bold")
    for trial in found.trials:
        for cohort in trial.cohorts:
            outcomes = [finding.outcome.value for finding in cohort.findings]
            counts = [str(outcomes.count(each)) for each in ("met", "not-met", "unknown", "needs-human")]
            table.add_row(trial.trial.id, cohort.cohort.id, cohort.verdict.value, *counts)
    out.print(table)


def _print_next(needs: Sequence[Need]) -> None:
    """What would settle the most, in the order in which a clinician would do it."""
    if not needs:
        return
    table = Table("What to do next", "How", "Settles", box=None, header_style="bold")
    for need in needs:
        table.add_row(need.order.title, need.order.how.replace("-", " "), counted(len(need.settles), "criterion"))
    out.print()
    out.print(table)

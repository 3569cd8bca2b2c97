"""The command line: serve, match one chart, look at trial definitions."""

from __future__ import annotations

import os
import sys
import tracemalloc
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
import typer
import uvicorn
from rich.console import Console
from rich.table import Table

from app.commands.audit import audit_command, purge_command
from app.commands.bulk import export_command
from app.commands.definitions import read_definitions
from app.commands.ending import stop
from app.commands.registry import add_commands
from app.commands.replay import replay_command
from app.commands.screen import screen_command
from app.commands.worklist import worklist_cli
from app.definitions.histories import Histories, Versions
from app.definitions.linting import rule_problems
from app.definitions.served import Served
from app.ehrs import EhrsError, load_ehrs
from app.judge import Site, judge
from app.metrics import shared_counters
from app.profile import part, profiled, table_of
from app.restricted import LABELS_HELP, LABELS_VARIABLE, labels_of
from app.settings import Settings, SettingsError, read_settings
from cds_hooks.report import report_of
from cds_hooks.words.change_words import KINDS
from cds_hooks.words.wording import counted
from mappings.chart.chart import ChartBuilder, ChartError
from mappings.time.clock import Clock
from mappings.time.times import can_be_now, parse_moment
from mappings.values import units
from trial_defs.definition.loader import OUR_TRIALS
from trial_defs.engine.findings import Match
from trial_defs.planning.needs import Need, what_next

cli = typer.Typer(
    name="trialcards",
    help="Holds patients' charts against clinical trial criteria.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
trials_cli = typer.Typer(help="The trial definitions that are served.", no_args_is_help=True)
cli.add_typer(trials_cli, name="trials")
cli.add_typer(worklist_cli, name="worklist")
add_commands(trials_cli)
out = Console(highlight=False)

Folder = Annotated[Path | None, typer.Option("--trials", help="A folder with the site's own trial definitions.")]
Concepts = Annotated[Path | None, typer.Option("--mappings", help="A folder with the site's own concepts and codes.")]


def main() -> None:
    """The entry point of the `trialcards` command."""
    cli()


# -- serving


Profiled = Annotated[bool, typer.Option("--profile", help="Log what each part of a call took in time and memory.")]


@cli.command()
def serve(profile: Profiled = False) -> None:
    """Serve in the production profile.

    Everything is set by environment variables: HOST, PORT and TRIALCARDS_* (also from a .env file). Refuses to start
    while TRIALCARDS_EHRS, TRIALCARDS_PUBLIC_URL or TRIALCARDS_SECRET_KEY is missing, and names what is.
    """
    settings = _settings("production", profile)
    assert settings.ehrs is not None
    try:
        load_ehrs(settings.ehrs)
    except EhrsError as error:
        stop(*error.problems)
    _run("app.main:from_settings", settings)


@cli.command(name="demo")
def serve_demo(profile: Profiled = False) -> None:
    """Serve the demo on loopback: unsigned calls, SQLite, everything under var/.

    This is what `make run` starts. HOST and PORT choose where, TRIALCARDS_DEMO_FHIR puts another FHIR server in the
    demo EHR's place.
    """
    settings = _settings("demo", profile)
    base = f"http://{settings.host}:{settings.port}"
    for path, what in (
        ("/demo", "demo EHR: start here"),
        ("/worklist", "the coordinator's worklist"),
        ("/trials", "the trials"),
        ("/docs", "API"),
        ("/cds-services", "CDS Hooks discovery"),
    ):
        typer.echo(f"  {base}{path:<14} {what}")
    _run("app.main:demo", settings)


def _settings(profile: Literal["demo", "production"], profile_calls: bool = False) -> Settings:
    if profile_calls:
        os.environ["TRIALCARDS_PROFILE_CALLS"] = "true"  # for the workers too, which read their settings anew
    try:
        return read_settings(profile)
    except SettingsError as error:
        stop(*error.problems)


def _run(factory: str, settings: Settings) -> None:
    with shared_counters(settings.workers):
        _serve(factory, settings)


def _serve(factory: str, settings: Settings) -> None:
    try:
        uvicorn.run(
            factory,
            factory=True,
            host=settings.host,
            port=settings.port,
            workers=settings.workers,
            log_level="warning",
            access_log=False,  # an address may hold what a caller put there; our own log has the route
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=10,
            timeout_worker_healthcheck=60,  # a worker that starts or works on a busy machine is not dead
        )
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


# -- matching


cli.command(name="screen")(screen_command)
cli.command(name="export-bulk")(export_command)
cli.command(name="audit")(audit_command)
cli.command(name="purge")(purge_command)
cli.command(name="replay")(replay_command)


@cli.command()
def match(
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
    trials: Folder = None,
    mappings: Concepts = None,
    profile: Annotated[
        bool, typer.Option("--profile", help="Also say, on standard error, what each part took in time and memory.")
    ] = False,
) -> None:
    """Match one patient's chart with the trials, without a server.

    For a patient who must not be approached for research there are no trials; a trial that restricted records keep back
    is left out.

    Exit status 0 when the chart was matched, 2 when something about the call or the file is not usable.
    """
    served = read_definitions(mappings, trials)
    if unknown := [name for name in trial or () if name not in served.trials]:
        stop(f"--trial: {len(unknown)} of the ids given are not served; `trialcards trials list` shows those that are.")
    zone = _zone(timezone)
    raw, moment = _read(bundle), _moment(as_of, zone)
    at, site = Clock(moment, zone), Site(_labels(restricted_labels))
    found = _matched(raw, served, trial, at, site)
    if profile:
        _print_profile(lambda: _report(_matched(raw, served, trial, at, site), served))
    if as_json:
        typer.echo(msgspec.json.format(_report(found, served), indent=2).decode())
    else:
        _print_match(found)
        _print_next(what_next(found.trials, served.catalogue))


def _matched(raw: bytes, served: Served, wanted: list[str] | None, at: Clock, site: Site) -> Match:
    builder = ChartBuilder(None)
    chosen = [trial for name, trial in served.trials.items() if not wanted or name in wanted]
    try:
        with part("chart"):
            builder.add(raw, None)
            builder.whole_chart()
            chart = builder.build()
    except ChartError as error:
        stop(f"BUNDLE: {error.message}")
    return judge(chart, served, at, site, trials=chosen).found


def _labels(text: str) -> frozenset[tuple[str, str]]:
    try:
        return labels_of(text)
    except ValueError as error:
        stop(f"--restricted-labels: {error}")


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


def _read(path: Path) -> bytes:
    try:
        return sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
    except OSError as error:
        stop(f"BUNDLE: cannot be read ({error.strerror})")


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        stop("--timezone: is not a time zone; write it like Europe/Berlin")


def _moment(text: str | None, zone: tzinfo) -> datetime:
    if text is None:
        return datetime.now(UTC)
    moment = parse_moment(text, zone)
    if moment is None or not moment.is_one_day or not can_be_now(moment.earliest):
        stop("--as-of: is a date (2026-11-01) or an instant with its offset (2026-11-01T08:00:00Z)")
    return moment.earliest


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


# -- definitions


@trials_cli.command(name="list")
def list_trials(trials: Folder = None, mappings: Concepts = None) -> None:
    """List the trials with version, status, cohorts and number of criteria."""
    table = Table("Trial", "Version", "Status", "Cohorts", "Criteria", "Title", box=None, header_style="bold")
    served = read_definitions(mappings, trials)
    for trial in served.trials.values():
        cohorts = ", ".join(cohort.id for cohort in trial.cohorts)
        criteria = len({criterion.id for cohort in trial.cohorts for criterion in cohort.criteria})
        table.add_row(trial.id, str(trial.version), trial.status, cohorts, str(criteria), trial.short_title)
    out.print(table)
    _name_drafts(served)


def _name_drafts(served: Served) -> None:
    for draft in served.drafts:
        asks = f", {len(draft.questions)} criteria still ask something" if draft.questions else ""
        typer.echo(f"{draft.id}: a draft that nobody has signed, not served{asks} ({draft.file})")


@trials_cli.command(name="show")
def show_trial(
    trial_id: Annotated[str, typer.Argument(help="Id of the trial, as `trials list` shows it.")],
    changes: Annotated[bool, typer.Option("--changes", help="Show what its versions changed instead.")] = False,
    trials: Folder = None,
    mappings: Concepts = None,
) -> None:
    """Show a trial, cohort by cohort, criterion by criterion; or, with --changes, what each version changed.

    Earlier versions are known from the texts that `trials lint --record` kept beside the folder of definitions.
    """
    served = read_definitions(mappings, trials)
    trial = served.trials.get(trial_id)
    if trial is None:
        stop("TRIAL_ID: no trial of this id is served; `trialcards trials list` shows those that are.")
    if changes:
        _print_changes(Histories(trials).of(trial, served.catalogue))
        return
    out.print(
        f"[bold]{trial.id}[/bold] version {trial.version} ({trial.hash[:19]})", trial.title, sep="\n", markup=True
    )
    for cohort in trial.cohorts:
        out.print(f"\n{cohort.id}: {cohort.title}", style="bold", markup=False)
        for criterion in cohort.criteria:
            sign = "+" if criterion.kind == "inclusion" else "−"
            out.print(f"  {sign} {criterion.id:<24} {criterion.text}", markup=False, soft_wrap=True)


def _print_changes(versions: Versions) -> None:
    for step in versions.changed:
        out.print(f"version {step.version} against version {step.since}", style="bold", markup=False)
        for line in step.about:
            out.print(f"  {line}", markup=False, soft_wrap=True)
        for each in step.criteria:
            out.print(f"  {each.id} ({KINDS[each.kind]}): {each.text}", markup=False, soft_wrap=True)
            for line in each.lines:
                out.print(f"      {line}", markup=False, soft_wrap=True)
    for version in versions.lost:
        out.print(f"version {version}: its text is not at hand")
    if not versions.changed and not versions.lost:
        out.print("This is the first version.")


@trials_cli.command(name="lint")
def lint_trials(
    trials: Folder = None,
    mappings: Concepts = None,
    cases: Annotated[
        Path | None, typer.Option(help="A folder of cases, one file per trial; every computed criterion needs one.")
    ] = None,
    record: Annotated[
        bool, typer.Option(help="Write down the versions of the definitions checked, and keep their texts.")
    ] = False,
) -> None:
    """Check every definition and concept file; print each problem with file and place.

    Besides what the language refuses: criteria that contradict each other, results without a window, silence presumed
    where it may not be, a cohort that does not ask for its disease, an id with two meanings, a judgement that asks
    nothing, a definition whose meaning changed without a new version. Loads the unit library too. --cases and
    --record belong to the site's folder where --trials names one, else to ours.

    Exit status 0 when there is none, 1 otherwise.
    """
    served = read_definitions(mappings, trials, tells=False)
    chosen = trials or OUR_TRIALS
    problems = [*served.problems]
    try:
        units.warm(())
    except units.UnitLibraryUnusable as error:
        problems.append(str(error))
    for folder in dict.fromkeys((OUR_TRIALS, chosen)):
        mine = (cases, record) if folder == chosen else (None, False)
        problems += map(str, rule_problems(folder, served.catalogue, *mine))
    for problem in problems:
        typer.echo(problem)
    _name_drafts(served)
    typer.echo(f"{len(served.trials)} trials, {len(served.catalogue.concepts)} concepts, {len(problems)} problems")
    raise typer.Exit(1 if problems else 0)

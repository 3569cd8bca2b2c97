"""Every command by its name; importing this module imports the service."""

from __future__ import annotations

from typing import Annotated

import typer

from app.commands.audit import audit_command, purge_command
from app.commands.bulk import export_command
from app.commands.connection import token_command
from app.commands.export import export_trial
from app.commands.gaps import gaps_command
from app.commands.match import match_command
from app.commands.registry import add_commands
from app.commands.replay import replay_command
from app.commands.review import review_trial
from app.commands.screen import screen_command
from app.commands.serve import demo_command, serve_command
from app.commands.trials import add_trial_commands
from app.commands.worklist import worklist_cli
from app.logs import configure_logs
from cds_hooks.report import VERSION

configure_logs()  # to standard error: standard output is for what a command was asked for

cli = typer.Typer(
    name="trialcards",
    help="Holds patients' charts against clinical trial criteria.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
trials_cli = typer.Typer(help="The trial definitions that are served.", no_args_is_help=True)
add_trial_commands(trials_cli)
add_commands(trials_cli)
trials_cli.command(name="export")(export_trial)
trials_cli.command(name="review")(review_trial)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"trialcards {VERSION}")
        raise typer.Exit


@cli.callback()
def _every_command(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and end.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Holds patients' charts against clinical trial criteria."""


cli.command(name="serve")(serve_command)
cli.command(name="demo")(demo_command)
cli.command(name="match")(match_command)
cli.command(name="screen")(screen_command)
cli.command(name="gaps")(gaps_command)
cli.command(name="export-bulk")(export_command)
cli.command(name="replay")(replay_command)
cli.command(name="token")(token_command)
cli.command(name="audit")(audit_command)
cli.command(name="purge")(purge_command)
cli.add_typer(trials_cli, name="trials")
cli.add_typer(worklist_cli, name="worklist")

"""The command line. `trials import` and `trials refresh` start alone; every other command reads the whole program."""

from __future__ import annotations

from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

_ALONE = ("import", "refresh")  # commands of `trials` that need nothing of the service


def _program() -> Any:
    """The group of every command, with the service behind it."""
    return typer.main.get_command(import_module("app.commands.program").cli)


class _Commands(TyperGroup):
    """The commands of the program; `trials` is the group below."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Their names in the order of the program."""
        return list(_program().list_commands(ctx))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """One command; the program is read only where it is not `trials`."""
        return super().get_command(ctx, cmd_name) or _program().get_command(ctx, cmd_name)


class _Trials(TyperGroup):
    """The commands on trial definitions."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Their names in the order of the program."""
        return list(_program().get_command(ctx, "trials").list_commands(ctx))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """`import` and `refresh` by themselves, every other command from the program."""
        if cmd_name not in _ALONE:
            return _program().get_command(ctx, "trials").get_command(ctx, cmd_name)
        alone = typer.Typer()
        import_module("app.commands.registry").add_commands(alone)
        group: Any = typer.main.get_command(alone)
        return group.get_command(ctx, cmd_name)


cli = typer.Typer(
    name="trialcards",
    cls=_Commands,
    help="Holds patients' charts against clinical trial criteria.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
_trials = typer.Typer(cls=_Trials, help="The trial definitions that are served.", no_args_is_help=True)
cli.add_typer(_trials, name="trials")


@_trials.callback()
def _every_trials_command() -> None:
    """The trial definitions that are served."""


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"trialcards {import_module('cds_hooks.report').VERSION}")
        raise typer.Exit


@cli.callback()
def _every_command(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and end.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Holds patients' charts against clinical trial criteria."""


def main() -> None:
    """The entry point of the `trialcards` command."""
    cli()

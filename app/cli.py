"""The command line. A command's module is imported when the command is run; a list of commands imports none of them."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from app.commands.table import COMMANDS, TRIALS, WORKLIST, Entry


class _Command(TyperCommand):
    """A command that is imported when it is run; until then only its name and its help line are known."""

    def __init__(self, name: str, entry: Entry) -> None:
        super().__init__(name, help=entry.help)
        self._entry = entry

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """The context of the command itself, which is imported now."""
        module = import_module(f"app.commands.{self._entry.module}")
        alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        alone.command(name=self.name)(getattr(module, self._entry.function))
        return typer.main.get_command(alone).make_context(info_name, args, parent, **extra)


class _Group(TyperGroup):
    """A group whose commands are in a table, beside the groups inside it."""

    entries: Mapping[str, Entry] = {}

    def list_commands(self, ctx: Any) -> list[str]:
        """The commands in the order of the table, then the groups."""
        return [*self.entries, *super().list_commands(ctx)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A command of the table, or a group."""
        entry = self.entries.get(cmd_name)
        return _Command(cmd_name, entry) if entry else super().get_command(ctx, cmd_name)


class _Commands(_Group):
    entries = COMMANDS


class _Trials(_Group):
    entries = TRIALS


class _Worklist(_Group):
    entries = WORKLIST


cli = typer.Typer(
    name="trialcards",
    cls=_Commands,
    help="Holds patients' charts against clinical trial criteria.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
_trials = typer.Typer(cls=_Trials, help="The trial definitions that are served.", no_args_is_help=True)
_worklist = typer.Typer(cls=_Worklist, help="The coordinator's worklist.", no_args_is_help=True)
cli.add_typer(_trials, name="trials")
cli.add_typer(_worklist, name="worklist")


@_trials.callback()
def _every_trials_command() -> None:
    """The trial definitions that are served."""


@_worklist.callback()
def _every_worklist_command() -> None:
    """The coordinator's worklist."""


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

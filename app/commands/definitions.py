"""The definitions that a command works with."""

from __future__ import annotations

from pathlib import Path

import typer

from app.commands.ending import stop
from app.definitions.served import Definitions, Served
from mappings.yaml_files import DefinitionError


def read_definitions(mappings: Path | None, trials: Path | None, *, code: int = 1, tells: bool = True) -> Served:
    """Ours and those of the site's folders.

    Concepts that cannot be used end the command with `code`. Files of trials that cannot are named on standard error
    where it `tells`, and left out.
    """
    try:
        served = Definitions(mappings, trials).now
    except DefinitionError as error:
        stop(*map(str, error.problems), code=code)
    for problem in served.problems if tells else ():
        typer.echo(problem, err=True)
    return served

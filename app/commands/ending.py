"""How a command ends early: a line for each problem on standard error, and an exit code."""

from __future__ import annotations

from typing import NoReturn

import typer


def stop(*lines: str, code: int = 2) -> NoReturn:
    """End the command. Code 2: the call or a setting is wrong; 1: what was asked for is not so."""
    for line in lines:
        typer.echo(line, err=True)
    raise typer.Exit(code)

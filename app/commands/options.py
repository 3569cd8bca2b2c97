"""Options that commands share and that need nothing of the service, so that a command starts at once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.commands.ending import stop


def cause_of(error: OSError) -> str:
    """Why a file cannot be used, in words."""
    match error:
        case FileNotFoundError():
            return "there is no such file"
        case IsADirectoryError():
            return "is a folder, not a file"
        case PermissionError():
            return "this user may not read it"
    return f"cannot be read ({error.strerror})"


def existing_folder(parameter: typer.CallbackParam, value: Path | None) -> Path | None:
    """The folder that an option names; stops where there is none."""
    if value is not None and not value.is_dir():
        what = "is a file, not a folder" if value.exists() else "there is no such folder"
        stop(f"{parameter.opts[0]}: {value}: {what}")
    return value


Trials = Annotated[
    Path | None,
    typer.Option("--trials", help="A folder with the site's own trial definitions.", callback=existing_folder),
]
Mappings = Annotated[
    Path | None,
    typer.Option("--mappings", help="A folder with the site's own concepts and codes.", callback=existing_folder),
]
SITE_HELP = "The TOML file with the site's profile: the trials it offers, their status here, tolerances, orders."
Site = Annotated[Path | None, typer.Option("--site", help=SITE_HELP)]

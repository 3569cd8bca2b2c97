"""The definitions that a command works with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from app.commands.ending import stop
from app.definitions.compiled import Compiled
from app.definitions.served import Definitions, Served
from app.site_profile import SiteProfile, SiteProfileError, load_profile, profile_of
from mappings.yaml_files import DefinitionError

if TYPE_CHECKING:
    from app.settings import Settings


def definitions_of(settings: Settings) -> Served:
    """The definitions as the service with these settings has them; stops where they or the profile cannot be used."""
    try:
        return Definitions(settings.mappings, settings.trials, Compiled(settings.cache), profile_of(settings)).now
    except (DefinitionError, SiteProfileError) as error:
        stop(*map(str, error.problems))


def read_definitions(
    mappings: Path | None, trials: Path | None, site: Path | None = None, *, code: int = 1, tells: bool = True
) -> Served:
    """Ours and those of the site's folders, as the profile in the file `site` has them.

    Concepts that cannot be used end the command with `code`, a profile that cannot with 2. Files of trials that cannot
    are named on standard error where it `tells`, and left out.
    """
    try:
        profile = load_profile(site) if site else SiteProfile()
        served = Definitions(mappings, trials, profile=profile).now
    except SiteProfileError as error:
        stop(*error.problems)
    except DefinitionError as error:
        stop(*map(str, error.problems), code=code)
    for problem in served.problems if tells else ():
        typer.echo(problem, err=True)
    return served

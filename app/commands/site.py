"""What commands share that work with the site's settings, records and EHRs."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Annotated, Any, Literal, TypeVar

import typer

from app.commands.ending import stop
from app.ehrs import Ehr, EhrsError, demo_ehr, load_ehrs
from app.settings import Settings, SettingsError, read_settings
from app.storage.database import FolderUnusable, RecordsUnavailable, make_folder

T = TypeVar("T")
Demo = Annotated[bool, typer.Option("--demo", help="Use the demo's records under var/.")]


def settings_of(profile: Literal["demo", "production"]) -> Settings:
    """The settings of this profile; stops with a line for each that is wrong."""
    try:
        settings = read_settings(profile)
        make_folder(settings.database_url)
        return settings
    except SettingsError as error:
        stop(*error.problems)
    except FolderUnusable as error:
        stop(f"TRIALCARDS_DATABASE_URL: {error}")


def entries_of(settings: Settings) -> tuple[Ehr, ...]:
    """The trusted EHRs; of the demo, its own."""
    if settings.is_demo or settings.ehrs is None:
        return (demo_ehr(settings.demo_fhir, settings.timezone),)
    try:
        return load_ehrs(settings.ehrs)
    except EhrsError as error:
        stop(*error.problems)


def run(work: Coroutine[Any, Any, T]) -> T:
    """What this work gives; stops where the database is away."""
    try:
        return asyncio.run(work)
    except RecordsUnavailable:
        stop("TRIALCARDS_DATABASE_URL: the database cannot be reached")

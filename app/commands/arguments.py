"""What the commands share about their arguments: they name what is not there, and what there is instead, and stop."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Annotated, NoReturn, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import typer

from app.commands.ending import stop
from app.commands.options import SITE_HELP
from app.commands.options import Mappings as Mappings
from app.commands.options import Site as Site
from app.commands.options import Trials as Trials
from app.commands.options import cause_of as cause_of
from app.commands.options import existing_folder as existing_folder
from app.definitions.served import Served
from app.restricted import labels_of
from mappings.near_words import suggestion
from mappings.time.times import can_be_now, parse_moment
from trial_defs.definition.loader import Draft

T = TypeVar("T")
_LISTED = 20  # names in one message


# -- what is not there


def listing(names: Collection[str]) -> str:
    """The names, sorted; of many the first, and how many more there are."""
    shown = ", ".join(sorted(names)[:_LISTED])
    return f"{shown} and {len(names) - _LISTED} more" if len(names) > _LISTED else shown or "none"


def check_known(option: str, given: Iterable[str], known: Collection[str], what: str = "is not known") -> None:
    """Stop where a name that was given for this option is not among those known."""
    if unknown := [name for name in given if name not in known]:
        near = suggestion(unknown[0], known, 1) if len(unknown) == 1 else ""
        stop(f"{option}: {', '.join(unknown)} {what}; there are {listing(known)}{near}")


def check_trials(option: str, given: Iterable[str], served: Served) -> None:
    """Stop where a trial that was given is not served, or is a draft."""
    given = list(given)
    drafts = {draft.id: draft for draft in served.drafts}
    if here := [drafts[name] for name in given if name in drafts and name not in served.trials]:
        stop(*(f"{option}: {draft_words(draft)}" for draft in here))
    check_known(option, given, served.trials, "is not served" if len(given) == 1 else "are not served")


def draft_words(draft: Draft) -> str:
    """One line about a draft."""
    asks = f", {len(draft.questions)} criteria still ask something" if draft.questions else ""
    return f"{draft.id}: a draft that nobody has signed, not served{asks} ({draft.file})"


SiteFile = Annotated[Path | None, typer.Option("--site", help=SITE_HELP, envvar="TRIALCARDS_SITE")]
SiteTrials = Annotated[
    Path | None,
    typer.Option(
        "--trials",
        help="A folder with the site's own trial definitions.",
        envvar="TRIALCARDS_TRIALS",
        callback=existing_folder,
    ),
]
SiteMappings = Annotated[
    Path | None,
    typer.Option(
        "--mappings",
        help="A folder with the site's own concepts.",
        envvar="TRIALCARDS_MAPPINGS",
        callback=existing_folder,
    ),
]
Cases = Annotated[
    Path | None,
    typer.Option(
        help="A folder of cases, one file per trial; every computed criterion needs one.", callback=existing_folder
    ),
]


# -- what is read


def end_with_definitions(served: Served) -> None:
    """Exit status 1 where definition files could not be used: then not everything that was asked was done."""
    if served.problems:
        stop("Not every definition could be used (see above); the others were.", code=1)


def json_fault(raw: bytes) -> str:
    """What keeps these bytes from being JSON, with the place and without a word of the content."""
    try:
        json.loads(raw.decode("utf-8"), parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        return f"not UTF-8 (byte {error.start + 1})"
    except json.JSONDecodeError as error:
        return f"not JSON (line {error.lineno}, column {error.colno}: {_json_words(error)})"
    except _NotANumber:
        return "not JSON (NaN and Infinity are no numbers of JSON)"
    except RecursionError:
        return "not readable JSON (it is nested too deeply)"
    return "not readable JSON"


class _NotANumber(ValueError):
    """JSON has no such number."""


def _refuse_constant(_: str) -> NoReturn:
    raise _NotANumber


def _json_words(error: json.JSONDecodeError) -> str:
    if not error.doc.strip():
        return "the file is empty"
    if error.pos >= len(error.doc.rstrip()) or error.msg.startswith("Unterminated string"):
        return "the file ends too early"
    if error.msg == "Extra data":
        return "something follows after the end of the JSON value"
    return error.msg[:1].lower() + error.msg[1:]


def zone_of(name: str) -> ZoneInfo:
    """The time zone of --timezone."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        stop("--timezone: is not a time zone; write it like Europe/Berlin")


def moment_of(text: str, zone: tzinfo) -> datetime:
    """The moment of --as-of."""
    moment = parse_moment(text, zone)
    if moment is None or not moment.is_one_day or not can_be_now(moment.earliest):
        stop("--as-of: is a date (2026-11-01) or an instant with its offset (2026-11-01T08:00:00Z)")
    return moment.earliest


def restricted(text: str) -> frozenset[tuple[str, str]]:
    """The security labels of --restricted-labels, as (system, code)."""
    try:
        return labels_of(text)
    except ValueError as error:
        stop(f"--restricted-labels: {error}")

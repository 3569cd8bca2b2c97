"""`trialcards audit` and `trialcards purge`: the audit trail, and the end of what is kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, TypeVar

import msgspec
import typer

from app.commands.ending import stop
from app.errors import Unusable
from app.login.sessions import Sessions
from app.oauth.pending import Pending
from app.routes.parameters import moment_of
from app.settings import Settings, SettingsError, read_settings
from app.storage.attestations import Answers
from app.storage.audit import Audit, Entry, Question, audit_bundle
from app.storage.database import RecordsUnavailable
from app.storage.records import Records, Shown
from app.storage.signing import Keys
from app.worklist.records import Worklist

T = TypeVar("T")

Demo = Annotated[bool, typer.Option("--demo", help="Look into the demo's records under var/.")]
Patient = Annotated[str | None, typer.Option("--patient", help="A patient's id, as the EHR names it; needs --ehr.")]
EhrName = Annotated[str | None, typer.Option("--ehr", help="Name of the EHR in the file of trusted EHRs.")]
Tenant = Annotated[str, typer.Option("--tenant", help="Tenant within the EHR, where its tokens name one.")]


def audit_command(
    patient: Patient = None,
    ehr: EhrName = None,
    tenant: Tenant = "",
    since: Annotated[str | None, typer.Option("--from", help="First day (UTC), or an instant with offset.")] = None,
    until: Annotated[str | None, typer.Option("--to", help="Day or instant before which the trail ends.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object for each call.")] = False,
    as_fhir: Annotated[bool, typer.Option("--fhir", help="Print a FHIR Bundle of AuditEvents.")] = False,
    demo: Demo = False,
) -> None:
    """Say who asked, when, about which patient, which definitions answered, and what was shown.

    Prints one line for each call, its columns apart by tabs. Patients and users stand in the trail as keyed hashes; a
    patient is looked up under every listed secret. Reads the database of TRIALCARDS_DATABASE_URL. Exit status 0 when
    the trail was read, also when it is empty.
    """
    settings = _settings(demo)
    _needs_ehr(patient, ehr)
    question = Question(patient, ehr, tenant, _moment(since, "--from", settings), _moment(until, "--to", settings))
    entries = _run(audited(settings, question))
    if as_fhir:
        typer.echo(msgspec.json.encode(audit_bundle(entries)).decode())
    elif as_json:
        for entry in entries:
            typer.echo(msgspec.json.encode(entry.as_json()).decode())
    else:
        _print(entries)


def purge_command(
    older_than: Annotated[
        int | None, typer.Option("--older-than", min=1, help="Days to keep. Default: TRIALCARDS_AUDIT_DAYS.")
    ] = None,
    patient: Patient = None,
    ehr: EhrName = None,
    tenant: Tenant = "",
    demo: Demo = False,
) -> None:
    """Delete what has reached its end; with --patient, what is kept of one patient.

    Without --patient: used tokens, logins and launches that are over, expired facts, dismissals and answers, and the
    audit trail, cards, feedback and rows of the worklist older than the days given. With --patient: the facts behind
    the cards, the dismissals, the comments, the answers and the rows of the worklist of this patient; the audit trail
    stays, and names the patient by a keyed hash only.
    """
    settings = _settings(demo)
    _needs_ehr(patient, ehr)
    if patient is not None and ehr is not None:
        count = _run(forgotten(settings, Shown(ehr, tenant, patient, "")))
        typer.echo(f"{count} reports of this patient deleted")
    else:
        count = _run(purged(settings, timedelta(older_than or settings.audit_days)))
        typer.echo(f"{count} calls deleted from the audit trail")


def _print(entries: list[Entry]) -> None:
    typer.echo("when\twhat\tEHR\tpatient\tuser\toutcome\tshown")
    for entry in entries:
        shown = ", ".join(f"{card['trial']} {card['verdict']}" for card in entry.cards)
        when = entry.at.isoformat(timespec="seconds")
        columns = (when, entry.action, entry.ehr, entry.patient[:12], entry.user[:12], entry.outcome, shown)
        typer.echo("\t".join(columns))


def _needs_ehr(patient: str | None, ehr: str | None) -> None:
    if patient is not None and ehr is None:
        stop("--ehr: is needed with --patient; a patient is known only within an EHR")


def _settings(demo: bool) -> Settings:
    try:
        return read_settings("demo" if demo else "production")
    except SettingsError as error:
        stop(*error.problems)


def _moment(text: str | None, name: str, settings: Settings) -> datetime | None:
    try:
        return None if text is None else moment_of(text, settings.zone, name)
    except Unusable as error:
        stop(error.detail)


def _run(work: Coroutine[Any, Any, T]) -> T:
    try:
        return asyncio.run(work)
    except RecordsUnavailable:
        stop("TRIALCARDS_DATABASE_URL: the database cannot be reached")


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Records]:
    """The records of these settings. RecordsUnavailable when the database is gone."""
    retention, snooze = timedelta(settings.retention_days), timedelta(settings.snooze_days)
    records = Records(settings.database_url, Keys(settings.secret_key), retention, snooze)
    try:
        await records.prepare()
        yield records
    finally:
        await records.close()


async def audited(settings: Settings, question: Question) -> list[Entry]:
    async with opened(settings) as records:
        return await Audit(records).entries(question)


async def purged(settings: Settings, keep: timedelta) -> int:
    """How many calls were deleted from the trail; what has reached its own end goes too."""
    now = datetime.now(UTC)
    async with opened(settings) as records:
        await records.purge(now)
        await answers_of(records, settings).purge(now)
        await worklist_of(records, settings).purge(now, keep)
        await Sessions(records, Keys(settings.secret_key)).purge(now)
        await Pending(records, Keys(settings.secret_key)).purge(now)
        return await Audit(records).purge(now, keep)


def answers_of(records: Records, settings: Settings) -> Answers:
    return Answers(records, Keys(settings.secret_key), timedelta(settings.retention_days))


async def forgotten(settings: Settings, whose: Shown) -> int:
    """How many reports of this patient were deleted."""
    async with opened(settings) as records:
        await answers_of(records, settings).forget(whose)
        await worklist_of(records, settings).forget(whose)
        return await Audit(records).forget(whose)


def worklist_of(records: Records, settings: Settings) -> Worklist:
    return Worklist(records, Keys(settings.secret_key), timedelta(settings.retention_days))

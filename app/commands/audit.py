"""`trialcards audit` and `trialcards purge`: the audit trail, and the end of what is kept."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec
import typer

from app.commands.arguments import check_known
from app.commands.ending import stop
from app.commands.site import Demo, entries_of, run, settings_of
from app.errors import Unusable
from app.login.sessions import Sessions
from app.oauth.pending import Pending
from app.routes.parameters import moment_of
from app.settings import Settings
from app.storage.attestations import Answers
from app.storage.audit import Audit, Entry, Question, audit_bundle
from app.storage.records import Records, Shown
from app.storage.signing import Keys
from app.worklist.records import Worklist
from cds_hooks.words.wording import counted

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

    Prints one line for each call, its columns apart by tabs. Patients and users are in the trail as keyed hashes; a
    patient is looked up under every listed secret. Reads the database of TRIALCARDS_DATABASE_URL.

    Exit status 0 when the trail was read, 1 when it has no line about this patient at all, 2 when something about the
    call or the database is not usable, such as an EHR that is not known.
    """
    settings = settings_of("demo" if demo else "production")
    patient = _patient_id(patient, ehr)
    question = Question(patient, ehr, tenant, _moment(since, "--from", settings), _moment(until, "--to", settings))
    if ehr is not None:
        run(_check_ehr(settings, ehr, tenant))
    entries = run(audited(settings, question))
    if patient and ehr and not entries:
        count = run(_lines_about(settings, Shown(ehr, tenant, patient, "")))
        if not count:
            stop(f"--patient: the audit trail has no line about a patient of this id in {ehr}{_SECRETS}", code=1)
        typer.echo(f"None of the {counted(count, 'line')} about this patient is of this time.", err=True)
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

    Exit status 0 when it was deleted, also where nothing was left to delete of a patient whom the audit trail names; 1
    when nothing is known of this patient, 2 when something about the call or the database is not usable.
    """
    settings = settings_of("demo" if demo else "production")
    patient = _patient_id(patient, ehr)
    if ehr is not None:
        run(_check_ehr(settings, ehr, tenant))
    if patient is None:
        if ehr is not None:
            stop("--ehr: is for --patient; without one the purge is of every EHR")
        count = run(purged(settings, timedelta(older_than or settings.audit_days)))
        typer.echo(f"{counted(count, 'call')} deleted from the audit trail")
        return
    assert ehr is not None
    if older_than is not None:
        stop("--older-than: is not for --patient, of whom everything is deleted")
    erased = run(forgotten(settings, Shown(ehr, tenant, patient, "")))
    if not erased.anything and not erased.audited:
        stop(f"--patient: nothing is known of a patient of this id in {ehr}{_SECRETS}; nothing was deleted", code=1)
    typer.echo(erased.words)


@dataclass(frozen=True, slots=True)
class Erased:
    """What was deleted of one patient, and how many lines of the audit trail stay."""

    reports: int
    answers: int
    rows: int
    dismissals: int
    comments: int
    audited: int

    @property
    def anything(self) -> bool:
        return any((self.reports, self.answers, self.rows, self.dismissals, self.comments))

    @property
    def words(self) -> str:
        """Says what was deleted, in one line."""
        kinds = {
            "report": self.reports,
            "answer": self.answers,
            "worklist row": self.rows,
            "dismissal": self.dismissals,
            "comment": self.comments,
        }
        deleted = ", ".join(counted(count, kind) for kind, count in kinds.items())
        lines = counted(self.audited, "line")
        return f"Deleted of this patient: {deleted}. The audit trail keeps {lines}, under a keyed hash."


_SECRETS = " (looked up under every secret of TRIALCARDS_SECRET_KEY; --tenant belongs to it where the EHR has tenants)"
_ID = re.compile(r"[^\s/]+")


def _patient_id(given: str | None, ehr: str | None) -> str | None:
    """The id of --patient, also where it was given as a reference."""
    if given is None:
        return None
    if ehr is None:
        stop("--ehr: is needed with --patient; a patient is known only within an EHR")
    found = given.strip().removeprefix("Patient/")
    if not _ID.fullmatch(found):
        stop("--patient: is the id of a Patient resource, like 123 or Patient/123, without an address")
    return found


async def _check_ehr(settings: Settings, name: str, tenant: str) -> None:
    """Stop where the EHR is not in the file, unless the records name it: then the file had it before."""
    entries = {entry.name: entry for entry in entries_of(settings)}
    if name in entries:
        if tenant and (listed := entries[name].tenants):
            check_known("--tenant", [tenant], listed, "is not a tenant of this EHR")
        return
    async with opened(settings) as records:
        recorded = await Audit(records).ehrs()
    check_known("--ehr", [name], {*entries, *recorded}, "is not an EHR of the file or of the records")


def _print(entries: list[Entry]) -> None:
    typer.echo("when\twhat\tEHR\tpatient\tuser\toutcome\tshown")
    for entry in entries:
        shown = ", ".join(f"{card['trial']} {card['verdict']}" for card in entry.cards)
        if entry.rows is not None:
            shown = f"{counted(entry.rows, 'row')}: {', '.join(entry.definitions)}"
        when = entry.at.isoformat(timespec="seconds")
        columns = (when, entry.action, entry.ehr, entry.patient[:12], entry.user[:12], entry.outcome, shown)
        typer.echo("\t".join(columns))


def _moment(text: str | None, name: str, settings: Settings) -> datetime | None:
    try:
        return None if text is None else moment_of(text, settings.zone, name)
    except Unusable as error:
        stop(error.detail)


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


async def _lines_about(settings: Settings, whose: Shown) -> int:
    async with opened(settings) as records:
        return await Audit(records).lines_about(whose)


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


async def forgotten(settings: Settings, whose: Shown) -> Erased:
    """What was deleted of this patient."""
    async with opened(settings) as records:
        answers = await answers_of(records, settings).forget(whose)
        rows = await worklist_of(records, settings).forget(whose)
        facts = await Audit(records).forget(whose)
        audited = await Audit(records).lines_about(whose)
        return Erased(facts.reports, answers, rows, facts.dismissals, facts.comments, audited)


def worklist_of(records: Records, settings: Settings) -> Worklist:
    return Worklist(records, Keys(settings.secret_key), timedelta(settings.retention_days))

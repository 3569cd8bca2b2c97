"""`trialcards worklist digest`: what came onto the coordinator's list since a day."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Annotated

import typer

from app.commands.audit import opened, worklist_of
from app.commands.definitions import definitions_of
from app.commands.ending import stop
from app.commands.site import run, settings_of
from app.errors import Unusable
from app.outbound import Outbound
from app.people import OPERATOR
from app.routes.parameters import moment_of
from app.settings import Settings
from app.site_profile import SiteProfileError, profile_of
from app.storage.audit import Audit
from app.storage.signing import Keys
from app.worklist.records import Filter, Row
from app.worklist.sentences import disease_of, next_step, person_words, title_of
from app.worklist.webhook import WebhookFailed, counts_of, send
from cds_hooks.words.wording import counted
from trial_defs.definition.expressions import Trial
from trial_defs.engine.findings import Verdict


def digest_command(
    since: Annotated[str, typer.Option("--since", help="A day, or an instant with offset: what is new from then on.")],
    demo: Annotated[bool, typer.Option("--demo", help="Look into the demo's records under var/.")] = False,
    sends: Annotated[
        bool, typer.Option("--send", help="Send the counts, without a patient, to the [webhook] of TRIALCARDS_SITE.")
    ] = False,
    shows_key: Annotated[
        bool, typer.Option("--show-key", help="Print the key with which the webhook's receiver checks a signature.")
    ] = False,
) -> None:
    """List the open rows that came onto the worklist since a day: by trial, best first, with what to do next.

    Prints patients' ids; the audit trail says that they were read. With --send it prints none and sends counts and the
    address of the worklist to the site's webhook, signed (docs/operations.md, "Webhook"). Exit status 0, also when
    nothing is new; 1 when the webhook did not take the counts.
    """
    settings = settings_of("demo" if demo else "production")
    if shows_key:
        typer.echo(Keys(settings.secret_key).webhook_key)
        return
    try:
        start = moment_of(since, settings.zone, "--since")
    except Unusable as error:
        stop(error.detail)
    trials = definitions_of(settings).trials
    if sends:
        _send(settings, start, since)
        return
    rows = run(_new_rows(settings, start, "worklist-export"))
    for line in digest_lines(rows, trials, since, datetime.now(UTC).astimezone(settings.zone).date()):
        typer.echo(line)


def _send(settings: Settings, start: datetime, since: str) -> None:
    """Send the counts to the site's webhook; stops where there is none, or it does not take them."""
    try:
        profile = profile_of(settings)
    except SiteProfileError as error:
        stop(*error.problems)
    if profile.file.webhook is None:
        stop("--send: the profile of TRIALCARDS_SITE has no [webhook]")
    if settings.public_url is None:
        stop("TRIALCARDS_PUBLIC_URL: is needed for the address of the worklist")
    rows = run(_new_rows(settings, start, "worklist-webhook"))
    body = counts_of(rows, since, profile.file.name, settings.public_url.rstrip("/"))
    try:
        run(_post(profile.file.webhook.url, body, settings))
    except WebhookFailed as error:
        stop(f"--send: {error}; nothing else was done, and the same command sends again", code=1)
    typer.echo(f"Sent: {counted(len(rows), 'row')} since {since}.")


async def _post(url: str, body: bytes, settings: Settings) -> None:
    outbound = Outbound()
    try:
        # An address of the site's own, in its own profile: it may be inside the hospital.
        client = outbound.to(private_network=True)
        await send(client, url, body, Keys(settings.secret_key), int(datetime.now(UTC).timestamp()))
    finally:
        await outbound.close()


async def _new_rows(settings: Settings, start: datetime, action: str) -> Sequence[Row]:
    async with opened(settings) as records:
        worklist = worklist_of(records, settings)
        rows = [row for row in await worklist.every(Filter()) if row.first_seen >= start and row.patient_id is not None]
        await Audit(records).note_list(action, OPERATOR.subject, worklist.listed(rows), datetime.now(UTC))
        return rows


def digest_lines(rows: Sequence[Row], trials: Mapping[str, Trial], since: str, today: date) -> Iterator[str]:
    """The digest as text: a head, and for each trial its new rows, best first."""
    patients = len({(row.ehr, row.tenant, row.patient_id) for row in rows})
    yield f"New since {since}: {counted(len(rows), 'row')}, {counted(patients, 'patient')}."
    by_trial: dict[str, list[Row]] = {}
    for row in rows:
        by_trial.setdefault(row.trial, []).append(row)
    for trial, found in sorted(by_trial.items()):
        yield f"{title_of(trial, trials)} ({trial}): {len(found)}"
        for row in found:
            who = ", ".join((str(row.patient_id), *person_words(row, today), disease_of(row, trials)))
            yield f"  {who}: {Verdict(row.verdict).label}. {next_step(row, today)}"

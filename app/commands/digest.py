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
from app.people import OPERATOR
from app.routes.parameters import moment_of
from app.settings import Settings
from app.storage.audit import Audit
from app.worklist.records import Filter, Row
from app.worklist.sentences import disease_of, next_step, person_words, title_of
from cds_hooks.words.wording import counted
from trial_defs.definition.expressions import Trial
from trial_defs.engine.findings import Verdict


def digest_command(
    since: Annotated[str, typer.Option("--since", help="A day, or an instant with offset: what is new from then on.")],
    demo: Annotated[bool, typer.Option("--demo", help="Look into the demo's records under var/.")] = False,
) -> None:
    """List the open rows that came onto the worklist since a day: by trial, best first, with what to do next.

    Prints patients' ids; the audit trail says that they were read. Exit status 0, also when nothing is new.
    """
    settings = settings_of("demo" if demo else "production")
    try:
        start = moment_of(since, settings.zone, "--since")
    except Unusable as error:
        stop(error.detail)
    trials = definitions_of(settings).trials
    rows = run(_new_rows(settings, start))
    for line in digest_lines(rows, trials, since, datetime.now(UTC).astimezone(settings.zone).date()):
        typer.echo(line)


async def _new_rows(settings: Settings, start: datetime) -> Sequence[Row]:
    async with opened(settings) as records:
        worklist = worklist_of(records, settings)
        rows = [row for row in await worklist.every(Filter()) if row.first_seen >= start and row.patient_id is not None]
        await Audit(records).note_list("worklist-export", OPERATOR.subject, worklist.listed(rows), datetime.now(UTC))
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

"""The tables of the worklist: a row for each patient and trial, and what happened to it.

A patient is looked up by a keyed hash; the id that a coordinator needs, notes and findings are encrypted.
"""

from __future__ import annotations

from datetime import date, datetime

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from app.storage.tables import instant


class WorklistRow(SQLModel, table=True):
    """One patient and one trial, as the chart was last read."""

    __tablename__ = "worklist_row"
    __table_args__ = (sa.UniqueConstraint("patient", "trial", name="worklist_row_once"),)

    id: str = Field(primary_key=True)
    ehr: str
    tenant: str
    patient: str = Field(index=True)  # keyed hash, within its EHR and tenant
    patient_id: bytes  # as the EHR names it, encrypted
    trial: str = Field(index=True)
    verdict: str
    rank: int  # of the verdict, best first
    cohort: str  # the best
    not_met: int
    unknown: int
    needs_human: int
    recheck_on: date | None
    definition_version: int
    definition_hash: str
    said: str  # as IssuedCard has it: a status may set the card aside
    findings: bytes | None  # what is not settled, encrypted; None where it is kept no longer
    report: str  # id of the newest report behind cards; empty where none was kept
    source: str  # hook or screen
    first_seen: datetime = instant()
    last_seen: datetime = instant(index=True)
    left: str  # why it is no longer on the list; empty while it is
    status: str
    changed_at: datetime = instant()  # when a person last changed something
    person: bytes | None  # age and sex, encrypted
    owner: str | None  # who works on it
    due_on: date | None  # until when


class WorklistEvent(SQLModel, table=True):
    """Something that happened to a row: a person's word, or the chart's."""

    __tablename__ = "worklist_event"

    id: int | None = Field(default=None, primary_key=True)
    row: str = Field(index=True)
    at: datetime = instant()
    kind: str  # status, note, answer, or list: it left, or came back
    said: str  # the new status, or why it left; empty where it came back
    note: bytes | None  # encrypted
    person: str  # who; empty where it was the chart
    subject: str

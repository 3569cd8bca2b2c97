"""The tables of what is kept: cards that were shown, reports, feedback, used tokens, definition texts, audited calls.

Patients and users are in them as keyed hashes only; what holds clinical facts is encrypted and has an end date.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Field, SQLModel


def instant(**more: Any) -> Any:
    """A column that keeps an instant with its offset."""
    return Field(sa_type=sa.DateTime(timezone=True), **more)


def in_utc(moment: datetime) -> datetime:
    """An instant as it was stored. SQLite keeps no offset: what comes from it is in UTC."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


class IssuedCard(SQLModel, table=True):
    """A card that was shown: what it said, on which definition, to whom (hashed)."""

    __tablename__ = "issued_card"

    id: str = Field(primary_key=True)  # the card's uuid
    report: str = Field(index=True)
    ehr: str
    tenant: str
    patient: str = Field(index=True)  # keyed hash
    user: str  # keyed hash
    service: str
    trial: str = Field(index=True)
    definition_version: int
    definition_hash: str
    verdict: str
    said: str  # verdict and open criteria: what must change before an overridden card comes back
    evidence: str  # JSON list of references ("Observation/abc"), encrypted, in Base64
    shown_at: datetime = instant()


class KeptReport(SQLModel, table=True):
    """The report behind the cards of one call, encrypted, until it expires."""

    __tablename__ = "kept_report"

    id: str = Field(primary_key=True)
    sealed: bytes
    expires_at: datetime = instant(index=True)


class KeptFeedback(SQLModel, table=True):
    """One act of a clinician on one card, once however often it was sent."""

    __tablename__ = "feedback"

    id: str = Field(primary_key=True)  # issuer, service, card, outcome, suggestions and time, hashed
    ehr: str
    tenant: str
    service: str
    card: str = Field(index=True)  # as we named it; a keyed hash of what else was sent
    trial: str | None = Field(default=None, index=True)  # None: no card of ours, or another EHR's
    outcome: str
    reason: str | None
    comment: bytes | None  # encrypted
    suggestions: str  # JSON list of the accepted suggestions' ids, likewise
    happened_at: datetime = instant()
    received_at: datetime = instant()


class Dismissal(SQLModel, table=True):
    """A trial that is not to be shown again for a patient until something changes."""

    __tablename__ = "dismissal"

    id: str = Field(primary_key=True)  # the feedback's id
    ehr: str
    tenant: str
    patient: str = Field(index=True)  # keyed hash
    trial: str
    said: str  # see IssuedCard
    user: str | None  # keyed hash; None: holds for all users
    until: datetime = instant(index=True)


class UsedToken(SQLModel, table=True):
    """A token identifier that was already used, until the token expires. Written and read by `used_tokens.py`."""

    __tablename__ = "used_token"

    id: str = Field(primary_key=True)  # issuer and jti, hashed
    expires_at: datetime = instant(index=True)
    call: str | None = None  # keyed hash of the address and body that it was used for
    free_from: datetime | None = instant(default=None)  # when the same call may use it again; None: never


class DefinitionText(SQLModel, table=True):
    """The text of a trial's definition, or of all concepts, that an answer was given with. Nothing of a patient."""

    __tablename__ = "definition_text"

    hash: str = Field(primary_key=True)  # as reports name it
    content: bytes  # compressed
    first_used_at: datetime = instant()
    trial: str | None = Field(default=None, index=True)  # None: it is the text of all concepts
    version: int | None


class CallRow(SQLModel, table=True):
    """One call about one patient, whatever came of it. Written and read by `audit.py`."""

    __tablename__ = "audited_call"

    id: str = Field(primary_key=True)
    at: datetime = instant(index=True)
    action: str  # the hook service's id, "match", "launch", "read" where a kept report was opened, or "worklist..."
    ehr: str
    tenant: str
    patient: str = Field(index=True)  # keyed hash
    user: str  # keyed hash; empty where nobody was named
    outcome: str
    report: str  # id of the report behind the cards; empty without cards
    definitions: str  # JSON object: trial -> version and hash of the definition that answered
    shown_list: str | None = Field(default=None, index=True)  # the rows of a list that was shown; then no patient here


class ShownList(SQLModel, table=True):
    """A set of rows of the worklist that somebody was shown, once however often. Written by `shown_lists.py`."""

    __tablename__ = "shown_list"

    id: str = Field(primary_key=True)  # hash of the numbers
    numbers: bytes  # of the rows, compressed


class ListedRow(SQLModel, table=True):
    """A row that stood on a list: what its number means, as long as a list has it."""

    __tablename__ = "listed_row"
    __table_args__ = (sa.UniqueConstraint("patient", "trial", name="listed_row_once"),)

    number: int | None = Field(default=None, primary_key=True)
    ehr: str
    tenant: str
    patient: str  # keyed hash
    trial: str

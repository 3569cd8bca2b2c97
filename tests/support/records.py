"""What tests of records share with others."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import make_url
from sqlmodel import SQLModel

from app.ehrs import Caller, demo_ehr
from app.storage.database import url_of
from app.storage.records import NewCard, Records, Shown
from app.storage.signing import Keys
from app.storage.used_tokens import PresentedToken, UsedTokens
from cds_hooks.protocol.models import Feedback, OverrideReason
from tests.app.conftest import NOW, SECRET

CALLER = Caller(demo_ehr(None, "UTC"))

ANNA = Shown("demo", "", "canary-patient", "Practitioner/canary-user")

COLLEAGUE = Shown("demo", "", "canary-patient", "Practitioner/other")

SERVICE = "trial-match-patient-view"

CARD = NewCard("card-1", "NCT1", 1, "sha256:1", "possibly-eligible", '{"said":1}', ("Observation/1",))


def rows_of(database: str, table: str) -> list[object]:
    engine = sa.create_engine(url_of(database))
    with engine.connect() as connection:
        found: list[object] = list(connection.exec_driver_sql(f"SELECT * FROM {table}").all())
    engine.dispose()
    return found


def everything_in(database: str) -> bytes:
    """Every byte of the SQLite files; of PostgreSQL, every row as text."""
    path = make_url(database).database
    if database.startswith("sqlite") and path:
        return b"".join(file.read_bytes() for file in Path(path).parent.glob(Path(path).name + "*"))
    rows = [rows_of(database, table) for table in SQLModel.metadata.tables]
    return repr(rows).encode()


async def used(records: Records, jti: str = "jti") -> bool:
    """Use a token for a call; whether it may be."""
    tokens = UsedTokens(records, Keys((SECRET,)), timedelta(seconds=5), lambda: NOW)
    return await tokens.take(PresentedToken("issuer", jti, NOW), "/path", b"body")


async def show(records: Records, card: NewCard = CARD, shown: Shown = ANNA) -> None:
    await records.keep(shown, SERVICE, f"report-of-{card.id}", b'{"canary": "facts"}', [card], NOW)


def overridden(reason: str | None = None, card: str = "card-1", at: datetime = NOW) -> Feedback:
    return Feedback(card, "overridden", at, reason=OverrideReason(reason, comment="canary comment") if reason else None)

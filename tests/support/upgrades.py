"""What tests of upgrades share with others."""

from __future__ import annotations

import base64
import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from app.definitions.served import Definitions
from app.storage.database import doing
from app.storage.tables import Dismissal, IssuedCard, KeptFeedback, KeptReport
from app.wiring import Services
from tests.app.conftest import NOW, demo_settings, services_with

Json = dict[str, Any]

STORED = Path(__file__).parents[1] / "app" / "rows_of_aa6019f.json"

TABLES = {"issued_card": IssuedCard, "kept_report": KeptReport, "feedback": KeptFeedback, "dismissal": Dismissal}


def stored() -> Json:
    content: Json = json.loads(STORED.read_text())
    return content


async def upgraded(folder: Path, definitions: Definitions) -> Services:
    """The service of today on the rows of that commit, a day later."""
    services = services_with(demo_settings(folder, max_cards=9), definitions)
    services.clock = lambda: NOW + timedelta(1)
    await services.records.prepare(30)
    for name, rows in stored()["rows"].items():
        table = TABLES[name]
        values = [{key: _value(table, key, value) for key, value in row.items()} for row in rows]
        await services.records.write(doing(sa.insert(table), values))
    return services


def _value(table: Any, column: str, value: Any) -> Any:
    kind = table.__table__.c[column].type
    if isinstance(kind, sa.LargeBinary) and value is not None:
        return base64.b64decode(value)
    return datetime.fromisoformat(value).astimezone() if isinstance(kind, sa.DateTime) and value else value

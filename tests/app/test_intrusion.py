"""What somebody tries at the launch, the login and the worklist who does not belong there, or is careless."""

from __future__ import annotations

import httpx
import pytest
import sqlalchemy as sa

from app.wiring import Services
from tests.app.test_records import rows_of
from tests.app.test_worklist import opened, row_of

# -- the audit trail


@pytest.mark.parametrize(("what", "sent"), [("status", {"status": "declined"}), ("notes", {"note": "Called today."})])
async def test_nothing_on_the_worklist_changes_that_the_audit_trail_cannot_say(
    client: httpx.AsyncClient, services: Services, what: str, sent: dict[str, str]
) -> None:
    await opened(client)
    row = await row_of(client)
    async with services.records.transaction() as connection:
        await connection.execute(sa.text("ALTER TABLE audited_call RENAME TO elsewhere"))
    assert (await client.post(f"{row}/{what}", data=sent)).status_code == 503
    url = services.settings.database_url
    assert not [kept for kept in await rows_of(url, "worklist_row") if "declined" in repr(kept)]
    assert not await rows_of(url, "worklist_event")
    assert not await rows_of(url, "dismissal")

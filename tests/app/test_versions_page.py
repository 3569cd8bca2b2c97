"""A trial's page shows what its versions changed, and says which of them it cannot show."""

from __future__ import annotations

from pathlib import Path

import httpx

from app.definitions import Definitions
from tests.app.conftest import demo_settings, services_with, serving
from tests.app.test_replay import write_trial
from trial_defs.history import history_folder, keep_version


async def test_a_changed_limit_stands_on_the_page_with_its_criterion(tmp_path: Path) -> None:
    folder = tmp_path / "trials"
    write_trial(folder, 1, 50)
    history = history_folder(folder)
    keep_version(history, "DEMO-PLATELETS", 1, (folder / "DEMO-PLATELETS.yaml").read_bytes())
    write_trial(folder, 3, 25)
    settings = demo_settings(tmp_path, trials=folder)
    async with serving(services_with(settings, Definitions(None, folder))) as client:
        page = (await client.get("/trials/DEMO-PLATELETS")).text
        assert "Version 3 against version 1" in page
        assert "Platelets – limit: at least 50 × 10⁹/L, now at least 25 × 10⁹/L" in page
        assert "The text of version 2 is not at hand" in page
        write_trial(folder, 2, 30)
        keep_version(history, "DEMO-PLATELETS", 2, (folder / "DEMO-PLATELETS.yaml").read_bytes())
        page = (await client.get("/trials/DEMO-PLATELETS")).text
        assert "now at least 25 × 10⁹/L" in page
        assert "Platelets – limit: at least 50 × 10⁹/L, now at least 30 × 10⁹/L" in page
        assert "not at hand" not in page


async def test_a_first_version_has_nothing_to_be_held_against(client: httpx.AsyncClient) -> None:
    page = await client.get("/trials/CNCT19-AID")
    assert page.status_code == 200
    assert "what changed between them" not in page.text

"""A trial's page shows what its versions changed, and says which of them it cannot show."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import httpx

from app.definitions.served import Definitions
from app.main import create_app
from app.wiring import Services
from tests.app.conftest import NOW, demo_settings, services_with, serving
from tests.support.cds import SERVICE, call
from tests.support.replay import write_trial
from trial_defs.definition.history import history_folder, keep_version


async def test_a_changed_limit_stands_on_the_page_with_its_criterion(tmp_path: Path) -> None:
    folder = tmp_path / "trials"
    write_trial(folder, 1, 50)
    history = history_folder(folder)
    keep_version(history, "DEMO-PLATELETS", 1, (folder / "DEMO-PLATELETS.yaml").read_bytes())
    write_trial(folder, 3, 25)
    settings = demo_settings(tmp_path, trials=folder)
    async with serving(services_with(settings, Definitions(None, folder))) as client:
        page = (await client.get("/trials/DEMO-PLATELETS")).text
        assert "what changed between them" in page
        assert "Version 3 against version 1" in page
        assert "Platelets – limit: at least 50 × 10⁹/L, now at least 25 × 10⁹/L" in page
        assert "The text of version 2 is not at hand" in page
        write_trial(folder, 2, 30)
        keep_version(history, "DEMO-PLATELETS", 2, (folder / "DEMO-PLATELETS.yaml").read_bytes())
        page = (await client.get("/trials/DEMO-PLATELETS")).text
        assert "now at least 25 × 10⁹/L" in page
        assert "Platelets – limit: at least 50 × 10⁹/L, now at least 30 × 10⁹/L" in page
        assert "not at hand" not in page


async def test_a_first_version_has_nothing_to_be_held_against(tmp_path: Path) -> None:
    folder = tmp_path / "trials"
    write_trial(folder, 1, 50)
    async with serving(services_with(demo_settings(tmp_path, trials=folder), Definitions(None, folder))) as client:
        page = await client.get("/trials/DEMO-PLATELETS")
        assert page.status_code == 200
        assert "what changed between them" not in page.text


async def test_a_text_that_an_answer_was_given_with_stands_in_for_one_that_was_not_kept_beside_the_folder(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "trials"
    write_trial(folder, 1, 50)
    services = services_with(demo_settings(tmp_path, trials=folder), Definitions(None, folder))
    async with serving(services) as client:
        assert (await client.post(SERVICE, json=call())).json()["cards"]
        write_trial(folder, 2, 25)
        assert await services.definitions.reload_if_changed()
        page = (await client.get("/trials/DEMO-PLATELETS")).text
        assert "Platelets – limit: at least 50 × 10⁹/L, now at least 25 × 10⁹/L" in page
    services.records._ready = False
    transport = httpx.ASGITransport(create_app(services))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
        page = (await client.get("/trials/DEMO-PLATELETS")).text
        assert "The text of version 1 is not at hand" in page


async def test_only_texts_of_definitions_are_known_by_trial_and_version(services: Services) -> None:
    await services.records.prepare()
    texts = {
        "sha256:1": b'[[["a.yaml","aWQ6IFRcbnZlcnNpb246IDE="]]]',
        "sha256:2": b"# a comment\nid: T-1\nversion: 1\ntitle: one\n",
        "sha256:3": b'version: 1\nid: "T-1"\ntitle: reworded\n',
        "sha256:4": b"id: T-1\nversion: 3\n",
    }
    for number, (digest, text) in enumerate(texts.items()):
        await services.records.remember({digest: text}, NOW + timedelta(hours=number))
    assert await services.records.earlier_texts("T-1", 3) == {1: texts["sha256:3"]}
    await services.records.close()

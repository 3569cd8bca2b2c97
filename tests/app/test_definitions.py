"""Definitions change while the service runs; a bad file never takes a good one down."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from app.definitions.served import Definitions
from trial_defs.definition.loader import OUR_TRIALS

OURS = (OUR_TRIALS / "NCT06711146.yaml").read_text(encoding="utf-8")


def written(folder: Path, name: str, version: int, trial: str = "SITE-1") -> Path:
    text = re.sub(r"^id: .*$", f"id: {trial}", OURS, flags=re.M)
    path = folder / name
    path.write_text(re.sub(r"^version: .*$", f"version: {version}", text, flags=re.M), encoding="utf-8")
    return path


@pytest.fixture
def site(tmp_path: Path) -> Path:
    written(tmp_path, "site.yaml", 1)
    return tmp_path


async def test_a_new_and_a_changed_file_are_served_without_a_restart(site: Path) -> None:
    definitions = Definitions(site_trials=site)
    assert definitions.now.trials["SITE-1"].version == 1
    assert not await definitions.reload_if_changed()
    written(site, "site.yaml", 2)
    written(site, "other.yaml", 1, "SITE-2")
    assert await definitions.reload_if_changed()
    assert definitions.now.trials["SITE-1"].version == 2
    assert "SITE-2" in definitions.now.trials


async def test_a_file_that_breaks_leaves_what_was_served_and_is_named(site: Path) -> None:
    definitions = Definitions(site_trials=site)
    before = definitions.now
    path = written(site, "site.yaml", 2)
    path.write_text(path.read_text(encoding="utf-8") + "vaule: 9\n", encoding="utf-8")
    assert await definitions.reload_if_changed()
    assert definitions.now.trials["SITE-1"] is before.trials["SITE-1"]
    assert any("site.yaml" in problem and "vaule" in problem for problem in definitions.now.problems)
    written(site, "site.yaml", 3)
    assert await definitions.reload_if_changed()
    assert definitions.now.trials["SITE-1"].version == 3
    assert definitions.now.problems == ()


async def test_a_site_version_of_our_trial_that_breaks_stays_the_sites(site: Path) -> None:
    written(site, "ours.yaml", 7, "NCT06711146")
    definitions = Definitions(site_trials=site)
    assert definitions.now.trials["NCT06711146"].version == 7
    (site / "ours.yaml").write_text("id: NCT06711146\nversion: 8\n", encoding="utf-8")
    await definitions.reload_if_changed()
    assert definitions.now.trials["NCT06711146"].version == 7


async def test_a_file_that_is_gone_is_not_served_any_more(site: Path) -> None:
    definitions = Definitions(site_trials=site)
    assert "SITE-1" in definitions.now.trials
    (site / "site.yaml").unlink()
    await definitions.reload_if_changed()
    assert "SITE-1" not in definitions.now.trials


async def test_concepts_that_break_leave_those_that_were_served(tmp_path: Path) -> None:
    overlay = tmp_path / "codes.yaml"
    overlay.write_text("platelets:\n  note: of this site\n", encoding="utf-8")
    definitions = Definitions(site_concepts=tmp_path)
    before = definitions.now.catalogue
    overlay.write_text("platelets:\n  colour: red\n", encoding="utf-8")
    assert await definitions.reload_if_changed()
    assert definitions.now.catalogue is before
    assert any("colour" in problem for problem in definitions.now.problems)

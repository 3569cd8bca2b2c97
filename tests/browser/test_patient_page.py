"""The page for patients in a browser: on a telephone, in print, and what axe says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import findings
from tests.patient_pages import APPROVAL, PAGE, TRIAL, write_definition
from tests.server import demo_server
from tests.support.pages import pages_of
from trial_defs.definition.patient_page import LINE, MOST_LINES


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server that serves the invented trials as well."""
    folder = tmp_path_factory.mktemp("patients")
    write_definition(folder / "trials", PAGE)
    # The longest that lint lets pass, in the characters that take most room.
    long = {"approval": {**APPROVAL, "language": "zh-Hans"}, "summary": "字" * (LINE // 2 * (MOST_LINES - 12))}
    write_definition(
        folder / "trials",
        {**long, **{part: ["字" * 40] * 4 for part in ("asks", "risks", "questions_to_ask")}},
        id="DEMO-LONG",
    )
    with demo_server(folder, TRIALCARDS_TRIALS=str(folder / "trials")) as server:
        yield server.base


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_a_telephone_and_nothing_is_wider_than_it(page: Page, scheme: str) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.goto(f"/trials/{TRIAL}/patient")
    expect(page.get_by_role("heading", level=1)).to_have_text("Invented cell therapy study")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert findings(page) == []


@pytest.mark.parametrize("trial", [TRIAL, "DEMO-LONG"])
def test_it_prints_on_one_page(page: Page, trial: str, tmp_path: Path) -> None:
    page.goto(f"/trials/{trial}/patient")
    assert pages_of(page, tmp_path / "page.pdf") == 1


def test_the_trials_page_leads_to_it_and_it_leads_nowhere(page: Page) -> None:
    page.goto(f"/trials/{TRIAL}")
    page.get_by_role("link", name="A page to print and hand over").click()
    expect(page.get_by_role("heading", name="What the study asks of you")).to_be_visible()
    expect(page.get_by_role("link")).to_have_count(0)
    expect(page.get_by_role("navigation")).to_have_count(0)

"""A real browser on a real server. Skipped by name where there is none."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server import demo_server

pytest.importorskip("playwright.sync_api", reason="browser tests need Playwright: pip install playwright")
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
AXE = (Path(__file__).parent / "axe.min.js").read_text("utf-8")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for a file of tests: while Playwright is open, no other test can run an event loop."""
    if CHROMIUM is None:
        pytest.skip("browser tests need a Chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a demo server of its own."""
    with demo_server(tmp_path_factory.mktemp("browser")) as server:
        yield server.base


@pytest.fixture
def page(browser: Browser, base: str) -> Iterator[Page]:
    """A fresh page; the test fails when the browser complained: errors, refused resources, policy violations."""
    context = browser.new_context(base_url=base, viewport={"width": 1280, "height": 900})
    page = context.new_page()
    complaints: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            complaints.append(message.text)

    page.on("console", note)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    context.close()
    assert complaints == []


def findings(page: Page) -> list[str]:
    """What axe objects to on the page as it stands: rule, and where."""
    page.evaluate(AXE)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [f"{each['id']}: {node['html'][:160]}" for each in found["violations"] for node in each["nodes"]]


def explanation_of(page: Page, patient: str, trial: str) -> str:
    """The signed address of the explanation, opened at one trial."""
    page.goto(f"/demo/patients/{patient}")
    link = page.locator("#cards article a", has_text="Full explanation").first
    address = link.get_attribute("href")
    assert address
    given = address.partition("trial=")[2].partition("&")[0]
    return address.replace(f"trial={given}", f"trial={trial}")

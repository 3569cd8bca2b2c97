"""The API page in a real browser: every example runs by *Execute* as it stands, and axe finds nothing."""

from __future__ import annotations

import httpx
import pytest

pytest.importorskip("playwright.sync_api", reason="browser tests need Playwright: pip install playwright")
from playwright.sync_api import Page, expect

from tests.browser.conftest import findings


def opened(page: Page) -> None:
    page.goto("/docs")
    expect(page.locator(".opblock").first).to_be_visible(timeout=30_000)


def test_every_example_runs_by_execute(page: Page, base: str) -> None:
    paths = httpx.get(f"{base}/openapi.json", trust_env=False, timeout=60).json()["paths"]
    opened(page)
    operations = page.locator(".opblock")
    assert operations.count() == sum(map(len, paths.values()))
    for number in range(operations.count()):
        operation = operations.nth(number)
        operation.locator(".opblock-summary-control").click()
        operation.locator("button.execute").click()
        status = operation.locator(".live-responses-table .response-col_status").last
        expect(status).to_have_text("200", timeout=60_000)
        operation.locator(".opblock-summary-control").click()


def test_axe_finds_nothing_on_the_page_as_it_opens(page: Page) -> None:
    opened(page)
    assert findings(page) == []


def test_axe_finds_nothing_on_an_operation_that_was_run(page: Page) -> None:
    opened(page)
    operation = page.locator(".opblock", has_text="/api/v1/trials/{trial_id}").first
    operation.locator(".opblock-summary-control").click()
    operation.locator("button.execute").click()
    expect(operation.locator(".live-responses-table .response-col_status").last).to_have_text("200", timeout=30_000)
    assert findings(page) == []

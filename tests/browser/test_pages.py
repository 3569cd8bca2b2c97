"""Every page for people: what it says, how it looks at three sizes, and that axe finds nothing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import explanation_of, findings
from tests.support.pages import pages_of

TRIAL = "NCT06711146"
PATHS = ("/", "/trials", f"/trials/{TRIAL}", "/trials/unknown", "/demo", "/docs/connect")
SIZES = {"phone": (390, 844), "laptop": (1280, 800)}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(page: Page, path: str, scheme: str) -> None:
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    if path != "/trials/unknown":
        page.goto(path)
        for fold in page.locator("details").all()[:5]:
            fold.locator("summary").first.click()
        assert findings(page) == []


def test_a_trial_reads_like_a_protocol(page: Page) -> None:
    page.goto("/trials")
    page.get_by_role("link", name=re.compile("Meta10-19")).click()
    row = page.get_by_role("row", name=re.compile("Platelets at least 25"))
    expect(row).to_contain_text("Platelets at least 25 × 10⁹/L, newest result, at most 90 days old")
    expect(row).to_contain_text("A near miss up to 10 % beside the limit")
    concept = page.locator("#concept-platelets")
    concept.locator("summary").click()
    expect(concept).to_contain_text("777-3")
    expect(page.locator("#readings")).to_be_visible()


def test_an_explanation_says_first_what_stands_in_the_way(page: Page) -> None:
    page.goto(explanation_of(page, "demo-lupus-near-miss", TRIAL))
    first = page.locator(".group").first
    expect(first.get_by_role("heading")).to_contain_text("Not met")
    expect(first).to_contain_text("Platelets at least 25 × 10⁹/L")
    expect(first).to_contain_text("“24 10*3/uL”")
    expect(first).to_contain_text("1 × 10⁹/L beyond the limit (4 %)")
    drawing = first.get_by_role("img")
    expect(drawing).to_have_attribute(
        "aria-label", re.compile(r"^Platelets from .*: 72, 58, 46, 31, 24 × 10⁹/L.*limit 25$")
    )
    first.get_by_text("How it is computed").click()
    expect(first).to_contain_text("newest result, at most 90 days old")
    assert findings(page) == []


def test_an_explanation_goes_from_trial_to_trial_without_a_new_address(page: Page) -> None:
    page.goto(explanation_of(page, "demo-lupus-near-miss", TRIAL))
    page.get_by_role("navigation", name="Trials of this patient").get_by_role("link").first.click()
    expect(page.locator("[aria-current=page]")).to_have_count(1)
    expect(page.get_by_role("heading", level=3).first).to_be_visible()


def test_two_cohorts_stand_side_by_side(page: Page) -> None:
    page.goto(explanation_of(page, "demo-lupus-two-cohorts", "CNCT19-AID"))
    table = page.get_by_role("table", name=re.compile("^Side by side"))
    expect(table.get_by_role("columnheader")).to_have_count(3)
    expect(table).to_contain_text("not asked")
    assert findings(page) == []


def test_a_near_miss_that_time_resolves_stands_in_the_calendar(page: Page) -> None:
    page.goto(explanation_of(page, "demo-dermatomyositis", "none"))
    calendar = page.get_by_role("region", name="Calendar: what time alone changes")
    expect(calendar.filter(has_text="Check again").first).to_be_visible()


@pytest.mark.parametrize("size", SIZES)
def test_nothing_is_wider_than_the_screen(browser: Browser, base: str, size: str, tmp_path: Path) -> None:
    width, height = SIZES[size]
    context = browser.new_context(base_url=base, viewport={"width": width, "height": height})
    page = context.new_page()
    explanation = explanation_of(page, "demo-lupus-nephritis", "CNCT19-AID")
    for path in (*PATHS, "/demo/patients/demo-lupus-nephritis", explanation):
        page.goto(path)
        page.wait_for_load_state("networkidle")
        page.screenshot(path=tmp_path / f"{size}.png")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
    context.close()


def test_an_explanation_prints_as_a_summary_of_one_page_for_the_screening_file(page: Page, tmp_path: Path) -> None:
    page.goto(explanation_of(page, "demo-lupus-near-miss", TRIAL))
    page.emulate_media(media="print")
    expect(page.locator(".trial-tabs")).to_be_hidden()
    expect(page.locator(".group .evidence").first).to_be_hidden()
    expect(page.locator(".running")).to_have_text(re.compile(r"^Patient/demo-lupus-near-miss · .* · chart read on "))
    expect(page.locator(".run-in", has_text="Taken as absent")).to_contain_text("Transplantation of a major organ")
    assert pages_of(page, tmp_path / "summary.pdf") == 1


def test_every_criterion_prints_with_its_evidence_where_that_is_chosen(page: Page, tmp_path: Path) -> None:
    page.goto(explanation_of(page, "demo-lupus-near-miss", TRIAL))
    page.get_by_role("link", name="Print every criterion with its evidence").click()
    expect(page.get_by_role("link", name="Print the summary")).to_be_visible()
    page.emulate_media(media="print")
    expect(page.locator(".trial-tabs")).to_be_hidden()
    expect(page.locator(".group .evidence").first).to_be_visible()
    assert 3 <= pages_of(page, tmp_path / "report.pdf") <= 15


def test_links_lead_to_the_parts_of_an_explanation(page: Page) -> None:
    page.goto(explanation_of(page, "demo-lupus-near-miss", TRIAL))
    parts = page.get_by_role("navigation", name=re.compile("^Parts of"))
    expect(parts.get_by_role("link")).to_have_text(
        [re.compile("^Not met"), re.compile("^For you"), re.compile("^Taken as absent"), re.compile("^Met")]
    )
    parts.get_by_role("link", name=re.compile("^Met")).click()
    target = page.url.partition("#")[2]
    expect(page.locator(f"[id='{target}']")).to_be_in_viewport()


def test_an_example_of_the_documentation_runs_in_the_browser(page: Page) -> None:
    page.goto("/docs")
    operation = page.locator(".opblock", has_text="Ask for cards: patient-view")
    operation.locator(".opblock-summary-control").click()
    operation.get_by_role("button", name="Execute").click()
    answer = operation.locator(".live-responses-table .response").first
    expect(answer).to_contain_text("200", timeout=20_000)  # a page of this size takes its time to draw
    expect(answer).to_contain_text("eligible")

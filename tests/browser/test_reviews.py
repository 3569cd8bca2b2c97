"""The review of a definition in a real browser: with the keyboard alone, at two sizes, and without any script."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from mappings.concepts.catalogue import load_catalogue
from mappings.concepts.vocabulary import OUR_CONCEPTS, pack_folders
from tests.browser.conftest import findings
from tests.registry_drafts import TRIAL, imported
from tests.server import demo_server

SIZES = {"phone": (390, 844), "laptop": (1366, 768)}
PAGE = f"/definitions/{TRIAL}"


@pytest.fixture
def base(tmp_path: Path) -> Iterator[str]:
    """A demo server with one imported draft."""
    imported(tmp_path / "trials", load_catalogue((OUR_CONCEPTS, *pack_folders(None))))
    with demo_server(tmp_path, TRIALCARDS_TRIALS=str(tmp_path / "trials")) as server:
        yield server.base


def part(page: Page) -> str:
    """The part that has the focus, or in which it is."""
    found = page.evaluate("document.activeElement.closest('[data-part]')?.dataset.part ?? ''")
    assert isinstance(found, str)
    return found


def test_a_definition_is_reviewed_and_signed_with_the_keyboard_alone(page: Page) -> None:
    page.goto(f"{PAGE}#part-gate:main")
    assert part(page) == "gate:main"
    page.keyboard.press("j")
    assert part(page) == "I3.alt"
    lit = page.locator(".source a.lit")
    expect(lit).to_have_text(["ALT <= 3 x ULN"])
    page.keyboard.press("k")
    assert part(page) == "gate:main"
    for _ in range(10):
        page.keyboard.press("a")
        assert page.evaluate("document.activeElement.value") == "accept"
        with page.expect_navigation():
            page.keyboard.press("Enter")
    expect(page.locator(".part[data-part]:not(.signed)")).to_have_count(0)
    expect(page.locator(":focus")).to_have_text("The whole definition")
    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_text("Sign the whole, version 1")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    expect(page.get_by_text("Signed as a whole by Demo coordinator")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the definition").click()
    text = Path(download.value.path()).read_text("utf-8")
    assert 'signed_off: {by: "Demo coordinator"' in text
    assert "# a reviewer's own comment" in text


def test_what_is_wrong_shows_while_it_is_written_and_ctrl_enter_saves(page: Page) -> None:
    page.goto(f"{PAGE}#part-I2.platelets")
    page.keyboard.press("e")
    own = page.locator('[data-part="I2.platelets"]')
    area = own.locator("textarea")
    expect(area).to_be_focused()
    written = area.input_value()
    area.fill(written.replace("of: platelets", "of: platelet"))
    expect(own.locator(".checked .bad")).to_contain_text('"platelet" is not a concept')
    area.fill(written.replace(">= 75", ">= 100"))
    expect(own.locator(".checked")).to_contain_text("99 × 10⁹/L → not met, 100 × 10⁹/L → met, no result → unknown")
    expect(own.locator(".checked .bad")).to_have_count(0)
    page.keyboard.type("s")  # is a letter here, and no key
    page.keyboard.press("Backspace")
    with page.expect_navigation():
        page.keyboard.press("Control+Enter")
    expect(own).to_contain_text("at least 100")
    expect(own).to_contain_text("Corrected by Demo coordinator")
    assert part(page) == "I2.platelets"
    page.keyboard.press("e")
    page.keyboard.press("Escape")
    expect(own).to_be_focused()
    expect(own.locator("textarea")).to_be_hidden()


def test_a_person_decides_and_two_are_joined_by_keyboard(page: Page) -> None:
    page.goto(f"{PAGE}#part-E2.epilepsy")
    page.keyboard.press("p")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    expect(page.locator('[data-part="E2.epilepsy"]')).to_contain_text("Asked of the investigator")
    page.goto(f"{PAGE}?order=text#part-I2.platelets")
    page.keyboard.press("m")
    expect(page.locator('[data-part="I2.platelets"] select[name="other"]')).to_have_value("I3.hemoglobin")
    page.keyboard.press("Escape")
    assert part(page) == "I2.platelets"
    page.locator('[data-part="I2.platelets"]').get_by_role("button", name="Join").press("Enter")
    expect(page.locator('[data-part="I3.hemoglobin"]')).to_have_count(0)
    expect(page.locator('[data-part="I2.platelets"] .how')).to_contain_text("At least one of these")


def test_a_stale_correction_is_shown_with_both_texts(browser: Browser, base: str, page: Page) -> None:
    page.goto(PAGE)
    context = browser.new_context(base_url=base)
    other = context.new_page()
    other.goto(f"{PAGE}#part-I2.platelets")
    page.locator('[data-part="I2.platelets"]').get_by_role("button", name="A person decides").click()
    other.keyboard.press("e")
    mine = other.locator('[data-part="I2.platelets"] textarea').input_value().replace("75", "80")
    other.locator('[data-part="I2.platelets"] textarea').fill(mine)
    other.keyboard.press("Control+Enter")
    expect(other.get_by_role("alert")).to_contain_text("left to a person by Demo coordinator")
    expect(other.get_by_role("alert")).to_be_focused()
    expect(other.locator('[data-part="I2.platelets"] textarea')).to_have_value(mine)
    expect(other.locator('[data-part="I2.platelets"] pre')).to_contain_text("judgement")
    assert findings(other) == []
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(page: Page, scheme: str) -> None:
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    for path in ("/definitions", PAGE, "/definitions/NCT06711146"):
        page.goto(path)
        assert findings(page) == []
    page.goto(f"{PAGE}#part-I2.platelets")
    page.keyboard.press("e")
    assert findings(page) == []


@pytest.mark.parametrize("size", SIZES)
def test_nothing_is_wider_than_the_screen(browser: Browser, base: str, size: str, tmp_path: Path) -> None:
    width, height = SIZES[size]
    context = browser.new_context(base_url=base, viewport={"width": width, "height": height})
    page = context.new_page()
    for path in ("/definitions", f"{PAGE}#part-I3.alt", "/definitions/NCT06680388"):
        page.goto(path)
        page.screenshot(path=tmp_path / f"{size}.png")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
    context.close()


def test_it_works_without_a_script(browser: Browser, base: str) -> None:
    context = browser.new_context(base_url=base, java_script_enabled=False)
    page = context.new_page()
    page.goto(PAGE)
    own = page.locator('[data-part="I2.platelets"]')
    own.get_by_text("Correct", exact=True).click()
    own.locator("textarea").fill("id: I2.platelets\nsource: here\ntext: Any\ninclude: {sex: male}")
    own.get_by_role("button", name="Save").click()
    expect(own).to_contain_text("Sex recorded as male")
    context.close()

"""Takes the pictures of the README from the running demo.

make run                                     in one terminal
.venv/bin/python -m docs.pictures            in another: writes docs/pictures/*.png
.venv/bin/python -m docs.pictures ADDRESS    of a demo elsewhere

Needs Playwright (a development dependency) and a Chromium.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

FOLDER = Path(__file__).parent / "pictures"
LARGEST = 200_000  # bytes of one picture
_PATIENT = "/demo/patients/demo-lupus-near-miss"
_TRIAL = "NCT06711146"


def take(base: str) -> list[Path]:
    """All pictures of the demo at `base`; the files written."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    FOLDER.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium)
        page = browser.new_page(base_url=base, viewport={"width": 1280, "height": 860}, reduced_motion="reduce")
        written = [_demo(page), _card(page), _explanation(page)]
        browser.close()
    return written


def _demo(page: Page) -> Path:
    page.goto(_PATIENT)
    page.locator("#cards article").first.wait_for()
    return _saved(page, "demo")


def _card(page: Page) -> Path:
    """The upper part of a near miss's card: what is not met, what is missing, what is for a person."""
    page.goto("/demo/patients/demo-arthritis-near-miss")
    card = page.locator("#cards article").first
    card.wait_for()
    box = card.bounding_box()
    assert box
    path = FOLDER / "card.png"
    page.screenshot(path=path, full_page=True, clip={**box, "height": min(box["height"], 900)})
    return path


def _explanation(page: Page) -> Path:
    page.goto(_PATIENT)
    link = page.locator("#cards article a", has_text="Full explanation").first
    address = link.get_attribute("href") or ""
    shown = address.partition("trial=")[2].partition("&")[0]
    page.goto(address.replace(f"trial={shown}", f"trial={_TRIAL}"))
    return _saved(page, "explanation")


def _saved(page: Page, name: str) -> Path:
    path = FOLDER / f"{name}.png"
    page.screenshot(path=path)
    return path


def main(arguments: list[str]) -> int:
    written = take(arguments[0] if arguments else "http://127.0.0.1:8000")
    large = [path.name for path in written if path.stat().st_size > LARGEST]
    sys.stderr.writelines(f"{name} is larger than {LARGEST} bytes\n" for name in large)
    return 1 if large else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

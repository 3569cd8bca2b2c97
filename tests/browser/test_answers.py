"""A question that only a person can judge, from the card to the worklist and back; and the sign-off of a definition."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import findings

PATIENT = "demo-lupus-nephritis"
TRIAL, TITLE = "NCT06711146", re.compile("Meta10-19")
QUESTION = "Circulation stable"


def card_of(page: Page) -> Locator:
    """The card of the trial, after the chart was opened."""
    page.goto(f"/demo/patients/{PATIENT}")
    expect(page.locator("#cards article").first).to_be_visible()
    return page.locator("#cards article").filter(has_text=TITLE)


def to_judge(card: Locator) -> int:
    """How many points the card leaves to a person."""
    found = re.search(r"Questions \((\d+) in all\)", card.text_content() or "")
    assert found
    return int(found[1])


def open_row(page: Page) -> None:
    page.goto(f"/worklist?trial={TRIAL}&list=all")
    page.get_by_role("link", name=PATIENT, exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(PATIENT)


def answer(page: Page, outcome: str, words: str) -> None:
    """Answer the question on the page of the row."""
    page.locator("details.answer summary").filter(has_text=QUESTION).click()
    form = page.locator("details.answer[open]")
    form.get_by_label(outcome).check()
    form.get_by_label("What it rests on").fill(words)
    form.get_by_role("button", name="Save answer").click()
    expect(page.get_by_role("status")).to_contain_text("The answer is saved.")


def take_back(page: Page) -> None:
    page.get_by_role("button", name=f"Take back the answer to: {QUESTION}").click()
    expect(page.get_by_role("status")).to_contain_text("The answer is taken back.")


@pytest.fixture
def row(page: Page) -> Iterator[Page]:
    """The page of the row; what was answered is taken back at the end, for the tests after this one."""
    expect(card_of(page)).to_have_count(1)
    open_row(page)
    yield page
    open_row(page)
    for button in page.get_by_role("button", name=re.compile("^Take back")).all():
        button.click()


def test_a_confirmed_criterion_moves_from_the_questions_to_what_is_confirmed(row: Page) -> None:
    before = to_judge(card_of(row))
    open_row(row)
    answer(row, "Yes, may take part", "Blood pressure and pulse seen on the ward.")
    answers = row.get_by_role("region", name="What only a person can judge")
    expect(answers).to_contain_text("Confirmed by Demo coordinator")
    expect(answers).to_contain_text("“Blood pressure and pulse seen on the ward.”")
    expect(row.get_by_role("region", name="History")).to_contain_text(f"{QUESTION}: met, holds until")
    card = card_of(row)
    assert to_judge(card) == before - 1
    expect(card).to_contain_text("Answered by a person: 1 point")
    expect(card).not_to_contain_text("on the ward")


def test_a_criterion_that_a_person_calls_not_met_takes_the_card_away_until_that_is_taken_back(
    row: Page, base: str
) -> None:
    answer(row, "No, may not take part", "Shock on the ward.")
    expect(card_of(row)).to_have_count(0)
    open_row(row)
    expect(row.get_by_role("region", name="The match")).to_contain_text("a criterion is no longer met")
    take_back(row)
    expect(card_of(row)).to_have_count(1)
    open_row(row)
    row.get_by_role("link", name="Full explanation, with evidence").click()
    report = row.url.partition("/reports/")[2].partition("?")[0]
    again = httpx.get(f"{base}/api/v1/reports/{report}/replay", trust_env=False)
    assert (again.status_code, again.json()["id"]) == (200, report)


def test_the_questions_are_answered_with_the_keyboard_alone(row: Page) -> None:
    row.locator("details.answer summary").filter(has_text=QUESTION).focus()
    row.keyboard.press("Enter")
    row.keyboard.press("Tab")
    row.keyboard.press("Space")
    row.keyboard.press("Tab")
    row.keyboard.type("Seen at the bedside.")
    row.keyboard.press("Tab")
    row.locator("details.answer[open]").get_by_role("button", name="Save answer").press("Enter")
    expect(row.get_by_role("region", name="What only a person can judge")).to_contain_text("Seen at the bedside.")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_axe_finds_nothing_on_the_questions_and_nothing_is_wider_than_the_screen(
    row: Page, scheme: str, width: int
) -> None:
    answer(row, "Yes, may take part", "x" * 200)
    row.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    row.set_viewport_size({"width": width, "height": 844})
    row.locator("details.answer summary").first.click()
    assert findings(row) == []
    assert row.evaluate("document.documentElement.scrollWidth") <= width


def test_a_definition_is_signed_off_and_that_is_taken_back(page: Page) -> None:
    page.goto("/trials/CNCT19-AID")
    definition = page.get_by_role("region", name="About this definition")
    expect(definition).to_contain_text("Definition not confirmed by the study team")
    definition.get_by_role("button", name=re.compile("Sign off version")).click()
    expect(definition).to_contain_text("Definition not confirmed by the study team")  # nothing was ticked
    definition.get_by_role("checkbox").check()
    assert findings(page) == []
    definition.get_by_role("button", name=re.compile("Sign off version")).click()
    expect(definition).to_contain_text("Definition confirmed by the study team on")
    expect(definition).to_contain_text("by Demo coordinator on")
    assert findings(page) == []
    definition.get_by_role("button", name="Take the sign-off back").click()
    expect(definition).to_contain_text("Definition not confirmed by the study team")


def test_what_a_version_changed_stands_on_the_page_of_the_trial(page: Page) -> None:
    page.goto("/trials/NCT06680388")
    page.get_by_role("link", name="what changed").click()
    changed = page.get_by_role("region", name="Versions and what changed between them")
    expect(changed).to_contain_text("Version 2 against version 1")
    expect(changed).to_contain_text("the newest result of the last 3 months counted, now any result")
    assert findings(page) == []

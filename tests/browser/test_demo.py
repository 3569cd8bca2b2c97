"""The demo EHR as a clinician uses it: open, edit, order, accept, dismiss."""

from __future__ import annotations

import json
import re

from playwright.sync_api import Page, expect

from tests.browser.conftest import findings

NEAR_MISS = "/demo/patients/demo-lupus-near-miss"
CARDS = "#cards article.card"
ANSWERED = re.compile(r"\d cards?, answered in|No card for this chart")


def open_chart(page: Page, path: str = NEAR_MISS) -> None:
    page.goto(path)
    expect(page.locator("#status")).to_have_text(ANSWERED)


def summaries(page: Page) -> list[str]:
    return page.locator(f"{CARDS} h3").all_text_contents()


def new_result(page: Page, test: str, value: str) -> None:
    page.get_by_role("button", name=f"New result for {test}").click()
    page.get_by_label(re.compile(f"^{test} today")).fill(value)
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#status")).to_have_text(ANSWERED)


def more_trials(page: Page) -> str:
    """The detail of the card that counts the other trials."""
    return page.locator(CARDS).last.locator(".detail").text_content() or ""


def test_a_patient_is_chosen_from_the_list_and_cards_appear(page: Page) -> None:
    page.goto("/demo")
    page.get_by_role("link", name="Bruno Sample").click()
    expect(page.locator("#status")).to_have_text(ANSWERED)
    assert len(summaries(page)) == 4
    assert findings(page) == []


def test_a_better_platelet_count_turns_a_near_miss(page: Page) -> None:
    open_chart(page)
    assert "near miss" in more_trials(page)
    new_result(page, "Platelets", "40")
    assert not any("near miss" in text for text in [*summaries(page), more_trials(page)])
    expect(page.locator("#edited")).to_have_text("Edited in this tab: Observation")
    page.reload()
    expect(page.locator("#measured tr", has_text="Platelets")).to_contain_text("40 10³/µL")
    page.get_by_role("button", name="Undo all edits").click()
    expect(page.locator("#measured tr", has_text="Platelets")).to_contain_text("24 10³/µL")
    expect(page.locator("#status")).to_have_text(ANSWERED)
    assert "near miss" in more_trials(page)


def test_an_excluding_diagnosis_takes_a_card_away(page: Page) -> None:
    open_chart(page, "/demo/patients/demo-scleroderma")
    before = summaries(page)
    page.get_by_label("Add a diagnosis").select_option(label="HIV infection")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.locator("#problems")).to_contain_text("HIV infection")
    expect(page.locator("#status")).to_have_text(ANSWERED)
    assert summaries(page) != before


def test_an_order_is_held_against_the_trials_before_it_is_signed(page: Page) -> None:
    open_chart(page, "/demo/patients/demo-vasculitis")
    page.get_by_label("Order", exact=True).select_option(label="Rituximab 1000 mg once")
    page.get_by_role("button", name="Order …").click()
    expect(page.get_by_role("heading", name="Sign the order for Rituximab")).to_be_focused()
    expect(page.locator("#order-cards article").first).to_be_visible()
    assert findings(page) == []
    page.get_by_role("button", name="Sign", exact=True).click()
    expect(page.locator("#drugs")).to_contain_text("Rituximab 1000 mg once")
    expect(page.locator("#status")).to_have_text(ANSWERED)


def test_an_accepted_suggestion_becomes_a_draft_and_feedback(page: Page) -> None:
    open_chart(page)
    page.get_by_role("button", name=re.compile("^Refer to the study team")).first.click()
    expect(page.locator("#drafts")).to_contain_text("ServiceRequest, draft")
    expect(page.locator("#feedback")).to_have_text("accepted: answered 200")
    page.get_by_role("button", name=re.compile("^Delete draft")).click()
    expect(page.locator("#drafts li")).to_have_count(0)


def test_a_dismissed_card_stays_away_when_the_hook_fires_again(page: Page) -> None:
    open_chart(page, "/demo/patients/demo-sjogren")
    first = page.locator(CARDS).first
    gone = first.locator("h3").text_content() or ""
    first.get_by_text("Dismiss", exact=True).click()
    first.get_by_label("Why").select_option(label="Not appropriate for this patient")
    first.get_by_role("button", name="Dismiss this card").click()
    expect(page.locator("#feedback")).to_have_text("overridden (not-appropriate): answered 200")
    expect(page.get_by_role("heading", name="Cards", exact=True)).to_be_focused()
    page.get_by_role("button", name="Fire the hook again").click()
    expect(page.locator("#status")).to_have_text(ANSWERED)
    assert gone not in summaries(page)
    page.get_by_role("button", name="Bring dismissed cards back").click()
    expect(page.locator("#cards h3").first).to_have_text(gone)


def test_a_failing_ehr_leaves_cards_that_say_what_was_not_read(page: Page) -> None:
    open_chart(page)
    page.get_by_label("Its FHIR server answers").select_option("failing")
    expect(page.locator("#response")).to_contain_text("could not be read")
    expect(page.locator("#status")).to_have_text(ANSWERED)


def test_a_slow_ehr_is_answered_within_the_deadline(page: Page) -> None:
    open_chart(page)
    page.get_by_label("Its FHIR server answers").select_option("slow")
    expect(page.locator("#exchange")).to_have_text(re.compile(r": 200 in [234]\d\d\d ms"), timeout=8000)


def test_what_went_over_the_wire_stands_beside_it(page: Page) -> None:
    open_chart(page)
    sent = json.loads(page.locator("#request").text_content() or "")
    assert sent["hook"] == "patient-view"
    assert sent["context"]["patientId"] == "demo-lupus-near-miss"
    assert set(sent["prefetch"]) == {"patient", "conditions"}
    assert json.loads(page.locator("#response").text_content() or "")["cards"]
    assert (page.locator("#curl").text_content() or "").startswith("curl -s http://127.0.0.1:")


def test_everything_can_be_done_with_the_keyboard(page: Page) -> None:
    open_chart(page)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="To the content")).to_be_focused()
    page.keyboard.press("Enter")
    page.locator("#diagnosis").focus()
    page.keyboard.type("Epil")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#problems")).to_contain_text("Epilepsy")
    page.get_by_role("button", name="New result for Hemoglobin").focus()
    page.keyboard.press("Enter")
    page.keyboard.type("9.1")
    page.keyboard.press("Enter")
    expect(page.locator("#measured tr", has_text="Hemoglobin")).to_contain_text("9.1 g/dL")


def test_a_card_cannot_bring_markup_or_a_script(page: Page) -> None:
    card = {
        "uuid": "00000000-0000-4000-8000-000000000001",
        "summary": "<b>bold</b>",
        "indicator": "info",
        "source": {"label": "TrialCards"},
        "detail": "<img src=x onerror=alert(1)> [a](javascript:alert(1)) ![b](https://other.example/b.png) **fine**",
    }
    page.route("**/cds-services/*", lambda route: route.fulfill(json={"cards": [card]}))
    page.goto(NEAR_MISS)
    shown = page.locator(CARDS)
    expect(shown.locator("h3")).to_have_text("<b>bold</b>")
    expect(shown.locator(".detail strong")).to_have_text("fine")
    assert shown.locator("img, a, script").count() == 0

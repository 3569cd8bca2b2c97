"""The coordinator's pages in a real browser: the main path, with a mouse and without, at three sizes, and the login."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.authorization_server import AuthorizationServer, Registered
from tests.browser.conftest import findings
from tests.hospital import production, settings_of
from tests.server import free_port

TRIAL = "NCT06711146"
PATIENTS = ("demo-lupus-nephritis", "demo-lupus-near-miss", "demo-dermatomyositis")
SIZES = {"phone": (390, 844), "laptop": (1280, 800)}


@pytest.fixture(scope="module", autouse=True)
def _charts_were_opened(base: str) -> None:
    for patient in PATIENTS:
        call = {
            "hook": "patient-view",
            "hookInstance": str(uuid.uuid4()),
            "fhirServer": f"{base}/demo/fhir",
            "context": {"userId": "Practitioner/demo", "patientId": patient},
        }
        answer = httpx.post(f"{base}/cds-services/trial-match-patient-view", json=call, trust_env=False, timeout=30)
        assert answer.status_code == 200


def open_row(page: Page, patient: str = PATIENTS[0], trial: str = TRIAL) -> None:
    page.goto(f"/worklist?trial={trial}&list=all")
    page.get_by_role("link", name=patient, exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(patient)


def test_a_coordinator_finds_a_candidate_and_writes_down_what_became_of_it(page: Page) -> None:
    page.goto("/")
    page.get_by_role("link", name="Worklist", exact=True).first.click()
    page.get_by_label("Trial").select_option(TRIAL)
    page.get_by_role("button", name="Apply").click()
    expect(page.get_by_role("link", name=PATIENTS[1], exact=True)).to_have_count(1)
    expect(page.get_by_role("link", name=PATIENTS[2], exact=True)).to_have_count(0)
    page.get_by_role("link", name=PATIENTS[0], exact=True).click()
    expect(page.get_by_role("region", name="The match")).to_contain_text("eligible")
    page.get_by_label("New status").select_option("contacted")
    page.get_by_role("button", name="Save status").click()
    expect(page.get_by_role("status")).to_have_text("The status is saved.")
    page.get_by_label("Note for the team").fill("Rang the ward.")
    page.get_by_role("button", name="Add note").click()
    history = page.get_by_role("region", name="History")
    expect(history).to_contain_text("Contacted")
    expect(history).to_contain_text("Rang the ward.")
    page.get_by_role("link", name="Full explanation, with evidence").click()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert "/reports/" in page.url


def test_a_patient_is_found_by_a_part_of_the_id_which_the_address_does_not_show(page: Page) -> None:
    page.goto("/worklist?list=all")
    page.get_by_label("Patient id, or a part of it").fill("lupus-near-MISS")
    page.get_by_role("button", name="Find").click()
    rows = page.locator(".worklist tbody th a")
    expect(rows.first).to_have_text("demo-lupus-near-miss")
    assert set(rows.all_inner_texts()) == {"demo-lupus-near-miss"}
    assert "near" not in page.url.lower()
    page.get_by_role("link", name="Everyone again").click()
    expect(page.get_by_role("rowheader", name=PATIENTS[0]).first).to_be_visible()


def test_everything_works_with_the_keyboard_alone(page: Page) -> None:
    page.goto("/worklist?list=all")
    _tab_to(page, "trial")
    page.keyboard.type("CD19 CAR-T (M")
    _tab_to(page, "Apply")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(f"trial={TRIAL}"))
    _tab_to(page, PATIENTS[1])
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(PATIENTS[1])
    _tab_to(page, "status")
    page.keyboard.type("Scr")
    _tab_to(page, "Save status")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Status: screen failure")).to_be_visible()


def _tab_to(page: Page, wanted: str) -> None:
    """Tab until the element with this id or text has the focus."""
    for _ in range(80):
        page.keyboard.press("Tab")
        focused = page.evaluate("[document.activeElement.id, document.activeElement.textContent.trim()]")
        if wanted in focused:
            return
    raise AssertionError(f"{wanted} is not reached by Tab")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(page: Page, scheme: str) -> None:
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    for path in ("/worklist", "/worklist?list=left", "/worklist/figures"):
        page.goto(path)
        assert findings(page) == []
    open_row(page)
    assert findings(page) == []


@pytest.mark.parametrize("size", SIZES)
def test_nothing_is_wider_than_the_screen(browser: Browser, base: str, size: str, tmp_path: Path) -> None:
    width, height = SIZES[size]
    context = browser.new_context(base_url=base, viewport={"width": width, "height": height})
    page = context.new_page()
    for path in ("/worklist?list=all", "/worklist/figures"):
        page.goto(path)
        page.screenshot(path=tmp_path / f"{size}.png")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
    open_row(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    context.close()


def test_a_row_prints_with_its_status_and_what_has_to_be_judged(page: Page) -> None:
    open_row(page)
    match = page.get_by_role("region", name="What is not settled")
    expect(match.get_by_role("heading", name=re.compile("^◆? ?For a person to judge"))).to_be_hidden()
    page.emulate_media(media="print")
    expect(match.get_by_role("heading", name=re.compile("For a person to judge")).first).to_be_visible()
    expect(page.get_by_role("region", name="The match").get_by_role("term").first).to_have_text("Status")
    expect(page.get_by_role("button", name="Save status")).to_be_hidden()


def test_the_list_prints_without_its_controls(page: Page) -> None:
    page.goto("/worklist?list=all")
    page.emulate_media(media="print")
    expect(page.get_by_role("button", name="Apply")).to_be_hidden()
    expect(page.get_by_role("link", name=re.compile("as CSV"))).to_be_hidden()
    expect(page.get_by_role("rowheader").first).to_be_visible()


# The login, against a provider on another port


@pytest.fixture
def hospital(tmp_path: Path) -> Iterator[str]:
    """A production service that sends people to a provider of its own."""
    with AuthorizationServer(Registered("trialcards"), claims={"groups": ["trial-team"], "name": "N. N."}) as provider:
        port = free_port()
        settings = settings_of(
            tmp_path, f"sqlite:///{tmp_path}/records.db", PUBLIC_URL=f"http://127.0.0.1:{port}",
            OIDC_ISSUER=provider.issuer, OIDC_CLIENT_ID="trialcards", OIDC_GROUPS="trial-team",
            OIDC_PRIVATE_NETWORK="true",
        )  # fmt: skip
        with production(tmp_path, settings, port) as server:
            yield server.base


def test_a_person_logs_in_works_and_logs_out(browser: Browser, hospital: str) -> None:
    context = browser.new_context(base_url=hospital)
    page = context.new_page()
    page.goto("/worklist?list=all")
    expect(page.get_by_role("heading", level=1)).to_have_text("Worklist")
    assert page.url == f"{hospital}/worklist?list=all"
    expect(page.get_by_text("N. N.")).to_be_visible()
    assert findings(page) == []
    page.goto("/docs/connect")
    expect(page.get_by_role("link", name="Worklist", exact=True)).to_be_visible()
    page.goto("/worklist")
    page.get_by_label("Patient id, or a part of it").fill("x")
    page.get_by_role("button", name="Find").click()
    expect(page.get_by_text("No row of this selection has such a patient.")).to_be_visible()
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("You are logged out")
    assert findings(page) == []
    assert [cookie for cookie in context.cookies() if cookie["name"].startswith("__Host-trialcards")] == []
    context.close()

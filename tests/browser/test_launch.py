"""The explanation in the frame of an EHR that is another site, in a browser that keeps no cookies of third parties."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, BrowserContext, FrameLocator, Page, expect, sync_playwright

from app.demo.charts import demo_patients
from tests.authorization_server import AuthorizationServer, Launched, Registered
from tests.browser.conftest import CHROMIUM, findings
from tests.server import free_port, production_server

PATIENT = "demo-lupus-near-miss"
TRIAL = "NCT06711146"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser that keeps no cookies of third parties, as those of many clinics."""
    if CHROMIUM is None:
        pytest.skip("browser tests need a Chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--test-third-party-cookie-phaseout"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def ehr() -> Iterator[AuthorizationServer]:
    resources = [r for patient in demo_patients(datetime.now(UTC).date()) for r in patient.resources]
    with AuthorizationServer(Registered("trialcards"), resources) as running:
        running.launches["chart"] = Launched(PATIENT, {"appContext": TRIAL})
        yield running


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, ehr: AuthorizationServer) -> Iterator[str]:
    """The address of the service: `localhost`, which to a browser is another site than the EHR's 127.0.0.1."""
    folder, port = tmp_path_factory.mktemp("launch"), free_port()
    (folder / "keys.json").write_text('{"keys": []}')
    (folder / "ehrs.toml").write_text(
        f'[[ehr]]\nname = "st"\nissuer = "https://ehr.example"\njwks_file = "keys.json"\nallow_http = true\n'
        f'private_network = true\nfhir_servers = ["{ehr.fhir}"]\n[ehr.smart]\nclient_id = "trialcards"\n'
        f'frame_ancestors = ["{ehr.issuer}"]\n'
    )
    settings = {
        "TRIALCARDS_EHRS": "ehrs.toml",
        "TRIALCARDS_PUBLIC_URL": f"http://localhost:{port}",
        "TRIALCARDS_SECRET_KEY": "a secret of the tests long enough to be one",
    }
    with production_server(folder, port, **settings):
        yield settings["TRIALCARDS_PUBLIC_URL"]


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    made = browser.new_context(viewport={"width": 1280, "height": 900})
    yield made
    made.close()


def launch_address(service: str, ehr: AuthorizationServer) -> str:
    return f"{service}/launch?{urlencode({'iss': ehr.fhir, 'launch': 'chart'})}"


def chart_with(ehr: AuthorizationServer, framed: str) -> str:
    """The address of the EHR's page that frames an address."""
    ehr.pages["/chart"] = (
        "<!doctype html><html lang=en><title>Chart</title><h1>Chart</h1>"
        f'<iframe title="Explanation" width=900 height=700 src="{framed.replace("&", "&amp;")}"></iframe>'
    ).encode()
    return f"{ehr.issuer}/chart"


def opened(page: Page, service: str, ehr: AuthorizationServer) -> FrameLocator:
    page.goto(chart_with(ehr, launch_address(service, ehr)))
    return page.frame_locator("iframe")


def test_the_frame_of_an_ehr_shows_the_explanation_without_a_cookie(
    context: BrowserContext, service: str, ehr: AuthorizationServer
) -> None:
    frame = opened(context.new_page(), service, ehr)
    expect(frame.locator(".group").first).to_contain_text("Not met")
    expect(frame.locator("[aria-current=page]")).to_contain_text("near miss", ignore_case=True)
    assert context.cookies() == []


def test_the_explanation_in_a_frame_can_be_walked_and_loaded_again(
    context: BrowserContext, service: str, ehr: AuthorizationServer
) -> None:
    page = context.new_page()
    frame = opened(page, service, ehr)
    tabs = frame.get_by_role("navigation", name="Trials of this patient").get_by_role("link")
    other = tabs.filter(has_not=frame.locator("[aria-current]")).last
    name = other.inner_text().split("\n")[0]
    other.click()
    expect(frame.locator("[aria-current=page]")).to_contain_text(name)
    inner = next(each for each in page.frames if each.url.startswith(service))
    inner.evaluate("location.reload()")
    expect(frame.locator("[aria-current=page]")).to_contain_text(name)


def test_no_link_leads_the_frame_to_a_page_that_it_may_not_show(
    context: BrowserContext, service: str, ehr: AuthorizationServer
) -> None:
    frame = opened(context.new_page(), service, ehr)
    expect(frame.locator("h1")).to_be_visible()
    links = frame.locator("a[href]").evaluate_all("links => links.map(a => [a.getAttribute('href'), a.target])")
    assert links
    assert [href for href, target in links if not href.startswith(("?", "#")) and target != "_blank"] == []


def test_the_explanation_looks_like_itself_in_a_frame(
    context: BrowserContext, service: str, ehr: AuthorizationServer, tmp_path: Path
) -> None:
    page = context.new_page()
    frame = opened(page, service, ehr)
    expect(frame.locator("h1")).to_be_visible()
    page.screenshot(path=tmp_path / "framed.png")
    styled = frame.locator(".panel").first.evaluate("panel => getComputedStyle(panel).borderStyle")
    assert styled != "none"


def test_a_page_that_is_not_the_ehrs_frames_nothing(
    context: BrowserContext, service: str, ehr: AuthorizationServer
) -> None:
    stranger = AuthorizationServer(Registered("x"))
    with stranger:
        page = context.new_page()
        page.goto(chart_with(stranger, launch_address(service, ehr)))
        page.wait_for_load_state("networkidle")
        framed = page.frames[1]
        assert framed.url.startswith("chrome-error://")
        assert "Not met" not in framed.content()


def test_in_a_window_of_its_own_the_launch_ends_in_its_browser(
    context: BrowserContext, service: str, ehr: AuthorizationServer
) -> None:
    page = context.new_page()
    page.goto(launch_address(service, ehr))
    expect(page.locator(".group").first).to_contain_text("Not met")
    assert "code=" not in page.url
    assert "state=" not in page.url
    assert PATIENT not in page.url
    assert findings(page) == []


def test_a_clinician_who_is_lured_to_the_end_of_a_launch_sees_no_chart(
    browser: Browser, context: BrowserContext, service: str, ehr: AuthorizationServer
) -> None:
    """Somebody begins a launch, stops before its end, and has a clinician open that address."""
    begun = context.request.get(launch_address(service, ehr), max_redirects=0)
    came_back = context.request.get(begun.headers["location"], max_redirects=0)
    victim = browser.new_context()
    page = victim.new_page()
    page.goto(came_back.headers["location"])
    expect(page.get_by_role("heading", name="This launch began elsewhere")).to_be_visible()
    assert findings(page) == []
    victim.close()


def test_a_launch_that_was_denied_says_so_in_the_frame(
    context: BrowserContext, service: str, ehr: AuthorizationServer
) -> None:
    ehr.denied = "access_denied"
    try:
        frame = opened(context.new_page(), service, ehr)
        expect(frame.get_by_role("heading", name="Access was not granted")).to_be_visible()
    finally:
        ehr.denied = None

"""The public CDS Hooks sandbox's rules: what its page asks of a service, and what it needs of a card to draw it.

The page here has the sandbox's origin and makes its calls in its order and form, in a real browser: so the browser
decides what the page may read. Besides, the sandbox itself was built and tried with the service (docs/connect.md).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.cds_hooks.oracle import check_response
from tests.server import demo_server

pytest.importorskip("playwright.sync_api", reason="needs Playwright: pip install playwright")
from playwright.sync_api import Browser, Error, Page, sync_playwright

Json = dict[str, Any]
SANDBOX = "https://sandbox.cds-hooks.org/"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PATIENT = "demo-lupus-nephritis"
# Any bearer token: the demo looks at none, but with one the browser asks first (preflight).
CALLS = """
const read = async (address, options = {}) => {
  const answer = await fetch(address, options);
  if (!answer.ok) throw new Error(`${address}: ${answer.status}`);
  return answer.json();
};
const bearer = { Accept: "application/json", Authorization: "Bearer a.token.of-the-sandbox" };
const json = { ...bearer, "Content-Type": "application/json" };
const send = (address, body) => read(address, { method: "POST", headers: json, body: JSON.stringify(body) });
const prefetched = async (fhir, template, patient) => {
  const [path, query] = template.replaceAll("{{context.patientId}}", patient).split("?");
  const headers = { Accept: "application/json+fhir" };
  if (!query) return read(`${fhir}/${path}`, { headers });
  return read(`${fhir}/${path}/_search`, { method: "POST", headers, body: new URLSearchParams(query) });
};
"""
DISCOVER = CALLS + "return read(`${base}/cds-services`, { headers: bearer });"
FIRE = (
    CALLS
    + """
const { services } = await read(`${base}/cds-services`, { headers: bearer });
const service = services.find((each) => each.hook === hook);
await read(`${base}/demo/fhir/metadata`);
const prefetch = {};
for (const [key, template] of Object.entries(service.prefetch))
  prefetch[key] = await prefetched(`${base}/demo/fhir`, template, context.patientId);
const request = { hookInstance: crypto.randomUUID(), hook, fhirServer: `${base}/demo/fhir`, context, prefetch };
return send(`${base}/cds-services/${service.id}`, request);
"""
)
FEEDBACK = CALLS + "return send(`${base}/cds-services/${service}/feedback`, { feedback: [said] });"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with demo_server(tmp_path_factory.mktemp("sandbox")) as server:
        yield server.base


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("needs a Chromium: apt-get install chromium")
    # A person is asked whether the page may reach this machine; here nobody is there to say yes.
    allowed = ["--disable-features=LocalNetworkAccessChecks"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=allowed)
        yield browser
        browser.close()


def page_of(browser: Browser, origin: str) -> Page:
    page = browser.new_page()
    page.route(f"{origin}**", lambda route: route.fulfill(body="<!doctype html><title>A page</title>"))
    page.goto(origin)
    return page


@pytest.fixture(scope="module")
def sandbox(browser: Browser) -> Page:
    return page_of(browser, SANDBOX)


def called(page: Page, script: str, **given: object) -> Any:
    names = ", ".join(given)
    return page.evaluate(f"async ({{{names}}}) => {{ {script} }}", given)


def fired(page: Page, base: str, hook: str = "patient-view", **context: object) -> list[Json]:
    user = {"patientId": PATIENT, "userId": "Practitioner/COREPRACTITIONER1"}
    answer = called(page, FIRE, base=base, hook=hook, context=user | context)
    check_response(answer, f"Patient/{PATIENT}")
    cards: list[Json] = answer["cards"]
    return cards


def test_its_page_may_read_the_services_and_another_page_may_not(browser: Browser, sandbox: Page, base: str) -> None:
    services = called(sandbox, DISCOVER, base=base)["services"]
    assert all(service["id"] and service["hook"] and service["description"] for service in services)
    with pytest.raises(Error, match="Failed to fetch"):
        called(page_of(browser, "https://elsewhere.example/"), DISCOVER, base=base)


def test_its_page_prefetches_from_the_demo_and_can_draw_every_card(sandbox: Page, base: str) -> None:
    cards = fired(sandbox, base)
    assert len(cards) > 2
    for card in cards:
        assert 0 < len(card["summary"]) < 140
        assert card["indicator"] in ("info", "warning", "critical")
        assert card["source"]["label"]
        assert card["uuid"]
        assert card["detail"]
        for link in card["links"]:
            assert link["type"] == "absolute"
            assert urlsplit(link["url"]).scheme in ("http", "https")
        for reason in card.get("overrideReasons", ()):
            assert reason["code"]
            assert reason["display"]
    suggestions = [suggestion for card in cards for suggestion in card.get("suggestions", ())]
    assert suggestions
    for suggestion in suggestions:
        assert suggestion["label"]
        assert suggestion["uuid"]
        for action in suggestion["actions"]:
            assert (action["type"], bool(action["description"]), bool(action["resource"])) == ("create", True, True)


def test_it_sends_what_became_of_a_card(sandbox: Page, base: str) -> None:
    first, second, *_ = fired(sandbox, base)
    when = "2026-11-24T09:10:33.903Z"
    taken = [{"id": first["suggestions"][0]["uuid"]}]
    accepted = {"card": first["uuid"], "outcome": "accepted", "acceptedSuggestions": taken, "outcomeTimestamp": when}
    reason = {name: second["overrideReasons"][0][name] for name in ("code", "system")}
    overridden = {"card": second["uuid"], "outcome": "overridden", "outcomeTimestamp": when} | {
        "overrideReason": {"reason": reason}
    }
    for said in (accepted, overridden):
        assert called(sandbox, FEEDBACK, base=base, service="trial-match-patient-view", said=said) == {}
    topics = [card["source"]["topic"]["code"] for card in fired(sandbox, base) if "topic" in card["source"]]
    assert first["source"]["topic"]["code"] in topics
    assert second["source"]["topic"]["code"] not in topics


def order(**more: object) -> Json:
    """An order as the sandbox writes it: counted in pills, its category not in a list."""
    daily = {"frequency": 4, "period": 1, "periodUnit": "d", "boundsPeriod": {"start": "2026-11-24"}}
    pills = {"value": 5, "system": "http://unitsofmeasure.org", "code": "{pill}"}
    days = {"value": 30, "unit": "days", "system": "http://unitsofmeasure.org", "code": "d"}
    community = {"system": "http://terminology.hl7.org/CodeSystem/medicationrequest-category", "code": "community"}
    return {
        "resourceType": "MedicationRequest",
        "id": "request-123",
        "status": "draft",
        "intent": "order",
        "category": {"coding": [community]},
        "subject": {"reference": f"Patient/{PATIENT}"},
        "authoredOn": "2026-11-24",
        "dosageInstruction": [{"timing": {"repeat": daily}, "doseAndRate": [{"doseQuantity": pills}]}],
        "dispenseRequest": {"expectedSupplyDuration": days},
    } | more


@pytest.mark.parametrize("hook", ["order-sign", "order-select"])
def test_it_orders(sandbox: Page, base: str, hook: str) -> None:
    drug = {"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "121191", "display": "rituximab"}
    chosen = {"selections": ["MedicationRequest/request-123"]} if hook == "order-select" else {}
    for medication, expected in (({"medicationCodeableConcept": {"text": "rituximab", "coding": [drug]}}, 1), ({}, 0)):
        drafts = {"resourceType": "Bundle", "entry": [{"resource": order(**medication)}]}
        cards = fired(sandbox, base, hook, draftOrders=drafts, **chosen)
        assert (len(cards) > 0) == expected, "before a drug is chosen, the sandbox sends an order without one"

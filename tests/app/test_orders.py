"""order-select and order-sign over HTTP: cards about the effect of the order, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import httpx
import pytest

from app.definitions.served import Definitions
from app.web.examples import hook_call
from tests.builders import PATIENT, bundle_of
from tests.case_files import all_cases
from tests.cds_hooks.oracle import check_response
from tests.fhir_server import FhirServer
from tests.orders import a_drug_order, a_service_order, bundle, coded, daily

SIGN = "/cds-services/trial-match-order-sign"
SELECT = "/cds-services/trial-match-order-select"
LUPUS = "NCT06680388"
KEYS = {
    "Patient": "patient",
    "Condition": "conditions",
    "Observation": "observations",
    "MedicationRequest": "medicationRequests",
    "MedicationStatement": "medicationStatements",
    "MedicationAdministration": "medicationAdministrations",
    "MedicationDispense": "medicationDispenses",
    "Procedure": "procedures",
    "Immunization": "immunizations",
    "ResearchSubject": "researchSubjects",
    "Consent": "consents",
    "Flag": "flags",
}
Json = dict[str, Any]
RITUXIMAB = a_drug_order("rituximab")
HARMLESS = a_drug_order("hydroxychloroquine", daily(400))


@pytest.fixture(scope="session")
def resources(definitions: Definitions) -> list[Json]:
    """A chart that fits the lupus cohort of the trial with the washouts."""
    case = next(case for case in all_cases() if case.trial == LUPUS and case.verdict == "likely-eligible")
    found = bundle_of(case.chart, date(2026, 11, 1), definitions.now.catalogue)
    return [entry["resource"] for entry in found["entry"]]


@pytest.fixture
def call(resources: list[Json]) -> Callable[..., Json]:
    """Makes the call of an order hook with everything prefetched."""

    def made(*orders: Json, hook: str = "order-sign", **context: Any) -> Json:
        body = hook_call(hook)
        body["context"] = {
            "userId": "Practitioner/a",
            "patientId": PATIENT,
            "draftOrders": bundle(*orders),
            **context,
        }
        body["prefetch"] = {
            key: bundle(*(r for r in resources if r["resourceType"] == name)) for name, key in KEYS.items()
        } | {"patient": resources[0]}
        return body

    return made


async def cards_of(client: httpx.AsyncClient, address: str, body: Json) -> list[Json]:
    answer = await client.post(address, json=body)
    assert answer.status_code == 200, answer.text
    check_response(answer.json(), f"Patient/{PATIENT}")
    return list(answer.json()["cards"])


async def test_an_order_that_closes_a_match_is_answered_with_its_effect_alone(
    client: httpx.AsyncClient, call: Callable[..., Json]
) -> None:
    cards = await cards_of(client, SIGN, call(RITUXIMAB))
    assert [card["source"]["topic"]["code"] for card in cards] == [LUPUS]
    assert "until 2026-12-02" in cards[0]["summary"]


@pytest.mark.parametrize("orders", [(), (HARMLESS,), (a_drug_order("no-such-concept"),)])
async def test_an_order_that_changes_nothing_is_answered_without_cards(
    client: httpx.AsyncClient, call: Callable[..., Json], orders: tuple[Json, ...]
) -> None:
    assert await cards_of(client, SIGN, call(*orders)) == []


async def test_of_orders_being_selected_only_the_selected_count(
    client: httpx.AsyncClient, call: Callable[..., Json]
) -> None:
    def selecting(*selections: str) -> Json:
        return call(RITUXIMAB, HARMLESS, hook="order-select", selections=list(selections))

    chosen, other = f"MedicationRequest/{RITUXIMAB['id']}", f"MedicationRequest/{HARMLESS['id']}"
    assert len(await cards_of(client, SELECT, selecting(chosen, "MedicationRequest/gone"))) == 1
    assert await cards_of(client, SELECT, selecting(other)) == []
    assert await cards_of(client, SELECT, selecting()) == []


@pytest.mark.parametrize(
    ("hook", "address", "context", "place"),
    [
        ("order-sign", SIGN, {"draftOrders": None}, "context.draftOrders"),
        ("order-sign", SIGN, {"draftOrders": []}, "context.draftOrders"),
        ("order-sign", SIGN, {"draftOrders": {"resourceType": "Patient"}}, "context.draftOrders"),
        ("order-select", SELECT, {"draftOrders": None, "selections": []}, "context.draftOrders"),
        ("order-select", SELECT, {}, "context.selections"),
        ("order-select", SELECT, {"selections": "MedicationRequest/canary"}, "context.selections"),
        ("order-select", SELECT, {"selections": [4711]}, "context.selections"),
    ],
)
async def test_a_context_without_what_its_hook_needs_is_refused_by_place(
    client: httpx.AsyncClient, call: Callable[..., Json], hook: str, address: str, context: Json, place: str
) -> None:
    answer = await client.post(address, json=call(RITUXIMAB, hook=hook, **context))
    assert answer.status_code == 422
    assert place in answer.text
    assert "canary" not in answer.text
    assert "4711" not in answer.text


@pytest.mark.parametrize(
    "entry", [None, 1, {}, {"resource": None}, {"resource": []}, {"resource": {"resourceType": 7}}]
)
async def test_an_entry_that_is_no_order_takes_no_other_with_it(
    client: httpx.AsyncClient, call: Callable[..., Json], entry: Any
) -> None:
    body = call(RITUXIMAB)
    body["context"]["draftOrders"]["entry"].insert(0, entry)
    assert len(await cards_of(client, SIGN, body)) == 1


async def test_the_chart_hooks_are_not_disturbed_by_orders_in_their_context(
    client: httpx.AsyncClient, call: Callable[..., Json]
) -> None:
    body = call(RITUXIMAB, hook="patient-view", draftOrders="nonsense")
    assert await cards_of(client, "/cds-services/trial-match-patient-view", body)


async def test_no_warning_for_a_patient_who_is_not_to_be_approached(
    client: httpx.AsyncClient, call: Callable[..., Json]
) -> None:
    body = call(RITUXIMAB)
    flag = {
        "resourceType": "Flag",
        "id": "f",
        "status": "active",
        "code": {"text": "Does not want research contact: opted out of research"},
        "subject": {"reference": f"Patient/{PATIENT}"},
    }
    body["prefetch"]["flags"] = bundle(flag)
    assert await cards_of(client, SIGN, body) == []


async def test_a_patient_that_cannot_be_read_is_412_whatever_is_ordered(
    client: httpx.AsyncClient, call: Callable[..., Json]
) -> None:
    for order in (RITUXIMAB, a_drug_order("no-such-concept")):
        body = call(order) | {"prefetch": {}}
        assert (await client.post(SIGN, json=body)).status_code == 412


@pytest.mark.parametrize("words", ["Rituximab infusion", "Infusion: rituximab 1000 mg"])
async def test_a_service_in_words_warns_as_a_drug_in_words_does(
    client: httpx.AsyncClient, call: Callable[..., Json], words: str
) -> None:
    cards = await cards_of(client, SIGN, call(a_service_order("-", code={"text": words})))
    assert cards
    assert "no known code, read by its words" in cards[0]["detail"]


async def test_an_order_whose_medication_cannot_be_read_warns_by_its_words(
    client: httpx.AsyncClient, call: Callable[..., Json]
) -> None:
    reference = {"reference": "Medication/m1", "display": "rituximab 500 mg/50 mL"}
    order = a_drug_order("-", medicationCodeableConcept=None, medicationReference=reference)
    (card,) = await cards_of(client, SIGN, call(order))
    assert "Rituximab" in card["summary"]
    assert "read by its words" in card["detail"]


# -- from the EHR -----------------------------------------------------------------------------------------------------


async def test_a_drug_that_an_order_only_points_to_is_read_from_the_ehr(
    client: httpx.AsyncClient, call: Callable[..., Json], resources: list[Json]
) -> None:
    drug = {"resourceType": "Medication", "id": "m1", "code": coded("rituximab")}
    order = a_drug_order("-", medicationCodeableConcept=None, medicationReference={"reference": "Medication/m1"})
    async with FhirServer([*resources, drug]) as server:
        cards = await cards_of(client, SIGN, call(order) | {"fhirServer": server.base})
        assert server.asked_for == ["Medication/m1"]
    assert "Rituximab" in cards[0]["summary"]


async def test_for_an_order_that_no_trial_asks_about_the_ehr_is_asked_for_what_is_required_only(
    client: httpx.AsyncClient, call: Callable[..., Json], resources: list[Json]
) -> None:
    async with FhirServer(resources) as server:
        body = call(a_drug_order("no-such-concept")) | {"fhirServer": server.base, "prefetch": {}}
        assert await cards_of(client, SIGN, body) == []
        assert sorted(server.asked_for) == ["Condition", f"Patient/{PATIENT}"]
        assert len(await cards_of(client, SIGN, call(RITUXIMAB) | {"fhirServer": server.base, "prefetch": {}})) == 1


# -- feedback ---------------------------------------------------------------------------------------------------------


async def set_aside(client: httpx.AsyncClient, card: Json, reason: str, service: str = SIGN) -> None:
    system = "https://trialcards.org/fhir/CodeSystem/override-reason"
    item = {
        "card": card["uuid"],
        "outcome": "overridden",
        "outcomeTimestamp": "2026-11-01T12:00:00Z",
        "overrideReason": {"reason": {"code": reason, "system": system}},
    }
    assert (await client.post(f"{service}/feedback", json={"feedback": [item]})).status_code == 200


VIEW = "/cds-services/trial-match-patient-view"


async def trials_of(client: httpx.AsyncClient, address: str, body: Json) -> set[str]:
    return {card["source"]["topic"]["code"] for card in await cards_of(client, address, body)}


async def test_a_warning_set_aside_is_not_repeated_to_its_user_and_the_trial_stays_on_view(
    client: httpx.AsyncClient, call: Callable[..., Json]
) -> None:
    (card,) = await cards_of(client, SIGN, call(RITUXIMAB))
    await set_aside(client, card, "ask-later")
    assert await cards_of(client, SIGN, call(RITUXIMAB)) == []
    assert await cards_of(client, SIGN, call(RITUXIMAB, userId="Practitioner/b"))
    assert await cards_of(client, SIGN, call(a_drug_order("ivig")))
    assert LUPUS in await trials_of(client, VIEW, call(hook="patient-view"))


async def test_a_trial_that_the_patient_declined_is_neither_warned_of_nor_shown(
    client: httpx.AsyncClient, call: Callable[..., Json]
) -> None:
    (card,) = await cards_of(client, SIGN, call(RITUXIMAB))
    await set_aside(client, card, "patient-declined")
    assert await cards_of(client, SIGN, call(a_drug_order("ivig"), userId="Practitioner/b")) == []
    assert LUPUS not in await trials_of(client, VIEW, call(hook="patient-view"))


async def test_a_trial_to_be_asked_about_later_is_still_warned_of(
    client: httpx.AsyncClient, call: Callable[..., Json]
) -> None:
    shown = await cards_of(client, VIEW, call(hook="patient-view"))
    card = next(card for card in shown if card["source"]["topic"]["code"] == LUPUS)
    await set_aside(client, card, "ask-later", VIEW)
    assert LUPUS not in await trials_of(client, VIEW, call(hook="patient-view"))
    assert await cards_of(client, SIGN, call(RITUXIMAB))


async def test_the_explanation_behind_a_warning_can_be_opened(
    client: httpx.AsyncClient, call: Callable[..., Json]
) -> None:
    (card,) = await cards_of(client, SIGN, call(RITUXIMAB))
    address = next(link["url"] for link in card["links"] if "explanation" in link["label"])
    page = await client.get(address)
    assert page.status_code == 200
    assert LUPUS in page.text

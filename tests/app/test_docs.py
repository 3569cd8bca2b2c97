"""The API documentation: from our own files only, and every example in it runs."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc.jwk import ECKey

from app.definitions.served import Definitions
from app.ehrs import Ehr, Smart, load_ehrs
from app.routes.connecting import connect_text
from app.web.html import ROOM
from tests.app.conftest import services_with, serving
from tests.hospital import BASE
from tests.support.protocol import production_settings


async def test_the_page_loads_nothing_from_elsewhere(client: httpx.AsyncClient) -> None:
    page = await client.get("/docs")
    assert "default-src 'self'" in page.headers["content-security-policy"]
    addresses = re.findall(r'<(?:script|link|img)\b[^>]*(?:src|href)="([^"]+)"', page.text)
    assert addresses
    for address in addresses:
        assert address.startswith("/")
        assert (await client.get(address)).status_code == 200


def test_the_licence_of_the_vendored_files_stands_beside_them() -> None:
    assert "Apache License" in (ROOM / "static" / "swagger-ui" / "LICENSE").read_text()


async def test_every_operation_has_an_example_that_runs(client: httpx.AsyncClient) -> None:
    described = (await client.get("/openapi.json")).json()
    assert described["openapi"].startswith("3.1")
    ran = 0
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            answer = await _run(client, path, method, operation)
            assert answer.status_code == 200, (path, method, answer.text)
            assert operation["summary"]
            ran += 1
    assert ran >= 11


async def _run(client: httpx.AsyncClient, path: str, method: str, operation: dict[str, Any]) -> httpx.Response:
    query: dict[str, Any] = {}
    for parameter in operation.get("parameters", ()):
        example = (parameter.get("examples") or parameter["schema"]["examples"])[0]
        if parameter["in"] == "path":
            path = path.replace(f"{{{parameter['name']}}}", example)
        else:
            query[parameter["name"]] = example
    content = operation.get("requestBody", {}).get("content", {})
    for media_type, described in content.items():
        return await client.request(
            method, path, params=query, json=described["example"], headers={"content-type": media_type}
        )
    return await client.request(method, path, params=query)


async def test_errors_are_described_in_the_form_in_which_they_come(client: httpx.AsyncClient) -> None:
    paths = (await client.get("/openapi.json")).json()["paths"]
    hook = paths["/cds-services/trial-match-patient-view"]["post"]["responses"]
    assert {"400", "401", "403", "412", "413", "415", "422", "503"} <= hook.keys()
    assert list(hook["412"]["content"]) == ["application/fhir+json"]
    match = paths["/api/v1/match"]["post"]["responses"]
    assert list(match["422"]["content"]) == ["application/problem+json"]


PROVOKED = [
    ("/cds-services/trial-match-patient-view", "POST", "400", b"{", "application/json"),
    ("/cds-services/trial-match-patient-view", "POST", "415", b"{}", "text/plain"),
    ("/cds-services/trial-match-patient-view", "POST", "422", b"{}", "application/json"),
    ("/api/v1/match", "POST", "400", b"{", "application/json"),
    ("/api/v1/match", "POST", "415", b"{}", "text/plain"),
    ("/api/v1/match", "POST", "422", b"{}", "application/json"),
    ("/api/v1/trials/{trial_id}", "GET", "404", b"", ""),
]


@pytest.mark.parametrize(("path", "method", "status", "body", "media_type"), PROVOKED)
async def test_an_error_looks_like_its_example(
    client: httpx.AsyncClient, path: str, method: str, status: str, body: bytes, media_type: str
) -> None:
    responses = (await client.get("/openapi.json")).json()["paths"][path][method.lower()]["responses"]
    ((form, example),) = responses[status]["content"].items()
    headers = {"content-type": media_type} if media_type else {}
    answer = await client.request(method, path.replace("{trial_id}", "none"), content=body, headers=headers)
    assert str(answer.status_code) == status
    assert answer.headers["content-type"] == form
    found, shown = answer.json(), example["example"]
    assert found.keys() - {"place"} == shown.keys() - {"place"}
    if "issue" in shown:
        assert found["issue"][0]["code"] == shown["issue"][0]["code"]
    else:
        assert (found["title"], found["status"]) == (shown["title"], shown["status"])


async def test_examples_are_of_real_size_and_answered_with_a_card(client: httpx.AsyncClient) -> None:
    operation = (await client.get("/openapi.json")).json()["paths"]["/cds-services/trial-match-patient-view"]["post"]
    body = operation["requestBody"]["content"]["application/json"]["example"]
    assert body["prefetch"]["observations"]["total"] > 40
    cards = (await client.post("/cds-services/trial-match-patient-view", json=body)).json()["cards"]
    shown = operation["responses"]["200"]["content"]["application/json"]["example"]["cards"]
    assert cards[0]["summary"] == shown[0]["summary"]


async def test_the_summary_of_feedback_has_the_shape_of_its_example(client: httpx.AsyncClient) -> None:
    paths = (await client.get("/openapi.json")).json()["paths"]
    item = {"card": "unknown", "outcome": "overridden", "outcomeTimestamp": "2026-11-01T09:30:00Z"}
    await client.post("/cds-services/trial-match-patient-view/feedback", json={"feedback": [item]})
    found = (await client.get("/api/v1/feedback/summary")).json()
    answer = paths["/api/v1/feedback/summary"]["get"]["responses"]["200"]
    shown = answer["content"]["application/json"]["example"]
    assert found.keys() == shown.keys()
    for name, rows in shown.items():
        assert {tuple(row) for row in rows} == {tuple(row) for row in found[name]}


async def test_the_operations_are_grouped_and_each_group_is_explained(client: httpx.AsyncClient) -> None:
    described = (await client.get("/openapi.json")).json()
    used = {tag for operations in described["paths"].values() for o in operations.values() for tag in o["tags"]}
    assert used == {tag["name"] for tag in described["tags"]}
    assert all(tag["description"] for tag in described["tags"])


async def test_the_page_for_ehr_analysts_lists_what_discovery_offers(client: httpx.AsyncClient) -> None:
    page = html.unescape((await client.get("/docs/connect")).text)
    for service in (await client.get("/cds-services")).json()["services"]:
        assert f"/cds-services/{service['id']}" in page
        for key, template in service["prefetch"].items():
            assert f"<code>{key}</code>" in page
            assert f"<code>{template}</code>" in page


async def test_the_page_on_connecting_is_the_document_with_our_addresses(client: httpx.AsyncClient) -> None:
    page = (await client.get("/docs/connect")).text
    document = (Path(__file__).parents[2] / "docs" / "connect.md").read_text("utf-8")
    headings = re.findall(r"^#+ (.*)$", document, re.MULTILINE)
    assert len(headings) > 10
    for heading in headings:
        assert re.search(rf"<h\d id=[^>]*>{re.escape(heading)}</h", html.unescape(page)), heading
    assert "http://127.0.0.1:8000/launch/callback" in page
    assert "{TRIALCARDS_PUBLIC_URL}" not in page
    assert "<!--" not in document
    assert 'href="worklist' not in page


async def test_the_page_on_connecting_is_open_in_production(tmp_path: Path, definitions: Definitions) -> None:
    services = services_with(production_settings(tmp_path), definitions)
    async with serving(services, BASE) as client:
        assert (await client.get("/docs/connect")).status_code == 200
        assert (await client.get("/docs")).status_code == 401


def test_every_key_of_an_entry_is_explained() -> None:
    for model in (Ehr, Smart):
        for name, field in model.model_fields.items():
            assert field.description, name
            assert field.description.endswith("."), name
            assert f"| `{name}` |" in connect_text()


def test_every_entry_of_the_document_is_one_that_the_service_takes(tmp_path: Path) -> None:
    (tmp_path / "no-keys.json").write_text('{"keys": []}')
    (tmp_path / "app.pem").write_bytes(ECKey.generate_key("P-384", private=True).as_pem(private=True))
    entries = [block for block in re.findall(r"```toml\n(.*?)```", connect_text(), re.DOTALL) if "[[ehr]]" in block]
    assert len(entries) >= 6
    for entry in entries:
        (tmp_path / "ehrs.toml").write_text(entry)
        assert load_ehrs(tmp_path / "ehrs.toml")

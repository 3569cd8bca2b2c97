"""The API documentation: from our own files only, and every example in it runs."""

from __future__ import annotations

import re
from typing import Any

import httpx

from app.routes.docs import ROOM


async def test_the_page_loads_nothing_from_elsewhere(client: httpx.AsyncClient) -> None:
    page = await client.get("/docs")
    assert "default-src 'self'" in page.headers["content-security-policy"]
    addresses = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert addresses
    for address in addresses:
        assert address.startswith("/docs/assets/")
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

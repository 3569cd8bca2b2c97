"""Schemathesis on our own OpenAPI document: whatever it makes up, the answer is one that the document describes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.core.result import Ok

from app.definitions.served import Definitions
from tests.support.fuzz import Door

BOUNDED = settings(
    max_examples=15, deadline=None, derandomize=True, phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.filter_too_much],
)  # fmt: skip


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory, definitions: Definitions) -> Iterator[Door]:
    door = Door(tmp_path_factory.mktemp("openapi"), definitions)
    yield door
    door.close()


def test_every_operation_answers_as_it_is_described(door: Door) -> None:
    described: dict[str, Any] = door.request("GET", "/openapi.json").json()
    schema = schemathesis.openapi.from_dict(described)
    found: list[Any] = [each.ok() for each in schema.get_all_operations() if isinstance(each, Ok)]
    assert len(found) >= 15
    for operation in found:
        responses = described["paths"][operation.path][operation.method]["responses"]
        _ask(door, operation, set(responses))


def _ask(door: Door, operation: Any, described: set[str]) -> None:
    @BOUNDED
    @given(case=operation.as_strategy(), headers=st.sampled_from([{}, {"accept": "text/html"}]))
    def ask(case: Any, headers: dict[str, str]) -> None:
        made = case.as_transport_kwargs(base_url="http://127.0.0.1:8000")
        made["headers"] = {**dict(made.get("headers") or {}), **headers}
        answer = door.request(**{name: made[name] for name in _TAKEN if made.get(name) is not None})
        assert answer.status_code < 500, (operation.label, answer.status_code)
        assert str(answer.status_code) in described | {"404", "405"}, (operation.label, answer.status_code)

    ask()


_TAKEN = ("method", "url", "headers", "params", "json", "content", "data")

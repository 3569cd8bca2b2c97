"""Bodies that nobody would write: whatever comes, the answer is one that the protocol knows, and repeats nothing."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.definitions.served import Definitions
from app.web.examples import hook_call
from tests.cds_hooks.oracle import check_response
from tests.hospital import VIEW
from tests.support.fuzz import Door

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
BOUNDED = settings(
    max_examples=120, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory, definitions: Definitions) -> Iterator[Door]:
    door = Door(tmp_path_factory.mktemp("fuzz"), definitions)
    yield door
    door.close()


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value in a document."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, each in inner for found in places(each, (*path, key)))]


CALL = hook_call("patient-view")
PLACES = [path for path in places(CALL) if path]


def changed(path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    body = copy.deepcopy(CALL)
    at: Any = body
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return body


def is_known(answer: httpx.Response) -> None:
    assert answer.status_code in (200, 400, 412, 422)
    if answer.status_code == 200:
        check_response(answer.json())
    else:
        assert answer.json()["resourceType"] == "OperationOutcome"


@BOUNDED
@given(path=st.sampled_from(PLACES), value=ANYTHING)
def test_a_call_with_anything_anywhere_is_answered_or_refused(door: Door, path: tuple[Any, ...], value: Any) -> None:
    is_known(door.post(VIEW, json.dumps(changed(path, value)).encode()))


@BOUNDED
@given(value=ANYTHING)
def test_a_body_of_anything_is_answered_or_refused(door: Door, value: Any) -> None:
    for path in (VIEW, VIEW + "/feedback"):
        answer = door.post(path, json.dumps(value).encode())
        assert answer.status_code in (400, 422)
        assert answer.json()["resourceType"] == "OperationOutcome"


@BOUNDED
@given(content=st.binary(max_size=200), at=st.integers(0, 10_000))
def test_a_call_damaged_anywhere_is_answered_or_refused(door: Door, content: bytes, at: int) -> None:
    whole = json.dumps(CALL).encode()
    at %= len(whole)
    is_known(door.post(VIEW, whole[:at] + content + whole[at + len(content) :]))

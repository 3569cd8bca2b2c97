"""The oracle itself can refuse: each rule, broken once."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.cds_hooks.oracle import check_discovery, check_feedback, check_response

UUID = "9368d37b-283f-44a0-93ea-547cebab93ed"
GOOD: dict[str, Any] = {
    "cards": [
        {
            "uuid": UUID,
            "summary": "A trial",
            "indicator": "info",
            "detail": "**bold**",
            "source": {"label": "X", "topic": {"code": "T1", "system": "https://x.example/s", "display": "T"}},
            "links": [{"label": "L", "url": "https://x.example/", "type": "absolute"}],
            "suggestions": [
                {
                    "uuid": "00000000-0000-4000-8000-000000000001",
                    "label": "Refer",
                    "actions": [
                        {
                            "type": "create",
                            "description": "Refer",
                            "resource": {"resourceType": "ServiceRequest", "subject": {"reference": "Patient/1"}},
                        }
                    ],
                }
            ],
            "selectionBehavior": "any",
            "overrideReasons": [{"code": "c", "system": "s", "display": "d"}],
        }
    ]
}


def test_a_good_answer_passes() -> None:
    check_response(GOOD, "Patient/1")
    check_response({"cards": []})


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("summary", "x" * 140),
        ("summary", "𝔘" * 70),
        ("summary", ""),
        ("indicator", "success"),
        ("detail", "<b>x</b>"),
        ("detail", "https://x.example"),
        ("detail", "[x](y)"),
        ("detail", "x" * 4000),
        ("uuid", "1"),
        ("zzz", 1),
        ("selectionBehavior", "at-most-one"),
        ("suggestions", []),
        ("links", [{"label": "L", "url": "http://x.example/", "type": "absolute"}]),
        ("links", [{"label": "L", "url": "https://x.example/", "type": "absolute", "appContext": "x"}]),
        ("links", [{"label": "L", "url": "/relative", "type": "absolute"}]),
        ("overrideReasons", [{"code": "c", "display": "d"}]),
        ("source", {"label": "X", "topic": {"code": "T-1", "system": "https://x.example/s"}}),
        ("source", {"label": "X"}),
        ("extension", {"nodots": 1}),
    ],
)
def test_a_broken_card_is_refused(path: str, value: Any) -> None:
    answer = copy.deepcopy(GOOD)
    answer["cards"][0][path] = value
    with pytest.raises((AssertionError, KeyError, ValueError)):
        check_response(answer, "Patient/1")


def test_a_resource_about_another_patient_is_refused() -> None:
    with pytest.raises(AssertionError):
        check_response(GOOD, "Patient/2")


@pytest.mark.parametrize(
    "change",
    [
        {"id": "a/b"},
        {"description": ""},
        {"title": None},
        {"prefetch": {}},
        {"prefetch": {"p": "Patient/{{ context.patientId }}"}},
        {"prefetch": {"p": "Patient/{{context.draftOrders.id}}"}},
        {"prefetch": {"p": "Observation?_include=x"}},
        {"prefetch": {"p": "Observation?date=ge1&date=le2"}},
    ],
)
def test_a_broken_discovery_is_refused(change: dict[str, Any]) -> None:
    service = {"id": "a", "hook": "patient-view", "title": "t", "description": "d"}
    check_discovery({"services": [service]})
    with pytest.raises((AssertionError, TypeError)):
        check_discovery({"services": [service | change]})


@pytest.mark.parametrize(
    "change",
    [{"card": "x"}, {"outcome": "zzz"}, {"outcomeTimestamp": "now"}, {"outcome": "accepted"}, {"overrideReason": {}}],
)
def test_a_broken_feedback_is_refused(change: dict[str, Any]) -> None:
    item = {"card": UUID, "outcome": "overridden", "outcomeTimestamp": "2026-11-01T10:00:00Z"}
    check_feedback({"feedback": [item]})
    with pytest.raises((AssertionError, KeyError, ValueError)):
        check_feedback({"feedback": [item | change]})

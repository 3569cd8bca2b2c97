"""What every discovery document, answer and feedback must look like: CDS Hooks 2.0.1 with the rules of real clients.

Each function raises AssertionError with the place. Used by every test that sees a response.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

Json = dict[str, Any]

HOOKS = {"patient-view", "encounter-start", "order-select", "order-sign"}
_ID = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
_TOKEN = re.compile(r"\{\{(.*?)\}\}")
_TOKENS = {"context.patientId", "context.userId", "context.encounterId"}
_QUERY_MODIFIERS = re.compile(r"_include|_revinclude|_has|_filter|:not|:missing|\.|=(?:ne|sa|eb)\d")
CARD = {
    "uuid", "summary", "detail", "indicator", "source", "suggestions", "selectionBehavior", "overrideReasons", "links",
    "extension",
}  # fmt: skip
MATCH = "org.trialcards.match"


def check_discovery(document: Json) -> None:
    assert set(document) == {"services"}
    seen = set()
    for service in document["services"]:
        assert set(service) <= {"hook", "title", "description", "id", "prefetch", "usageRequirements", "extension"}
        for member in ("hook", "title", "description", "id"):
            assert isinstance(service[member], str), member
        assert service["hook"] in HOOKS
        assert _ID.match(service["id"])
        assert service["id"] not in seen
        seen.add(service["id"])
        if "prefetch" in service:
            for key, template in service["prefetch"].items():
                _check_template(key, template)
    _check_no_empties(document, ("services",))


def _check_template(key: str, template: str) -> None:
    assert key
    assert set(_TOKEN.findall(template)) <= _TOKENS, template
    bare = _TOKEN.sub("", template)
    assert "{" not in bare
    assert "}" not in bare
    assert not _QUERY_MODIFIERS.search(bare), template
    names = [pair.split("=")[0] for pair in bare.partition("?")[2].split("&") if pair]
    assert len(names) == len(set(names)), f"{template} names a parameter twice"


def check_response(answer: Json, patient: str | None = None) -> None:
    """An answer with cards. `patient`: the reference that every suggested resource must be about."""
    assert set(answer) == {"cards"}
    uuids = list(_uuids(answer["cards"]))
    assert len(uuids) == len(set(uuids))
    for index, card in enumerate(answer["cards"]):
        _check_card(card, f"cards[{index}]", patient)


def _uuids(cards: list[Json]) -> Iterator[str]:
    for card in cards:
        yield card["uuid"]
        for suggestion in card.get("suggestions", ()):
            yield suggestion["uuid"]


def _check_card(card: Json, place: str, patient: str | None) -> None:
    assert set(card) <= CARD, f"{place}: {set(card) - CARD}"
    UUID(card["uuid"])
    _check_summary(card["summary"])
    assert card["indicator"] in ("info", "warning", "critical")
    _check_source(card["source"])
    if "detail" in card:
        _check_detail(card["detail"])
    _check_suggestions(card, place, patient)
    for reason in card.get("overrideReasons", ()):
        assert set(reason) == {"code", "system", "display"}
    for link in card.get("links", ()):
        _check_link(link)
    extension = card.get("extension", {})
    assert all("." in key for key in extension), f"{place}.extension: keys are reverse-DNS names"
    _check_no_empties({name: value for name, value in card.items() if name != "extension"}, place)


def _check_summary(summary: str) -> None:
    assert summary.strip() == summary
    assert summary
    assert "\n" not in summary
    assert len(summary.encode("utf-16-le")) // 2 < 140
    assert len(summary) < 140


def _check_source(source: Json) -> None:
    assert set(source) <= {"label", "url", "icon", "topic"}
    assert source["label"]
    for name in ("url", "icon"):
        assert name not in source or urlsplit(source[name]).scheme == "https"
    topic = source["topic"]
    assert set(topic) <= {"code", "system", "display"}
    assert re.match(r"^[A-Za-z0-9]{1,100}$", topic["code"])
    assert topic["system"].startswith("https://")


def _check_detail(detail: str) -> None:
    assert detail.strip()
    assert len(detail) < 4000
    assert not re.search(r"<[a-zA-Z/!?]", detail), "raw HTML"
    assert not re.search(r"https?://|www\.", detail), "a bare address becomes a link"
    assert not re.search(r"(?<!\\)\[", detail), "a Markdown link"


def _check_suggestions(card: Json, place: str, patient: str | None) -> None:
    if "suggestions" not in card:
        assert "selectionBehavior" not in card
        return
    assert card["selectionBehavior"] == "any"
    assert 1 <= len(card["suggestions"]) <= 5
    for suggestion in card["suggestions"]:
        assert set(suggestion) <= {"label", "uuid", "isRecommended", "actions"}
        UUID(suggestion["uuid"])
        assert suggestion["label"]
        (action,) = suggestion["actions"]
        _check_action(action, place, patient)


def _check_action(action: Json, place: str, patient: str | None) -> None:
    assert set(action) <= {"type", "description", "resource", "resourceId"}
    assert action["type"] == "create"
    assert action["description"]
    resource = action["resource"]
    assert resource["resourceType"] == "ServiceRequest"
    assert "id" not in resource, f"{place}: a new resource has no id of a server"
    assert patient is None or resource["subject"] == {"reference": patient}


def _check_link(link: Json) -> None:
    assert set(link) <= {"label", "url", "type", "appContext"}
    assert link["label"]
    assert link["type"] in ("absolute", "smart")
    parts = urlsplit(link["url"])
    assert parts.hostname
    loopback = parts.hostname in ("localhost", "127.0.0.1", "::1", "testserver")
    assert parts.scheme == "https" or (loopback and parts.scheme == "http")
    assert "appContext" not in link or (link["type"] == "smart" and isinstance(link["appContext"], str))


def check_feedback(request: Json) -> None:
    """A feedback request as a conformant EHR sends it (CDS Hooks 2.0, "Feedback")."""
    assert set(request) == {"feedback"}
    assert request["feedback"]
    for item in request["feedback"]:
        assert set(item) <= {
            "card",
            "outcome",
            "outcomeTimestamp",
            "acceptedSuggestions",
            "overrideReason",
            "extension",
        }
        UUID(item["card"])
        assert item["outcome"] in ("accepted", "overridden")
        assert re.match(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$", item["outcomeTimestamp"])
        if item["outcome"] == "accepted":
            assert item["acceptedSuggestions"]
            assert all(UUID(each["id"]) for each in item["acceptedSuggestions"])
        if "overrideReason" in item:
            assert item["overrideReason"].keys() & {"reason", "userComment"}
    _check_no_empties(request, "feedback")


def _check_no_empties(value: Any, place: object) -> None:
    """No null, no empty text, list or object anywhere; `cards` and `services` may be empty lists."""
    allowed = place if isinstance(place, tuple) else ()
    if isinstance(value, dict):
        assert value, f"{place}: an empty object"
        for name, inner in value.items():
            if not (name in allowed and inner == []):
                _check_no_empties(inner, f"{place}.{name}")
    elif isinstance(value, list):
        assert value, f"{place}: an empty list"
        for index, inner in enumerate(value):
            _check_no_empties(inner, f"{place}[{index}]")
    else:
        assert value is not None, f"{place}: null"
        assert value != "", f"{place}: an empty text"

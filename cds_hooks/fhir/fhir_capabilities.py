"""What our FHIR endpoint says about itself: the CapabilityStatement and the OperationDefinition of `$match`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cds_hooks.fhir.fhir_study import BASE
from cds_hooks.report import VERSION

Json = dict[str, Any]

MATCH_ID = "ResearchStudy-match"
MATCH_URL = f"{BASE}/OperationDefinition/{MATCH_ID}"
_RELEASED = "2026-11-24"  # of this statement; it changes when what the endpoint can do changes
_TOKENS = {"_id": "token", "condition": "token", "status": "token", "identifier": "token", "url": "uri"}


def capabilities(base: str, searches: Mapping[str, Sequence[str]]) -> Json:
    """The CapabilityStatement of the endpoint at `base`; `searches`: resource type -> its search parameters."""
    return {
        "resourceType": "CapabilityStatement",
        "id": "trialcards",
        "name": "TrialCards",
        "title": "TrialCards: trial definitions, terminology and matches",
        "status": "active",
        "date": _RELEASED,
        "kind": "instance",
        "software": {"name": "TrialCards", "version": VERSION},
        "implementation": {"description": "TrialCards", "url": base},
        "fhirVersion": "4.0.1",
        "format": ["json"],
        "rest": [
            {
                "mode": "server",
                "documentation": "Reading is open; $match takes the EHR's token, as the match API does.",
                "resource": [_resource(name, params) for name, params in searches.items()],
            }
        ],
    }


def _resource(name: str, params: Sequence[str]) -> Json:
    found: Json = {
        "type": name,
        "interaction": [{"code": "read"}, {"code": "search-type"}],
        "searchParam": [{"name": param, "type": _TOKENS[param]} for param in params],
    }
    if name == "ResearchStudy":
        found["operation"] = [{"name": "match", "definition": MATCH_URL}]
    return found


def match_operation() -> Json:
    return {
        "resourceType": "OperationDefinition",
        "id": MATCH_ID,
        "url": MATCH_URL,
        "name": "Match",
        "title": "Hold one patient's chart against the studies",
        "status": "active",
        "kind": "operation",
        "date": _RELEASED,
        "affectsState": False,
        "code": "match",
        "resource": ["ResearchStudy"],
        "system": False,
        "type": True,
        "instance": False,
        "parameter": [
            _parameter("chart", "in", 1, "Bundle", "The patient's whole chart: one Patient, and everything about it."),
            _parameter("asOf", "in", 0, "dateTime", "The moment at which the chart is read; now without it."),
            _parameter("return", "out", 1, "Bundle", "A List of candidates, ResearchSubjects and GuidanceResponses."),
        ],
    }


def _parameter(name: str, use: str, least: int, kind: str, what: str) -> Json:
    return {"name": name, "use": use, "min": least, "max": "1", "documentation": what, "type": kind}

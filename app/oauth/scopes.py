"""SMART scopes: what a launch asks for, and which parts of a chart may be read with what was granted.

SMART App Launch 2, "Scopes for requesting FHIR resources"; the forms of version 1 (`.read`) are understood too.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Literal

from cds_hooks.protocol.services import Prefetch

LAUNCH = ("launch", "openid", "fhirUser")
_RESOURCE = re.compile(r"^(?:patient|user)/(\*|[A-Za-z]+)\.(\*|read|c?r?u?d?s?)(\?.*)?$")

# "narrowed": only those of its resources that match a query.
Grant = Literal["all", "narrowed", "none"]


def scope_for(parts: Iterable[Prefetch], capabilities: Collection[str] = ()) -> str:
    """What reads exactly these parts, with the Medications that their drugs refer to, and says who is at work."""
    only_old = "permission-v1" in capabilities and "permission-v2" not in capabilities
    types = [*dict.fromkeys(part.resource_type for part in parts), "Medication"]
    return " ".join([*LAUNCH, *(f"patient/{name}.{'read' if only_old else 'rs'}" for name in types)])


def granted(scope: str, parts: Sequence[Prefetch]) -> Mapping[str, Grant]:
    """By resource type, how much of each part a granted scope opens."""
    scopes = [(found[1], found[2], found[3]) for found in map(_RESOURCE.match, scope.split()) if found]
    return {part.resource_type: _grant(part, scopes) for part in parts}


def _grant(part: Prefetch, scopes: Iterable[tuple[str, str, str | None]]) -> Grant:
    # A part is one resource that is read, or what a search finds.
    needed = "s" if "?" in part.template else "r"
    queries = [
        query
        for name, letters, query in scopes
        if name in ("*", part.resource_type) and (letters in ("*", "read") or needed in letters)
    ]
    if not queries:
        return "none"
    return "narrowed" if all(queries) else "all"

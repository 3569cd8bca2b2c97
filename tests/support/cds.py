"""What tests of cds share with others."""

from __future__ import annotations

import copy
from typing import Any

from app.web.examples import hook_call

SERVICE = "/cds-services/trial-match-patient-view"


def call(**changes: object) -> dict[str, Any]:
    """The example call; a change to None takes the member out."""
    body = copy.deepcopy(hook_call("patient-view")) | changes
    return {name: value for name, value in body.items() if value is not None}


def prefetching(**changes: object) -> dict[str, Any]:
    body = call()
    body["prefetch"] |= changes
    return body

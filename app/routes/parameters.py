"""The query parameters of a match: at which moment the chart is read, and against which trials it is held."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, tzinfo

from starlette.requests import Request

from app.definitions.served import Served
from app.errors import Unusable
from mappings.time.times import can_be_now, parse_moment
from trial_defs.definition.expressions import Trial


def moment_of(text: str, zone: tzinfo, name: str = "asOf") -> datetime:
    """The instant that the parameter `name` says; a date is 00:00 of that day in `zone`. Unusable when neither."""
    # An unescaped "+" arrives as a space.
    text = re.sub(r"([Tt][\d:.]+) (\d{2}:?\d{2})$", r"\1+\2", text.strip())
    moment = parse_moment(text, zone)
    is_date = moment is not None and len(text) == 10
    if moment is None or not (is_date or _has_offset(text)) or not can_be_now(moment.earliest):
        raise Unusable(f"{name} is a date from 1900 to 2199, or an instant with its offset.", name)
    return moment.earliest


def _has_offset(text: str) -> bool:
    _, separator, clock = text.upper().partition("T")
    return bool(separator) and (clock.endswith("Z") or "+" in clock or "-" in clock)


def called(request: Request) -> str:
    """What a call asks for, body apart: the path with its query."""
    return f"{request.url.path}?{request.url.query}"


def chosen(served: Served, wanted: Sequence[str] | None) -> list[Trial]:
    """The trials of these ids, all of them without any. Unusable when one is not served."""
    if not wanted:
        return list(served.trials.values())
    if not all(name in served.trials for name in wanted):
        raise Unusable("Each trial is the id of a trial that is served; see /api/v1/trials.", "trial")
    return [trial for name, trial in served.trials.items() if name in wanted]

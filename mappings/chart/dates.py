"""When an Observation was true; and how far back a list that was cut short is whole, if it came newest first.

A search that asks for `_sort=-date` and stops early (time, pages, a prefetched first page) lacks its oldest records
only. What is newer than the last record that came is then all there is. That is believed only while the records bear it
out: each has a date of its own, and none is newer than the one before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, timedelta

from mappings.chart import fhir
from mappings.time.times import Moment, parse_moment

# A day without a time zone and an instant of the same evening may be in either order.
_SLACK = timedelta(days=1)


def date_text(observation: fhir.Observation) -> str | None:
    """When the observation was true of the patient; when it was issued, where nothing else is said.

    Of a period its end (a urine collection), of several events the last.
    """
    if observation.effective_date_time:
        return observation.effective_date_time
    if (period := observation.effective_period) and (period.end or period.start):
        return None if is_reversed(period) else period.end or period.start
    if observation.effective_timing and observation.effective_timing.event:
        return max(observation.effective_timing.event)
    return observation.effective_instant or observation.issued


def is_reversed(period: fhir.Span | None) -> bool:
    """Whether it ends before it begins: then neither date is believed."""
    if period is None or not period.start or not period.end or period.end >= period.start:
        return False  # most dates sort as text
    start, end = parse_moment(period.start, UTC), parse_moment(period.end, UTC)
    return start is not None and end is not None and end.latest < start.earliest


def oldest_arrived(records: Sequence[fhir.Observation]) -> str | None:
    """The date of the last record, as recorded, where the records run from the newest to the oldest; else None.

    FHIR's search parameter `date` reads `effective[x]`. A server that sorts by it may put a record without one
    anywhere, so such a record is reason enough to believe no order.
    """
    last: Moment | None = None
    for record in records:
        moment = parse_moment(date_text(record) or "", UTC) if _is_dated(record) else None
        if moment is None or (last is not None and moment.earliest > last.latest + _SLACK):
            return None
        last = moment
    return last.text if last else None


def _is_dated(record: fhir.Observation) -> bool:
    return bool(
        record.effective_date_time or record.effective_period or record.effective_timing or record.effective_instant
    )

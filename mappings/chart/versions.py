"""Which of two versions of one record is the newer, as far as `meta` says it (R4, Resource.meta)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

from mappings.time.times import parse_moment

_MOST_DIGITS = 18  # a longer number is no counter, and a database cannot hold it


class Version(NamedTuple):
    """What `meta` says of a version: its number where `versionId` is one, and the instant of `lastUpdated` in UTC."""

    number: int | None = None
    updated: datetime | None = None


def read_version(version_id: str | None, last_updated: str | None) -> Version:
    """From the two texts in `meta`. A `versionId` that is no decimal number has no order."""
    text = (version_id or "").strip()
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS else None
    moment = parse_moment(last_updated, UTC) if last_updated else None
    return Version(number, moment.latest if moment else None)


def is_older(one: Version, other: Version) -> bool:
    """Whether `one` is certainly the older. Where number and instant contradict each other, nothing is certain."""
    by_number = _order(one.number, other.number)
    by_instant = _order(one.updated, other.updated)
    return min(by_number, by_instant) < 0 and max(by_number, by_instant) <= 0


def _order(one: int | datetime | None, other: int | datetime | None) -> int:
    """-1 where `one` comes before `other`, 1 where it comes after; 0 where they are equal or one is missing."""
    if isinstance(one, int) and isinstance(other, int):
        return (one > other) - (one < other)
    if isinstance(one, datetime) and isinstance(other, datetime):
        return (one > other) - (one < other)
    return 0

"""What a calculation asks of the patient's facts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Protocol

from mappings.concepts.catalogue import Catalogue
from mappings.facts import Episode, Person, Result
from mappings.lazily import Lazily
from mappings.time.times import Moment

WEIGHT_SPEAKS_FOR = timedelta(days=180)  # a body weight, of what is calculated with it


class RecordedFacts(Protocol):
    """What a calculation asks of the patient's facts."""

    person: Person
    catalogue: Catalogue
    today: date

    @property
    def now(self) -> Moment: ...
    @property
    def day(self) -> Callable[[date], Moment]: ...
    def readable(self, concept: str) -> bool: ...
    def unread(self, concept: str) -> frozenset[str]: ...
    def results_are_whole_from(self, day: date) -> bool: ...
    def results(self, concept: str) -> Lazily[Result]: ...
    def episodes(self, concept: str) -> tuple[Episode, ...]: ...

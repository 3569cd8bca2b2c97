"""Where the time and the memory of one call go, part by part, for anybody who looks for what is slow: `--profile`.

Parts may lie in one another ("report" in "record"); each is told whole. Nothing of a call's content is in it.
"""

from __future__ import annotations

import sys
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(slots=True)
class Cost:
    """Milliseconds of the clock and of the processor (this thread), and memory that was still held at the end.

    `blocks` are Python's own, counted always; `kept` and `peak` are bytes, where tracemalloc runs.
    """

    wall: float = 0
    processor: float = 0
    blocks: int = 0
    kept: int = 0
    peak: int = 0


@dataclass
class Profile:
    """The parts of one call, in the order in which they ended; one that comes again is added to."""

    parts: dict[str, Cost] = field(default_factory=dict)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        held = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        blocks = sys.getallocatedblocks()
        wall, processor = time.perf_counter(), time.thread_time()
        try:
            yield
        finally:
            cost = self.parts.setdefault(name, Cost())
            cost.processor += (time.thread_time() - processor) * 1e3
            cost.wall += (time.perf_counter() - wall) * 1e3
            cost.blocks += sys.getallocatedblocks() - blocks
            now, peak = tracemalloc.get_traced_memory()
            cost.kept += now - held
            cost.peak = max(cost.peak, peak - held)

    def as_log(self) -> dict[str, list[float]]:
        """Each part as milliseconds of the clock, of the processor, and blocks."""
        return {name: [round(cost.wall, 2), round(cost.processor, 2), cost.blocks] for name, cost in self.parts.items()}


def table_of(times: Profile, memory: Profile) -> Table:
    """Two runs of the same call: one for its times, one under tracemalloc, which slows it down, for its memory."""
    from rich.table import Table

    table = Table("Part", "ms", "of the processor", "kept kB", "peak kB", box=None, header_style="bold")
    for name, cost in times.parts.items():
        held = memory.parts.get(name, Cost())
        numbers = (f"{cost.wall:.2f}", f"{cost.processor:.2f}", f"{held.kept / 1e3:.0f}", f"{held.peak / 1e3:.0f}")
        table.add_row(name, *numbers)
    return table


_current: ContextVar[Profile | None] = ContextVar("profile", default=None)


@contextmanager
def profiled() -> Iterator[Profile]:
    """Collect the parts of what is done inside."""
    profile = Profile()
    token = _current.set(profile)
    try:
        yield profile
    finally:
        _current.reset(token)


@contextmanager
def part(name: str) -> Iterator[None]:
    """One part of what is profiled around it; costs next to nothing where nothing is."""
    profile = _current.get()
    if profile is None:
        yield
        return
    with profile.part(name):
        yield


def took(name: str, seconds: float) -> None:
    """The same for a part that is known by its time only, as it was spent in another thread."""
    if profile := _current.get():
        profile.parts.setdefault(name, Cost()).wall += seconds * 1e3

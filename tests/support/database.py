"""What tests of database share with others."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa


class Held:
    """A part of a transaction that goes on when it is let go."""

    def __init__(self) -> None:
        self.begun, self._go = threading.Event(), threading.Event()

    def __call__(self, _: sa.Connection) -> None:
        self.begun.set()
        assert self._go.wait(20)

    async def is_under_way(self) -> None:
        assert await asyncio.to_thread(self.begun.wait, 20)

    def let_go(self) -> None:
        self._go.set()


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """This process and its children stand still; connections to them stay open."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    family = [pid, *map(int, children)]
    for each in family:
        os.kill(each, signal.SIGSTOP)
    try:
        yield
    finally:
        for each in family:
            os.kill(each, signal.SIGCONT)

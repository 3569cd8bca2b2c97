"""Where the tasks of a screen run: in processes of this machine, or on a Spark cluster."""

from __future__ import annotations

import gc
import itertools
import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from app.screen.work import Work, begin, pack
from mappings.values import units

P = TypeVar("P")
T = TypeVar("T")


class Engine(Protocol):
    """Runs tasks; nothing else of a screen knows where."""

    def each(self, work: Work, task: Callable[[P], T], todo: Iterable[P]) -> Iterator[tuple[P, T]]:
        """Every piece of work with its result, as they are done."""
        ...

    def close(self) -> None:
        """End what was begun."""
        ...


class LocalEngine:
    """As many processes as `workers`, begun at once and ended by `close`; with one worker, this process."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._pool: ProcessPoolExecutor | None = None
        if workers > 1:
            # A fork inherits what is loaded, so load it once; it is made before anything here starts a thread.
            units.warm(())
            gc.freeze()
            context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
            self._pool = ProcessPoolExecutor(workers, context, _watch_parent)
            self._pool.submit(os.getpid).result()

    def each(self, work: Work, task: Callable[[P], T], todo: Iterable[P]) -> Iterator[tuple[P, T]]:
        packed = pack(work)
        if self._pool is None:
            begin(packed)
            yield from ((piece, task(piece)) for piece in todo)
            return
        left = iter(todo)
        waiting: dict[Future[T], P] = {}
        while True:
            # A few are in flight at any time; what is to come is not yet made.
            for piece in itertools.islice(left, 2 * self._workers - len(waiting)):
                waiting[self._pool.submit(_do, packed, task, piece)] = piece
            if not waiting:
                return
            for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                yield waiting.pop(future), future.result()

    def close(self) -> None:
        if self._pool:
            self._pool.shutdown(cancel_futures=True)


def _do(packed: Path, task: Callable[[P], T], piece: P) -> T:
    begin(packed)
    return task(piece)


def _watch_parent() -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A worker whose parent was killed has nobody to work for."""
    parent = multiprocessing.parent_process()
    if parent:
        parent.join()
        os._exit(1)


class SparkMissing(Exception):
    """PySpark is an extra."""

    def __init__(self) -> None:
        super().__init__("--engine spark needs PySpark and Java; install it with: pip install 'trialcards[spark]'")


@dataclass
class SparkEngine:
    """The executors of a cluster. They need this package, and the same paths as the driver.

    `master` as Spark writes it ("spark://host:7077"); None where `spark-submit` has said it.
    """

    master: str | None = None
    batch: int = 512  # tasks of one Spark job: between two, progress is reported
    _session: Any = None

    def each(self, work: Work, task: Callable[[P], T], todo: Iterable[P]) -> Iterator[tuple[P, T]]:
        context = self._context()
        packed = pack(work)

        def run(pieces: Iterable[P]) -> Iterator[tuple[P, T]]:
            begin(packed)
            yield from ((piece, task(piece)) for piece in pieces)

        left = iter(todo)
        while batch := list(itertools.islice(left, self.batch)):
            yield from context.parallelize(batch, len(batch)).mapPartitions(run).collect()

    def close(self) -> None:
        if self._session is not None:
            self._session.stop()

    def _context(self) -> Any:
        try:
            from pyspark.sql import SparkSession
        except ImportError as error:
            raise SparkMissing from error
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        builder = SparkSession.builder.appName("trialcards screen").config("spark.ui.showConsoleProgress", "false")
        if self.master:
            builder = builder.master(self.master)
        self._session = builder.getOrCreate()
        return self._session.sparkContext

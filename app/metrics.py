"""What is counted, for Prometheus. Labels are route templates, statuses, trial ids and verdicts: never a patient's.

One worker counts in memory. Several count in files of a folder that they share (`PROMETHEUS_MULTIPROC_DIR`, made by
`trialcards serve`), and whichever worker is asked adds them up.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from tempfile import TemporaryDirectory

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from app.profile import part, took
from app.traces import Tracer


@contextmanager
def shared_counters(workers: int) -> Iterator[None]:
    """Gives several workers, which are started inside of this, a folder to count in together; it is removed after."""
    if workers < 2 or os.environ.get(SHARED_FOLDER):
        yield
        return
    with TemporaryDirectory(prefix="trialcards-counters-") as folder:
        os.environ[SHARED_FOLDER] = folder
        yield


SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8)


@dataclass
class Query:
    """One query to an EHR while it runs."""

    outcome: str = "read"


class Metrics:
    """The counters of one worker. `phase` also opens a span where traces are sent."""

    def __init__(self, tracer: Tracer | None = None) -> None:
        self.tracer = tracer or Tracer()
        self.registry = CollectorRegistry()
        self.requests = self._counter("requests", "Answered calls", "route", "method", "status")
        self.seconds = self._histogram("request_seconds", "Time to answer", "route")
        self.phases = self._histogram("phase_seconds", "Time that one part of answering took", "phase")
        self.waits = Histogram(
            "trialcards_database_wait_seconds",
            "Time that transactions waited for their turn",
            buckets=(0.0005, 0.001, 0.002, *_SECONDS),
            registry=self.registry,
        )
        self.matches = self._counter("matches", "Verdicts given", "trial", "verdict")
        self.unknowns = self._counter("unknown_criteria", "Criteria left open, by cause", "reason")
        self.not_understood = self._counter("not_understood_records", "Records not understood", "resource_type")
        self.cards = self._counter("cards", "Cards shown", "trial", "verdict")
        self.snoozed = self._counter("cards_snoozed", "Cards held back after an override")
        self.feedback = self._counter("feedback", "Feedback received", "outcome")
        self.ehr_reads = self._counter("ehr_reads", "Parts of charts read from EHRs", "resource_type", "result")
        self.ehr_queries = self._counter("ehr_queries", "Single queries to EHRs", "ehr", "outcome")
        self.ehr_seconds = self._histogram("ehr_query_seconds", "Time of single queries to EHRs", "ehr")
        self.refused_tokens = self._counter("refused_tokens", "Tokens refused, by cause", "reason")
        self.launches = self._counter("launches", "SMART launches, by what came of them", "ehr", "outcome")
        self.logins = self._counter("logins", "Logins of people, by what came of them", "outcome")
        self.no_database = self._counter("database_failures", "Calls that the database failed")
        self.overloads = self._counter("overloads", "Calls refused because too many were being answered")
        self.open_calls = self._gauge("open_calls", "Hook calls being answered", "livesum")
        self.trials = self._gauge("trials", "Trial definitions served", "mostrecent")
        self.problems = self._gauge("definition_problems", "Problems of definition files", "mostrecent")

    def _counter(self, name: str, about: str, *labels: str) -> Counter:
        return Counter(f"trialcards_{name}", about, labels, registry=self.registry)

    def _histogram(self, name: str, about: str, *labels: str) -> Histogram:
        return Histogram(f"trialcards_{name}", about, labels, buckets=_SECONDS, registry=self.registry)

    def _gauge(self, name: str, about: str, among_workers: str) -> Gauge:
        return Gauge(f"trialcards_{name}", about, registry=self.registry, multiprocess_mode=among_workers)  # type: ignore[arg-type]

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time one part of answering a call."""
        started = time.perf_counter()
        try:
            with self.tracer.span(name), part(name):
                yield
        finally:
            self.phases.labels(name).observe(time.perf_counter() - started)

    def waited(self, seconds: float) -> None:
        """A transaction of the database has waited."""
        self.waits.observe(seconds)
        took("wait", seconds)

    @contextmanager
    def query(self, ehr: str, resource_type: str) -> Iterator[Query]:
        """Time one query to an EHR, and count it by the outcome that the caller sets."""
        query = Query()
        started = time.perf_counter()
        try:
            with self.tracer.span("EHR query", resource_type=resource_type):
                yield query
        finally:
            self.ehr_queries.labels(ehr, query.outcome).inc()
            self.ehr_seconds.labels(ehr).observe(time.perf_counter() - started)

    def text(self) -> bytes:
        """Everything counted, by all workers where they share a folder."""
        if not os.environ.get(SHARED_FOLDER):
            return generate_latest(self.registry)
        together = CollectorRegistry()
        MultiProcessCollector(together)  # type: ignore[no-untyped-call]
        return generate_latest(together)

"""What is counted, for Prometheus. Labels are route templates, statuses, trial ids and verdicts: never a patient's."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8)


class Metrics:
    """The counters of one worker."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "trialcards_requests", "Answered calls", ["route", "method", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "trialcards_request_seconds", "Time to answer", ["route"], buckets=_SECONDS, registry=self.registry
        )
        self.matches = Counter("trialcards_matches", "Verdicts given", ["trial", "verdict"], registry=self.registry)
        self.cards = Counter("trialcards_cards", "Cards shown", ["trial", "verdict"], registry=self.registry)
        self.snoozed = Counter("trialcards_cards_snoozed", "Cards held back after an override", registry=self.registry)
        self.feedback = Counter("trialcards_feedback", "Feedback received", ["outcome"], registry=self.registry)
        self.ehr_reads = Counter(
            "trialcards_ehr_reads", "Queries to EHRs", ["resource_type", "result"], registry=self.registry
        )
        self.trials = Gauge("trialcards_trials", "Trial definitions served", registry=self.registry)
        self.problems = Gauge("trialcards_definition_problems", "Problems of definition files", registry=self.registry)

    def text(self) -> bytes:
        return generate_latest(self.registry)

"""Spans for OpenTelemetry, sent where the setting `TRIALCARDS_TRACES` says; without it they cost nothing.

A span has a name, times and the attributes given here: resource types, counts, statuses. Exceptions are not recorded,
since their text may quote a chart.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

NEEDS_EXTRA = "needs the extra otel: pip install 'trialcards[otel]'"


class Tracer:
    """Opens spans; `provider` is where they go, None for nowhere."""

    def __init__(self, provider: Any = None) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("trialcards") if provider else None

    @contextmanager
    def span(self, name: str, **attributes: str | int) -> Iterator[None]:
        if self._tracer is None:
            yield
            return
        with self._tracer.start_as_current_span(
            name, attributes=attributes, record_exception=False, set_status_on_exception=False
        ):
            yield

    def close(self) -> None:
        """Send what has not been sent yet."""
        if self._provider is not None:
            self._provider.shutdown()


def tracer_for(endpoint: str | None) -> Tracer:
    """A tracer that sends to an OTLP/HTTP collector at this address; ImportError where the extra is missing."""
    if endpoint is None:
        return Tracer()
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=Resource.create({"service.name": "trialcards"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces")))
    return Tracer(provider)

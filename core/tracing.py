"""OpenTelemetry traces, if its packages are installed and an endpoint is set.

They are configured by the standard's variables, first of all `OTEL_EXPORTER_OTLP_ENDPOINT`.
"""

from __future__ import annotations

import os
from typing import Any

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


def is_enabled() -> bool:
    """Return whether an endpoint for traces is set."""
    return any(os.environ.get(name) for name in _ENDPOINTS)


def start_tracing(role: str) -> None:
    """Send the spans of this process and its forks. Raises `ImportError`.

    *role*: its name in traces, unless `OTEL_SERVICE_NAME` is set.
    """
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    name = os.environ.get("OTEL_SERVICE_NAME") or f"transcribe-{role}"
    provider = TracerProvider(resource=Resource.create({"service.name": name}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)


def flush_spans() -> None:
    """Send all spans that were not sent yet."""
    try:
        from opentelemetry import trace
    except ImportError:
        return
    provider: Any = trace.get_tracer_provider()
    if hasattr(provider, "force_flush"):
        provider.force_flush()

"""Traces for OpenTelemetry: only where its packages are installed and an endpoint is named.

What is set are the standard's own variables, `OTEL_EXPORTER_OTLP_ENDPOINT` first among them.
"""

from __future__ import annotations

import os
from typing import Any

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


def is_enabled() -> bool:
    """Whether there is somewhere to send traces to."""
    return any(os.environ.get(name) for name in _ENDPOINTS)


def start_tracing(role: str) -> None:
    """Send the spans of this process, and of those that it forks. Raises `ImportError`.

    *role*: what the process is called there, unless `OTEL_SERVICE_NAME` says otherwise.
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
    """Send what has not been sent yet."""
    try:
        from opentelemetry import trace
    except ImportError:
        return
    provider: Any = trace.get_tracer_provider()
    if hasattr(provider, "force_flush"):
        provider.force_flush()

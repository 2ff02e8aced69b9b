"""Combine the steps of a job into one trace: each message continues the trace of its sender."""

from __future__ import annotations

import structlog

from core import tracing

log = structlog.get_logger(__name__)


def enable_tracing(role: str) -> bool:
    """Trace messages and steps from now on, if an endpoint is set; see `core.tracing`.

    Return whether tracing is enabled.
    """
    if not tracing.is_enabled():
        return False
    try:
        from opentelemetry.instrumentation.celery import CeleryInstrumentor

        tracing.start_tracing(role)
    except ImportError:
        log.warning("an endpoint for traces is set, but the extra 'otel' is not installed")
        return False
    CeleryInstrumentor().instrument()
    return True

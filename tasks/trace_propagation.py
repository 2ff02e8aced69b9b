"""Makes one trace of a job: each message carries on the trace of whoever sent it."""

from __future__ import annotations

import structlog

from core import tracing

log = structlog.get_logger(__name__)


def enable_tracing(role: str) -> bool:
    """Trace what is sent and done from now on, if that is wanted; see `core.tracing`."""
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

"""Log line and metrics of every request."""

from __future__ import annotations

import re
import time
import uuid
from typing import cast

import structlog
from flask import Flask, Response, g, request
from structlog.contextvars import bind_contextvars, clear_contextvars

from core import metrics
from transcribe_api.http.requests.uploads import StreamingRequest

log = structlog.get_logger(__name__)

#: Header with the request's id in the log; the client may set it.
REQUEST_ID = "X-Request-ID"
_REQUEST_ID_PATTERN = re.compile(r"[A-Za-z0-9._:-]{1,128}")

#: Polled by machines: logged only if the response is an error.
_POLLED_RULES = frozenset({"/healthz", "/readyz", "/metrics"})

#: Other methods could be any text.
_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})


def install_request_log(app: Flask) -> None:
    """Log every request of this application. Call it before other request hooks are installed."""
    app.before_request(_start_request)
    app.after_request(_finish_request)


def _start_request() -> None:
    g.started_at = time.perf_counter()
    request_id = request.headers.get(REQUEST_ID, "")
    g.request_id = request_id if _REQUEST_ID_PATTERN.fullmatch(request_id) else str(uuid.uuid4())
    # The thread may still hold values of an earlier request.
    clear_contextvars()
    bind_contextvars(request_id=g.request_id)
    if job_id := _read_job_id():
        bind_contextvars(job_id=job_id)


def _read_job_id() -> str | None:
    try:
        return str(uuid.UUID((request.view_args or {}).get("job_id", "")))
    except ValueError:  # no job id, or an invalid one
        return None


def _finish_request(response: Response) -> Response:
    seconds = time.perf_counter() - g.started_at
    response.headers[REQUEST_ID] = g.request_id
    # The rule, not the path: paths contain ids, which would give unlimited label values.
    rule = request.url_rule.rule if request.url_rule else "unmatched"
    method = request.method if request.method in _METHODS else "other"
    metrics.REQUESTS.labels(method, rule, str(response.status_code)).inc()
    metrics.REQUEST_SECONDS.labels(method, rule).observe(seconds)
    metrics.UPLOAD_BYTES.inc(sum(sink.size for sink in cast(StreamingRequest, request).sinks))
    if rule not in _POLLED_RULES or response.status_code >= 400:
        log.info(
            "request",
            method=method,
            rule=rule,
            status=response.status_code,
            milliseconds=round(seconds * 1000, 1),
        )
    return response

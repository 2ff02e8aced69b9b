"""What is noted of every request: one line in the log, and the metrics."""

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

#: A request may come with a name, and the answer says under which one it is in the log.
REQUEST_ID = "X-Request-ID"
_REQUEST_ID_PATTERN = re.compile(r"[A-Za-z0-9._:-]{1,128}")

#: Asked again and again by machines: only noted when the answer is an error.
_POLLED_RULES = frozenset({"/healthz", "/readyz", "/metrics"})

#: Anybody may make up others.
_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})


def install_request_log(app: Flask) -> None:
    """Have every request of this application noted. Call it before anything else looks at them."""
    app.before_request(_start_request)
    app.after_request(_finish_request)


def _start_request() -> None:
    g.started_at = time.perf_counter()
    request_id = request.headers.get(REQUEST_ID, "")
    g.request_id = request_id if _REQUEST_ID_PATTERN.fullmatch(request_id) else str(uuid.uuid4())
    # The thread may still hold what another request was about.
    clear_contextvars()
    bind_contextvars(request_id=g.request_id)
    if job_id := _read_job_id():
        bind_contextvars(job_id=job_id)


def _read_job_id() -> str | None:
    try:
        return str(uuid.UUID((request.view_args or {}).get("job_id", "")))
    except ValueError:  # it is about no job, or about none that there can be
        return None


def _finish_request(response: Response) -> Response:
    seconds = time.perf_counter() - g.started_at
    response.headers[REQUEST_ID] = g.request_id
    # The rule and not the path: a path may hold ids, of which there is no end.
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

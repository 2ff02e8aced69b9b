"""Convert errors to responses: every error is `application/problem+json` (RFC 9457)."""

from __future__ import annotations

import json
import math
from http import HTTPStatus
from typing import Any

import structlog
from flask import Flask, Response
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException, MethodNotAllowed, RequestedRangeNotSatisfiable

from core.db.transactions import explain_outage
from core.errors import (
    Conflict,
    Forbidden,
    InvalidInput,
    NotFound,
    RateLimited,
    RequestTimeout,
    StorageFull,
    TooLarge,
    TranscribeError,
    Transient,
    Unauthorized,
    WrongHost,
)

log = structlog.get_logger(__name__)

#: The first matching entry applies.
_STATUS_BY_ERROR: tuple[tuple[type[TranscribeError], HTTPStatus], ...] = (
    (TooLarge, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    (InvalidInput, HTTPStatus.UNPROCESSABLE_ENTITY),
    (Unauthorized, HTTPStatus.UNAUTHORIZED),
    (Forbidden, HTTPStatus.FORBIDDEN),
    (WrongHost, HTTPStatus.MISDIRECTED_REQUEST),
    (RequestTimeout, HTTPStatus.REQUEST_TIMEOUT),
    (NotFound, HTTPStatus.NOT_FOUND),
    (Conflict, HTTPStatus.CONFLICT),
    (RateLimited, HTTPStatus.TOO_MANY_REQUESTS),
    (StorageFull, HTTPStatus.INSUFFICIENT_STORAGE),
    (Transient, HTTPStatus.SERVICE_UNAVAILABLE),
)

#: Codes where Python's name is not ours, or differs between its versions.
_CODES = {413: TooLarge.code, 416: "range_not_satisfiable"}

RETRY_AFTER_SECONDS = 5


def install_error_handlers(app: Flask) -> None:
    """Install handlers that give all errors the same form."""
    app.register_error_handler(TranscribeError, answer_error)
    app.register_error_handler(HTTPException, answer_http_error)
    app.register_error_handler(SQLAlchemyError, _answer_database_error)
    app.register_error_handler(Exception, _answer_unexpected)


def build_problem(status: int, code: str, detail: str, **extra: Any) -> Response:
    """Return an error response."""
    payload = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": int(status),
        "code": code,
        "detail": detail,
        **extra,
    }
    response = Response(json.dumps(payload), status, mimetype="application/problem+json")
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response


def answer_error(error: TranscribeError) -> Response:
    """Return the response for an error of `core.errors`."""
    status = next(
        (status for kind, status in _STATUS_BY_ERROR if isinstance(error, kind)),
        HTTPStatus.INTERNAL_SERVER_ERROR,
    )
    extra = {"field": error.field} if isinstance(error, InvalidInput) and error.field else {}
    if isinstance(error, Conflict):
        extra = {**extra, **error.details}
    response = build_problem(status, error.code, str(error), **extra)
    if isinstance(error, Unauthorized):
        response.headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, RateLimited):
        response.headers["Retry-After"] = str(max(1, math.ceil(error.retry_in)))
    return response


def answer_http_error(error: HTTPException) -> Response:
    """Return the response for an error of Flask or Werkzeug."""
    status = error.code or HTTPStatus.INTERNAL_SERVER_ERROR
    code = _CODES.get(status) or HTTPStatus(status).name.lower()
    response = build_problem(status, code, error.description or HTTPStatus(status).description)
    if isinstance(error, MethodNotAllowed):
        response.headers["Allow"] = ", ".join(sorted(error.valid_methods or ()))
    if isinstance(error, RequestedRangeNotSatisfiable):
        response.headers["Content-Range"] = f"bytes */{error.length}"
    return response


def _answer_database_error(error: SQLAlchemyError) -> Response:
    reason = explain_outage(error)
    return _answer_unexpected(error) if reason is None else answer_error(reason)


def _answer_unexpected(error: Exception) -> Response:
    log.exception("request failed unexpectedly", error=type(error).__name__)
    return build_problem(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "internal_error",
        "An unexpected error occurred; see the log of the service.",
    )

"""The one table from errors to answers: every error is `application/problem+json` (RFC 9457)."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

import structlog
from flask import Flask, Response
from sqlalchemy.exc import InterfaceError, OperationalError
from werkzeug.exceptions import HTTPException

from core.errors import (
    Conflict,
    InvalidInput,
    NotFound,
    TooLarge,
    TranscribeError,
    Transient,
    Unavailable,
)

log = structlog.get_logger(__name__)

#: The first that fits.
_STATUS: tuple[tuple[type[TranscribeError], HTTPStatus], ...] = (
    (TooLarge, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    (InvalidInput, HTTPStatus.UNPROCESSABLE_ENTITY),
    (NotFound, HTTPStatus.NOT_FOUND),
    (Conflict, HTTPStatus.CONFLICT),
    (Transient, HTTPStatus.SERVICE_UNAVAILABLE),
)

RETRY_AFTER_SECONDS = 5


def register(app: Flask) -> None:
    """Have every error answered in the same form."""
    app.register_error_handler(TranscribeError, _ours)
    app.register_error_handler(HTTPException, _of_http)
    app.register_error_handler(OperationalError, _database_down)
    app.register_error_handler(InterfaceError, _database_down)
    app.register_error_handler(Exception, _unexpected)


def problem(status: int, code: str, detail: str, **more: Any) -> Response:
    """An answer that says what is wrong."""
    told = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": int(status),
        "code": code,
        "detail": detail,
        **more,
    }
    response = Response(json.dumps(told), status, mimetype="application/problem+json")
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response


def _ours(error: TranscribeError) -> Response:
    status = next(
        (status for kind, status in _STATUS if isinstance(error, kind)),
        HTTPStatus.INTERNAL_SERVER_ERROR,
    )
    more = {"field": error.field} if isinstance(error, InvalidInput) and error.field else {}
    if isinstance(error, Conflict):
        more = {**more, **error.details}
    return problem(status, error.code, str(error), **more)


def _of_http(error: HTTPException) -> Response:
    status = error.code or HTTPStatus.INTERNAL_SERVER_ERROR
    code = HTTPStatus(status).name.lower()
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        code = TooLarge.code
    return problem(status, code, error.description or HTTPStatus(status).description)


def _database_down(_error: Exception) -> Response:
    return _ours(Unavailable("the database does not answer"))


def _unexpected(error: Exception) -> Response:
    log.exception("request failed unexpectedly", error=type(error).__name__)
    return problem(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "internal_error",
        "Something unexpected went wrong; the service's log tells more.",
    )

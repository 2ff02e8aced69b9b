"""The Flask application."""

from __future__ import annotations

from typing import cast

import structlog
from flask import Flask, request

from core import log, scratch
from core.access import local_token
from core.filesystem import data_directory
from core.settings import settings
from tasks import trace_propagation
from transcribe_api import database
from transcribe_api.http import api_metrics, request_gate, request_log
from transcribe_api.http.requests import known_fields
from transcribe_api.http.requests.uploads import FORM_BYTES, StreamingRequest
from transcribe_api.http.responses import problems
from transcribe_api.routes import (
    contexts,
    docs,
    engines,
    health,
    jobs,
    legacy,
    openai,
    page,
    results,
    sessions,
    system,
    tokens,
    transcripts,
    webhooks,
)

logger = structlog.get_logger(__name__)


def create_app() -> Flask:
    """Return an application with the settings of this process. Raises `SettingsError`."""
    log.configure_logging()
    _prepare_data_dir()
    scratch.remove_leftovers()
    app = Flask(__name__)
    app.request_class = StreamingRequest
    app.url_map.merge_slashes = False  # an unknown path is 404, not redirected to a similar one
    app.config["MAX_CONTENT_LENGTH"] = settings().max_file_size + FORM_BYTES
    request_log.install_request_log(app)
    request_gate.install_gate(app)
    known_fields.install_query_check(app)
    api_metrics.install_reporter(app)
    database.install_database(app)
    problems.install_error_handlers(app)
    for module in (
        jobs,
        results,
        transcripts,
        sessions,
        contexts,
        engines,
        health,
        docs,
        page,
        webhooks,
        tokens,
        system,
        legacy,
        openai,
    ):
        app.register_blueprint(module.bp)
    app.teardown_request(_discard_uploads)
    _enable_tracing(app)
    return app


def _prepare_data_dir() -> None:
    if not data_directory.create_directory():
        folder = str(settings().transcribe_data_dir)
        logger.warning("other accounts can read the data directory", folder=folder)
    local_token.ensure_token()


def _enable_tracing(app: Flask) -> None:
    if trace_propagation.enable_tracing("api"):
        from opentelemetry.instrumentation.flask import FlaskInstrumentor

        FlaskInstrumentor().instrument_app(app, excluded_urls="healthz,readyz,metrics")


def _discard_uploads(_error: BaseException | None) -> None:
    cast(StreamingRequest, request).discard_uploads()

"""The Flask application."""

from __future__ import annotations

from typing import cast

import structlog
from flask import Flask, request

from core import data_folder, local_token, log, scratch
from core.settings import settings
from tasks import spans
from transcribe_api import database, errors, known_fields, observing, telling
from transcribe_api.gate import request_gate
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
from transcribe_api.uploads import FORM_BYTES, StreamingRequest

logger = structlog.get_logger(__name__)


def create_app() -> Flask:
    """A service with the settings of this process. Raises `SettingsError`."""
    log.configure()
    _prepare_data_dir()
    scratch.sweep()
    app = Flask(__name__)
    app.request_class = StreamingRequest
    app.url_map.merge_slashes = False  # what is not there is not found, and not looked for nearby
    app.config["MAX_CONTENT_LENGTH"] = settings().max_file_size + FORM_BYTES
    observing.observe(app)
    request_gate.guard(app)
    known_fields.check_queries(app)
    telling.tell(app)
    database.bind(app)
    errors.register(app)
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
    _trace(app)
    return app


def _prepare_data_dir() -> None:
    if not data_folder.make():
        folder = str(settings().transcribe_data_dir)
        logger.warning("other accounts can read the data directory", folder=folder)
    local_token.ensure()


def _trace(app: Flask) -> None:
    if spans.trace("api"):
        from opentelemetry.instrumentation.flask import FlaskInstrumentor

        FlaskInstrumentor().instrument_app(app, excluded_urls="healthz,readyz,metrics")


def _discard_uploads(_error: BaseException | None) -> None:
    cast(StreamingRequest, request).discard_uploads()

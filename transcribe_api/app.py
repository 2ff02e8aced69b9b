"""The Flask application."""

from __future__ import annotations

from typing import cast

from flask import Flask, Response, request

from core import log, scratch
from core.settings import settings
from tasks import spans
from transcribe_api import auth, database, errors, observing, telling
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


def create_app() -> Flask:
    """A service with the settings of this process. Raises `SettingsError`."""
    log.configure()
    settings().transcribe_data_dir.mkdir(parents=True, exist_ok=True)
    scratch.sweep()
    app = Flask(__name__)
    app.request_class = StreamingRequest
    app.url_map.merge_slashes = False  # what is not there is not found, and not looked for nearby
    app.config["MAX_CONTENT_LENGTH"] = settings().max_file_size + FORM_BYTES
    observing.observe(app)
    telling.tell(app)
    database.bind(app)
    errors.register(app)
    auth.guard(app)
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
    app.after_request(_never_sniff)
    _trace(app)
    return app


def _trace(app: Flask) -> None:
    if spans.trace("api"):
        from opentelemetry.instrumentation.flask import FlaskInstrumentor

        FlaskInstrumentor().instrument_app(app, excluded_urls="healthz,readyz,metrics")


def _discard_uploads(_error: BaseException | None) -> None:
    cast(StreamingRequest, request).discard_uploads()


def _never_sniff(response: Response) -> Response:
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    return response

"""The Flask application."""

from __future__ import annotations

from typing import cast

from flask import Flask, Response, request

from core import log
from core.settings import settings
from transcribe_api import database, errors
from transcribe_api.routes import contexts, engines, health, jobs, results, sessions, transcripts
from transcribe_api.uploads import FORM_BYTES, StreamingRequest


def create_app() -> Flask:
    """A service with the settings of this process. Raises `SettingsError`."""
    log.configure()
    settings().transcribe_data_dir.mkdir(parents=True, exist_ok=True)
    app = Flask(__name__)
    app.request_class = StreamingRequest
    app.config["MAX_CONTENT_LENGTH"] = settings().max_file_size + FORM_BYTES
    database.bind(app)
    errors.register(app)
    for module in (jobs, results, transcripts, sessions, contexts, engines, health):
        app.register_blueprint(module.bp)
    app.teardown_request(_discard_uploads)
    app.after_request(_never_sniff)
    return app


def _discard_uploads(_error: BaseException | None) -> None:
    cast(StreamingRequest, request).discard_uploads()


def _never_sniff(response: Response) -> Response:
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    return response

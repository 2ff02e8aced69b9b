"""Engines: all known ones, and whether a worker serves them."""

from __future__ import annotations

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue

from core.live import worker_registry
from engines import catalog
from transcribe_api.engine_choice import choose_engine
from transcribe_api.http.responses import rendering
from transcribe_api.http.route_docs import Answer, document_route
from transcribe_api.schemas.system import Engines

bp = Blueprint("engines", __name__, url_prefix="/api/transcribe/jobs")


@bp.get("/engines")
@document_route(Answer(200, Engines))
def show() -> ResponseReturnValue:
    """List every engine with its features. Available: at least one worker serves it."""
    engines = {
        name: rendering.render_engine(name, available=worker_registry.count_workers(spec.queue) > 0)
        for name, spec in catalog.recognizers().items()
    }
    return jsonify({"engines": engines, "default_engine": choose_engine(None).name})

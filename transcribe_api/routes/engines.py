"""Engines: which there are, and which a living worker serves."""

from __future__ import annotations

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue

from core import serving
from engines import catalog
from transcribe_api import render
from transcribe_api.documented import Answer, documented
from transcribe_api.engine_choice import choose_engine
from transcribe_api.schemas.system import Engines

bp = Blueprint("engines", __name__, url_prefix="/api/transcribe/jobs")


@bp.get("/engines")
@documented(Answer(200, Engines))
def show() -> ResponseReturnValue:
    """Every engine, with what it can do. Available means: someone is there to do it."""
    told = {
        name: render.engine(name, available=serving.workers(spec.queue) > 0)
        for name, spec in catalog.recognizers().items()
    }
    return jsonify({"engines": told, "default_engine": choose_engine(None).name})

"""State of the whole service for operators, and metrics for Prometheus."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify
from flask.typing import ResponseReturnValue
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from transcribe_api import system_status
from transcribe_api.http import api_metrics
from transcribe_api.http.route_docs import Answer, document_route
from transcribe_api.schemas.system import SystemStatus

bp = Blueprint("system", __name__)


@bp.get("/api/transcribe/system/status")
@document_route(Answer(200, SystemStatus))
def show() -> ResponseReturnValue:
    """Return jobs, queues, memory, processors and workers, as far as known."""
    return jsonify(system_status.collect_status())


@bp.get("/metrics")
@document_route(Answer(200, media=("text/plain",)))
def metrics() -> ResponseReturnValue:
    """Return all metrics of the API and of every live worker, in Prometheus' text format."""
    return Response(api_metrics.build_exposition(), content_type=CONTENT_TYPE_PLAIN_0_0_4)

"""Webhooks: deliveries at the end of a job, and the secret that signs them."""

from __future__ import annotations

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue

from core import webhooks
from core.db.transactions import transaction
from core.jobs import lifecycle
from tasks import pipeline
from transcribe_api.database import db
from transcribe_api.http.auth import guard
from transcribe_api.http.requests import parsing
from transcribe_api.http.responses import rendering
from transcribe_api.http.route_docs import Answer, document_route
from transcribe_api.schemas.webhooks import Deliveries, Delivery, WebhookSecret

bp = Blueprint("webhooks", __name__, url_prefix="/api/transcribe")


@bp.get("/webhooks/secret")
@document_route(Answer(200, WebhookSecret))
def secret() -> ResponseReturnValue:
    """Return the secret that signs the caller's webhooks."""
    signing_secret = webhooks.get_signing_secret(guard.caller().owner)
    return jsonify({"secret": signing_secret}), 200, {"Cache-Control": "no-store"}


@bp.get("/jobs/<job_id>/deliveries")
@document_route(Answer(200, Deliveries))
def deliveries(job_id: str) -> ResponseReturnValue:
    """List the webhooks of a job, with their state."""
    job = lifecycle.get_job(db.session(), guard.check_job_access(job_id))
    rendered_deliveries = [
        rendering.render_delivery(row) for row in webhooks.list_deliveries(db.session(), job.job_id)
    ]
    return jsonify({"deliveries": rendered_deliveries})


@bp.post("/jobs/<job_id>/deliveries/<delivery_id>/replay")
@document_route(Answer(202, Delivery), refusals=(409,))
def replay(job_id: str, delivery_id: str) -> ResponseReturnValue:
    """Send a webhook again now, delivered or not; earlier attempts no longer count."""
    job_id, row_id = (
        guard.check_job_access(job_id),
        parsing.parse_row_id(delivery_id, "delivery_id"),
    )
    with transaction() as session:
        payload = rendering.render_delivery(webhooks.replay_delivery(session, job_id, row_id))
    pipeline.send_delivery(job_id)
    return jsonify(payload), 202

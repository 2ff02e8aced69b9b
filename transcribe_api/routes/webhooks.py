"""Webhooks: what was sent when a job ended, and the secret that it was signed with."""

from __future__ import annotations

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue

from core import jobs, webhooks
from core.db import transaction
from tasks import pipeline
from transcribe_api import access, parse, render
from transcribe_api.database import db
from transcribe_api.documented import Answer, documented
from transcribe_api.schemas.webhooks import Deliveries, Delivery, WebhookSecret

bp = Blueprint("webhooks", __name__, url_prefix="/api/transcribe")


@bp.get("/webhooks/secret")
@documented(Answer(200, WebhookSecret))
def secret() -> ResponseReturnValue:
    """What the caller's webhooks are signed with."""
    told = webhooks.secret(access.caller().owner)
    return jsonify({"secret": told}), 200, {"Cache-Control": "no-store"}


@bp.get("/jobs/<job_id>/deliveries")
@documented(Answer(200, Deliveries))
def deliveries(job_id: str) -> ResponseReturnValue:
    """The webhooks of a job, and how far each of them is."""
    job = jobs.get(db.session(), access.job(job_id))
    told = [render.delivery(row) for row in webhooks.of_job(db.session(), job.job_id)]
    return jsonify({"deliveries": told})


@bp.post("/jobs/<job_id>/deliveries/<delivery_id>/replay")
@documented(Answer(202, Delivery), refusals=(409,))
def replay(job_id: str, delivery_id: str) -> ResponseReturnValue:
    """Send a webhook once more, now, delivered or not; the tries before no longer count."""
    job_id, row_id = access.job(job_id), parse.row_id(delivery_id, "delivery_id")
    with transaction() as session:
        told = render.delivery(webhooks.replay(session, job_id, row_id))
    pipeline.deliver(job_id)
    return jsonify(told), 202

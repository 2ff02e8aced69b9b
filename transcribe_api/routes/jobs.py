"""Jobs: create, show and follow them."""

from __future__ import annotations

from typing import cast

from flask import Blueprint, Response, jsonify, request
from flask.typing import ResponseReturnValue

from core.db.transactions import transaction
from core.jobs import listing
from core.jobs import retry as job_retry
from core.live import worker_registry
from tasks import endings, pipeline
from tasks.reporting import job_status, progress
from tasks.reporting.job_state import JobState
from transcribe_api.database import db
from transcribe_api.http.auth import access_recheck, guard
from transcribe_api.http.events import sse
from transcribe_api.http.requests import known_fields, page_query, parsing
from transcribe_api.http.requests.uploads import StreamingRequest
from transcribe_api.http.responses import rendering, streaming
from transcribe_api.http.route_docs import Answer, document_route
from transcribe_api.schemas.jobs import (
    EngineForm,
    JobAccepted,
    JobForm,
    JobPage,
    JobsQuery,
    RetryQuery,
    StreamEvent,
    StreamHeaders,
    StreamQuery,
    SubmissionHeaders,
    WhisperxForm,
)
from transcribe_api.submission import sources, submissions

bp = Blueprint("jobs", __name__, url_prefix="/api/transcribe/jobs")

_ACCEPTED = Answer(202, JobAccepted, headers=("Location", "Idempotency-Replayed"))


@bp.post("/transcribe")
@document_route(_ACCEPTED, form=JobForm, headers=SubmissionHeaders)
def create() -> ResponseReturnValue:
    """Submit a recording, for the engine named in the form or the default one."""
    return _create(None)


@bp.post("/transcribe/asr")
@document_route(_ACCEPTED, form=EngineForm, headers=SubmissionHeaders)
def create_asr() -> ResponseReturnValue:
    """Submit a recording for NVIDIA Riva."""
    return _create("asr")


@bp.post("/transcribe/whisperx")
@document_route(_ACCEPTED, form=WhisperxForm, headers=SubmissionHeaders)
def create_whisperx() -> ResponseReturnValue:
    """Submit a recording for WhisperX."""
    return _create("whisperx")


def _create(engine: str | None) -> ResponseReturnValue:
    submissions.read_idempotency_key()  # refuse an invalid one before the recording is received
    source = sources.receive_source(cast(StreamingRequest, request))
    known_fields.refuse_unknown(request.form, known_fields.list_field_names(JobForm))
    return submissions.answer_submission(parsing.parse_job(request.form, engine), source)


@bp.get("")
@document_route(Answer(200, JobPage), query=JobsQuery)
def show_all() -> ResponseReturnValue:
    """List jobs by page, newest first; the query can filter by status, engine or session."""
    filters = parsing.parse_job_filters(request.args)
    limit, after = page_query.parse_limit(request.args), page_query.parse_cursor(request.args)
    page = listing.list_transcripts(
        db.session(), limit, after, owner_id=guard.caller().visible_owner, **filters
    )
    jobs = [rendering.render_job(transcript.job) for transcript in page.rows]
    return jsonify({"jobs": jobs, "next_cursor": page_query.format_cursor(page.next_cursor)})


@bp.get("/status/<job_id>")
@document_route(Answer(200, JobState))
def show(job_id: str) -> ResponseReturnValue:
    """Return the state of a job: from Redis, or from the database if it waits or Redis has none."""
    job_id = guard.check_job_access(job_id)
    state = progress.read_status(job_id)
    if state is None or state.is_queue_dependent:
        state = job_status.describe_job(db.session(), job_id, worker_registry.measure_pace)
    return jsonify(state.to_json())


@bp.get("/stream/<job_id>")
@document_route(Answer(200, events=StreamEvent), query=StreamQuery, headers=StreamHeaders)
def follow(job_id: str) -> ResponseReturnValue:
    """Stream the state and the transcriptions of a job, continuing after ``Last-Event-ID``."""
    last_id = request.headers.get("Last-Event-ID", "")
    key_id = guard.caller().key_id
    events = streaming.prefetch_first(
        sse.stream_events(
            guard.check_job_access(job_id), last_id, access_recheck.build_access_check(), key_id
        )
    )
    sse.limit_send_time(request.environ)
    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    return Response(events, mimetype="text/event-stream", headers=headers)


@bp.post("/<job_id>/cancel")
@document_route(Answer(200, JobState), refusals=(409,))
def cancel(job_id: str) -> ResponseReturnValue:
    """Cancel the job. Stored parts remain for a retry, until they expire."""
    job_id = guard.check_job_access(job_id)
    endings.cancel_job(job_id)
    return jsonify(job_status.describe_job(db.session(), job_id).to_json())


@bp.post("/<job_id>/retry")
@document_route(Answer(202, JobState), query=RetryQuery, refusals=(409,))
def retry(job_id: str) -> ResponseReturnValue:
    """Retry a job that has ended: what failed, or one stage of it."""
    job_id = guard.check_job_access(job_id)
    stage, diarization_options = parsing.parse_retry(request.args)
    with transaction() as session:
        if stage is None:
            job_retry.retry_job(session, job_id)
        else:
            job_retry.redo_stage(session, job_id, stage, diarization_options)
    progress.forget_progress(job_id)
    progress.publish_status(job_id)
    submissions.send_job(pipeline.resume_job, job_id)
    return jsonify(job_status.describe_job(db.session(), job_id).to_json()), 202


@bp.delete("/<job_id>")
@document_route(Answer(204))
def delete(job_id: str) -> ResponseReturnValue:
    """Delete a job and all of its data, running or finished."""
    endings.delete_job(guard.check_job_access(job_id))
    return "", 204

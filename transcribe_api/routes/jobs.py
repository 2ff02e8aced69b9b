"""Jobs: create one, look at it, follow it."""

from __future__ import annotations

from typing import cast

from flask import Blueprint, Response, jsonify, request
from flask.typing import ResponseReturnValue

from core import again, fleet, job_list, progress, status
from core.db import transaction
from tasks import endings, pipeline
from transcribe_api import (
    access,
    known_fields,
    pages,
    parse,
    render,
    sources,
    sse,
    staying,
    streams,
    submissions,
)
from transcribe_api.database import db
from transcribe_api.documented import Answer, documented
from transcribe_api.schemas.jobs import (
    EngineForm,
    JobAccepted,
    JobForm,
    JobPage,
    JobsQuery,
    JobState,
    RetryQuery,
    StreamEvent,
    StreamHeaders,
    StreamQuery,
    SubmissionHeaders,
    WhisperxForm,
)
from transcribe_api.uploads import StreamingRequest

bp = Blueprint("jobs", __name__, url_prefix="/api/transcribe/jobs")

_ACCEPTED = Answer(202, JobAccepted, headers=("Location", "Idempotency-Replayed"))


@bp.post("/transcribe")
@documented(_ACCEPTED, form=JobForm, headers=SubmissionHeaders)
def create() -> ResponseReturnValue:
    """Accept a recording, to be transcribed by the engine named in the form or the default one."""
    return _create(None)


@bp.post("/transcribe/asr")
@documented(_ACCEPTED, form=EngineForm, headers=SubmissionHeaders)
def create_asr() -> ResponseReturnValue:
    """Accept a recording for NVIDIA Riva."""
    return _create("asr")


@bp.post("/transcribe/whisperx")
@documented(_ACCEPTED, form=WhisperxForm, headers=SubmissionHeaders)
def create_whisperx() -> ResponseReturnValue:
    """Accept a recording for WhisperX."""
    return _create("whisperx")


def _create(engine: str | None) -> ResponseReturnValue:
    submissions.idempotency_key()  # a wrong one is refused before the recording comes in
    source = sources.received(cast(StreamingRequest, request))
    known_fields.refuse_unknown(request.form, known_fields.names_of(JobForm))
    return submissions.answered(parse.job(request.form, engine), source)


@bp.get("")
@documented(Answer(200, JobPage), query=JobsQuery)
def show_all() -> ResponseReturnValue:
    """The jobs, newest first, by the page; the query may name a status, an engine or a session."""
    filters = parse.job_filters(request.args)
    limit, after = pages.limit(request.args), pages.after(request.args)
    page = job_list.newest(db.session(), limit, after, of=access.caller().sees, **filters)
    told = [render.job(transcript.job) for transcript in page.rows]
    return jsonify({"jobs": told, "next_cursor": pages.cursor(page.last)})


@bp.get("/status/<job_id>")
@documented(Answer(200, JobState))
def show(job_id: str) -> ResponseReturnValue:
    """The state of a job: from Redis, or from the database when it waits or Redis knows nothing."""
    job_id = access.job(job_id)
    known = progress.known(job_id)
    if known is None or status.may_wait(known):
        known = status.snapshot(db.session(), job_id, fleet.pace)
    return jsonify(known)


@bp.get("/stream/<job_id>")
@documented(Answer(200, events=StreamEvent), query=StreamQuery, headers=StreamHeaders)
def follow(job_id: str) -> ResponseReturnValue:
    """The state of a job and what is heard, as they come, from after ``Last-Event-ID``."""
    last_id = request.headers.get("Last-Event-ID", "")
    key_id = access.caller().key_id
    events = streams.begun(sse.events(access.job(job_id), last_id, staying.welcome(), key_id))
    sse.let_go_of_who_does_not_read(request.environ)
    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    return Response(events, mimetype="text/event-stream", headers=headers)


@bp.post("/<job_id>/cancel")
@documented(Answer(200, JobState), refusals=(409,))
def cancel(job_id: str) -> ResponseReturnValue:
    """End the job. What is stored of it stays for a retry, until its time is over."""
    job_id = access.job(job_id)
    endings.cancel(job_id)
    return jsonify(status.snapshot(db.session(), job_id))


@bp.post("/<job_id>/retry")
@documented(Answer(202, JobState), query=RetryQuery, refusals=(409,))
def retry(job_id: str) -> ResponseReturnValue:
    """Have a job that is over done again as far as it is not done, or one stage of it."""
    job_id = access.job(job_id)
    stage, wishes = parse.redo(request.args)
    with transaction() as session:
        if stage is None:
            again.retry(session, job_id)
        else:
            again.redo(session, job_id, stage, wishes)
    progress.forget(job_id)
    progress.tell(job_id)
    submissions.send(pipeline.resume, job_id)
    return jsonify(status.snapshot(db.session(), job_id)), 202


@bp.delete("/<job_id>")
@documented(Answer(204))
def delete(job_id: str) -> ResponseReturnValue:
    """Remove a job with everything of it, be it running or over."""
    endings.delete(access.job(job_id))
    return "", 204

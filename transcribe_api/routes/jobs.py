"""Jobs: create one, look at it, follow it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import cast

import structlog
from flask import Blueprint, Response, jsonify, request, url_for
from flask.typing import ResponseReturnValue
from kombu.exceptions import OperationalError

from chunking import decode
from core import jobs, layout, progress, serving, status
from core.db import transaction
from core.settings import settings
from core.specs import JobSpec
from core.states import JobStatus
from core.storage import storage
from engines import catalog
from tasks import pipeline
from transcribe_api import access, pages, parse, render, sse, streams, uploads
from transcribe_api.database import db
from transcribe_api.uploads import StreamingRequest, Upload

bp = Blueprint("jobs", __name__, url_prefix="/api/transcribe/jobs")
log = structlog.get_logger(__name__)


@bp.post("/transcribe")
def create() -> ResponseReturnValue:
    """Accept a recording, to be transcribed by the engine named in the form or the default one."""
    return _create(None)


@bp.post("/transcribe/asr")
def create_asr() -> ResponseReturnValue:
    """Accept a recording for NVIDIA Riva."""
    return _create("asr")


@bp.post("/transcribe/whisperx")
def create_whisperx() -> ResponseReturnValue:
    """Accept a recording for WhisperX."""
    return _create("whisperx")


def _create(engine: str | None) -> ResponseReturnValue:
    upload = uploads.received(cast(StreamingRequest, request))
    spec = parse.job(request.form, engine)
    decode.probe(upload.path, decode.Limits(max_seconds=settings().max_recording_seconds))
    job_id = str(uuid.uuid4())
    answer = _accept(job_id, spec, upload)
    progress.tell(job_id)
    _send(pipeline.start, job_id)
    return jsonify(answer), 202, {"Location": url_for("jobs.show", job_id=job_id)}


@bp.get("")
def show_all() -> ResponseReturnValue:
    """The jobs, newest first, by the page; the query may name a status, an engine or a session."""
    filters = parse.job_filters(request.args)
    limit, after = pages.limit(request.args), pages.after(request.args)
    page = jobs.newest(db.session(), limit, after, of=access.caller().sees, **filters)
    told = [render.job(transcript.job) for transcript in page.rows]
    return jsonify({"jobs": told, "next_cursor": pages.cursor(page.last)})


@bp.get("/status/<job_id>")
def show(job_id: str) -> ResponseReturnValue:
    """The state of a job: from Redis, or from the database when Redis knows nothing."""
    job_id = access.job(job_id)
    return jsonify(progress.known(job_id) or status.snapshot(db.session(), job_id))


@bp.get("/stream/<job_id>")
def follow(job_id: str) -> ResponseReturnValue:
    """The state of a job and what is heard, as they come."""
    events = streams.begun(sse.events(access.job(job_id)))
    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    return Response(events, mimetype="text/event-stream", headers=headers)


@bp.post("/<job_id>/cancel")
def cancel(job_id: str) -> ResponseReturnValue:
    """End the job. What is stored of it stays for a retry, until its time is over."""
    job_id = access.job(job_id)
    with transaction() as session:
        jobs.cancel(session, job_id)
    progress.tell(job_id)
    return jsonify(status.snapshot(db.session(), job_id))


@bp.post("/<job_id>/retry")
def retry(job_id: str) -> ResponseReturnValue:
    """Have a job that is over done again as far as it is not done."""
    job_id = access.job(job_id)
    with transaction() as session:
        jobs.retry(session, job_id)
    progress.forget(job_id)
    progress.tell(job_id)
    _send(pipeline.resume, job_id)
    return jsonify(status.snapshot(db.session(), job_id)), 202


@bp.delete("/<job_id>")
def delete(job_id: str) -> ResponseReturnValue:
    """Remove a job with everything of it, be it running or over."""
    job_id = access.job(job_id)
    with transaction() as session:
        if not JobStatus(jobs.get(session, job_id).run.status).is_over:
            jobs.cancel(session, job_id)
    progress.tell(job_id)  # whoever listens hears the end
    storage().delete(layout.root(job_id))
    with transaction() as session:
        jobs.remove(session, job_id)
    progress.forget(job_id)
    return "", 204


def _accept(job_id: str, spec: JobSpec, upload: Upload) -> dict[str, object]:
    storage().put_file(layout.source(job_id), upload.path)
    try:
        with transaction() as session:
            job = jobs.accept(
                session,
                job_id,
                spec,
                filename=upload.filename,
                audio_bytes=upload.size,
                audio_sha256=upload.sha256,
                warnings=_unserved(spec),
                owner=access.caller().owner,
            )
            return render.accepted(job)
    except BaseException:
        # Without its row nobody would ever find the object again.
        storage().delete(layout.root(job_id))
        raise


def _unserved(spec: JobSpec) -> list[str]:
    queues = [catalog.recognizer(spec.engine).queue]
    if spec.diarizer:
        queues.append(catalog.diarizer(spec.diarizer).queue)
    return [
        f"no worker serves the queue {queue} now; the job waits for one"
        for queue in queues
        if not serving.workers(queue)
    ]


def _send(way: Callable[[str], None], job_id: str) -> None:
    try:
        way(job_id)
    except OperationalError:
        # The job is written down, so it is kept: housekeeping sends it when the broker is back.
        log.warning("job waits for the broker", job_id=job_id)

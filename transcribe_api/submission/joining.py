"""Join repeated requests under `/v1` with the job that they already have.

A client with a short timeout disconnects and sends its recording again, without an idempotency key.
It is identified by its API key and by the content of the request. Without an API key, it is
identified by its address, and only if it declares a retry.
"""

from __future__ import annotations

from datetime import timedelta

from flask import request
from sqlalchemy import and_, exists, select
from sqlalchemy.orm import Session

from core import clock
from core.access import idempotency
from core.db.models import SegmentRow, TranscriptJob
from core.db.transactions import transaction
from core.jobs import lifecycle
from core.jobs.spec import JobSpec
from core.live import waiting_callers
from core.states import JobStatus
from transcribe_api.http.auth import guard
from transcribe_api.submission import submissions
from transcribe_api.submission.sources import Source

#: Header in which OpenAI's clients declare the number of retries.
RETRY_COUNT = "X-Stainless-Retry-Count"
#: Time for which a completed job can be joined.
JOIN_WINDOW = timedelta(minutes=10)


def join_or_submit(spec: JobSpec, source: Source) -> str:
    """Return the id of the job for the current request, and create the job if necessary.

    The job is cancelled when its last waiting caller disconnects. Raises the errors of
    `submissions.submit`.
    """
    identity = submissions.identify_request(source, request.form)
    if identity is None:
        identity = _identify_request(source)
        _forget_unjoinable(identity)
    response, is_joined = submissions.submit(spec, source, identity=identity)
    job_id = str(response["job_id"])
    if is_joined:
        waiting_callers.renew_job(job_id)
    else:
        waiting_callers.register_job(job_id)
    return job_id


def _identify_request(source: Source) -> idempotency.IdempotentRequest:
    """Identify the request by sender and content; callers cannot choose its key, with spaces."""
    fingerprint = submissions.compute_fingerprint(source, request.form)
    sender = guard.caller().key_id or request.remote_addr
    return idempotency.IdempotentRequest(
        guard.caller().owner, f"v1 {sender} {fingerprint}", fingerprint
    )


def _forget_unjoinable(identity: idempotency.IdempotentRequest) -> None:
    """Forget the job of the same request, unless it can be joined."""
    with transaction() as session:
        job_id = idempotency.find_job_id(session, identity)
        if job_id and not (_may_join() and _is_joinable(session, job_id)):
            idempotency.forget_request(session, identity, job_id)


def _may_join() -> bool:
    retries = request.headers.get(RETRY_COUNT, "0")
    return guard.caller().key_id is not None or (retries.isdecimal() and int(retries) > 0)


def _is_joinable(session: Session, job_id: str) -> bool:
    """Return whether the job runs, or was completed recently and is not edited."""
    job = lifecycle.get_job(session, job_id)
    if not JobStatus(job.run.status).is_over:
        return True
    is_fresh = exists().where(
        TranscriptJob.job_id == job_id,
        TranscriptJob.completed_at > clock.utc_now() - JOIN_WINDOW,
    )
    is_edited = exists().where(
        SegmentRow.transcript_id == job.transcript_id, SegmentRow.heard_words.is_not(None)
    )
    query = select(and_(is_fresh, ~is_edited))
    is_named = bool(job.transcript.speaker_names)
    return job.run.status == JobStatus.COMPLETED and not is_named and bool(session.scalar(query))

"""Callers under `/v1` who send the same request again get the job that they already have.

A client that waits too short a time breaks off and sends its recording again, without a name for
the request. It is known by its key, or where nobody has one by its address and by saying that it
tries again; and by what it sends.
"""

from __future__ import annotations

from datetime import timedelta

from flask import request
from sqlalchemy import and_, exists, select
from sqlalchemy.orm import Session

from core import awaited, clock, idempotency, jobs
from core.db import transaction
from core.models import SegmentRow, TranscriptJob
from core.specs import JobSpec
from core.states import JobStatus
from transcribe_api import access, submissions
from transcribe_api.sources import Source

#: How OpenAI's clients say that they try again, and how often they did.
RETRY_COUNT = "X-Stainless-Retry-Count"
#: A job that is over is joined for so long.
JOINED_FOR = timedelta(minutes=10)


def join_or_submit(spec: JobSpec, source: Source) -> str:
    """The id of the job that does what the present request asks for; made now if there is none.

    It ends with the last caller who waits for it. Raises what `submissions.submitted` does.
    """
    named = submissions.named_request(source, request.form)
    if named is None:
        named = _recognize(source)
        _make_way(named)
    told, is_joined = submissions.submitted(spec, source, named=named)
    job_id = str(told["job_id"])
    if is_joined:
        awaited.renew(job_id)
    else:
        awaited.await_job(job_id)
    return job_id


def _recognize(source: Source) -> idempotency.Request:
    """The present request by who sends what. No caller can choose such a key: it has spaces."""
    sent = submissions.fingerprint(source, request.form)
    sender = access.caller().key_id or request.remote_addr
    return idempotency.Request(access.caller().owner, f"v1 {sender} {sent}", sent)


def _make_way(named: idempotency.Request) -> None:
    """Forget the job of the same request, unless that is the one to join."""
    with transaction() as session:
        job_id = idempotency.job_of(session, named)
        if job_id and not (_may_join() and _is_joinable(session, job_id)):
            idempotency.forget(session, named, job_id)


def _may_join() -> bool:
    retries = request.headers.get(RETRY_COUNT, "0")
    return access.caller().key_id is not None or (retries.isdecimal() and int(retries) > 0)


def _is_joinable(session: Session, job_id: str) -> bool:
    """Whether the job runs, or was completed lately and nobody corrected it since."""
    job = jobs.get(session, job_id)
    if not JobStatus(job.run.status).is_over:
        return True
    is_fresh = exists().where(
        TranscriptJob.job_id == job_id,
        TranscriptJob.completed_at > clock.utc_now() - JOINED_FOR,
    )
    is_edited = exists().where(
        SegmentRow.transcript_id == job.transcript_id, SegmentRow.heard_words.is_not(None)
    )
    is_same = select(and_(is_fresh, ~is_edited))
    is_named = bool(job.transcript.speaker_names)
    return job.run.status == JobStatus.COMPLETED and not is_named and bool(session.scalar(is_same))

"""Periodic tasks sent by beat: resend lost messages, remove expired data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

import redis
import structlog
from kombu.exceptions import OperationalError

from core import scratch, webhooks
from core.access import idempotency
from core.db.transactions import read_session, transaction
from core.errors import Conflict, JobNotFound, Unavailable
from core.jobs import lifecycle, parts, recovery
from core.jobs.lifecycle import ActiveMessages
from core.jobs.recovery import AbandonedJob, Need
from core.live import redis_epoch, waiting_callers
from core.storage import layout, orphaned_uploads, retention, storage
from tasks import cancelling, endings, messages, pipeline, queue_lengths
from tasks.celery import app
from tasks.queues import DELIVER, MERGE, PREPARE

log = structlog.get_logger(__name__)

#: Number of jobs whose webhooks are sent to the queue at a time.
MAX_DUE_JOBS = 100

_DISPATCH: dict[Need, Callable[[AbandonedJob], None]] = {
    Need.PREPARE: lambda job: pipeline.start_job(job.job_id, job.epoch),
    Need.FAN_OUT: lambda job: pipeline.fan_out(job.job_id, job.epoch),
    Need.RESEND: lambda job: pipeline.resend_parts(job.job_id, is_queue_empty=job.may_be_queued),
    Need.MERGE: lambda job: pipeline.send_merge(job.job_id, job.epoch),
}


@app.task(name="housekeeping")
def housekeeping() -> None:
    """Send abandoned jobs again. Safe to run twice and at any time."""
    try:
        for job in _find_abandoned():
            with suppress(JobNotFound):  # it was deleted meanwhile
                _send_unless_queued(job)
        _send_webhooks()
        _stop_stragglers()
        _publish_ends()
        _cancel_unawaited()
    except (OperationalError, redis.RedisError) as error:
        log.warning("broker does not answer", reason=type(error).__name__)
    except Unavailable as error:
        log.warning("housekeeping waits", reason=str(error))


def _find_abandoned() -> Sequence[AbandonedJob]:
    if not redis_epoch.detect_memory_loss():
        with read_session() as session:
            return recovery.find_abandoned(session)
    # An empty broker has no messages of any job.
    with transaction() as session:
        parts.mark_all_unsent(session)
        return recovery.list_unfinished(session)


@app.task(name="fan_out")
def fan_out(job_id: str) -> None:
    """Send the missing parts of a job. Safe to run twice."""
    with suppress(JobNotFound):
        pipeline.fan_out(job_id)


@app.task(name="clean_up")
def clean_up() -> None:
    """Remove the audio of jobs that ended more than RETENTION_HOURS ago. Safe to run twice."""
    with transaction() as session:
        idempotency.delete_expired(session)
    with read_session() as session:
        job_ids = retention.find_expired_audio(session)
    for job_id in job_ids:
        for prefix in (layout.source(job_id), *layout.audio_prefixes(job_id)):
            storage().delete(prefix)
        with suppress(JobNotFound), transaction() as session:
            lifecycle.get_job(session, job_id).transcript.audio_key = None
    scratch.remove_leftovers()
    storage().remove_unfinished()


@app.task(name="remove_strays")
def remove_strays() -> None:
    """Remove uploads that never became a job. Safe to run twice and at any time."""
    try:
        for job_id in orphaned_uploads.remove_orphans():
            log.warning("upload without a job removed", job_id=job_id)
    except Unavailable as error:
        log.warning("housekeeping waits", reason=str(error))


def _send_webhooks() -> None:
    # Deliveries that are due and already sent still wait in the queue: then it is not empty.
    with read_session() as session:
        job_ids = webhooks.list_due_jobs(session, MAX_DUE_JOBS)
    if job_ids and not _has_messages({DELIVER}):
        for job_id in job_ids:
            pipeline.send_delivery(job_id)


def _stop_stragglers() -> None:
    """Stop steps that missed the end of their job, perhaps because the broker was down."""
    with read_session() as session:
        message_ids = recovery.find_stale_messages(session)
    cancelling.terminate_steps(ActiveMessages(part_messages=tuple(message_ids)))


def _publish_ends() -> None:
    with read_session() as session:
        job_ids = recovery.list_unreported(session)
    for job_id in job_ids:
        log.warning("end told by housekeeping", job_id=job_id)
        with suppress(JobNotFound):
            endings.publish_end(job_id)


def _cancel_unawaited() -> None:
    """Cancel jobs whose callers hung up and did not return; a repeated request makes a new job."""
    for job_id in waiting_callers.list_unawaited():
        log.info("nobody waits for the job any more", job_id=job_id)
        with suppress(JobNotFound, Conflict):
            endings.cancel_job(job_id)
            with transaction() as session:
                idempotency.forget_job(session, job_id)
        waiting_callers.forget_job(job_id)


def _send_unless_queued(job: AbandonedJob) -> None:
    if not _is_queued(job):
        log.warning("sent again", job_id=job.job_id, need=job.need)
        _DISPATCH[job.need](job)


def _is_queued(job: AbandonedJob) -> bool:
    """Return whether the messages of the job may still be waiting in a queue."""
    return job.may_be_queued and _has_messages(_list_queues(job))


def _list_queues(job: AbandonedJob) -> set[str]:
    if job.need is Need.PREPARE:
        return {PREPARE}
    if job.need is Need.MERGE:
        return {MERGE}
    with read_session() as session:
        return messages.list_job_queues(session, job.job_id) - {PREPARE}


def _has_messages(queues: set[str]) -> bool:
    return any(queue_lengths.count_messages(queues).values())

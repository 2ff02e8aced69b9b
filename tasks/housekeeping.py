"""What beat asks for: send again what lost its worker, remove what is no longer needed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

import redis
import structlog
from kombu.exceptions import OperationalError

from core import (
    awaited,
    canary,
    idempotency,
    jobs,
    layout,
    parts,
    recovery,
    retention,
    scratch,
    strays,
    webhooks,
)
from core.db import reading, transaction
from core.errors import Conflict, JobGone, Unavailable
from core.jobs import InHand
from core.recovery import Abandoned, Need
from core.storage import storage
from tasks import cancelling, endings, messages, pipeline, waiting
from tasks.celery import app
from tasks.queues import DELIVER, MERGE, PREPARE

log = structlog.get_logger(__name__)

#: Jobs whose webhooks are put into the queue at a time.
MOST_AT_ONCE = 100

_SEND: dict[Need, Callable[[Abandoned], None]] = {
    Need.PREPARE: lambda job: pipeline.start(job.job_id, job.epoch),
    Need.FAN_OUT: lambda job: pipeline.fan_out(job.job_id, job.epoch),
    Need.RESEND: lambda job: pipeline.resend(job.job_id, is_queue_empty=job.may_be_queued),
    Need.MERGE: lambda job: pipeline.merge(job.job_id, job.epoch),
}


@app.task(name="housekeeping")
def housekeeping() -> None:
    """Send again the jobs that nobody works on. Safe to run twice and at any time."""
    try:
        for job in _abandoned():
            with suppress(JobGone):  # it was deleted meanwhile
                _send_unless_queued(job)
        _send_webhooks()
        _end_stragglers()
        _tell_ends()
        _end_unawaited()
    except (OperationalError, redis.RedisError) as error:
        log.warning("broker does not answer", reason=type(error).__name__)
    except Unavailable as error:
        log.warning("housekeeping waits", reason=str(error))


def _abandoned() -> Sequence[Abandoned]:
    if not canary.is_gone():
        with reading() as session:
            return recovery.abandoned(session)
    # An empty broker holds no message any more, of whatever job.
    with transaction() as session:
        parts.forget_sendings(session)
        return recovery.unfinished(session)


@app.task(name="fan_out")
def fan_out(job_id: str) -> None:
    """Have the missing parts of a job done. Safe to run twice."""
    with suppress(JobGone):
        pipeline.fan_out(job_id)


@app.task(name="clean_up")
def clean_up() -> None:
    """Remove the audio of jobs that are over for longer than RETENTION_HOURS. Safe to run twice."""
    with transaction() as session:
        idempotency.forget_old(session)
    with reading() as session:
        old = retention.jobs_with_old_audio(session)
    for job_id in old:
        for prefix in (layout.source(job_id), *layout.audio_folders(job_id)):
            storage().delete(prefix)
        with suppress(JobGone), transaction() as session:
            jobs.get(session, job_id).transcript.audio_key = None
    scratch.sweep()
    storage().tidy()


@app.task(name="remove_strays")
def remove_strays() -> None:
    """Remove uploads that never became a job. Safe to run twice and at any time."""
    try:
        for job_id in strays.remove():
            log.warning("upload without a job removed", job_id=job_id)
    except Unavailable as error:
        log.warning("housekeeping waits", reason=str(error))


def _send_webhooks() -> None:
    # What is due and was sent already waits there: then the queue is not empty.
    with reading() as session:
        due = webhooks.due(session, MOST_AT_ONCE)
    if due and not _is_anything_in({DELIVER}):
        for job_id in due:
            pipeline.deliver(job_id)


def _end_stragglers() -> None:
    """Whoever did not hear that its job is over: the broker may have been down then."""
    with reading() as session:
        found = recovery.stragglers(session)
    cancelling.stop(InHand(parts=tuple(found)))


def _tell_ends() -> None:
    with reading() as session:
        ended = recovery.untold(session)
    for job_id in ended:
        log.warning("end told by housekeeping", job_id=job_id)
        with suppress(JobGone):
            endings.tell(job_id)


def _end_unawaited() -> None:
    """Jobs of callers who hung up and did not come again; the same request makes a new job then."""
    for job_id in awaited.abandoned():
        log.info("nobody waits for the job any more", job_id=job_id)
        with suppress(JobGone, Conflict):
            endings.cancel(job_id)
            with transaction() as session:
                idempotency.forget_job(session, job_id)
        awaited.forget(job_id)


def _send_unless_queued(job: Abandoned) -> None:
    if not _is_queued(job):
        log.warning("sent again", job_id=job.job_id, need=job.need)
        _SEND[job.need](job)


def _is_queued(job: Abandoned) -> bool:
    """Whether the messages of the job are perhaps only waiting for their turn."""
    return job.may_be_queued and _is_anything_in(_queues_of(job))


def _queues_of(job: Abandoned) -> set[str]:
    if job.need is Need.PREPARE:
        return {PREPARE}
    if job.need is Need.MERGE:
        return {MERGE}
    with reading() as session:
        return messages.queues(session, job.job_id) - {PREPARE}


def _is_anything_in(queues: set[str]) -> bool:
    return any(waiting.messages(queues).values())

"""What beat asks for: send again what lost its worker, remove what is no longer needed."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import suppress

import redis
import structlog
from amqp.exceptions import ChannelError
from kombu.exceptions import OperationalError

from core import jobs, layout, progress, recovery, retention
from core.db import reading, transaction
from core.errors import JobGone
from core.recovery import Abandoned, Need
from core.storage import storage
from tasks import pipeline
from tasks.celery import app

log = structlog.get_logger(__name__)

#: A key that is only missing when Redis lost its memory, and with it the queues.
CANARY = "transcribe:canary"

_SEND: dict[Need, Callable[[Abandoned], None]] = {
    Need.PREPARE: lambda job: pipeline.start(job.job_id),
    Need.FAN_OUT: lambda job: pipeline.fan_out(job.job_id, job.epoch),
    Need.MERGE: lambda job: pipeline.merge(job.job_id),
}


@app.task(name="housekeeping")
def housekeeping() -> None:
    """Send again the jobs that nobody works on. Safe to run twice and at any time."""
    with reading() as session:
        lost_memory = _broker_lost_its_memory()
        found = recovery.unfinished(session) if lost_memory else recovery.abandoned(session)
    try:
        for job in found:
            if not _is_queued(job):
                log.warning("sent again", job_id=job.job_id, need=job.need)
                _SEND[job.need](job)
    except OperationalError:
        log.warning("broker does not answer")


@app.task(name="fan_out")
def fan_out(job_id: str) -> None:
    """Have the missing parts of a job done. Safe to run twice."""
    with suppress(JobGone):
        pipeline.fan_out(job_id)


@app.task(name="clean_up")
def clean_up() -> None:
    """Remove the audio of jobs that are over for longer than RETENTION_HOURS. Safe to run twice."""
    with reading() as session:
        old = retention.jobs_with_old_audio(session)
    for job_id in old:
        for prefix in (layout.source(job_id), *layout.audio_folders(job_id)):
            storage().delete(prefix)
        with suppress(JobGone), transaction() as session:
            jobs.get(session, job_id).transcript.audio_key = None


def _broker_lost_its_memory() -> bool:
    try:
        return bool(progress.client().set(CANARY, secrets.token_hex(8), nx=True))
    except redis.RedisError:
        return False


def _is_queued(job: Abandoned) -> bool:
    """Whether the messages of the job are perhaps only waiting for their turn."""
    return job.may_be_queued and any(_length(queue) for queue in pipeline.queues(job.job_id))


def _length(queue: str) -> int:
    """Messages that wait in a queue, of any priority."""
    with app.connection_for_read() as connection:
        try:
            declared = connection.default_channel.queue_declare(queue=queue, passive=True)
        except ChannelError:  # nothing was ever sent there
            return 0
        return int(declared.message_count)

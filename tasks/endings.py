"""The end of a job: the same actions follow, however it ends.

Only the functions of this module end jobs. They publish the status, send the webhook, withdraw the
remaining messages, and start the next job. If the process is killed before that, or Redis is down,
housekeeping does it: see `core.jobs.recovery.list_unreported`.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import structlog

from core.db.transactions import transaction
from core.errors import Conflict, TranscribeError, Unavailable
from core.jobs import lifecycle, parts, recovery
from core.jobs.lifecycle import ActiveMessages
from core.storage import layout, storage
from tasks import cancelling, messages, pipeline
from tasks.purge import forget_chords
from tasks.reporting import progress

log = structlog.get_logger(__name__)


def complete_job(job_id: str, owner: str, **results: Any) -> None:
    """Complete a job with *results* merged by *owner*. Safe to run twice.

    See `lifecycle.complete_job`.
    """
    with transaction() as session:
        if not lifecycle.complete_job(session, job_id, owner, **results):
            return
        epoch = lifecycle.get_job(session, job_id).run.epoch
    handle_job_end(job_id)
    forget_chords(job_id, epoch)


def fail_job(job_id: str, reason: TranscribeError) -> None:
    """End a job that cannot be completed. Safe to run twice."""
    with transaction() as session:
        active_messages = lifecycle.find_active_messages(session, job_id)
        is_ended = lifecycle.fail_job(session, job_id, reason)
        has_waiting_chunk = parts.has_waiting_chunk(session, job_id)
        queues, epoch = (
            messages.list_job_queues(session, job_id),
            lifecycle.get_job(session, job_id).run.epoch,
        )
    if not is_ended:
        return
    # The step that prepares or merges the job is the caller of this function, so it is not
    # terminated.
    cancelling.terminate_steps(ActiveMessages(part_messages=active_messages.part_messages))
    if has_waiting_chunk:
        cancelling.withdraw_messages(job_id, queues, epoch)
    handle_job_end(job_id)


def cancel_job(job_id: str) -> None:
    """Cancel a job at its caller's request, and free the workers and queues of it.

    Raises `Conflict` if it is over.
    """
    _end_work(job_id, notify_caller=True)
    handle_job_end(job_id)


def delete_job(job_id: str) -> None:
    """Delete a running or ended job with all its data.

    Listeners receive the end. No webhook is sent, since the caller knows.
    """
    with suppress(Conflict):  # it is over
        _end_work(job_id, notify_caller=False)
        progress.publish_status(job_id)
    storage().delete(layout.job_prefix(job_id))
    with transaction() as session:
        lifecycle.delete_job(session, job_id)
    progress.forget_progress(job_id)
    pipeline.start_next_jobs()


def _end_work(job_id: str, *, notify_caller: bool) -> None:
    """Mark a job as cancelled, and end what workers do for it. Raises `Conflict` if it is over."""
    with transaction() as session:
        active_messages = lifecycle.cancel_job(session, job_id, notify_caller=notify_caller)
        queues = messages.list_job_queues(session, job_id)
        epoch = lifecycle.get_job(session, job_id).run.epoch
    cancelling.terminate_steps(active_messages)
    cancelling.withdraw_messages(job_id, queues, epoch)


def handle_job_end(job_id: str) -> None:
    """Do everything that follows the end of a job. Call it after the commit. Safe to run twice.

    Whatever fails now, housekeeping does later.
    """
    try:
        publish_end(job_id)
        pipeline.send_delivery(job_id)
        pipeline.start_next_jobs()
    except Unavailable as error:
        log.warning("what follows an end waits", job_id=job_id, reason=str(error))


def publish_end(job_id: str) -> None:
    """Publish the end of a job to Redis and its listeners, and record that this is done."""
    if progress.publish_status(job_id):
        with transaction() as session:
            recovery.mark_reported(session, job_id)

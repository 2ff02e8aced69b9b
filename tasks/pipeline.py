"""The path of a job through the queues.

    prepare ─┬─ transcribe_chunk × chunks ─┬─ merge ── deliver
             └─ diarize × shards ──────────┘

`prepare` sends the first chunks of a long recording ahead, while it cuts the others. When all are
cut, the parts that have not started are sent together as the header of a chord; its body is
`merge`.

Steps are called by name and not imported: the process that starts a job needs none of their
libraries. The database stores the state of a job, and messages only carry its id, so sending one
twice is harmless. The database also records which parts were sent: `fan_out` sends the unsent ones,
and `resend_parts` sends a new message for each part whose message is lost. A job that fails or is
cancelled goes to `send_delivery` from any step. `messages` chooses the queue of each message.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress

import structlog
from celery import chord
from kombu.exceptions import OperationalError

from core import webhooks
from core.db.transactions import read_session, transaction
from core.errors import JobNotFound
from core.jobs import admission, lifecycle, parts, records
from core.jobs.parts import PartId, PendingPart
from core.jobs.priorities import message_priority
from core.jobs.records import JobRecord
from core.settings import settings
from core.states import Stage
from tasks import cancelling, messages
from tasks.messages import build_message
from tasks.queues import CONTROL, DELIVER, HIGHEST_PRIORITY, LOWEST_PRIORITY, MERGE, PREPARE

log = structlog.get_logger(__name__)


def start_job(job_id: str, epoch: int | None = None) -> None:
    """Send an accepted job to its first step. Call it after the commit.

    *epoch*: do nothing if the job was sent by others since this epoch was read.

    Raises kombu's `OperationalError` if the broker is down: housekeeping sends the job later.
    """
    with transaction() as session:
        if not lifecycle.mark_dispatched(session, job_id, epoch):
            return
        job = records.read_job(session, job_id)
    priority = message_priority(job.spec.priority)
    build_message(
        "prepare", job_id, queue=PREPARE, priority=priority, epoch=job.epoch
    ).apply_async()


def send_chunks_ahead(job_id: str, chunks: Sequence[PartId]) -> None:
    """Send chunks before all are cut. Those that still wait afterwards are sent again (`fan_out`).

    They have the lowest priority within their job's priority: their final number is unknown, and
    they are for idle workers. If the broker is down, they wait.
    """
    with read_session() as session:
        job = records.read_job(session, job_id)
    try:
        for message in messages.build_ahead_messages(job.spec, chunks, job.epoch):
            message.apply_async()
    except OperationalError:
        log.warning("chunks wait until all are cut", job_id=job_id)
    _withdraw_if_over(job, chunks)


def merge_if_last(job_id: str, *, is_counted: bool) -> None:
    """Send the merge if this was the last part that the job waited for.

    *is_counted*: whether the chord counts the part; then the chord sends the merge, if it still
    can. Call it after the commit. If the broker is down, housekeeping sends the merge later.
    """
    with read_session() as session:
        is_last = parts.is_ready_to_merge(session, job_id, is_counted=is_counted)
    if is_last:
        with suppress(OperationalError):
            send_merge(job_id)


def fan_out(job_id: str, epoch: int | None = None) -> None:
    """Send every part that was not sent yet, and the merge after them.

    *epoch*: do nothing if the job was sent by others since this epoch was read.
    """
    with transaction() as session:
        if not lifecycle.mark_dispatched(session, job_id, epoch):
            return
        job = records.read_job(session, job_id)
        pending_parts = parts.claim_unsent_parts(session, job_id)
        is_ready_to_merge = not pending_parts and parts.is_ready_to_merge(session, job_id)
    merge_message = build_message("merge", job_id, queue=MERGE, priority=HIGHEST_PRIORITY)
    if is_ready_to_merge:
        merge_message.apply_async()
    if not pending_parts:
        return
    # One id is for the parts (a cancel finds their counters by it), the other for the merge.
    parts_chord = chord(
        messages.build_part_messages(job.spec, pending_parts, job.epoch),
        merge_message,
        task_id=messages.chord_id(job_id, job.epoch),
    )
    with _unmark_if_unsent(pending_parts):
        parts_chord.apply_async(task_id=str(uuid.uuid4()))
    _withdraw_if_over(job, [pending.part for pending in pending_parts])


def resend_parts(job_id: str, *, is_queue_empty: bool) -> None:
    """Send a new message for each part whose message must be lost, and for no other.

    The chord of the job does not count these messages, see `merge_if_last`. *is_queue_empty*:
    whether messages that should wait in the queue are lost.
    """
    with transaction() as session:
        job = records.read_job(session, job_id)
        lost_parts = parts.claim_lost_parts(session, job_id, is_queue_empty=is_queue_empty)
        lifecycle.count_resent_parts(session, job_id, len(lost_parts))
    with _unmark_if_unsent(lost_parts):
        for message in messages.build_resent_messages(job.spec, lost_parts, job.epoch):
            message.apply_async()
    _withdraw_if_over(job, [pending.part for pending in lost_parts])


def send_merge(job_id: str, epoch: int | None = None) -> None:
    """Send the merge: every part has ended.

    *epoch*: record the sending, and do nothing if the job was sent by others since this epoch was
    read.
    """
    if epoch is not None:
        with transaction() as session:
            if not lifecycle.mark_dispatched(session, job_id, epoch):
                return
    build_message("merge", job_id, queue=MERGE, priority=HIGHEST_PRIORITY).apply_async()


def send_delivery(job_id: str) -> None:
    """Send the job's webhook if one is due. Call it after the commit.

    If the broker is down, housekeeping does this later.
    """
    with read_session() as session:
        if not webhooks.has_due_delivery(session, job_id):
            return
    try:
        build_message("deliver", job_id, queue=DELIVER, priority=LOWEST_PRIORITY).apply_async()
    except OperationalError:
        log.warning("webhook waits for the broker", job_id=job_id)


def resume_job(job_id: str) -> None:
    """Continue a job that was restarted: with its parts, or from the start if it has none."""
    with read_session() as session:
        was_prepared = records.read_job(session, job_id).stage is Stage.LISTEN
    if was_prepared:
        # A worker sends a chord's parts, since the API must answer quickly.
        build_message("fan_out", job_id, queue=CONTROL, priority=HIGHEST_PRIORITY).apply_async()
    else:
        start_job(job_id)


def start_next_jobs() -> None:
    """Send the jobs that may start now, if the number of jobs is limited. Call it when a job ends.

    If the broker is down, housekeeping does this later.
    """
    if not settings().max_concurrent_jobs:
        return
    with read_session() as session:
        job_ids = admission.find_startable_jobs(session)
    try:
        for job_id in job_ids:
            start_job(job_id)
    except OperationalError:
        log.warning("the next job waits for the broker")


@contextmanager
def _unmark_if_unsent(claimed_parts: Sequence[PendingPart]) -> Iterator[None]:
    """Mark these parts as unsent if the broker fails; housekeeping sends their messages later."""
    try:
        yield
    except OperationalError:
        with transaction() as session:
            parts.mark_unsent(session, [pending.part for pending in claimed_parts])
        raise


def _withdraw_if_over(job: JobRecord, part_ids: Iterable[PartId]) -> None:
    """The job may have been cancelled while these parts were being sent."""
    if _is_over(job.job_id):
        queues = {messages.find_step(job.spec, part.kind)[1] for part in part_ids}
        cancelling.withdraw_messages(job.job_id, queues, job.epoch)


def _is_over(job_id: str) -> bool:
    with suppress(JobNotFound), read_session() as session:
        return records.read_job(session, job_id).stage is Stage.OVER
    return True

"""The way of a job through the queues, on one page.

    prepare ─┬─ transcribe_chunk × chunks ─┬─ merge ── deliver
             └─ diarize × shards ──────────┘

`prepare` sends the first chunks of a long recording ahead, while it cuts the others. What is not
begun when all are cut is sent together: the header of a chord, of which `merge` is the body.

Steps are named here, not imported: whoever starts a job needs none of the libraries that the steps
need. The database remembers how far a job is, the messages only carry its id, so sending one twice
does no harm. It also remembers which parts were sent: `fan_out` sends those that were not,
`resend_parts` those whose messages are lost, each by itself. A job that fails or is cancelled goes
to `send_delivery` from wherever it is. Which message goes to which queue, `messages` says.
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
    """Send a job that was accepted on its way. Call it after the commit.

    *epoch*: do nothing if someone else sent the job since that was read.

    Raises `OperationalError` of kombu when the broker is down: housekeeping will send it later.
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
    """Have chunks heard before all are cut. `fan_out` sends those again that wait until then.

    They go after everything else of their job's priority: nobody knows yet how many will follow,
    and they are for workers that have nothing to do. When the broker is down they wait.
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
    """Have the transcript put together if the job waited for nothing else but this part.

    *is_counted*: whether the chord counts it; then that sees to it, as long as it can. Call it
    after the commit; when the broker is down, housekeeping sees to it later.
    """
    with read_session() as session:
        is_last = parts.is_ready_to_merge(session, job_id, is_counted=is_counted)
    if is_last:
        with suppress(OperationalError):
            send_merge(job_id)


def fan_out(job_id: str, epoch: int | None = None) -> None:
    """Have every part that was not sent yet worked on at once, then merge.

    *epoch*: do nothing if someone else sent the job since that was read.
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
    # The one id is the parts', by which a cancel finds their counters; the other the merge's.
    parts_chord = chord(
        messages.build_part_messages(job.spec, pending_parts, job.epoch),
        merge_message,
        task_id=messages.chord_id(job_id, job.epoch),
    )
    with _unmark_if_unsent(pending_parts):
        parts_chord.apply_async(task_id=str(uuid.uuid4()))
    _withdraw_if_over(job, [pending.part for pending in pending_parts])


def resend_parts(job_id: str, *, is_queue_empty: bool) -> None:
    """Have each part worked on whose own message must be gone, and no other.

    The chord of the job does not count these messages, see `merge_if_last`. *is_queue_empty*:
    whether what should wait there is gone.
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
    """Have the transcript put together: every part is over.

    *epoch*: note that it is sent, and do nothing if someone else sent the job since that was read.
    """
    if epoch is not None:
        with transaction() as session:
            if not lifecycle.mark_dispatched(session, job_id, epoch):
                return
    build_message("merge", job_id, queue=MERGE, priority=HIGHEST_PRIORITY).apply_async()


def send_delivery(job_id: str) -> None:
    """Have the caller told, if it asked for that, that the job is over. Call it after the commit.

    When the broker is down, housekeeping sees to it later.
    """
    with read_session() as session:
        if not webhooks.has_due_delivery(session, job_id):
            return
    try:
        build_message("deliver", job_id, queue=DELIVER, priority=LOWEST_PRIORITY).apply_async()
    except OperationalError:
        log.warning("webhook waits for the broker", job_id=job_id)


def resume_job(job_id: str) -> None:
    """Have a job that is to go on go on: from its parts, or from the start if it has none yet."""
    with read_session() as session:
        was_prepared = records.read_job(session, job_id).stage is Stage.LISTEN
    if was_prepared:
        # A worker counts the parts of a chord better than the service, which must answer.
        build_message("fan_out", job_id, queue=CONTROL, priority=HIGHEST_PRIORITY).apply_async()
    else:
        start_job(job_id)


def start_next_jobs() -> None:
    """Send the jobs whose turn has come, where their number is limited. Call it when one is over.

    When the broker is down, housekeeping sees to it later.
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
    """When the broker does not take the messages of these parts, housekeeping sends them later."""
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

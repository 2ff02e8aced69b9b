"""The way of a job through the queues, on one page.

    prepare ─┬─ transcribe_chunk × chunks ─┬─ merge ── deliver
             └─ diarize × shards ──────────┘

`prepare` sends the first chunks of a long recording ahead, while it cuts the others. What is not
begun when all are cut is sent together: the header of a chord, of which `merge` is the body.

Steps are named here, not imported: whoever starts a job needs none of the libraries that the steps
need. The database remembers how far a job is, the messages only carry its id, so sending one twice
does no harm. It also remembers which parts were sent: `fan_out` sends those that were not, `resend`
those whose messages are lost, each by itself. A job that fails or is cancelled goes to
`deliver` from wherever it is. Which message goes to which queue, `messages` says.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress

import structlog
from celery import chord
from kombu.exceptions import OperationalError

from core import admission, jobs, parts, webhooks
from core.db import reading, transaction
from core.errors import JobGone
from core.parts import Missing, PartId
from core.precedence import message_priority
from core.settings import settings
from core.specs import JobSpec
from core.states import Stage
from tasks import cancelling, messages
from tasks.messages import message
from tasks.queues import CONTROL, DELIVER, MERGE, PATIENT, PREPARE, URGENT

log = structlog.get_logger(__name__)


def start(job_id: str, epoch: int | None = None) -> None:
    """Send a job that was accepted on its way. Call it after the commit.

    *epoch*: do nothing if someone else sent the job since that was read.

    Raises `OperationalError` of kombu when the broker is down: housekeeping will send it later.
    """
    with transaction() as session:
        if not jobs.dispatched(session, job_id, epoch):
            return
        job = jobs.get(session, job_id)
        spec, epoch = jobs.spec_of(job), job.run.epoch
    priority = message_priority(spec.priority)
    message("prepare", job_id, queue=PREPARE, priority=priority, epoch=epoch).apply_async()


def send_ahead(job_id: str, chunks: Sequence[PartId]) -> None:
    """Have chunks heard before all are cut. `fan_out` sends those again that wait until then.

    They go after everything else of their job's priority: nobody knows yet how many will follow,
    and they are for workers that have nothing to do. When the broker is down they wait.
    """
    with reading() as session:
        job = jobs.get(session, job_id)
        spec, epoch = jobs.spec_of(job), job.run.epoch
    try:
        for chunk in messages.sent_ahead(spec, chunks, epoch):
            chunk.apply_async()
    except OperationalError:
        log.warning("chunks wait until all are cut", job_id=job_id)
    _take_back_if_over(job_id, spec, chunks, epoch)


def part_is_over(job_id: str, *, is_counted: bool) -> None:
    """Have the transcript put together if the job waited for nothing else but this part.

    *is_counted*: whether the chord counts it; then that sees to it, as long as it can. Call it
    after the commit; when the broker is down, housekeeping sees to it later.
    """
    with reading() as session:
        is_last = parts.all_over(session, job_id, is_counted=is_counted)
    if is_last:
        with suppress(OperationalError):
            merge(job_id)


def fan_out(job_id: str, epoch: int | None = None) -> None:
    """Have every part that was not sent yet worked on at once, then merge.

    *epoch*: do nothing if someone else sent the job since that was read.
    """
    with transaction() as session:
        if not jobs.dispatched(session, job_id, epoch):
            return
        job = jobs.get(session, job_id)
        spec, epoch = jobs.spec_of(job), job.run.epoch
        todo = parts.claim_unsent(session, job_id)
        is_all_over = not todo and parts.all_over(session, job_id)
    then = message("merge", job_id, queue=MERGE, priority=URGENT)
    if is_all_over:
        then.apply_async()
    if not todo:
        return
    # The one id is the parts', by which a cancel finds their counters; the other the merge's.
    whole = chord(
        messages.of_parts(spec, todo, epoch), then, task_id=messages.chord_id(job_id, epoch)
    )
    with _sent_or_not(todo):
        whole.apply_async(task_id=str(uuid.uuid4()))
    _take_back_if_over(job_id, spec, [one.part for one in todo], epoch)


def resend(job_id: str, *, is_queue_empty: bool) -> None:
    """Have each part worked on whose own message must be gone, and no other.

    The chord of the job does not count these messages, see `part_is_over`. *is_queue_empty*:
    whether what should wait there is gone.
    """
    with transaction() as session:
        job = jobs.get(session, job_id)
        spec, epoch = jobs.spec_of(job), job.run.epoch
        lost = parts.claim_lost(session, job_id, is_queue_empty=is_queue_empty)
        job.run.parts_resent += len(lost)
    with _sent_or_not(lost):
        for one in messages.resent(spec, lost, epoch):
            one.apply_async()
    _take_back_if_over(job_id, spec, [one.part for one in lost], epoch)


def merge(job_id: str, epoch: int | None = None) -> None:
    """Have the transcript put together: every part is over.

    *epoch*: note that it is sent, and do nothing if someone else sent the job since that was read.
    """
    if epoch is not None:
        with transaction() as session:
            if not jobs.dispatched(session, job_id, epoch):
                return
    message("merge", job_id, queue=MERGE, priority=URGENT).apply_async()


def deliver(job_id: str) -> None:
    """Have the caller told, if it asked for that, that the job is over. Call it after the commit.

    When the broker is down, housekeeping sees to it later.
    """
    with reading() as session:
        if not webhooks.is_due(session, job_id):
            return
    try:
        message("deliver", job_id, queue=DELIVER, priority=PATIENT).apply_async()
    except OperationalError:
        log.warning("webhook waits for the broker", job_id=job_id)


def resume(job_id: str) -> None:
    """Have a job that is to go on go on: from its parts, or from the start if it has none yet."""
    with reading() as session:
        was_prepared = jobs.get(session, job_id).run.stage == Stage.LISTEN
    if was_prepared:
        # A worker counts the parts of a chord better than the service, which must answer.
        message("fan_out", job_id, queue=CONTROL, priority=URGENT).apply_async()
    else:
        start(job_id)


def start_next() -> None:
    """Send the jobs whose turn has come, where their number is limited. Call it when one is over.

    When the broker is down, housekeeping sees to it later.
    """
    if not settings().max_concurrent_jobs:
        return
    with reading() as session:
        ready = admission.next_in_line(session)
    try:
        for job_id in ready:
            start(job_id)
    except OperationalError:
        log.warning("the next job waits for the broker")


@contextmanager
def _sent_or_not(claimed: Sequence[Missing]) -> Iterator[None]:
    """When the broker does not take the messages of these parts, housekeeping sends them later."""
    try:
        yield
    except OperationalError:
        with transaction() as session:
            parts.forget_sending(session, [one.part for one in claimed])
        raise


def _take_back_if_over(job_id: str, spec: JobSpec, sent: Iterable[PartId], epoch: int) -> None:
    """It may have been cancelled while these parts were being sent."""
    if _is_over(job_id):
        queues = {messages.step_of(spec, part.kind)[1] for part in sent}
        cancelling.withdraw(job_id, queues, epoch)


def _is_over(job_id: str) -> bool:
    with suppress(JobGone), reading() as session:
        return jobs.get(session, job_id).run.stage == Stage.OVER
    return True

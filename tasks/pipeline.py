"""The way of a job through the queues, on one page.

    prepare ─┬─ transcribe_chunk × chunks ─┬─ merge ── deliver
             └─ diarize × shards ──────────┘

Steps are named here, not imported: whoever starts a job needs none of the libraries that the steps
need. The database remembers how far a job is, the messages only carry its id, so sending one twice
does no harm and `fan_out` is start and resume alike. A job that fails or is cancelled goes to
`deliver` from wherever it is.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import Any

import structlog
from celery import Signature, chord
from kombu.exceptions import OperationalError
from sqlalchemy.orm import Session

from core import admission, jobs, parts, webhooks
from core.db import reading, transaction
from core.errors import JobGone
from core.jobs import InHand
from core.precedence import message_priority
from core.settings import settings
from core.specs import JobSpec
from core.states import PartKind, Stage
from engines import catalog
from tasks import lines
from tasks.celery import app
from tasks.queues import CONTROL, DELIVER, MERGE, PATIENT, PREPARE, URGENT

log = structlog.get_logger(__name__)


def start(job_id: str) -> None:
    """Send a job that was accepted on its way. Call it after the commit.

    Raises `OperationalError` of kombu when the broker is down: housekeeping will send it later.
    """
    with transaction() as session:
        if not jobs.dispatched(session, job_id):
            return
        job = jobs.get(session, job_id)
        spec, epoch = jobs.spec_of(job), job.run.epoch
    priority = message_priority(spec.priority)
    _send("prepare", job_id, queue=PREPARE, priority=priority, epoch=epoch).apply_async()


def resume(job_id: str) -> None:
    """Have a job that is to go on go on: from its parts, or from the start if it has none yet."""
    with reading() as session:
        was_prepared = jobs.get(session, job_id).run.stage == Stage.LISTEN
    if was_prepared:
        # A worker counts the parts of a chord better than the service, which must answer.
        _send("fan_out", job_id, queue=CONTROL, priority=URGENT).apply_async()
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


def fan_out(job_id: str, epoch: int | None = None) -> None:
    """Have every part that is still missing worked on at once, then merge.

    *epoch*: do nothing if someone else sent the job since that was read.
    """
    with transaction() as session:
        if not jobs.dispatched(session, job_id, epoch):
            return
        job = jobs.get(session, job_id)
        spec, epoch = jobs.spec_of(job), job.run.epoch
        todo = parts.missing(session, job_id)
    body = _send("merge", job_id, queue=MERGE, priority=URGENT)
    if todo:
        header = _header(spec, todo, epoch)
        # The one id is the header's, by which a cancel finds its counters; the other the merge's.
        parts_then_merge = chord(header, body, task_id=chord_id(job_id, epoch))
        parts_then_merge.apply_async(task_id=str(uuid.uuid4()))
        if _is_over(job_id):  # it was cancelled while this was being sent
            _withdraw(job_id, {_worker_of(spec, part.kind)[1] for part in todo}, epoch)
    else:
        body.apply_async()


def _is_over(job_id: str) -> bool:
    with suppress(JobGone), reading() as session:
        return jobs.get(session, job_id).run.stage == Stage.OVER
    return True


def chord_id(job_id: str, epoch: int) -> str:
    """Under which the parts are counted that are sent at once."""
    return f"{job_id}.{epoch}"


def merge(job_id: str) -> None:
    """Have the transcript put together: every part is over."""
    _send("merge", job_id, queue=MERGE, priority=URGENT).apply_async()


def deliver(job_id: str) -> None:
    """Have the caller told, if it asked for that, that the job is over. Call it after the commit.

    When the broker is down, housekeeping sees to it later.
    """
    with reading() as session:
        if not webhooks.is_due(session, job_id):
            return
    try:
        _send("deliver", job_id, queue=DELIVER, priority=PATIENT).apply_async()
    except OperationalError:
        log.warning("webhook waits for the broker", job_id=job_id)


def cancel(job_id: str) -> None:
    """End a job at its caller's wish, and free the workers and the queues of it.

    Raises `Conflict` when it is over.
    """
    with transaction() as session:
        in_hand = jobs.cancel(session, job_id)
        waiting, epoch = _queues(session, job_id), jobs.get(session, job_id).run.epoch
    stop(in_hand)
    _withdraw(job_id, waiting, epoch)


def _withdraw(job_id: str, queues: Collection[str], epoch: int) -> None:
    # A worker looks through the queues, which may be long; the service must answer.
    purge = _send("purge", job_id, queue=CONTROL, priority=URGENT)
    purge.kwargs = {"queues": sorted(queues), "epoch": epoch}
    try:
        purge.apply_async()
    except OperationalError:
        log.warning("messages stay until their turn comes", job_id=job_id)


def stop(in_hand: InHand) -> None:
    """Have the processes ended that work on these messages. Call it after the commit.

    Their workers start others in their place. When the broker is down, housekeeping sees to it
    later.
    """
    # An engine may be deaf to anything milder for as long as a chunk takes; but whoever prepares
    # listens, and clears away what it has unpacked.
    for messages, signal in ((in_hand.parts, "SIGKILL"), ((in_hand.preparing,), "SIGTERM")):
        _end([message for message in messages if message], signal)


def _end(messages: Sequence[str], signal: str) -> None:
    if not messages:
        return
    try:
        app.control.revoke(messages, terminate=True, signal=signal)
    except OperationalError:
        log.warning("workers go on until the broker is back", messages=len(messages))


def queues(job_id: str) -> set[str]:
    """Where the messages of a job may be waiting."""
    with reading() as session:
        return _queues(session, job_id)


def _queues(session: Session, job_id: str) -> set[str]:
    spec = jobs.spec_of(jobs.get(session, job_id))
    kinds = {PartKind(part.kind) for part in jobs.parts(session, job_id)}
    return {PREPARE, *(_worker_of(spec, kind)[1] for kind in kinds)}


def _header(spec: JobSpec, seconds: dict[parts.PartId, float], epoch: int) -> Sequence[Signature]:
    """What is to be sent for parts, of which the seconds of sound are given."""
    left = {
        kind: sum(length for part, length in seconds.items() if part.kind == kind)
        for kind in PartKind
    }
    return [_part(spec, part, epoch, left[part.kind]) for part in seconds]


def _part(spec: JobSpec, part: parts.PartId, epoch: int, left: float) -> Signature:
    name, queue = _worker_of(spec, part.kind)
    priority = message_priority(spec.priority, left)
    return _send(name, part.job_id, part.position, queue=queue, priority=priority, epoch=epoch)


def _worker_of(spec: JobSpec, kind: PartKind) -> tuple[str, str]:
    # Every engine has its own queue; only a worker that can run it takes from there.
    if kind is PartKind.CHUNK:
        return "transcribe_chunk", catalog.recognizer(spec.engine).queue
    assert spec.diarizer is not None
    return "diarize", catalog.diarizer(spec.diarizer).queue


def _send(
    name: str, job_id: str, *args: int, queue: str, priority: int, epoch: int | None = None
) -> Signature:
    # Nobody asks Celery for a result, so the sender need not listen for one either.
    options: dict[str, Any] = {"queue": queue, "priority": priority, "ignore_result": True}
    options["headers"] = lines.headers() | ({} if epoch is None else sent(job_id, epoch))
    return app.signature(name, args=(job_id, *args), options=options, immutable=True)


def sent(job_id: str, epoch: int) -> dict[str, str | int]:
    """Headers by which a message can be told to be of no use any more, without opening it."""
    return {"job_id": job_id, "epoch": epoch}

"""The way of a job through the queues, on one page.

    prepare ─┬─ transcribe_chunk × chunks ─┬─ merge ── deliver
             └─ diarize × shards ──────────┘

Steps are named here, not imported: whoever starts a job needs none of the libraries that the steps
need. The database remembers how far a job is, the messages only carry its id, so sending one twice
does no harm and `fan_out` is start and resume alike. A job that fails or is cancelled goes to
`deliver` from wherever it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import structlog
from celery import Signature, chord
from kombu.exceptions import OperationalError

from core import jobs, parts, webhooks
from core.db import reading, transaction
from core.jobs import InHand
from core.specs import JobSpec
from core.states import PartKind, Stage
from engines import catalog
from tasks import lines
from tasks.celery import app
from tasks.queues import CONTROL, DELIVER, MERGE, PATIENT, PREPARE, URGENT, message_priority

log = structlog.get_logger(__name__)


def start(job_id: str) -> None:
    """Send a job that was accepted on its way. Call it after the commit.

    Raises `OperationalError` of kombu when the broker is down: housekeeping will send it later.
    """
    with transaction() as session:
        if not jobs.dispatched(session, job_id):
            return
        spec = jobs.spec_of(jobs.get(session, job_id))
    _send("prepare", job_id, queue=PREPARE, priority=message_priority(spec.priority)).apply_async()


def resume(job_id: str) -> None:
    """Have a job that is to go on go on: from its parts, or from the start if it has none yet."""
    with reading() as session:
        was_prepared = jobs.get(session, job_id).run.stage == Stage.LISTEN
    if was_prepared:
        # A worker counts the parts of a chord better than the service, which must answer.
        _send("fan_out", job_id, queue=CONTROL, priority=URGENT).apply_async()
    else:
        start(job_id)


def fan_out(job_id: str, epoch: int | None = None) -> None:
    """Have every part that is still missing worked on at once, then merge.

    *epoch*: do nothing if someone else sent the job since that was read.
    """
    with transaction() as session:
        if not jobs.dispatched(session, job_id, epoch):
            return
        spec = jobs.spec_of(jobs.get(session, job_id))
        todo = parts.missing(session, job_id)
        begins = {(part.kind, part.position): part.start for part in jobs.parts(session, job_id)}
    header = [_part(spec, part, begins[part.kind, part.position]) for part in todo]
    body = _send("merge", job_id, queue=MERGE, priority=URGENT)
    if header:
        chord(header)(body)
    else:
        body.apply_async()


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
        spec = jobs.spec_of(jobs.get(session, job_id))
        kinds = {PartKind(part.kind) for part in jobs.parts(session, job_id)}
    return {PREPARE, *(_worker_of(spec, kind)[1] for kind in kinds)}


def _part(spec: JobSpec, part: parts.PartId, begins: float) -> Signature:
    name, queue = _worker_of(spec, part.kind)
    priority = message_priority(spec.priority, begins)
    return _send(name, part.job_id, part.position, queue=queue, priority=priority)


def _worker_of(spec: JobSpec, kind: PartKind) -> tuple[str, str]:
    # Every engine has its own queue; only a worker that can run it takes from there.
    if kind is PartKind.CHUNK:
        return "transcribe_chunk", catalog.recognizer(spec.engine).queue
    assert spec.diarizer is not None
    return "diarize", catalog.diarizer(spec.diarizer).queue


def _send(name: str, job_id: str, *args: int, queue: str, priority: int) -> Signature:
    # Nobody asks Celery for a result, so the sender need not listen for one either.
    options: dict[str, Any] = {"queue": queue, "priority": priority, "ignore_result": True}
    options["headers"] = lines.headers()
    return app.signature(name, args=(job_id, *args), options=options, immutable=True)

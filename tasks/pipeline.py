"""The way of a job through the queues, on one page.

    prepare ─┬─ transcribe_chunk × chunks ─┬─ merge
             └─ diarize × shards ──────────┘

Steps are named here, not imported: whoever starts a job needs none of the libraries that the steps
need. The database remembers how far a job is, the messages only carry its id, so sending one twice
does no harm and `fan_out` is start and resume alike.
"""

from __future__ import annotations

from celery import Signature, chord

from core import jobs, parts
from core.db import reading, transaction
from core.specs import JobSpec
from core.states import PartKind, Stage
from engines import catalog
from tasks.celery import app
from tasks.queues import CONTROL, MERGE, PREPARE, URGENT, message_priority


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
    options = {"queue": queue, "priority": priority, "ignore_result": True}
    return app.signature(name, args=(job_id, *args), options=options, immutable=True)

"""What is sent for a job: which message goes to which queue, before which others."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from celery import Signature
from sqlalchemy.orm import Session

from core import jobs
from core.parts import Missing, PartId
from core.precedence import message_priority
from core.specs import JobSpec
from core.states import PartKind
from engines import catalog
from tasks import lines
from tasks.celery import app
from tasks.queues import PREPARE

#: Headers of messages that no chord counts: of what is sent before the chord, and again after it.
AHEAD = "ahead"
RESENT = "resent"


def message(
    name: str, job_id: str, *args: int, queue: str, priority: int, epoch: int | None = None
) -> Signature:
    """Have the step of that name done. *epoch*: only until the job is sent again; see `headers`."""
    # Nobody asks Celery for a result, so the sender need not listen for one either.
    options: dict[str, Any] = {"queue": queue, "priority": priority, "ignore_result": True}
    options["headers"] = lines.headers() | ({} if epoch is None else headers(job_id, epoch))
    return app.signature(name, args=(job_id, *args), options=options, immutable=True)


def headers(job_id: str, epoch: int) -> dict[str, str | int]:
    """By which a message can be told to be of no use any more, without opening it."""
    return {"job_id": job_id, "epoch": epoch}


def of_parts(spec: JobSpec, todo: Sequence[Missing], epoch: int) -> Sequence[Signature]:
    """A message for each part.

    What was begun before goes before the rest of its job: whoever reads along waits for it.
    """
    left = {kind: sum(one.seconds for one in todo if one.part.kind == kind) for kind in PartKind}
    return [
        _of_part(spec, one.part, epoch, one.seconds if one.was_begun else left[one.part.kind])
        for one in todo
    ]


def sent_ahead(spec: JobSpec, chunks: Sequence[PartId], epoch: int) -> Sequence[Signature]:
    """A message for each chunk of a recording that is still being cut."""
    sent = [_of_part(spec, chunk, epoch, math.inf) for chunk in chunks]
    for one in sent:
        one.options["headers"] |= {AHEAD: True}
    return sent


def resent(spec: JobSpec, lost: Sequence[Missing], epoch: int) -> Sequence[Signature]:
    """A message for each part whose own is gone."""
    sent = of_parts(spec, lost, epoch)
    for one in sent:
        one.options["headers"] |= {RESENT: True}
    return sent


def is_counted(headers: Mapping[str, Any]) -> bool:
    """Whether the chord of its job counts a message with these headers."""
    return AHEAD not in headers and RESENT not in headers


def _of_part(spec: JobSpec, part: PartId, epoch: int, left: float) -> Signature:
    name, queue = step_of(spec, part.kind)
    priority = message_priority(spec.priority, left)
    return message(name, part.job_id, part.position, queue=queue, priority=priority, epoch=epoch)


def step_of(spec: JobSpec, kind: PartKind) -> tuple[str, str]:
    """The step that works on such a part, and its queue.

    Every engine has its own; only a worker that can run it takes from there.
    """
    if kind is PartKind.CHUNK:
        return "transcribe_chunk", catalog.recognizer(spec.engine).queue
    assert spec.diarizer is not None
    return "diarize", catalog.diarizer(spec.diarizer).queue


def queues(session: Session, job_id: str) -> set[str]:
    """Where the messages of a job may be waiting."""
    spec = jobs.spec_of(jobs.get(session, job_id))
    kinds = {PartKind(part.kind) for part in jobs.parts(session, job_id)}
    return {PREPARE, *(step_of(spec, kind)[1] for kind in kinds)}


def chord_id(job_id: str, epoch: int) -> str:
    """Under which the parts are counted that are sent at once."""
    return f"{job_id}.{epoch}"

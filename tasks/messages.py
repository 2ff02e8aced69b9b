"""What is sent for a job: which message goes to which queue, before which others."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from celery import Signature
from sqlalchemy.orm import Session

from core.jobs import records
from core.jobs.parts import PartId, PendingPart
from core.jobs.priorities import message_priority
from core.jobs.spec import JobSpec
from core.states import PartKind
from engines import catalog
from tasks.celery import app
from tasks.queues import PREPARE
from tasks.worker import log_context

#: Headers of messages that no chord counts: of what is sent before the chord, and again after it.
AHEAD_HEADER = "ahead"
RESENT_HEADER = "resent"


def build_message(
    name: str, job_id: str, *args: int, queue: str, priority: int, epoch: int | None = None
) -> Signature:
    """A message for a step. *epoch*: only until the job is sent again; see `build_job_headers`."""
    # Nobody asks Celery for a result, so the sender need not listen for one either.
    options: dict[str, Any] = {"queue": queue, "priority": priority, "ignore_result": True}
    options["headers"] = log_context.build_headers() | (
        {} if epoch is None else build_job_headers(job_id, epoch)
    )
    return app.signature(name, args=(job_id, *args), options=options, immutable=True)


def build_job_headers(job_id: str, epoch: int) -> dict[str, str | int]:
    """By which a message can be told to be of no use any more, without opening it."""
    return {"job_id": job_id, "epoch": epoch}


def build_part_messages(
    spec: JobSpec, pending_parts: Sequence[PendingPart], epoch: int
) -> Sequence[Signature]:
    """A message for each part.

    What was begun before goes before the rest of its job: whoever reads along waits for it.
    """
    seconds_left = {
        kind: sum(pending.seconds for pending in pending_parts if pending.part.kind == kind)
        for kind in PartKind
    }
    return [
        _build_part_message(
            spec,
            pending.part,
            epoch,
            pending.seconds if pending.was_begun else seconds_left[pending.part.kind],
        )
        for pending in pending_parts
    ]


def build_ahead_messages(
    spec: JobSpec, chunks: Sequence[PartId], epoch: int
) -> Sequence[Signature]:
    """A message for each chunk of a recording that is still being cut."""
    signatures = [_build_part_message(spec, chunk, epoch, math.inf) for chunk in chunks]
    for signature in signatures:
        signature.options["headers"] |= {AHEAD_HEADER: True}
    return signatures


def build_resent_messages(
    spec: JobSpec, lost_parts: Sequence[PendingPart], epoch: int
) -> Sequence[Signature]:
    """A message for each part whose own is gone."""
    signatures = build_part_messages(spec, lost_parts, epoch)
    for signature in signatures:
        signature.options["headers"] |= {RESENT_HEADER: True}
    return signatures


def is_counted(headers: Mapping[str, Any]) -> bool:
    """Whether the chord of its job counts a message with these headers."""
    return AHEAD_HEADER not in headers and RESENT_HEADER not in headers


def _build_part_message(spec: JobSpec, part: PartId, epoch: int, seconds_left: float) -> Signature:
    name, queue = find_step(spec, part.kind)
    priority = message_priority(spec.priority, seconds_left)
    return build_message(
        name, part.job_id, part.position, queue=queue, priority=priority, epoch=epoch
    )


def find_step(spec: JobSpec, kind: PartKind) -> tuple[str, str]:
    """The step that works on such a part, and its queue.

    Every engine has its own; only a worker that can run it takes from there.
    """
    if kind is PartKind.CHUNK:
        return "transcribe_chunk", catalog.recognizer(spec.engine).queue
    assert spec.diarizer is not None
    return "diarize", catalog.diarizer(spec.diarizer).queue


def list_job_queues(session: Session, job_id: str) -> set[str]:
    """Where the messages of a job may be waiting."""
    spec = records.read_job(session, job_id).spec
    kinds = {part.id.kind for part in records.read_parts(session, job_id)}
    return {PREPARE, *(find_step(spec, kind)[1] for kind in kinds)}


def chord_id(job_id: str, epoch: int) -> str:
    """Under which the parts are counted that are sent at once."""
    return f"{job_id}.{epoch}"

"""The messages of a job: their content, queue and priority."""

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

#: Headers of messages that no chord counts: those sent before the chord, and those sent again after
#: it.
AHEAD_HEADER = "ahead"
RESENT_HEADER = "resent"


def build_message(
    name: str, job_id: str, *args: int, queue: str, priority: int, epoch: int | None = None
) -> Signature:
    """Build a message for a step.

    *epoch*: the message is only valid until the job is sent again; see `build_job_headers`.
    """
    # No code reads Celery's results, so the sender need not wait for one either.
    options: dict[str, Any] = {"queue": queue, "priority": priority, "ignore_result": True}
    options["headers"] = log_context.build_headers() | (
        {} if epoch is None else build_job_headers(job_id, epoch)
    )
    return app.signature(name, args=(job_id, *args), options=options, immutable=True)


def build_job_headers(job_id: str, epoch: int) -> dict[str, str | int]:
    """Return headers that show whether a message is obsolete, without decoding its body."""
    return {"job_id": job_id, "epoch": epoch}


def build_part_messages(
    spec: JobSpec, pending_parts: Sequence[PendingPart], epoch: int
) -> Sequence[Signature]:
    """Build a message for each part.

    Parts that were started earlier go before the rest of their job: live listeners wait for them.
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
    """Build a message for each chunk of a recording that is still being cut."""
    signatures = [_build_part_message(spec, chunk, epoch, math.inf) for chunk in chunks]
    for signature in signatures:
        signature.options["headers"] |= {AHEAD_HEADER: True}
    return signatures


def build_resent_messages(
    spec: JobSpec, lost_parts: Sequence[PendingPart], epoch: int
) -> Sequence[Signature]:
    """Build a message for each part whose own message is lost."""
    signatures = build_part_messages(spec, lost_parts, epoch)
    for signature in signatures:
        signature.options["headers"] |= {RESENT_HEADER: True}
    return signatures


def is_counted(headers: Mapping[str, Any]) -> bool:
    """Return whether the chord of its job counts a message with these headers."""
    return AHEAD_HEADER not in headers and RESENT_HEADER not in headers


def _build_part_message(spec: JobSpec, part: PartId, epoch: int, seconds_left: float) -> Signature:
    name, queue = find_step(spec, part.kind)
    priority = message_priority(spec.priority, seconds_left)
    return build_message(
        name, part.job_id, part.position, queue=queue, priority=priority, epoch=epoch
    )


def find_step(spec: JobSpec, kind: PartKind) -> tuple[str, str]:
    """Return the step for this kind of part, and its queue.

    Every engine has its own queue; only workers that can run the engine consume it.
    """
    if kind is PartKind.CHUNK:
        return "transcribe_chunk", catalog.recognizer(spec.engine).queue
    assert spec.diarizer is not None
    return "diarize", catalog.diarizer(spec.diarizer).queue


def list_job_queues(session: Session, job_id: str) -> set[str]:
    """Return the queues in which messages of a job may wait."""
    spec = records.read_job(session, job_id).spec
    kinds = {part.id.kind for part in records.read_parts(session, job_id)}
    return {PREPARE, *(find_step(spec, kind)[1] for kind in kinds)}


def chord_id(job_id: str, epoch: int) -> str:
    """Return the id of the chord that counts the parts sent together."""
    return f"{job_id}.{epoch}"

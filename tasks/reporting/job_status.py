"""Reads the state of a job from the database, in a few statements."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Row, bindparam, case, func, select
from sqlalchemy.orm import Session

from core import clock
from core.db.models import JOB_PARTS, JOB_RUNS, TRANSCRIPT_JOBS, TRANSCRIPTS, JobPart, SegmentRow
from core.jobs import admission, lifecycle, priorities
from core.jobs.priorities import WorkAhead
from core.states import FINAL_PART_STATES, JobStatus, PartKind, PartState, Stage
from engines import catalog
from engines.spec import DEFAULT_CPU_SECONDS
from tasks.reporting.estimates import (
    PartProgress,
    compute_progress,
    compute_share_done,
    estimate_seconds_left,
    estimate_wait,
)
from tasks.reporting.job_state import JobState, Outcome, ResultWarning
from transcripts import warning

_STATUS_MESSAGES = {
    JobStatus.QUEUED: "Waiting for a worker",
    JobStatus.COMPLETED: "Transcription completed",
    JobStatus.CANCELLED: "Cancelled",
}
_STAGE_MESSAGES = {
    Stage.PREPARE: "Decoding the recording and detecting speech",
    Stage.MERGE: "Merging the transcript",
}

# Built once, since the status is published after every part: building takes longer than running.
_JOB, _TRANSCRIPT, _RUN, _PART = TRANSCRIPT_JOBS.c, TRANSCRIPTS.c, JOB_RUNS.c, JOB_PARTS.c
_JOB_QUERY = (
    select(
        _JOB.transcript_id,
        _JOB.worker_id,
        _JOB.engine,
        _JOB.engine_params,
        _JOB.error_details,
        _JOB.created_at,
        _JOB.completed_at,
        _TRANSCRIPT.filename,
        _TRANSCRIPT.duration,
        _TRANSCRIPT.warnings,
        _RUN.status,
        _RUN.stage,
        _RUN.listening_since,
    )
    .join_from(TRANSCRIPT_JOBS, TRANSCRIPTS)
    .join(JOB_RUNS, _RUN.job_id == _JOB.job_id)
    .where(_JOB.job_id == bindparam("job_id"))
)
_PART_COUNTS_QUERY = (
    select(
        _PART.kind,
        _PART.state,
        func.count().label("parts"),
        func.sum(_PART.end - _PART.start).label("seconds"),
        func.sum(case((_PART.lease_until > bindparam("now"), 1), else_=0)).label("leased"),
    )
    .where(_PART.job_id == bindparam("job_id"))
    .group_by(_PART.kind, _PART.state)
)


def describe_job(
    session: Session, job_id: str, pace: Callable[[str], float | None] = lambda _: None
) -> JobState:
    """Return the current status of a job. Raises `NotFound`.

    *pace*: returns the seconds that all workers together take per second of audio with an engine,
    or None if it is unknown. It makes it possible to estimate the end of waiting jobs.
    """
    row = session.execute(_JOB_QUERY, {"job_id": job_id}).first()
    if row is None:
        raise lifecycle.job_not_found(job_id)
    chunks, shards = _count_parts(session, job_id)
    status, stage = JobStatus(row.status), Stage(row.stage)
    work_ahead = _find_work_ahead(session, job_id) if _is_waiting(stage, chunks) else None
    return JobState(
        job_id=uuid.UUID(job_id),
        status=status,
        progress=compute_progress(status, stage, _compute_share(row, chunks, shards)),
        transcript_id=row.transcript_id,
        worker_id=row.worker_id,
        message=_describe_state(session, job_id, row, chunks, shards),
        engine=row.engine,
        filename=row.filename,
        stage=stage,
        chunks_done=chunks.done,
        chunks_total=chunks.total,
        shards_done=shards.done,
        shards_total=shards.total,
        audio_seconds_done=round(chunks.seconds_done, 3),
        audio_seconds_total=round(chunks.seconds_total, 3),
        queue_position=work_ahead.jobs if work_ahead else None,
        seconds_left=estimate_seconds_left(stage, row.listening_since, chunks, shards)
        or estimate_wait(work_ahead, chunks, pace(row.engine) if work_ahead else None),
        warnings=[ResultWarning(**warning.to_json(problem)) for problem in row.warnings],
        error=row.error_details,
        created_at=clock.to_utc(row.created_at),
        completed_at=row.completed_at and clock.to_utc(row.completed_at),
        result=_describe_outcome(session, row) if status is JobStatus.COMPLETED else None,
    )


def _describe_outcome(session: Session, row: Any) -> Outcome:
    return Outcome(
        segments_count=_count_segments(session, row.transcript_id), duration=row.duration
    )


def _find_work_ahead(session: Session, job_id: str) -> WorkAhead | None:
    return priorities.find_work_ahead(session, lifecycle.get_job(session, job_id))


def _compute_share(row: Any, chunks: PartProgress, shards: PartProgress) -> float:
    engine = catalog.recognizers().get(row.engine)
    diarizer = catalog.diarizers().get(row.engine_params.get("diarizer"))
    return compute_share_done(
        chunks,
        engine.cpu_seconds if engine else DEFAULT_CPU_SECONDS,
        shards,
        diarizer.cpu_seconds if diarizer else DEFAULT_CPU_SECONDS,
    )


def _is_waiting(stage: Stage, chunks: PartProgress) -> bool:
    if stage is Stage.LISTEN:
        return bool(chunks.total) and not chunks.begun
    return stage is Stage.QUEUED


def _count_parts(session: Session, job_id: str) -> tuple[PartProgress, PartProgress]:
    """Return the progress of the chunks and of the shards."""
    rows = session.execute(_PART_COUNTS_QUERY, {"job_id": job_id, "now": clock.now()}).all()
    chunks, shards = (
        _sum_parts([row for row in rows if row.kind == kind])
        for kind in (PartKind.CHUNK, PartKind.SHARD)
    )
    return chunks, shards


def _sum_parts(rows: Sequence[Row[Any]]) -> PartProgress:
    ended = [row for row in rows if row.state in FINAL_PART_STATES]
    return PartProgress(
        done=sum(row.parts for row in ended),
        total=sum(row.parts for row in rows),
        begun=sum(row.parts for row in rows if row.state != PartState.WAITING),
        delayed=sum(row.leased for row in rows if row.state == PartState.WAITING),
        seconds_done=sum(row.seconds for row in ended),
        seconds_total=sum(row.seconds for row in rows),
    )


def _count_segments(session: Session, transcript_id: uuid.UUID) -> int:
    query = select(func.count()).where(SegmentRow.transcript_id == transcript_id)
    return session.scalar(query) or 0


def _describe_delay(session: Session, job_id: str) -> str:
    """Return why a part waits for a retry, as the end of a message; empty if none waits."""
    query = select(JobPart.error).where(
        JobPart.job_id == job_id,
        JobPart.state == PartState.WAITING,
        JobPart.lease_until > clock.now(),
    )
    error = session.scalars(query.order_by(JobPart.kind, JobPart.position).limit(1)).first()
    return f"; a part waits for a retry: {error['message']}" if error else ""


def _describe_state(
    session: Session, job_id: str, row: Any, chunks: PartProgress, shards: PartProgress
) -> str:
    status, stage = JobStatus(row.status), Stage(row.stage)
    if status is JobStatus.FAILED and row.error_details:
        return str(row.error_details["message"])
    if stage is Stage.PREPARE and row.engine_params.get("source_url"):
        return "Downloading the recording"
    if stage is Stage.QUEUED and admission.is_full(session):
        return "Waiting for other jobs to end"
    if stage is Stage.LISTEN:
        is_delayed = bool(chunks.delayed or shards.delayed)
        return _describe_work(row.engine, chunks, shards) + (
            _describe_delay(session, job_id) if is_delayed else ""
        )
    return _STATUS_MESSAGES.get(status) or _STAGE_MESSAGES.get(stage) or "Working"


def _describe_work(engine: str, chunks: PartProgress, shards: PartProgress) -> str:
    """Describe the work on the parts that the job waits for."""
    if chunks.done == chunks.total and shards.done < shards.total:
        return "Detecting speakers"
    spec = catalog.recognizers().get(engine)
    return f"Transcribing with {spec.title if spec else engine}"

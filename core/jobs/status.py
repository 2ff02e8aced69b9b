"""Status of a job as one dictionary, used alike for Redis, REST and the event stream."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, bindparam, case, func, select
from sqlalchemy.orm import Session

from core import clock
from core.db.models import JOB_PARTS, JOB_RUNS, TRANSCRIPT_JOBS, TRANSCRIPTS, JobPart, SegmentRow
from core.jobs import admission, lifecycle, priorities
from core.jobs.priorities import WorkAhead
from core.states import FINAL_PART_STATES, JobStatus, PartKind, PartState, Stage
from transcripts import warning

#: Percent at which transcription begins and ends. Preparing and merging take the rest.
LISTENING_FROM, LISTENING_TO = 5, 95

#: Processor seconds per second of audio, by engine and diarizer, measured with the usual models
#: (see docs/benchmarks.md). Only the ratios between them matter.
ENGINE_COSTS = {
    "sphinx": 0.2,
    "whisper": 0.1,
    "whisperx": 0.1,
    "asr": 0.1,
    "classic": 0.01,
    "neural": 0.03,
    "pyannote": 0.2,
}
DEFAULT_COST = 0.1
#: Share of a shard's expected time that its progress can reach before it ends.
_MAX_ELAPSED_SHARE = 0.9

#: Names of the engines in messages.
ENGINE_TITLES = {
    "asr": "ASR",
    "whisperx": "WhisperX",
    "whisper": "Whisper",
    "sphinx": "PocketSphinx",
}

_STATUS_MESSAGES = {
    JobStatus.QUEUED: "Waiting for a worker",
    JobStatus.COMPLETED: "Transcription completed",
    JobStatus.CANCELLED: "Cancelled",
}
_STAGE_MESSAGES = {
    Stage.PREPARE: "Reading the recording and finding speech",
    Stage.MERGE: "Putting the transcript together",
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


@dataclass(frozen=True, slots=True)
class PartProgress:
    """Progress of one kind of part, as a count and in seconds of audio."""

    done: int = 0
    total: int = 0
    #: Parts that a worker has started at least once.
    begun: int = 0
    #: Parts that wait for a retry.
    delayed: int = 0
    seconds_done: float = 0.0
    seconds_total: float = 0.0


def describe_job(
    session: Session, job_id: str, pace: Callable[[str], float | None] = lambda _: None
) -> dict[str, Any]:
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
    payload = {
        "job_id": job_id,
        "status": str(status),
        "progress": compute_progress(status, stage, _estimate_share(row, chunks, shards)),
        "transcript_id": str(row.transcript_id),
        "worker_id": row.worker_id,
        "message": _describe_state(session, job_id, row, chunks, shards),
        "engine": row.engine,
        "filename": row.filename,
        "stage": str(stage),
        "chunks_done": chunks.done,
        "chunks_total": chunks.total,
        "shards_done": shards.done,
        "shards_total": shards.total,
        "audio_seconds_done": round(chunks.seconds_done, 3),
        "audio_seconds_total": round(chunks.seconds_total, 3),
        "queue_position": work_ahead and work_ahead.jobs,
        "seconds_left": _estimate_seconds_left(stage, row.listening_since, chunks, shards)
        or _estimate_wait(work_ahead, chunks, pace(row.engine) if work_ahead else None),
        "warnings": [warning.to_json(transcript_warning) for transcript_warning in row.warnings],
        "error": row.error_details,
        "created_at": clock.format_iso(row.created_at),
        "completed_at": clock.format_iso(row.completed_at),
    }
    if status is JobStatus.COMPLETED:
        payload["result"] = {
            "segments_count": _count_segments(session, row.transcript_id),
            "duration": row.duration,
        }
    return payload


def _find_work_ahead(session: Session, job_id: str) -> WorkAhead | None:
    return priorities.find_work_ahead(session, lifecycle.get_job(session, job_id))


def is_queue_dependent(payload: Mapping[str, Any]) -> bool:
    """Return whether the status may have changed only because other jobs did."""
    return payload["stage"] == Stage.QUEUED or payload.get("queue_position") is not None


def compute_progress(status: JobStatus, stage: Stage, share: float) -> int:
    """Return the progress in percent. It never decreases, and 100 means that the result exists.

    *share*: the completed share of the transcription, see `compute_share_done`.
    """
    if status is JobStatus.COMPLETED:
        return 100
    if stage is Stage.QUEUED:
        return 0
    if stage is Stage.PREPARE:
        return 1
    if stage is Stage.MERGE:
        return LISTENING_TO
    return LISTENING_FROM + int(share * (LISTENING_TO - LISTENING_FROM))


def _estimate_share(row: Any, chunks: PartProgress, shards: PartProgress) -> float:
    diarizer = row.engine_params.get("diarizer")
    return compute_share_done(
        chunks,
        ENGINE_COSTS.get(row.engine, DEFAULT_COST),
        shards,
        ENGINE_COSTS.get(diarizer, DEFAULT_COST),
    )


def compute_share_done(
    chunks: PartProgress, chunk_cost: float, shards: PartProgress, shard_cost: float
) -> float:
    """Return the passed share of the time that transcription and diarization should take, 0 to 1.

    Both run in parallel, so the slower one counts. A shard reports no progress before it ends; its
    progress is estimated from the audio transcribed meanwhile. *chunk_cost*, *shard_cost*: time per
    second of audio, in any unit.
    """
    transcribed = chunk_cost * chunks.seconds_done
    transcribing = chunk_cost * chunks.seconds_total
    diarizing = shard_cost * shards.seconds_total
    diarized = shard_cost * shards.seconds_done
    if shards.done < shards.total:
        diarized = max(diarized, min(transcribed, _MAX_ELAPSED_SHARE * diarizing))
    total, remaining = (
        max(transcribing, diarizing),
        max(transcribing - transcribed, diarizing - diarized),
    )
    return 1 - remaining / total if total else 0.0


def _estimate_seconds_left(
    stage: Stage, listening_since: float | None, chunks: PartProgress, shards: PartProgress
) -> float | None:
    """Estimate by the slower of the two kinds of parts; None without enough data."""
    kinds = [kind for kind in (chunks, shards) if kind.total]
    if stage is not Stage.LISTEN or listening_since is None:
        return None
    if not kinds or not all(kind.seconds_done for kind in kinds):
        return None
    elapsed = clock.now() - listening_since
    estimates = (elapsed * (kind.seconds_total / kind.seconds_done - 1) for kind in kinds)
    return round(max(estimates), 1)


def _is_waiting(stage: Stage, chunks: PartProgress) -> bool:
    if stage is Stage.LISTEN:
        return bool(chunks.total) and not chunks.begun
    return stage is Stage.QUEUED


def _estimate_wait(
    ahead: WorkAhead | None, chunks: PartProgress, pace: float | None
) -> float | None:
    """Estimate the seconds to the end of a job without a started chunk, by other jobs' speed."""
    if ahead is None or ahead.seconds is None or pace is None:
        return None
    return round(pace * (ahead.seconds + chunks.seconds_total), 1)


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
    return f"; a part waits to be tried again: {error['message']}" if error else ""


def _describe_state(
    session: Session, job_id: str, row: Any, chunks: PartProgress, shards: PartProgress
) -> str:
    status, stage = JobStatus(row.status), Stage(row.stage)
    if status is JobStatus.FAILED and row.error_details:
        return str(row.error_details["message"])
    if stage is Stage.PREPARE and row.engine_params.get("source_url"):
        return "Fetching the recording"
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
        return "Finding out who speaks"
    return f"Transcribing with {ENGINE_TITLES.get(engine, engine)}"

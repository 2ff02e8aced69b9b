"""Continue a job that is over: redo its failed parts, or one of its stages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from sqlalchemy.orm import Session

from core import clock
from core.db.models import JobPart, TranscriptJob
from core.errors import Conflict
from core.jobs import lifecycle
from core.jobs.spec import DiarizationOptions
from core.states import OPEN_PART_STATES, JobStatus, PartKind, PartState, Redo, Stage

#: The parts of a stage, and their name in messages to callers.
_STAGE_PARTS = {
    Redo.TRANSCRIBE: (PartKind.CHUNK, "chunks"),
    Redo.DIARIZE: (PartKind.SHARD, "shards"),
}

_UNCHANGED = DiarizationOptions()


def retry_job(session: Session, job_id: str) -> None:
    """Redo the parts of an ended job that failed or were never done.

    Raises `Conflict` if the job is not over, if nothing is left to do, or if its recording was
    removed.
    """
    job = _get_ended_job(session, job_id)
    unfinished_parts = [
        part for part in lifecycle.list_parts(session, job_id) if part.state != PartState.STORED
    ]
    if job.run.status == JobStatus.COMPLETED and not unfinished_parts:
        _refuse(job, "no part of it failed")
    _restart_job(job, unfinished_parts)


def redo_stage(
    session: Session, job_id: str, stage: Redo, options: DiarizationOptions = _UNCHANGED
) -> None:
    """Redo one stage of an ended job, and merge its result with the rest.

    *options*: new options for diarization; only for `Redo.DIARIZE`.

    Raises `Conflict` if the job is not over, if it has no parts of this stage, if parts of the
    other stages are unfinished, or if its recording was removed.
    """
    job = _get_ended_job(session, job_id)
    parts = lifecycle.list_parts(session, job_id)
    if job.run.listening_since is None:
        _refuse(job, "its recording was not cut yet; retry the job without a stage")
    selected_parts = _select_parts(job, stage, parts)
    if unfinished := [
        part for part in parts if part not in selected_parts and part.state in OPEN_PART_STATES
    ]:
        problem = f"{len(unfinished)} of its other parts are unfinished"
        _refuse(job, f"{problem}; retry the job without a stage")
    _refuse_other_shards(job, len(selected_parts), options.shard_seconds)
    job.engine_params = options.apply_to(lifecycle.read_spec(job)).as_dict()
    _restart_job(job, selected_parts)


def _select_parts(job: TranscriptJob, stage: Redo, parts: Sequence[JobPart]) -> Sequence[JobPart]:
    if stage is Redo.MERGE:
        return ()
    kind, name = _STAGE_PARTS[stage]
    selected = [part for part in parts if part.kind == kind]
    if not selected:
        _refuse(job, f"it has no {name}")
    return selected


def _refuse_other_shards(job: TranscriptJob, shard_count: int, shard_seconds: float | None) -> None:
    """Refuse a diarizer whose shards would be cut differently: it could not match the speakers."""
    is_cut = (job.transcript.duration or 0.0) > (shard_seconds or 0.0)
    if shard_seconds is not None and is_cut != (shard_count > 1):
        _refuse(job, "its recording was not cut for that diarizer; send it again as a new job")


def _get_ended_job(session: Session, job_id: str) -> TranscriptJob:
    job = lifecycle.get_job(session, job_id)
    if job.run.stage != Stage.OVER:
        _refuse(job, "it has not ended")
    return job


def _restart_job(job: TranscriptJob, parts: Sequence[JobPart]) -> None:
    was_prepared = job.run.listening_since is not None
    if job.transcript.audio_key is None and (parts or not was_prepared):
        _refuse(job, "its recording was removed")
    for part in parts:
        part.state, part.attempts, part.error = PartState.WAITING, 0, None
        part.owner, part.lease_until, part.sha256, part.sent_at = None, 0.0, None, None
    job.run.stage = Stage.LISTEN if was_prepared else Stage.QUEUED
    job.run.status = JobStatus.PROCESSING if was_prepared else JobStatus.QUEUED
    job.run.attempts, job.run.dispatched_at, job.run.parts_resent = 0, None, 0
    job.run.lease_until = 0.0
    job.run.listening_since = clock.now() if was_prepared else None
    job.completed_at = job.error_details = None
    job.transcript.status = JobStatus.PROCESSING
    job.transcript.warnings = job.run.warnings
    # The speaker numbers may stand for other people afterwards.
    job.transcript.speaker_roles, job.transcript.speaker_role_scores = {}, {}


def _refuse(job: TranscriptJob, reason: str) -> NoReturn:
    raise Conflict(f"the job is {job.run.status}: {reason}", job_status=str(job.run.status))

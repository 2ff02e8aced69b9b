"""A job that is over goes on: what of it failed is done again, or one of its stages is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from sqlalchemy.orm import Session

from core import clock, jobs
from core.errors import Conflict
from core.models import JobPart, TranscriptJob
from core.specs import SpeakerWishes
from core.states import PARTS_OPEN, JobStatus, PartKind, PartState, Redo, Stage

#: The parts that a stage is made of, as callers call them.
_PARTS = {Redo.TRANSCRIBE: (PartKind.CHUNK, "chunks"), Redo.DIARIZE: (PartKind.SHARD, "shards")}

_AS_BEFORE = SpeakerWishes()


def retry(session: Session, job_id: str) -> None:
    """Have a job that is over done again as far as it is not done: the parts that failed.

    Raises `Conflict` when it is not over, when nothing is left to do, or when its recording was
    removed.
    """
    job = _over(session, job_id)
    todo = [part for part in jobs.parts(session, job_id) if part.state != PartState.STORED]
    if job.run.status == JobStatus.COMPLETED and not todo:
        _refuse(job, "nothing of it failed")
    _begin_again(job, todo)


def redo(session: Session, job_id: str, stage: Redo, wishes: SpeakerWishes = _AS_BEFORE) -> None:
    """Have one stage of a job that is over done again, and what it says merged with the rest.

    *wishes*: what is asked for anew of the speakers; only for `Redo.DIARIZE`.

    Raises `Conflict` when the job is not over, when it has nothing of the stage or not all of the
    others, or when its recording was removed.
    """
    job = _over(session, job_id)
    parts = jobs.parts(session, job_id)
    if job.run.listening_since is None:
        _refuse(job, "its recording was not cut yet; try again without a stage")
    todo = _of(job, stage, parts)
    if unfinished := [part for part in parts if part not in todo and part.state in PARTS_OPEN]:
        kinds = f"{len(unfinished)} of its other parts were never done"
        _refuse(job, f"{kinds}; try again without a stage")
    _refuse_other_shards(job, len(todo), wishes.shard_seconds)
    job.engine_params = wishes.applied_to(jobs.spec_of(job)).as_dict()
    _begin_again(job, todo)


def _of(job: TranscriptJob, stage: Redo, parts: Sequence[JobPart]) -> Sequence[JobPart]:
    if stage is Redo.MERGE:
        return ()
    kind, called = _PARTS[stage]
    found = [part for part in parts if part.kind == kind]
    if not found:
        _refuse(job, f"it has no {called}")
    return found


def _refuse_other_shards(job: TranscriptJob, shards: int, seconds: float | None) -> None:
    """A diarizer that cuts where another does not could not tell who is who in its shards."""
    is_cut = (job.transcript.duration or 0.0) > (seconds or 0.0)
    if seconds is not None and is_cut != (shards > 1):
        _refuse(job, "its recording was not cut for that diarizer; send it again")


def _over(session: Session, job_id: str) -> TranscriptJob:
    job = jobs.get(session, job_id)
    if job.run.stage != Stage.OVER:
        _refuse(job, "it is not over")
    return job


def _begin_again(job: TranscriptJob, todo: Sequence[JobPart]) -> None:
    was_prepared = job.run.listening_since is not None
    if job.transcript.audio_key is None and (todo or not was_prepared):
        _refuse(job, "its recording was removed")
    for part in todo:
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
    # The numbers may come to mean other people.
    job.transcript.speaker_roles, job.transcript.speaker_role_scores = {}, {}


def _refuse(job: TranscriptJob, why: str) -> NoReturn:
    raise Conflict(f"the job is {job.run.status}: {why}", job_status=str(job.run.status))

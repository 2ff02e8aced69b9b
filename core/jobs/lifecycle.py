"""The life of a job: accepted, prepared, transcribed, merged, over.

Every change of stage is a compare-and-set, so a step that runs twice, or on two workers at once,
changes the job once. Functions take the session of the caller's transaction.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, cast

from sqlalchemy import (
    ColumnElement,
    CursorResult,
    and_,
    bindparam,
    delete,
    exists,
    false,
    insert,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.orm import Session

from core import clock, metrics, webhooks
from core.db.models import JobPart, JobRun, SegmentRow, Transcript, TranscriptJob
from core.edits import segment_edits, speaker_names, speaker_numbers
from core.errors import Conflict, JobNotFound, KillsWorker, TranscribeError
from core.jobs import admission, part_creation
from core.jobs.job_leases import is_owned_by, lease_expiry
from core.jobs.spec import JobSpec
from core.settings import settings
from core.states import OPEN_PART_STATES, Channels, JobStatus, PartKind, PartState, Stage
from core.storage import layout
from transcripts.speakers.roles import Role
from transcripts.types import ChannelInterval
from transcripts.warning import TranscriptWarning

_ALWAYS: ColumnElement[bool] = true()
#: Seconds for the process that ends a job to send notifications, before housekeeping does.
NOTIFY_SECONDS = 10.0
# Built once: every step queries its job, some of them twice.
_JOB_BY_ID = select(TranscriptJob).where(TranscriptJob.job_id == bindparam("job_id"))


@dataclass(frozen=True, slots=True)
class ActiveMessages:
    """A job's messages that workers process. A merge is short and does not count."""

    prepare_message: str | None = None
    part_messages: tuple[str, ...] = ()


def accept_job(
    session: Session,
    job_id: str,
    spec: JobSpec,
    *,
    filename: str,
    audio_bytes: int | None,
    audio_sha256: str | None,
    warnings: Sequence[TranscriptWarning] = (),
    owner_id: uuid.UUID | None = None,
) -> TranscriptJob:
    """Store a new job. Once this is committed the job is never lost.

    *audio_bytes*, *audio_sha256*: None if unknown yet. *warnings*: those about missing workers are
    dropped when the job completes, the others remain.
    """
    now = clock.utc_now()
    transcript = Transcript(
        id=uuid.uuid4(),
        owner_id=owner_id,
        engine=spec.engine,
        created_at=now,
        session_id=uuid.UUID(spec.session_id) if spec.session_id else None,
        context_id=uuid.UUID(spec.context_id) if spec.context_id else None,
        filename=filename,
        audio_key=layout.source(job_id),
        audio_bytes=audio_bytes,
        audio_sha256=audio_sha256,
        language=spec.language,
        warnings=list(warnings),
    )
    job = TranscriptJob(
        id=uuid.UUID(job_id),
        job_id=job_id,
        created_at=now,
        engine=spec.engine,
        engine_params=spec.as_dict(),
        max_retries=settings().chunk_max_retries,
        transcript=transcript,
        run=JobRun(
            priority=spec.priority, warnings=[warning for warning in warnings if warning.is_lasting]
        ),
    )
    session.add(job)
    session.flush()
    return job


def get_job(session: Session, job_id: str, *, owner_id: uuid.UUID | None = None) -> TranscriptJob:
    """Return the job with its transcript and run.

    Raises `JobNotFound`, also if *owner_id* is not its owner (None: may see everything).
    """
    job = session.scalar(_JOB_BY_ID, {"job_id": job_id})
    if job is None or (owner_id is not None and job.transcript.owner_id != owner_id):
        raise job_not_found(job_id)
    return job


def job_not_found(job_id: str) -> JobNotFound:
    """Return the error for a job that does not exist."""
    return JobNotFound(f"there is no job {job_id}")


def read_spec(job: TranscriptJob) -> JobSpec:
    return JobSpec.from_dict(job.engine_params)


def list_parts(session: Session, job_id: str, kind: PartKind | None = None) -> Sequence[JobPart]:
    """Return the chunks, the shards, or both, in recording order."""
    query = select(JobPart).where(JobPart.job_id == job_id)
    if kind is not None:
        query = query.where(JobPart.kind == kind)
    return session.scalars(query.order_by(JobPart.kind, JobPart.position)).all()


def begin_preparation(session: Session, job_id: str, owner: str, worker: str) -> bool:
    """Claim the job for preparation.

    False if that is done, or another live worker does it, or the job must wait for its turn. Raises
    `KillsWorker` if it was begun too often.
    """
    has_turn = true() if admission.may_begin(session, job_id) else false()
    if not _claim_stage(session, job_id, owner, worker, Stage.QUEUED, Stage.PREPARE, has_turn):
        return False
    job = get_job(session, job_id)
    job.worker_id = worker
    job.attempts += 1
    job.started_at = job.started_at or clock.utc_now()
    return True


def renew_preparation_lease(session: Session, job_id: str, owner: str) -> bool:
    """Renew the lease, and lock it until *session* ends. False: another owner has the job."""
    condition = and_(is_owned_by(owner), _is_at(Stage.PREPARE))
    query = update(JobRun).where(JobRun.job_id == job_id, condition)
    return _execute_update(session, query.values(lease_until=lease_expiry()))


def finish_preparation(
    session: Session,
    job_id: str,
    owner: str,
    *,
    channels: Channels,
    duration: float,
    chunks: Sequence[ChannelInterval],
    shards: Sequence[ChannelInterval],
    warnings: Sequence[TranscriptWarning],
) -> bool:
    """Store the parts of the job. False if the job was taken from this owner.

    *channels*: how they were used; not as requested if they turned out to be alike.
    """
    job = get_job(session, job_id)
    if not _change_stage(session, job_id, owner, Stage.PREPARE, Stage.LISTEN):
        return False
    if (spec := read_spec(job)).channels is not channels:
        job.engine_params = spec.as_mix().as_dict()
    job.transcript.duration = duration
    job.run.warnings = [*job.run.warnings, *warnings]
    job.transcript.warnings = [*job.transcript.warnings, *warnings]
    part_creation.write_parts(session, job_id, PartKind.CHUNK, chunks)
    part_creation.write_parts(session, job_id, PartKind.SHARD, shards)
    return True


def begin_merge(session: Session, job_id: str, owner: str, worker: str | None = None) -> bool:
    """Claim the job for merging.

    False if that is done, or another live worker does it, or a part is not finished: a chord with a
    wrong count may trigger a merge too early. Raises `KillsWorker` if it was begun too often.
    """
    unfinished = exists().where(JobPart.job_id == job_id, JobPart.state.in_(OPEN_PART_STATES))
    return _claim_stage(session, job_id, owner, worker, Stage.LISTEN, Stage.MERGE, ~unfinished)


def reopen_parts(
    session: Session, job_id: str, owner: str, missing_parts: Collection[tuple[PartKind, int]]
) -> None:
    """Return a job from its merge, so that parts whose results are missing are done again.

    *missing_parts*: kind and position of each.
    """
    if _change_stage(session, job_id, owner, Stage.MERGE, Stage.LISTEN):
        for part in list_parts(session, job_id):
            if (part.kind, part.position) in missing_parts:
                part.state = PartState.WAITING
                part.sha256 = part.sent_at = None
                part.lease_until = 0.0


def complete_job(
    session: Session,
    job_id: str,
    owner: str,
    *,
    segments: Sequence[dict[str, Any]],
    language: str | None,
    warnings: Sequence[TranscriptWarning],
    roles: Mapping[int, Role] = MappingProxyType({}),
) -> bool:
    """Complete the job with its segments, at most once. False if another owner did.

    Segments of an earlier merge are kept until then: names and edits are carried over from them to
    the new segments.
    """
    condition = and_(is_owned_by(owner), _is_at(Stage.MERGE))
    if not _end_job(session, job_id, JobStatus.COMPLETED, condition, segments_count=len(segments)):
        return False
    job = get_job(session, job_id)
    transcript = job.transcript
    transcript.language = language
    numbers = speaker_numbers.carry_numbers(session, transcript, segments)
    name_warnings = speaker_names.carry_names(transcript, numbers)
    edit_warnings = segment_edits.reapply_edits(session, transcript, segments, numbers)
    transcript.warnings = [*job.run.warnings, *warnings, *name_warnings, *edit_warnings]
    transcript.speaker_roles = {str(speaker): role.name for speaker, role in roles.items()}
    transcript.speaker_role_scores = {
        str(speaker): round(role.score, 3) for speaker, role in roles.items()
    }
    session.execute(delete(SegmentRow).where(SegmentRow.transcript_id == transcript.id))
    rows = [
        {"transcript_id": transcript.id, "position": position, "heard_words": None, **segment}
        for position, segment in enumerate(segments)
    ]
    if rows:
        session.execute(insert(SegmentRow), rows)
    return True


def fail_job(session: Session, job_id: str, reason: TranscribeError) -> bool:
    """End the job with an error for the caller. False if it is over already."""
    error = {"code": reason.code, "message": str(reason)}
    return _end_job(session, job_id, JobStatus.FAILED, JobRun.stage != Stage.OVER, error=error)


def cancel_job(session: Session, job_id: str, *, notify_caller: bool = True) -> ActiveMessages:
    """Cancel the job: none of its other parts begins. Raises `Conflict` if it is over.

    Return the messages that workers still process, for `tasks.cancelling.terminate_steps`.
    *notify_caller*: whether to send its webhook.
    """
    active_messages = find_active_messages(session, job_id)
    is_not_over = JobRun.stage != Stage.OVER
    if not _end_job(session, job_id, JobStatus.CANCELLED, is_not_over, notify_caller=notify_caller):
        status = get_job(session, job_id).run.status
        raise Conflict(f"the job is {status}: it cannot be cancelled", job_status=str(status))
    return active_messages


def find_active_messages(session: Session, job_id: str) -> ActiveMessages:
    """Return the messages of a job that workers process."""
    run = get_job(session, job_id).run
    return ActiveMessages(
        prepare_message=run.owner if run.stage == Stage.PREPARE else None,
        part_messages=tuple(
            part.owner
            for part in list_parts(session, job_id)
            if part.owner and part.state == PartState.RUNNING
        ),
    )


def delete_job(session: Session, job_id: str) -> None:
    """Delete the records of a job and of its transcript. Raises `JobNotFound`."""
    job = get_job(session, job_id)
    session.execute(delete(Transcript).where(Transcript.id == job.transcript_id))


def mark_dispatched(session: Session, job_id: str, epoch: int | None = None) -> bool:
    """Record that the job is being sent. False if another process did since *epoch* was read."""
    query = update(JobRun).where(JobRun.job_id == job_id, JobRun.stage != Stage.OVER)
    if epoch is not None:
        query = query.where(JobRun.epoch == epoch)
    return _execute_update(session, query.values(dispatched_at=clock.now(), epoch=JobRun.epoch + 1))


def count_resent_parts(session: Session, job_id: str, count: int) -> None:
    """Add to the number of parts that were sent outside of the job's chord."""
    get_job(session, job_id).run.parts_resent += count


def _claim_stage(
    session: Session,
    job_id: str,
    owner: str,
    worker: str | None,
    previous_stage: Stage,
    next_stage: Stage,
    condition: ColumnElement[bool] = _ALWAYS,
) -> bool:
    # A redelivered message means that its first receiver is gone.
    is_abandoned = and_(
        _is_at(next_stage), or_(JobRun.lease_until < clock.now(), is_owned_by(owner))
    )
    is_claimed = _execute_update(
        session,
        update(JobRun)
        .where(JobRun.job_id == job_id, or_(and_(_is_at(previous_stage), condition), is_abandoned))
        .values(
            stage=next_stage,
            status=JobStatus.PROCESSING,
            owner=owner,
            worker=worker,
            lease_until=lease_expiry(),
            attempts=JobRun.attempts + 1,
        ),
    )
    if is_claimed and get_job(session, job_id).run.attempts > settings().chunk_max_retries + 1:
        # The caller ends the job with this error, as with its own errors.
        raise KillsWorker("the worker was lost in every attempt")
    return is_claimed


def _change_stage(
    session: Session, job_id: str, owner: str, previous_stage: Stage, next_stage: Stage
) -> bool:
    values: dict[str, Any] = {"stage": next_stage, "owner": None, "lease_until": 0.0, "attempts": 0}
    if next_stage is Stage.LISTEN and previous_stage is Stage.PREPARE:
        values["listening_since"] = clock.now()
    return _execute_update(
        session,
        update(JobRun)
        .where(JobRun.job_id == job_id, is_owned_by(owner), _is_at(previous_stage))
        .values(values),
    )


def _end_job(
    session: Session,
    job_id: str,
    status: JobStatus,
    condition: ColumnElement[bool],
    *,
    error: dict[str, str] | None = None,
    segments_count: int = 0,
    notify_caller: bool = True,
) -> bool:
    notify_until = clock.now() + NOTIFY_SECONDS
    is_ended = _execute_update(
        session,
        update(JobRun)
        .where(JobRun.job_id == job_id, condition)
        .values(stage=Stage.OVER, status=status, owner=None, lease_until=notify_until),
    )
    if is_ended:
        job = get_job(session, job_id)
        job.completed_at = clock.utc_now()
        job.error_details = error
        job.transcript.status = status
        callback_url = read_spec(job).callback_url
        if callback_url and notify_caller:
            webhooks.create_delivery(session, job, callback_url, segments_count)
        metrics.count_ended_job(session, job)
    return is_ended


def _is_at(stage: Stage) -> ColumnElement[bool]:
    return JobRun.stage == stage


def _execute_update(session: Session, statement: Any) -> bool:
    # Objects in the session must reflect the change.
    result = session.execute(statement.execution_options(synchronize_session="fetch"))
    return bool(cast(CursorResult[Any], result).rowcount)

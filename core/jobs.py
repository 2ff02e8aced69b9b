"""The life of a job: accepted, prepared, listened to, merged, over.

Every change of stage is a compare-and-set, so a step that is run twice, or by two workers at once,
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

from core import (
    admission,
    clock,
    layout,
    metrics,
    pieces,
    segment_edits,
    speaker_names,
    speaker_numbers,
    webhooks,
)
from core.errors import Conflict, JobGone, KillsItsWorker, TranscribeError
from core.models import JobPart, JobRun, SegmentRow, Transcript, TranscriptJob
from core.settings import settings
from core.specs import JobSpec
from core.states import PARTS_OPEN, JobStatus, PartKind, PartState, Stage
from transcripts.roles import Role
from transcripts.types import Stretch
from transcripts.warning import TranscriptWarning

_ALWAYS: ColumnElement[bool] = true()
#: Seconds that whoever ends a job has to tell of it, before housekeeping does.
TELL_SECONDS = 10.0
# Made once: every step asks for its job, some of them twice.
_BY_ID = select(TranscriptJob).where(TranscriptJob.job_id == bindparam("job_id"))


@dataclass(frozen=True, slots=True)
class InHand:
    """The messages of a job that workers have. A merge is over in a moment and does not count."""

    preparing: str | None = None
    parts: tuple[str, ...] = ()


def accept(
    session: Session,
    job_id: str,
    spec: JobSpec,
    *,
    filename: str,
    audio_bytes: int | None,
    audio_sha256: str | None,
    warnings: Sequence[TranscriptWarning] = (),
    owner: uuid.UUID | None = None,
) -> TranscriptJob:
    """Write a new job down. Once this is committed the job is never lost.

    *audio_bytes*, *audio_sha256*: None for what is not known yet. *warnings*: what the job waits
    for is forgotten when it is completed, the rest stays.
    """
    now = clock.utc_now()
    transcript = Transcript(
        id=uuid.uuid4(),
        owner_id=owner,
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
        run=JobRun(priority=spec.priority, warnings=[one for one in warnings if one.is_lasting]),
    )
    session.add(job)
    session.flush()
    return job


def get(session: Session, job_id: str, *, of: uuid.UUID | None = None) -> TranscriptJob:
    """The job with its transcript and its run. Raises `JobGone`, also when *of* is not its owner.

    *of*: None stands for whoever may see everything.
    """
    job = session.scalar(_BY_ID, {"job_id": job_id})
    if job is None or (of is not None and job.transcript.owner_id != of):
        raise gone(job_id)
    return job


def gone(job_id: str) -> JobGone:
    """For whoever asks for a job that there is not."""
    return JobGone(f"there is no job {job_id}")


def spec_of(job: TranscriptJob) -> JobSpec:
    return JobSpec.from_dict(job.engine_params)


def parts(session: Session, job_id: str, kind: PartKind | None = None) -> Sequence[JobPart]:
    """The chunks, the shards, or both, in the order of the recording."""
    query = select(JobPart).where(JobPart.job_id == job_id)
    if kind is not None:
        query = query.where(JobPart.kind == kind)
    return session.scalars(query.order_by(JobPart.kind, JobPart.position)).all()


def begin_prepare(session: Session, job_id: str, owner: str, worker: str) -> bool:
    """Take the job to prepare it.

    False when that is done, or being done by a living worker, or when its turn has not come. Raises
    `KillsItsWorker` when it was begun too often.
    """
    turn = true() if admission.may_begin(session, job_id) else false()
    if not _take(session, job_id, owner, worker, Stage.QUEUED, Stage.PREPARE, turn):
        return False
    job = get(session, job_id)
    job.worker_id = worker
    job.attempts += 1
    job.started_at = job.started_at or clock.utc_now()
    return True


def still_prepares(session: Session, job_id: str, owner: str) -> bool:
    """Whether this owner has the job; if so, nobody else gets it before the end of *session*."""
    mine = and_(_owned_by(owner), _at(Stage.PREPARE))
    query = update(JobRun).where(JobRun.job_id == job_id, mine)
    return _changed(session, query.values(lease_until=_lease()))


def prepared(
    session: Session,
    job_id: str,
    owner: str,
    *,
    duration: float,
    chunks: Sequence[Stretch],
    shards: Sequence[Stretch],
    warnings: Sequence[TranscriptWarning],
) -> bool:
    """Write down what there is to do. False when the job was taken from this owner."""
    job = get(session, job_id)
    if not _move(session, job_id, owner, Stage.PREPARE, Stage.LISTEN):
        return False
    job.transcript.duration = duration
    job.run.warnings = [*job.run.warnings, *warnings]
    job.transcript.warnings = [*job.transcript.warnings, *warnings]
    pieces.write_down(session, job_id, PartKind.CHUNK, chunks)
    pieces.write_down(session, job_id, PartKind.SHARD, shards)
    return True


def begin_merge(session: Session, job_id: str, owner: str, worker: str | None = None) -> bool:
    """Take the job to merge it.

    False when that is done, or being done by a living worker, or when a part is not over: a chord
    that lost count may ask too early. Raises `KillsItsWorker` when it was begun too often.
    """
    unfinished = exists().where(JobPart.job_id == job_id, JobPart.state.in_(PARTS_OPEN))
    return _take(session, job_id, owner, worker, Stage.LISTEN, Stage.MERGE, ~unfinished)


def listen_again(session: Session, job_id: str, owner: str, lost: Sequence[JobPart]) -> None:
    """Give a merge back that found parts missing, and have those parts done again."""
    if _move(session, job_id, owner, Stage.MERGE, Stage.LISTEN):
        for part in lost:
            part.state = PartState.WAITING
            part.sha256 = part.sent_at = None
            part.lease_until = 0.0


def complete(
    session: Session,
    job_id: str,
    owner: str,
    *,
    segments: Sequence[dict[str, Any]],
    language: str | None,
    warnings: Sequence[TranscriptWarning],
    roles: Mapping[int, Role] = MappingProxyType({}),
) -> bool:
    """End the job well, with its segments, at most once. False when another owner did.

    Segments of an earlier end stay until then: by them the names of the speakers find their
    bearers, and what callers changed its places.
    """
    mine = and_(_owned_by(owner), _at(Stage.MERGE))
    if not _end(session, job_id, JobStatus.COMPLETED, mine, segments_count=len(segments)):
        return False
    job = get(session, job_id)
    transcript = job.transcript
    transcript.language = language
    numbers = speaker_numbers.following(session, transcript, segments)
    nameless = speaker_names.keep(transcript, numbers)
    placeless = segment_edits.keep(session, transcript, segments, numbers)
    transcript.warnings = [*job.run.warnings, *warnings, *nameless, *placeless]
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


def fail(session: Session, job_id: str, reason: TranscribeError) -> bool:
    """End the job with a reason that the caller is shown. False when it is over already."""
    error = {"code": reason.code, "message": str(reason)}
    return _end(session, job_id, JobStatus.FAILED, JobRun.stage != Stage.OVER, error=error)


def cancel(session: Session, job_id: str, *, tell_caller: bool = True) -> InHand:
    """End the job at its caller's wish: no further part of it begins. Raises `Conflict` if over.

    Returns what workers still do for it, for `tasks.cancelling.stop`. *tell_caller*: whether its
    webhook is to be sent.
    """
    found = in_hand(session, job_id)
    is_not_over = JobRun.stage != Stage.OVER
    if not _end(session, job_id, JobStatus.CANCELLED, is_not_over, tell_caller=tell_caller):
        status = get(session, job_id).run.status
        raise Conflict(f"the job is {status}: it cannot be cancelled", job_status=str(status))
    return found


def in_hand(session: Session, job_id: str) -> InHand:
    """What workers have of a job."""
    run = get(session, job_id).run
    return InHand(
        preparing=run.owner if run.stage == Stage.PREPARE else None,
        parts=tuple(
            part.owner
            for part in parts(session, job_id)
            if part.owner and part.state == PartState.RUNNING
        ),
    )


def remove(session: Session, job_id: str) -> None:
    """Remove the records of a job and of its transcript. Raises `JobGone`."""
    job = get(session, job_id)
    session.execute(delete(Transcript).where(Transcript.id == job.transcript_id))


def release(session: Session, job_id: str, owner: str, *, wait: float, counts: bool = True) -> None:
    """Let go of a job that is to be tried again in *wait* seconds, by a message under way.

    *counts*: whether this was one of the tries that a stage has.
    """
    due = clock.now() + wait
    attempts = JobRun.attempts - (0 if counts else 1)
    session.execute(
        update(JobRun)
        .where(JobRun.job_id == job_id, _owned_by(owner))
        .values(lease_until=due, dispatched_at=due, attempts=attempts)
        .execution_options(synchronize_session=False)
    )


def renew(session: Session, owners: Collection[str]) -> None:
    """Show a sign of life for all jobs that these owners prepare or merge."""
    session.execute(
        update(JobRun)
        .where(JobRun.owner.in_(owners), JobRun.stage != Stage.OVER)
        .values(lease_until=_lease())
        .execution_options(synchronize_session=False)
    )


def hand_back(
    session: Session, owners: Collection[str], worker: str | None, *, counts: bool
) -> None:
    """Let go of all jobs that these owners prepare or merge, as `core.parts.hand_back` of parts."""
    attempts = JobRun.attempts - (0 if counts else 1)
    mine = and_(JobRun.owner.in_(owners), JobRun.worker == worker)
    session.execute(
        update(JobRun)
        .where(mine, JobRun.stage != Stage.OVER)
        .values(lease_until=0.0, dispatched_at=clock.now(), attempts=attempts)
        .execution_options(synchronize_session=False)
    )


def dispatched(session: Session, job_id: str, epoch: int | None = None) -> bool:
    """Note that the job is being sent. False when someone else did so since *epoch* was read."""
    query = update(JobRun).where(JobRun.job_id == job_id, JobRun.stage != Stage.OVER)
    if epoch is not None:
        query = query.where(JobRun.epoch == epoch)
    return _changed(session, query.values(dispatched_at=clock.now(), epoch=JobRun.epoch + 1))


def _take(
    session: Session,
    job_id: str,
    owner: str,
    worker: str | None,
    before: Stage,
    now: Stage,
    condition: ColumnElement[bool] = _ALWAYS,
) -> bool:
    # A message that comes a second time says that whoever had it first is gone.
    abandoned = and_(_at(now), or_(JobRun.lease_until < clock.now(), _owned_by(owner)))
    is_taken = _changed(
        session,
        update(JobRun)
        .where(JobRun.job_id == job_id, or_(and_(_at(before), condition), abandoned))
        .values(
            stage=now,
            status=JobStatus.PROCESSING,
            owner=owner,
            worker=worker,
            lease_until=_lease(),
            attempts=JobRun.attempts + 1,
        ),
    )
    if is_taken and get(session, job_id).run.attempts > settings().chunk_max_retries + 1:
        # Whoever asks ends the job by this, as by any error of its own.
        raise KillsItsWorker("every worker that tried was lost")
    return is_taken


def _move(session: Session, job_id: str, owner: str, before: Stage, now: Stage) -> bool:
    values: dict[str, Any] = {"stage": now, "owner": None, "lease_until": 0.0, "attempts": 0}
    if now is Stage.LISTEN and before is Stage.PREPARE:
        values["listening_since"] = clock.now()
    return _changed(
        session,
        update(JobRun).where(JobRun.job_id == job_id, _owned_by(owner), _at(before)).values(values),
    )


def _end(
    session: Session,
    job_id: str,
    status: JobStatus,
    condition: ColumnElement[bool],
    *,
    error: dict[str, str] | None = None,
    segments_count: int = 0,
    tell_caller: bool = True,
) -> bool:
    told_until = clock.now() + TELL_SECONDS
    ended = _changed(
        session,
        update(JobRun)
        .where(JobRun.job_id == job_id, condition)
        .values(stage=Stage.OVER, status=status, owner=None, lease_until=told_until),
    )
    if ended:
        job = get(session, job_id)
        job.completed_at = clock.utc_now()
        job.error_details = error
        job.transcript.status = status
        if tell_caller:
            webhooks.write_down(session, job, segments_count)
        metrics.job_ended(session, job)
    return ended


def _at(stage: Stage) -> ColumnElement[bool]:
    return JobRun.stage == stage


def _owned_by(owner: str) -> ColumnElement[bool]:
    return JobRun.owner == owner


def _lease() -> float:
    return clock.now() + settings().lease_seconds


def _changed(session: Session, statement: Any) -> bool:
    # The rows in the session must not hide what the statement changed.
    result = session.execute(statement.execution_options(synchronize_session="fetch"))
    return bool(cast(CursorResult[Any], result).rowcount)

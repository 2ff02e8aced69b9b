"""The life of a part: leased by a worker, then stored or failed, exactly once."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Boolean,
    ColumnElement,
    and_,
    bindparam,
    case,
    exists,
    false,
    or_,
    select,
    update,
)
from sqlalchemy.orm import Session

from core import clock
from core.db.models import JOB_PARTS, JOB_RUNS, JobPart
from core.errors import KillsWorker, TranscribeError
from core.settings import settings
from core.states import OPEN_PART_STATES, PartKind, PartState, Stage
from transcripts.types import ChannelInterval, Interval

#: Seconds after which a message counts as lost, if its queue is empty.
MESSAGE_TIMEOUT_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class PartId:
    """Identifies a chunk or a shard of a job."""

    job_id: str
    kind: PartKind
    position: int


@dataclass(frozen=True, slots=True)
class PendingPart:
    """A part that needs a worker."""

    part: PartId
    #: Seconds of audio.
    seconds: float
    #: Whether a worker began it and lost it.
    was_begun: bool


# Statements for every chunk are built once: building one takes longer than running it.
_IS_PART = and_(
    JOB_PARTS.c.job_id == bindparam("of_job"),
    JOB_PARTS.c.kind == bindparam("of_kind"),
    JOB_PARTS.c.position == bindparam("at"),
)
_MAY_BEGIN = and_(
    _IS_PART,
    JOB_PARTS.c.state.in_(OPEN_PART_STATES),
    # A redelivered message means that its first receiver is gone. A part with a delayed retry has a
    # pending message until then: other messages end here, so that they do not multiply.
    or_(JOB_PARTS.c.owner == bindparam("me"), JOB_PARTS.c.lease_until < bindparam("now")),
    # Chunks that are cut early are transcribed while the job is still being prepared.
    exists().where(
        JOB_RUNS.c.job_id == bindparam("of_job"),
        JOB_RUNS.c.stage.in_((Stage.PREPARE, Stage.LISTEN)),
    ),
)
_LEASE_PART = (
    update(JOB_PARTS)
    .where(_MAY_BEGIN, JOB_PARTS.c.attempts <= bindparam("tries"))
    .values(
        state=PartState.RUNNING,
        owner=bindparam("me"),
        worker=bindparam("at_worker"),
        lease_until=bindparam("until"),
        attempts=JOB_PARTS.c.attempts + 1,
        changed_at=bindparam("now"),
    )
    .returning(JOB_PARTS.c.start, JOB_PARTS.c.end, JOB_PARTS.c.channel)
)
_EXHAUSTED_PART = select(JOB_PARTS.c.error).where(
    _MAY_BEGIN, JOB_PARTS.c.attempts > bindparam("tries")
)
_STORE_PART = (
    update(JOB_PARTS)
    .where(
        _IS_PART,
        JOB_PARTS.c.state != PartState.STORED,
        JOB_PARTS.c.start == bindparam("begins"),
        JOB_PARTS.c.end == bindparam("ends"),
    )
    .values(
        state=PartState.STORED,
        sha256=bindparam("checksum"),
        lease_until=0.0,
        error=None,
        changed_at=bindparam("now"),
    )
)


def lease_part(
    session: Session, part: PartId, owner: str, worker: str | None = None
) -> ChannelInterval | None:
    """Lease a part, and return its interval in the recording.

    *owner* is the message, *worker* the name of its receiver: see `core.jobs.orphaned_leases`.

    None if there is nothing to do: it is stored, a live worker has it, another message is about to
    retry it, or the job is past transcription. A part that was begun too often fails here, so that
    a chunk that kills its worker is not repeated for ever.
    """
    now = clock.now()
    parameters = {
        **_part_parameters(part),
        "me": owner,
        "at_worker": worker,
        "now": now,
        "until": now + settings().lease_seconds,
        "tries": settings().chunk_max_retries,
    }
    row = session.execute(_LEASE_PART, parameters).first()
    if row is None:
        _fail_exhausted(session, part, parameters)
        return None
    return ChannelInterval(*row)


def _fail_exhausted(session: Session, part: PartId, parameters: Mapping[str, Any]) -> None:
    """Fail a part that could begin if it had attempts left."""
    if row := session.execute(_EXHAUSTED_PART, parameters).first():
        reason = KillsWorker("the worker was lost in every attempt; there are no more retries")
        _update_part(
            session,
            part,
            state=PartState.FAILED,
            error=row.error or _error_details(reason),
            owner=None,
        )


def renew_leases(session: Session, owners: Collection[str]) -> None:
    """Renew the leases of all parts that these owners have."""
    session.execute(
        update(JobPart)
        .where(JobPart.owner.in_(owners), JobPart.state == PartState.RUNNING)
        .values(lease_until=clock.now() + settings().lease_seconds)
        .execution_options(synchronize_session=False)
    )


def requeue_parts(
    session: Session, owners: Collection[str], worker: str | None, *, counts: bool
) -> None:
    """Release all unfinished parts that these owners have: their messages return to the queue.

    *worker*: worker of the owners; another may already process a redelivered message of the same
    name. *counts*: whether this was one of the part's attempts.
    """
    session.execute(
        update(JobPart)
        .where(
            JobPart.owner.in_(owners),
            JobPart.worker == worker,
            JobPart.state == PartState.RUNNING,
        )
        .values(
            state=PartState.WAITING,
            lease_until=0.0,
            sent_at=_updated_sent_at(clock.now()),
            attempts=JobPart.attempts - (0 if counts else 1),
        )
        .execution_options(synchronize_session=False)
    )


def _updated_sent_at(moment: float) -> ColumnElement[float | None]:
    """Return the new time of a waiting message; a message sent early does not count."""
    return case((JobPart.sent_at.is_not(None), moment))


def mark_stored(session: Session, part: PartId, interval: Interval, sha256: str) -> None:
    """Record that the result is in storage. A second worker stores the same result.

    *interval*: the part's interval when it was leased. If the recording was cut differently since
    then, nothing is recorded.
    """
    values = {
        "begins": interval.start,
        "ends": interval.end,
        "checksum": sha256,
        "now": clock.now(),
    }
    session.execute(_STORE_PART, {**_part_parameters(part), **values})


def release_part(
    session: Session,
    part: PartId,
    owner: str,
    reason: TranscribeError,
    *,
    wait: float,
    counts: bool = True,
) -> None:
    """Release a part that a pending message retries in *wait* seconds.

    *counts*: whether this was one of the part's attempts.
    """
    _update_part(
        session,
        part,
        state=PartState.WAITING,
        lease_until=(due := clock.now() + wait),
        sent_at=_updated_sent_at(due),
        error=_error_details(reason),
        attempts=JobPart.attempts - (0 if counts else 1),
        only_owner=owner,
    )


def fail_part(session: Session, part: PartId, owner: str, reason: TranscribeError) -> None:
    """Mark a part as failed for good; the other parts continue."""
    details = _error_details(reason)
    _update_part(
        session, part, state=PartState.FAILED, error=details, lease_until=0.0, only_owner=owner
    )


def claim_unsent_parts(session: Session, job_id: str) -> Sequence[PendingPart]:
    """Mark the parts without a message as sent, and return them; the caller sends them.

    They are in recording order. Concurrent callers never get the same part. For a running part, the
    message that was sent early counts from now on.
    """
    condition = and_(JobPart.job_id == job_id, JobPart.sent_at.is_(None), has_live_worker())
    session.execute(
        update(JobPart)
        .where(condition)
        .values(sent_at=clock.now())
        .execution_options(synchronize_session=False)
    )
    return _claim_parts(session, job_id, or_(is_unsent(), is_lease_expired()))


def claim_lost_parts(
    session: Session, job_id: str, *, is_queue_empty: bool
) -> Sequence[PendingPart]:
    """Mark the parts with a lost message as sent, and return them; the caller sends them.

    A message is lost if its worker is, or if its queue is empty (*is_queue_empty*) although it
    should wait there.
    """
    is_lost = is_message_late() if is_queue_empty else false()
    return _claim_parts(session, job_id, or_(is_lost, is_lease_expired()))


def _claim_parts(
    session: Session, job_id: str, condition: ColumnElement[bool]
) -> Sequence[PendingPart]:
    rows = session.execute(
        update(JobPart)
        .where(JobPart.job_id == job_id, condition)
        .values(state=PartState.WAITING, sent_at=clock.now())
        .returning(JobPart.kind, JobPart.position, JobPart.start, JobPart.end, JobPart.attempts)
        .execution_options(synchronize_session=False)
    )
    return [
        PendingPart(
            PartId(job_id, PartKind(row.kind), row.position),
            row.end - row.start,
            was_begun=row.attempts > 0,
        )
        for row in sorted(rows, key=lambda row: (row.kind, row.position))
    ]


def mark_unsent(session: Session, part_ids: Collection[PartId]) -> None:
    """Mark these parts as not sent: the broker did not get their messages."""
    for part in part_ids:
        _update_part(session, part, sent_at=None)


def mark_all_unsent(session: Session) -> None:
    """Mark all waiting parts as not sent: the broker lost its memory.

    Parts with a delayed retry are excluded: a worker holds their messages in memory.
    """
    session.execute(
        update(JobPart)
        .where(JobPart.state == PartState.WAITING, JobPart.lease_until < clock.now())
        .values(sent_at=None)
        .execution_options(synchronize_session=False)
    )


def list_stored_chunks(session: Session, job_id: str) -> Sequence[int]:
    """Return the positions of the chunks whose words are in storage."""
    return session.scalars(
        select(JobPart.position)
        .where(
            JobPart.job_id == job_id,
            JobPart.kind == PartKind.CHUNK,
            JobPart.state == PartState.STORED,
        )
        .order_by(JobPart.position)
    ).all()


def has_waiting_chunk(session: Session, job_id: str) -> bool:
    """Return whether a chunk of the job has not begun yet."""
    is_waiting = and_(
        JobPart.job_id == job_id,
        JobPart.kind == PartKind.CHUNK,
        JobPart.state == PartState.WAITING,
    )
    return bool(session.scalar(select(exists().where(is_waiting))))


# A chord triggers the merge when it has counted all of its messages. It cannot count messages sent
# before or again after it, and never completes if a counted message is lost.
_READY_TO_MERGE = select(
    exists().where(
        JOB_RUNS.c.job_id == bindparam("of_job"),
        JOB_RUNS.c.stage == Stage.LISTEN,
        or_(JOB_RUNS.c.parts_resent > 0, bindparam("is_uncounted", type_=Boolean)),
        ~exists().where(
            JOB_PARTS.c.job_id == JOB_RUNS.c.job_id, JOB_PARTS.c.state.in_(OPEN_PART_STATES)
        ),
    )
)


def is_ready_to_merge(session: Session, job_id: str, *, is_counted: bool = False) -> bool:
    """Return whether the job is in transcription and none of its parts is pending.

    *is_counted*: whether the job's chord counts the caller; then only if the chord is not enough.
    """
    parameters = {"of_job": job_id, "is_uncounted": not is_counted}
    return bool(session.scalar(_READY_TO_MERGE, parameters))


def is_unsent() -> ColumnElement[bool]:
    """Condition: the part waits and has no message of its own yet."""
    return and_(JobPart.state == PartState.WAITING, JobPart.sent_at.is_(None))


def is_message_late() -> ColumnElement[bool]:
    """Condition: the part has waited for its message for so long that it may be lost."""
    return and_(
        JobPart.state == PartState.WAITING,
        JobPart.sent_at < clock.now() - MESSAGE_TIMEOUT_SECONDS,
        JobPart.lease_until < clock.now(),
    )


def has_live_worker() -> ColumnElement[bool]:
    """Condition: a live worker has the part."""
    return and_(JobPart.state == PartState.RUNNING, JobPart.lease_until >= clock.now())


def is_lease_expired() -> ColumnElement[bool]:
    """Condition: the part's worker is gone."""
    return and_(JobPart.state == PartState.RUNNING, JobPart.lease_until < clock.now())


def _part_parameters(part: PartId) -> dict[str, Any]:
    """Return the parameters of `_IS_PART`; column names are reserved."""
    return {"of_job": part.job_id, "of_kind": part.kind, "at": part.position}


def _error_details(reason: TranscribeError) -> dict[str, str]:
    return {"code": reason.code, "message": str(reason)}


def _update_part(
    session: Session,
    part: PartId,
    *,
    only_owner: str | None = None,
    **values: Any,
) -> None:
    query = update(JobPart).where(
        JobPart.job_id == part.job_id,
        JobPart.kind == part.kind,
        JobPart.position == part.position,
        JobPart.state != PartState.STORED,
    )
    if only_owner is not None:
        query = query.where(JobPart.owner == only_owner, JobPart.state == PartState.RUNNING)
    session.execute(
        query.values(**values, changed_at=clock.now()).execution_options(synchronize_session=False)
    )

"""The life of a part: leased by a worker, stored or failed, and never both by two workers."""

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

#: Seconds that a message may be under way before it counts as lost, if its queue is empty.
MESSAGE_TIMEOUT_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class PartId:
    """Names a chunk or a shard of a job."""

    job_id: str
    kind: PartKind
    position: int


@dataclass(frozen=True, slots=True)
class PendingPart:
    """A part that somebody is to work on."""

    part: PartId
    #: Of audio.
    seconds: float
    #: By somebody who lost it.
    was_begun: bool


# What every chunk asks for is made once: to make a statement takes longer than to run it.
_IS_PART = and_(
    JOB_PARTS.c.job_id == bindparam("of_job"),
    JOB_PARTS.c.kind == bindparam("of_kind"),
    JOB_PARTS.c.position == bindparam("at"),
)
_MAY_BEGIN = and_(
    _IS_PART,
    JOB_PARTS.c.state.in_(OPEN_PART_STATES),
    # A message that comes a second time says that whoever had it first is gone. One that is to be
    # tried again is under way until then: another one ends here, so that they do not become many.
    or_(JOB_PARTS.c.owner == bindparam("me"), JOB_PARTS.c.lease_until < bindparam("now")),
    # Chunks that are cut early are heard while the job is still being prepared.
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
    """Take a part to work on, and get its interval in the recording.

    *owner* is the message, *worker* the name of who got it: see `core.jobs.orphaned_leases`.

    None when there is nothing to do: it is stored, a living worker has it, another message is
    about to try it again, or the job is past listening. A part that was begun too often is set
    aside here, so that a chunk that kills its worker cannot go round for ever.
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
    """Give a part up that nothing but its tries keeps from being begun."""
    if row := session.execute(_EXHAUSTED_PART, parameters).first():
        reason = KillsWorker("the workers that tried were lost; it is not tried again")
        _update_part(
            session,
            part,
            state=PartState.FAILED,
            error=row.error or _error_details(reason),
            owner=None,
        )


def renew_leases(session: Session, owners: Collection[str]) -> None:
    """Show a sign of life for all parts that these owners have."""
    session.execute(
        update(JobPart)
        .where(JobPart.owner.in_(owners), JobPart.state == PartState.RUNNING)
        .values(lease_until=clock.now() + settings().lease_seconds)
        .execution_options(synchronize_session=False)
    )


def requeue_parts(
    session: Session, owners: Collection[str], worker: str | None, *, counts: bool
) -> None:
    """Let go of all parts that these owners have, unfinished: their messages go back to the queue.

    *worker*: that of the owners; another may have begun anew with a message of the same name.
    *counts*: whether this was one of the tries that a part has.
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
    """For a message that waits anew. One that was sent ahead does not stand for its part."""
    return case((JobPart.sent_at.is_not(None), moment))


def mark_stored(session: Session, part: PartId, interval: Interval, sha256: str) -> None:
    """Note that the result lies in storage. Whoever comes second writes the same.

    *interval*: where the part lay when it was leased. If the recording was cut otherwise since
    then, nothing is noted.
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
    """Let go of a part that is to be tried again in *wait* seconds, by a message under way.

    *counts*: whether this was one of the tries that a part has.
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
    """Set a part aside for good; the other parts go on."""
    details = _error_details(reason)
    _update_part(
        session, part, state=PartState.FAILED, error=details, lease_until=0.0, only_owner=owner
    )


def claim_unsent_parts(session: Session, job_id: str) -> Sequence[PendingPart]:
    """The parts that have no message yet, noted as sent: whoever claims them sends them.

    In the order of the recording. Of two who claim at once, one gets a part. For a part in hand,
    the message that was sent ahead stands from now on.
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
    """The parts whose own message must be gone, noted as sent: whoever claims them sends them.

    A message is gone when its worker is, and when nothing waits in its queue any more although it
    should: *is_queue_empty*.
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
    """Take back that these parts were sent: the broker did not get their messages."""
    for part in part_ids:
        _update_part(session, part, sent_at=None)


def mark_all_unsent(session: Session) -> None:
    """Take back that any part was sent: the broker lost its memory.

    What is to be tried again later waits in the memory of a worker.
    """
    session.execute(
        update(JobPart)
        .where(JobPart.state == PartState.WAITING, JobPart.lease_until < clock.now())
        .values(sent_at=None)
        .execution_options(synchronize_session=False)
    )


def list_stored_chunks(session: Session, job_id: str) -> Sequence[int]:
    """The positions of the chunks whose words lie in storage."""
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
    """Whether a chunk of the job was not begun yet."""
    is_waiting = and_(
        JobPart.job_id == job_id,
        JobPart.kind == PartKind.CHUNK,
        JobPart.state == PartState.WAITING,
    )
    return bool(session.scalar(select(exists().where(is_waiting))))


# The chord has a job merged whose messages it counted all. It cannot count what was sent ahead of
# it or again after it, and is never complete when a message that it counts is lost.
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
    """Whether the job listens, and none of its parts is left to be waited for.

    *is_counted*: whether who asks was counted by the job's chord; then only if that is not enough.
    """
    parameters = {"of_job": job_id, "is_uncounted": not is_counted}
    return bool(session.scalar(_READY_TO_MERGE, parameters))


def has_running_part(session: Session, job_id: str) -> bool:
    """Whether a living worker has a part of the job."""
    return bool(session.scalar(select(exists().where(JobPart.job_id == job_id, has_live_worker()))))


def is_unsent() -> ColumnElement[bool]:
    """Whether the part waits and has no message of its own yet."""
    return and_(JobPart.state == PartState.WAITING, JobPart.sent_at.is_(None))


def is_message_late() -> ColumnElement[bool]:
    """Whether the part waits, and so does its message for long, if it is still there."""
    return and_(
        JobPart.state == PartState.WAITING,
        JobPart.sent_at < clock.now() - MESSAGE_TIMEOUT_SECONDS,
        JobPart.lease_until < clock.now(),
    )


def has_live_worker() -> ColumnElement[bool]:
    """Whether a living worker has the part."""
    return and_(JobPart.state == PartState.RUNNING, JobPart.lease_until >= clock.now())


def is_lease_expired() -> ColumnElement[bool]:
    """Whether a worker began with the part and is gone."""
    return and_(JobPart.state == PartState.RUNNING, JobPart.lease_until < clock.now())


def _part_parameters(part: PartId) -> dict[str, Any]:
    """As `_IS_PART` asks for it; names of columns are taken."""
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

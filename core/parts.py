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
from core.errors import KillsItsWorker, TranscribeError
from core.models import JOB_PARTS, JOB_RUNS, JobPart
from core.settings import settings
from core.states import PARTS_OPEN, PartKind, PartState, Stage
from transcripts.types import Span, Stretch

#: Seconds that a message may be under way before it counts as lost, if its queue is empty.
MESSAGE_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class PartId:
    """Names a chunk or a shard of a job."""

    job_id: str
    kind: PartKind
    position: int


@dataclass(frozen=True, slots=True)
class Missing:
    """A part that somebody is to work on."""

    part: PartId
    #: Of sound.
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
    JOB_PARTS.c.state.in_(PARTS_OPEN),
    # A message that comes a second time says that whoever had it first is gone. One that is to be
    # tried again is under way until then: another one ends here, so that they do not become many.
    or_(JOB_PARTS.c.owner == bindparam("me"), JOB_PARTS.c.lease_until < bindparam("now")),
    # Chunks that are cut early are heard while the job is still being prepared.
    exists().where(
        JOB_RUNS.c.job_id == bindparam("of_job"),
        JOB_RUNS.c.stage.in_((Stage.PREPARE, Stage.LISTEN)),
    ),
)
_LEASE = (
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
_BEGUN_TOO_OFTEN = select(JOB_PARTS.c.error).where(
    _MAY_BEGIN, JOB_PARTS.c.attempts > bindparam("tries")
)
_STORE = (
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


def lease(session: Session, part: PartId, owner: str, worker: str | None = None) -> Stretch | None:
    """Take a part to work on, and get its place in the recording.

    *owner* is the message, *worker* the name of who got it: see `core.afterlife`.

    None when there is nothing to do: it is stored, a living worker has it, another message is
    about to try it again, or the job is past listening. A part that was begun too often is set
    aside here, so that a chunk that kills its worker cannot go round for ever.
    """
    now = clock.now()
    asked = {
        **_named(part),
        "me": owner,
        "at_worker": worker,
        "now": now,
        "until": now + settings().lease_seconds,
        "tries": settings().chunk_max_retries,
    }
    taken = session.execute(_LEASE, asked).first()
    if taken is None:
        _set_aside(session, part, asked)
        return None
    return Stretch(*taken)


def _set_aside(session: Session, part: PartId, asked: Mapping[str, Any]) -> None:
    """Give a part up that nothing but its tries keeps from being begun."""
    if found := session.execute(_BEGUN_TOO_OFTEN, asked).first():
        lost = KillsItsWorker("the workers that tried were lost; it is not tried again")
        _set(session, part, state=PartState.FAILED, error=found.error or _details(lost), owner=None)


def renew(session: Session, owners: Collection[str]) -> None:
    """Show a sign of life for all parts that these owners have."""
    session.execute(
        update(JobPart)
        .where(JobPart.owner.in_(owners), JobPart.state == PartState.RUNNING)
        .values(lease_until=clock.now() + settings().lease_seconds)
        .execution_options(synchronize_session=False)
    )


def hand_back(
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
            sent_at=_at_if_sent(clock.now()),
            attempts=JobPart.attempts - (0 if counts else 1),
        )
        .execution_options(synchronize_session=False)
    )


def _at_if_sent(moment: float) -> ColumnElement[float | None]:
    """For a message that waits anew. One that was sent ahead does not stand for its part."""
    return case((JobPart.sent_at.is_not(None), moment))


def store(session: Session, part: PartId, place: Span, sha256: str) -> None:
    """Note that the result lies in storage. Whoever comes second writes the same.

    *place*: where the part lay when it was leased. If the recording was cut otherwise since then,
    nothing is noted.
    """
    found = {"begins": place.start, "ends": place.end, "checksum": sha256, "now": clock.now()}
    session.execute(_STORE, {**_named(part), **found})


def release(
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
    _set(
        session,
        part,
        state=PartState.WAITING,
        lease_until=(due := clock.now() + wait),
        sent_at=_at_if_sent(due),
        error=_details(reason),
        attempts=JobPart.attempts - (0 if counts else 1),
        only_owner=owner,
    )


def fail(session: Session, part: PartId, owner: str, reason: TranscribeError) -> None:
    """Set a part aside for good; the other parts go on."""
    details = _details(reason)
    _set(session, part, state=PartState.FAILED, error=details, lease_until=0.0, only_owner=owner)


def claim_unsent(session: Session, job_id: str) -> Sequence[Missing]:
    """The parts that have no message yet, noted as sent: whoever claims them sends them.

    In the order of the recording. Of two who claim at once, one gets a part. For a part in hand,
    the message that was sent ahead stands from now on.
    """
    in_hand = and_(JobPart.job_id == job_id, JobPart.sent_at.is_(None), alive())
    session.execute(
        update(JobPart)
        .where(in_hand)
        .values(sent_at=clock.now())
        .execution_options(synchronize_session=False)
    )
    return _claim(session, job_id, or_(is_unsent(), lease_ran_out()))


def claim_lost(session: Session, job_id: str, *, is_queue_empty: bool) -> Sequence[Missing]:
    """The parts whose own message must be gone, noted as sent: whoever claims them sends them.

    A message is gone when its worker is, and when nothing waits in its queue any more although it
    should: *is_queue_empty*.
    """
    lost = message_is_late() if is_queue_empty else false()
    return _claim(session, job_id, or_(lost, lease_ran_out()))


def _claim(session: Session, job_id: str, condition: ColumnElement[bool]) -> Sequence[Missing]:
    rows = session.execute(
        update(JobPart)
        .where(JobPart.job_id == job_id, condition)
        .values(state=PartState.WAITING, sent_at=clock.now())
        .returning(JobPart.kind, JobPart.position, JobPart.start, JobPart.end, JobPart.attempts)
        .execution_options(synchronize_session=False)
    )
    return [
        Missing(
            PartId(job_id, PartKind(row.kind), row.position),
            row.end - row.start,
            was_begun=row.attempts > 0,
        )
        for row in sorted(rows, key=lambda row: (row.kind, row.position))
    ]


def forget_sending(session: Session, sent: Collection[PartId]) -> None:
    """Take back that these parts were sent: the broker did not get their messages."""
    for part in sent:
        _set(session, part, sent_at=None)


def forget_sendings(session: Session) -> None:
    """Take back that any part was sent: the broker lost its memory.

    What is to be tried again later waits in the memory of a worker.
    """
    session.execute(
        update(JobPart)
        .where(JobPart.state == PartState.WAITING, JobPart.lease_until < clock.now())
        .values(sent_at=None)
        .execution_options(synchronize_session=False)
    )


def stored_chunks(session: Session, job_id: str) -> Sequence[int]:
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


def any_waiting(session: Session, job_id: str) -> bool:
    """Whether a chunk of the job was not begun yet."""
    waits = and_(
        JobPart.job_id == job_id,
        JobPart.kind == PartKind.CHUNK,
        JobPart.state == PartState.WAITING,
    )
    return bool(session.scalar(select(exists().where(waits))))


# The chord has a job merged whose messages it counted all. It cannot count what was sent ahead of
# it or again after it, and is never complete when a message that it counts is lost.
_ALL_OVER = select(
    exists().where(
        JOB_RUNS.c.job_id == bindparam("of_job"),
        JOB_RUNS.c.stage == Stage.LISTEN,
        or_(JOB_RUNS.c.parts_resent > 0, bindparam("is_uncounted", type_=Boolean)),
        ~exists().where(JOB_PARTS.c.job_id == JOB_RUNS.c.job_id, JOB_PARTS.c.state.in_(PARTS_OPEN)),
    )
)


def all_over(session: Session, job_id: str, *, is_counted: bool = False) -> bool:
    """Whether the job listens, and none of its parts is left to be waited for.

    *is_counted*: whether who asks was counted by the job's chord; then only if that is not enough.
    """
    asked = {"of_job": job_id, "is_uncounted": not is_counted}
    return bool(session.scalar(_ALL_OVER, asked))


def any_running(session: Session, job_id: str) -> bool:
    """Whether a living worker has a part of the job."""
    return bool(session.scalar(select(exists().where(JobPart.job_id == job_id, alive()))))


def is_unsent() -> ColumnElement[bool]:
    """Whether the part waits and has no message of its own yet."""
    return and_(JobPart.state == PartState.WAITING, JobPart.sent_at.is_(None))


def message_is_late() -> ColumnElement[bool]:
    """Whether the part waits, and so does its message for long, if it is still there."""
    return and_(
        JobPart.state == PartState.WAITING,
        JobPart.sent_at < clock.now() - MESSAGE_SECONDS,
        JobPart.lease_until < clock.now(),
    )


def alive() -> ColumnElement[bool]:
    """Whether a living worker has the part."""
    return and_(JobPart.state == PartState.RUNNING, JobPart.lease_until >= clock.now())


def lease_ran_out() -> ColumnElement[bool]:
    """Whether a worker began with the part and is gone."""
    return and_(JobPart.state == PartState.RUNNING, JobPart.lease_until < clock.now())


def _named(part: PartId) -> dict[str, Any]:
    """As `_IS_PART` asks for it; names of columns are taken."""
    return {"of_job": part.job_id, "of_kind": part.kind, "at": part.position}


def _details(reason: TranscribeError) -> dict[str, str]:
    return {"code": reason.code, "message": str(reason)}


def _set(
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

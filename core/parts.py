"""The life of a part: leased by a worker, stored or failed, and never both by two workers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, exists, or_, select, update
from sqlalchemy.orm import Session

from core import clock
from core.errors import KillsItsWorker, TranscribeError
from core.models import JOB_PARTS, JOB_RUNS, JobPart, JobRun
from core.settings import settings
from core.states import PARTS_OPEN, PartKind, PartState, Stage
from transcripts.types import Span, Stretch


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


def abandon(session: Session, owners: Collection[str]) -> None:
    """Let go of all parts that these owners have, unfinished; it was none of their tries."""
    session.execute(
        update(JobPart)
        .where(JobPart.owner.in_(owners), JobPart.state == PartState.RUNNING)
        .values(lease_until=0.0, attempts=JobPart.attempts - 1)
        .execution_options(synchronize_session=False)
    )


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
        lease_until=clock.now() + wait,
        error=_details(reason),
        attempts=JobPart.attempts - (0 if counts else 1),
        only_owner=owner,
    )


def fail(session: Session, part: PartId, owner: str, reason: TranscribeError) -> None:
    """Set a part aside for good; the other parts go on."""
    details = _details(reason)
    _set(session, part, state=PartState.FAILED, error=details, lease_until=0.0, only_owner=owner)


def missing(session: Session, job_id: str) -> Sequence[Missing]:
    """The parts that are neither stored, nor failed, nor in the hands of a living worker.

    In the order of the recording.
    """
    rows = session.scalars(
        select(JobPart)
        .where(JobPart.job_id == job_id, _needs_work())
        .order_by(JobPart.kind, JobPart.position)
    )
    return [Missing(_id_of(row), row.end - row.start, was_begun=row.attempts > 0) for row in rows]


def _id_of(row: JobPart) -> PartId:
    return PartId(row.job_id, PartKind(row.kind), row.position)


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


def all_over(session: Session, job_id: str) -> bool:
    """Whether the job listens, and none of its parts is left to be waited for."""
    is_open = and_(JobPart.job_id == job_id, JobPart.state.in_(PARTS_OPEN))
    listens = and_(JobRun.job_id == job_id, JobRun.stage == Stage.LISTEN)
    return bool(session.scalar(select(exists().where(listens, ~exists().where(is_open)))))


def any_running(session: Session, job_id: str) -> bool:
    """Whether a living worker has a part of the job."""
    return bool(session.scalar(select(exists().where(JobPart.job_id == job_id, alive()))))


def alive() -> ColumnElement[bool]:
    """Whether a living worker has the part."""
    return and_(JobPart.state == PartState.RUNNING, JobPart.lease_until >= clock.now())


def lease_ran_out() -> ColumnElement[bool]:
    """Whether a worker began with the part and is gone."""
    return and_(JobPart.state == PartState.RUNNING, JobPart.lease_until < clock.now())


def _named(part: PartId) -> dict[str, Any]:
    """As `_IS_PART` asks for it; names of columns are taken."""
    return {"of_job": part.job_id, "of_kind": part.kind, "at": part.position}


def _needs_work() -> ColumnElement[bool]:
    return or_(JobPart.state == PartState.WAITING, lease_ran_out())


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

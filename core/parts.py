"""The life of a part: leased by a worker, stored or failed, and never both by two workers."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import CursorResult, and_, exists, or_, select, update
from sqlalchemy.orm import Session

from core import clock
from core.errors import KillsItsWorker, TranscribeError
from core.models import JobPart, JobRun
from core.settings import settings
from core.states import PARTS_OPEN, PartKind, PartState, Stage
from transcripts.types import Stretch


@dataclass(frozen=True, slots=True)
class PartId:
    """Names a chunk or a shard of a job."""

    job_id: str
    kind: PartKind
    position: int


def lease(session: Session, part: PartId, owner: str) -> Stretch | None:
    """Take a part to work on, and get its place in the recording.

    None when there is nothing to do: it is stored, a living worker has it, another message is
    about to try it again, or the job is past listening. A part that was begun too often is set
    aside here, so that a chunk that kills its worker cannot go round for ever.
    """
    row = session.get(JobPart, (part.job_id, part.kind, part.position), populate_existing=True)
    if row is None or not _is_free(row, owner) or not _is_listening(session, part.job_id):
        return None
    if row.attempts > settings().chunk_max_retries:
        lost = KillsItsWorker("the workers that tried were lost; it is not tried again")
        _set(session, part, state=PartState.FAILED, error=row.error or _details(lost), owner=None)
        return None
    taken = _set(
        session,
        part,
        state=PartState.RUNNING,
        owner=owner,
        lease_until=clock.now() + settings().lease_seconds,
        attempts=row.attempts + 1,
        unchanged_since=row.changed_at,
    )
    return Stretch(row.start, row.end, row.channel) if taken else None


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


def store(session: Session, part: PartId, sha256: str) -> None:
    """Note that the result lies in storage. Whoever comes second writes the same."""
    _set(session, part, state=PartState.STORED, sha256=sha256, lease_until=0.0, error=None)


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


def missing(session: Session, job_id: str) -> dict[PartId, float]:
    """The parts that are neither stored, nor failed, nor in the hands of a living worker.

    Each with its length in seconds, in the order of the recording.
    """
    rows = session.scalars(
        select(JobPart)
        .where(JobPart.job_id == job_id, _needs_work())
        .order_by(JobPart.kind, JobPart.position)
    )
    return {
        PartId(row.job_id, PartKind(row.kind), row.position): row.end - row.start for row in rows
    }


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


def any_running(session: Session, job_id: str) -> bool:
    """Whether a living worker has a part of the job."""
    alive = and_(
        JobPart.job_id == job_id,
        JobPart.state == PartState.RUNNING,
        JobPart.lease_until >= clock.now(),
    )
    return bool(session.scalar(select(exists().where(alive))))


def _needs_work() -> Any:
    abandoned = and_(JobPart.state == PartState.RUNNING, JobPart.lease_until < clock.now())
    return or_(JobPart.state == PartState.WAITING, abandoned)


def _is_free(row: JobPart, owner: str) -> bool:
    # A message that comes a second time says that whoever had it first is gone. One that is to be
    # tried again is under way until then: another one ends here, so that they do not become many.
    return row.state in PARTS_OPEN and (row.owner == owner or row.lease_until < clock.now())


def _is_listening(session: Session, job_id: str) -> bool:
    stage = session.scalar(select(JobRun.stage).where(JobRun.job_id == job_id))
    return stage == Stage.LISTEN


def _details(reason: TranscribeError) -> dict[str, str]:
    return {"code": reason.code, "message": str(reason)}


def _set(
    session: Session,
    part: PartId,
    *,
    only_owner: str | None = None,
    unchanged_since: float | None = None,
    **values: Any,
) -> bool:
    query = update(JobPart).where(
        JobPart.job_id == part.job_id,
        JobPart.kind == part.kind,
        JobPart.position == part.position,
        JobPart.state != PartState.STORED,
    )
    if only_owner is not None:
        query = query.where(JobPart.owner == only_owner, JobPart.state == PartState.RUNNING)
    if unchanged_since is not None:
        query = query.where(JobPart.changed_at == unchanged_since)
    result = session.execute(
        query.values(**values, changed_at=clock.now()).execution_options(synchronize_session=False)
    )
    return bool(cast(CursorResult[Any], result).rowcount)

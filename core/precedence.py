"""Who of the jobs that wait goes before whom, and how much there is to do before one's turn."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import and_, case, func, or_, select
from sqlalchemy.orm import Session

from core.models import JobPart, JobRun, TranscriptJob
from core.states import PARTS_OPEN, PartKind, Priority, Stage

#: The first of the broker's ten priorities that each of ours has, and the seconds of sound at which
#: more work is to give way to less. Most jobs are normal, so they are told apart most finely.
_CLASSES = {
    Priority.HIGH: (0, (1200.0,)),
    Priority.NORMAL: (2, (300.0, 1200.0, 3600.0, 10800.0)),
    Priority.LOW: (7, (1200.0, 10800.0)),
}


def message_priority(priority: Priority, seconds: float = 0.0) -> int:
    """The broker's priority of the parts of a job that has *seconds* of sound still to be heard.

    The job's own priority comes first. Among jobs of one priority, those with little left go before
    those with much ("shortest remaining processing time", in classes), so a short recording waits
    for no chunk of a ten-hour one that is not in hand already. The lower number goes first.
    """
    first, limits = _CLASSES[priority]
    return first + bisect_left(limits, seconds)


@dataclass(frozen=True, slots=True)
class Ahead:
    """What goes before a job that waits."""

    jobs: int
    #: Sound that is still to be heard; None when not all of these jobs are that far.
    seconds: float | None


def ahead(session: Session, job: TranscriptJob) -> Ahead | None:
    """What goes before a job that waits to be prepared, or for its first chunk to be begun.

    None when it was never sent, so that it has no place yet.
    """
    if job.run.dispatched_at is None:
        return None
    if job.run.stage == Stage.QUEUED:
        return Ahead(_queued_before(session, job.run), None)
    return _listening_before(session, job)


def _queued_before(session: Session, run: JobRun) -> int:
    """By the index over stages: what is over is not looked at."""
    mine = Priority(run.priority)
    higher = [one for one in Priority if message_priority(one) < message_priority(mine)]
    older = and_(JobRun.priority == mine, JobRun.dispatched_at < run.dispatched_at)
    before = or_(JobRun.priority.in_(higher), older)
    query = select(func.count()).where(JobRun.stage == Stage.QUEUED, before)
    return session.scalar(query) or 0


def _listening_before(session: Session, job: TranscriptJob) -> Ahead | None:
    lines = {line.job_id: line for line in _lines(session, job.engine)}
    mine = lines.get(job.job_id)
    if mine is None:
        return None
    before = [line for line in lines.values() if line.place < mine.place]
    return Ahead(len(before), sum(line.left for line in before))


@dataclass(frozen=True, slots=True)
class _Line:
    """A job of which chunks wait or are being heard."""

    job_id: str
    place: tuple[int, float]
    #: Seconds of sound.
    left: float


def _lines(session: Session, engine: str) -> Iterator[_Line]:
    """All jobs that an engine hears or is to hear; by the index over stages, and their parts."""
    seconds = JobPart.end - JobPart.start
    is_open = JobPart.state.in_(PARTS_OPEN)
    left = func.sum(case((is_open, seconds), else_=0.0))
    rows = session.execute(
        select(JobRun.job_id, JobRun.priority, JobRun.dispatched_at, func.sum(seconds), left)
        .join(TranscriptJob, TranscriptJob.job_id == JobRun.job_id)
        .join(JobPart, JobPart.job_id == JobRun.job_id)
        .where(
            JobRun.stage == Stage.LISTEN,
            TranscriptJob.engine == engine,
            JobPart.kind == PartKind.CHUNK,
        )
        .group_by(JobRun.job_id)
    )
    for job_id, priority, sent_at, whole, still in rows:
        yield _Line(job_id, (message_priority(Priority(priority), whole), sent_at or 0.0), still)

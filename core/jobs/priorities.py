"""Who of the jobs that wait goes before whom, and how much there is to do before one's turn."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import and_, case, func, or_, select
from sqlalchemy.orm import Session

from core.db.models import JobPart, JobRun, TranscriptJob
from core.states import OPEN_PART_STATES, PartKind, Priority, Stage

#: The first of the broker's ten priorities that each of ours has, and the seconds of sound at which
#: more work is to give way to less. Most jobs are normal, so they are told apart most finely.
_PRIORITY_CLASSES = {
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
    first, limits = _PRIORITY_CLASSES[priority]
    return first + bisect_left(limits, seconds)


@dataclass(frozen=True, slots=True)
class WorkAhead:
    """What goes before a job that waits."""

    jobs: int
    #: Sound that is still to be heard; None when not all of these jobs are that far.
    seconds: float | None


def find_work_ahead(session: Session, job: TranscriptJob) -> WorkAhead | None:
    """What goes before a job that waits to be prepared, or for its first chunk to be begun.

    None when it was never sent, so that it has no place yet.
    """
    if job.run.dispatched_at is None:
        return None
    if job.run.stage == Stage.QUEUED:
        return WorkAhead(_count_queued_before(session, job.run), None)
    return _find_listening_before(session, job)


def _count_queued_before(session: Session, run: JobRun) -> int:
    """By the index over stages: what is over is not looked at."""
    own_priority = Priority(run.priority)
    higher = [
        priority
        for priority in Priority
        if message_priority(priority) < message_priority(own_priority)
    ]
    older = and_(JobRun.priority == own_priority, JobRun.dispatched_at < run.dispatched_at)
    is_before = or_(JobRun.priority.in_(higher), older)
    query = select(func.count()).where(JobRun.stage == Stage.QUEUED, is_before)
    return session.scalar(query) or 0


def _find_listening_before(session: Session, job: TranscriptJob) -> WorkAhead | None:
    listening_jobs = {
        listening_job.job_id: listening_job
        for listening_job in _list_listening(session, job.engine)
    }
    own_job = listening_jobs.get(job.job_id)
    if own_job is None:
        return None
    earlier = [
        listening_job
        for listening_job in listening_jobs.values()
        if listening_job.rank < own_job.rank
    ]
    return WorkAhead(len(earlier), sum(listening_job.seconds_left for listening_job in earlier))


@dataclass(frozen=True, slots=True)
class _ListeningJob:
    """A job of which chunks wait or are being heard."""

    job_id: str
    rank: tuple[int, float]
    #: Seconds of sound.
    seconds_left: float


def _list_listening(session: Session, engine: str) -> Iterator[_ListeningJob]:
    """All jobs that an engine hears or is to hear; by the index over stages, and their parts."""
    seconds = JobPart.end - JobPart.start
    is_open = JobPart.state.in_(OPEN_PART_STATES)
    seconds_left = func.sum(case((is_open, seconds), else_=0.0))
    rows = session.execute(
        select(
            JobRun.job_id, JobRun.priority, JobRun.dispatched_at, func.sum(seconds), seconds_left
        )
        .join(TranscriptJob, TranscriptJob.job_id == JobRun.job_id)
        .join(JobPart, JobPart.job_id == JobRun.job_id)
        .where(
            JobRun.stage == Stage.LISTEN,
            TranscriptJob.engine == engine,
            JobPart.kind == PartKind.CHUNK,
        )
        .group_by(JobRun.job_id)
    )
    for job_id, priority, dispatched_at, total_seconds, remaining in rows:
        yield _ListeningJob(
            job_id,
            (message_priority(Priority(priority), total_seconds), dispatched_at or 0.0),
            remaining,
        )

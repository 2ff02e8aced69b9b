"""Order of the waiting jobs, and the amount of work before each of them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import and_, case, func, or_, select
from sqlalchemy.orm import Session

from core.db.models import JobPart, JobRun, TranscriptJob
from core.states import OPEN_PART_STATES, PartKind, Priority, Stage

#: For each priority: the first of its broker priorities (of ten), and the seconds of audio at which
#: a longer job gets the next class. Most jobs are normal, so normal jobs have the most classes.
_PRIORITY_CLASSES = {
    Priority.HIGH: (0, (1200.0,)),
    Priority.NORMAL: (2, (300.0, 1200.0, 3600.0, 10800.0)),
    Priority.LOW: (7, (1200.0, 10800.0)),
}


def message_priority(priority: Priority, seconds: float = 0.0) -> int:
    """Return the broker's priority of a job's parts, with *seconds* of audio left to transcribe.

    A lower number goes first. The job's own priority decides first. Within it, jobs with little
    audio left go before jobs with much ("shortest remaining processing time", in classes). So a
    short recording only waits for those chunks of a ten-hour recording that have already started.
    """
    first, limits = _PRIORITY_CLASSES[priority]
    return first + bisect_left(limits, seconds)


@dataclass(frozen=True, slots=True)
class WorkAhead:
    """The work before a waiting job."""

    jobs: int
    #: Seconds of audio left to transcribe; None if some of these jobs are not cut into chunks yet.
    seconds: float | None


def find_work_ahead(session: Session, job: TranscriptJob) -> WorkAhead | None:
    """Return the work before a job that waits to be prepared, or for its first chunk to start.

    Return None if the job was never sent, since it has no place in the queue then.
    """
    if job.run.dispatched_at is None:
        return None
    if job.run.stage == Stage.QUEUED:
        return WorkAhead(_count_queued_before(session, job.run), None)
    return _find_listening_before(session, job)


def _count_queued_before(session: Session, run: JobRun) -> int:
    """Count the queued jobs before a run. The index over stages excludes ended jobs."""
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
    """A job in the stage `listen`: its chunks wait or are being transcribed."""

    job_id: str
    rank: tuple[int, float]
    #: Seconds of audio.
    seconds_left: float


def _list_listening(session: Session, engine: str) -> Iterator[_ListeningJob]:
    """Yield all jobs of an engine in the stage `listen`; uses the index over stages and parts."""
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

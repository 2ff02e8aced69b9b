"""Admission: at most ``MAX_CONCURRENT_JOBS`` jobs are processed at a time, on all machines.

A job that may not begin stays queued, and its message is consumed. It is sent again when another
job ends, or by housekeeping. A job that is retried continues at once.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import case, func, select, text
from sqlalchemy.orm import Session

from core.db.models import JobRun, TranscriptJob
from core.jobs.priorities import message_priority
from core.settings import settings
from core.states import Priority, Stage

#: Key of the PostgreSQL lock that serializes starts of jobs; any number that is unique to us.
_LOCK_KEY = 7_274_511

_ACTIVE_STAGES = (Stage.PREPARE, Stage.LISTEN, Stage.MERGE)


def may_begin(session: Session, job_id: str) -> bool:
    """Return whether a job may begin; until the transaction ends, no other job can."""
    if not settings().max_concurrent_jobs:
        return True
    if session.get_bind().dialect.name == "postgresql":  # SQLite has a single writer anyway
        session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK_KEY})
    return job_id in find_startable_jobs(session)


def find_startable_jobs(session: Session) -> Sequence[str]:
    """Return the queued jobs that may begin, by priority and age. Requires a limit."""
    free_slots = settings().max_concurrent_jobs - _count_active(session)
    if free_slots <= 0:
        return ()
    rank = case(
        {str(priority): message_priority(priority) for priority in Priority}, value=JobRun.priority
    )
    return session.scalars(
        select(JobRun.job_id)
        .join(TranscriptJob, TranscriptJob.job_id == JobRun.job_id)
        .where(JobRun.stage == Stage.QUEUED)
        .order_by(rank, TranscriptJob.created_at, JobRun.job_id)
        .limit(free_slots)
    ).all()


def is_full(session: Session) -> bool:
    """Return whether queued jobs wait for others to end, and not for a worker."""
    limit = settings().max_concurrent_jobs
    return bool(limit) and _count_active(session) >= limit


def _count_active(session: Session) -> int:
    query = select(func.count()).select_from(JobRun).where(JobRun.stage.in_(_ACTIVE_STAGES))
    return session.scalar(query) or 0

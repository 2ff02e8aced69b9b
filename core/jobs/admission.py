"""Which jobs may begin: at most ``MAX_CONCURRENT_JOBS`` are worked on at a time, on all machines.

A job that may not begin stays queued, and its message is spent: it is sent again when another job
ends, or by housekeeping. A job that is tried again goes on at once.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import case, func, select, text
from sqlalchemy.orm import Session

from core.db.models import JobRun, TranscriptJob
from core.jobs.priorities import message_priority
from core.settings import settings
from core.states import Priority, Stage

#: Of PostgreSQL's lock under which jobs begin one after the other; any number that is ours alone.
_LOCK_KEY = 7_274_511

_ACTIVE_STAGES = (Stage.PREPARE, Stage.LISTEN, Stage.MERGE)


def may_begin(session: Session, job_id: str) -> bool:
    """Whether a job's turn has come. Until the transaction ends, no other job begins."""
    if not settings().max_concurrent_jobs:
        return True
    if session.get_bind().dialect.name == "postgresql":  # SQLite has one writer at a time anyway
        session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK_KEY})
    return job_id in find_startable_jobs(session)


def find_startable_jobs(session: Session) -> Sequence[str]:
    """The queued jobs whose turn has come, by priority and age. Only where there is a limit."""
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
    """Whether a queued job waits for others to end, and not for a worker."""
    limit = settings().max_concurrent_jobs
    return bool(limit) and _count_active(session) >= limit


def _count_active(session: Session) -> int:
    query = select(func.count()).select_from(JobRun).where(JobRun.stage.in_(_ACTIVE_STAGES))
    return session.scalar(query) or 0

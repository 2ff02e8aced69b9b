"""The leases of jobs: a worker that prepares or merges a job renews its lease, or loses the job."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import ColumnElement, and_, update
from sqlalchemy.orm import Session

from core import clock
from core.db.models import JobRun
from core.settings import settings
from core.states import Stage


def release_job(
    session: Session, job_id: str, owner: str, *, wait: float, counts: bool = True
) -> None:
    """Release a job that a pending message retries in *wait* seconds.

    *counts*: whether this was one of the stage's attempts.
    """
    due = clock.now() + wait
    attempts = JobRun.attempts - (0 if counts else 1)
    session.execute(
        update(JobRun)
        .where(JobRun.job_id == job_id, is_owned_by(owner))
        .values(lease_until=due, dispatched_at=due, attempts=attempts)
        .execution_options(synchronize_session=False)
    )


def renew_leases(session: Session, owners: Collection[str]) -> None:
    """Renew the leases of all jobs that these owners prepare or merge."""
    session.execute(
        update(JobRun)
        .where(JobRun.owner.in_(owners), JobRun.stage != Stage.OVER)
        .values(lease_until=lease_expiry())
        .execution_options(synchronize_session=False)
    )


def requeue_jobs(
    session: Session, owners: Collection[str], worker: str | None, *, counts: bool
) -> None:
    """Requeue all jobs that these owners prepare or merge; see `parts.requeue_parts`."""
    attempts = JobRun.attempts - (0 if counts else 1)
    condition = and_(JobRun.owner.in_(owners), JobRun.worker == worker)
    session.execute(
        update(JobRun)
        .where(condition, JobRun.stage != Stage.OVER)
        .values(lease_until=0.0, dispatched_at=clock.now(), attempts=attempts)
        .execution_options(synchronize_session=False)
    )


def is_owned_by(owner: str) -> ColumnElement[bool]:
    """Return the condition that a run belongs to this owner."""
    return JobRun.owner == owner


def lease_expiry() -> float:
    """Return the Unix seconds until which a lease holds that is taken now."""
    return clock.now() + settings().lease_seconds

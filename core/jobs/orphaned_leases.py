"""What a worker had in hand when it was killed, freed by the next one of its name.

Otherwise that waits until its lease has run out, since nobody knows that the worker is gone.
Whoever is started again in its place does know it.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, and_, exists, or_, select, update
from sqlalchemy.orm import Session

from core import clock
from core.db.models import JobPart, JobRun
from core.jobs import parts
from core.states import Stage


def has_leases(session: Session, worker: str) -> bool:
    """Whether a worker of this name has a lease of anything."""
    return bool(
        session.scalar(
            select(or_(*(exists().where(condition) for condition in _lease_conditions(worker))))
        )
    )


def free_leases(session: Session, worker: str) -> None:
    """End the leases of all that a worker of this name has in hand: its messages are gone, too.

    That was one of the tries: what kills its worker must not go round for ever.
    """
    part_condition, job_condition = _lease_conditions(worker)
    for statement in (
        update(JobPart).where(part_condition).values(lease_until=0.0),
        update(JobRun).where(job_condition).values(lease_until=0.0, dispatched_at=None),
    ):
        session.execute(statement.execution_options(synchronize_session=False))


def _lease_conditions(worker: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Of parts and of jobs. By what the indexes know first: there are few of these."""
    job_conditions = (
        JobRun.stage.in_((Stage.PREPARE, Stage.MERGE)),
        JobRun.lease_until >= clock.now(),
    )
    return and_(parts.has_live_worker(), JobPart.worker == worker), and_(
        *job_conditions, JobRun.worker == worker
    )

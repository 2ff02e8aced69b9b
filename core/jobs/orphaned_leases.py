"""Leases of a killed worker, freed by the next worker of the same name.

Otherwise they last until they expire, since no process knows that the worker is gone. Its successor
does.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, and_, exists, or_, select, update
from sqlalchemy.orm import Session

from core import clock
from core.db.models import JobPart, JobRun
from core.jobs import parts
from core.states import Stage


def has_leases(session: Session, worker: str) -> bool:
    """Return whether a worker of this name holds any lease."""
    return bool(
        session.scalar(
            select(or_(*(exists().where(condition) for condition in _lease_conditions(worker))))
        )
    )


def free_leases(session: Session, worker: str) -> None:
    """Expire all leases of a worker of this name, whose messages are lost, too.

    This counts as an attempt: work that kills its worker must not be repeated for ever.
    """
    part_condition, job_condition = _lease_conditions(worker)
    for statement in (
        update(JobPart).where(part_condition).values(lease_until=0.0),
        update(JobRun).where(job_condition).values(lease_until=0.0, dispatched_at=None),
    ):
        session.execute(statement.execution_options(synchronize_session=False))


def _lease_conditions(worker: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Return the conditions for parts and for jobs, beginning with indexed columns."""
    job_conditions = (
        JobRun.stage.in_((Stage.PREPARE, Stage.MERGE)),
        JobRun.lease_until >= clock.now(),
    )
    return and_(parts.has_live_worker(), JobPart.worker == worker), and_(
        *job_conditions, JobRun.worker == worker
    )

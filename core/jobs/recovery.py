"""Find the jobs that have work left but no worker, for housekeeping to send again.

A second message is harmless, since every step may run twice, but it must not flood the queues. So
only a lost message is replaced. A message is lost if its worker is gone, or if it should wait in a
queue and this queue is empty. The time of sending is recorded, so a message that still waits is not
sent again. Neither check reads the messages in a queue.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import ColumnElement, and_, exists, or_, select, true, update
from sqlalchemy.orm import Session

from core import clock
from core.db.models import JobPart, JobRun
from core.jobs import admission, parts
from core.jobs.parts import MESSAGE_TIMEOUT_SECONDS
from core.settings import settings
from core.states import OPEN_PART_STATES, Stage


class Need(StrEnum):
    """The next action for a job."""

    PREPARE = "prepare"
    #: Its parts were not sent yet.
    FAN_OUT = "fan_out"
    #: The messages of some of its parts are lost.
    RESEND = "resend"
    MERGE = "merge"


@dataclass(frozen=True, slots=True)
class AbandonedJob:
    """A job that must be sent again. *epoch* is the job's epoch at the time of the check."""

    job_id: str
    need: Need
    epoch: int
    #: True: its messages may still wait in a long queue. Check the queue before sending.
    may_be_queued: bool


def find_abandoned(session: Session) -> list[AbandonedJob]:
    """Return the jobs whose worker is gone, and those whose message may be lost."""
    has_turn = or_(JobRun.stage != Stage.QUEUED, _has_turn(session))
    jobs = [
        *_find_jobs(session, Need.PREPARE, _is_owner_gone(Stage.PREPARE)),
        *_find_jobs(session, Need.MERGE, _is_owner_gone(Stage.MERGE)),
        *_find_jobs(
            session, Need.RESEND, and_(_is_at(Stage.LISTEN), _has_part(parts.is_lease_expired()))
        ),
        *_find_jobs(
            session,
            Need.FAN_OUT,
            and_(_is_at(Stage.LISTEN), _has_part(parts.is_unsent()), _is_dispatch_late()),
        ),
        *_find_jobs(
            session,
            Need.PREPARE,
            and_(_is_waiting_for(Stage.QUEUED, Stage.PREPARE), has_turn),
            may_be_queued=True,
        ),
        *_find_jobs(
            session,
            Need.RESEND,
            and_(
                _is_at(Stage.LISTEN),
                _has_part(parts.is_message_late()),
                ~_has_part(parts.has_live_worker()),
            ),
            may_be_queued=True,
        ),
        *_find_jobs(
            session,
            Need.MERGE,
            and_(_is_waiting_for(Stage.LISTEN, Stage.MERGE), ~_has_part(_is_open())),
            may_be_queued=True,
        ),
    ]
    return list({job.job_id: job for job in reversed(jobs)}.values())


def list_unfinished(session: Session) -> list[AbandonedJob]:
    """Return every job that is not over, to be sent again after the broker lost its memory."""
    return [
        *_find_jobs(
            session, Need.PREPARE, or_(_is_at(Stage.QUEUED), _is_lease_expired(Stage.PREPARE))
        ),
        *_find_jobs(session, Need.FAN_OUT, _is_at(Stage.LISTEN)),
        *_find_jobs(session, Need.MERGE, _is_lease_expired(Stage.MERGE)),
    ]


def list_unreported(session: Session) -> Sequence[str]:
    """Return the ended jobs whose end is not published: the process that ended them was killed."""
    is_late = and_(JobRun.lease_until > 0, JobRun.lease_until < clock.now())
    return session.scalars(select(JobRun.job_id).where(_is_at(Stage.OVER), is_late)).all()


def mark_reported(session: Session, job_id: str) -> None:
    """Record that the end of a job was published to all receivers."""
    session.execute(
        update(JobRun)
        .where(JobRun.job_id == job_id, _is_at(Stage.OVER))
        .values(lease_until=0.0)
        .execution_options(synchronize_session=False)
    )


def find_stale_messages(session: Session) -> Sequence[str]:
    """Return the messages of parts that a live worker still works on although their job is over."""
    of_run = JobRun.job_id == JobPart.job_id
    query = (
        select(JobPart.owner)
        .join(JobRun, of_run)
        .where(parts.has_live_worker(), _is_at(Stage.OVER))
    )
    return [owner for owner in session.scalars(query) if owner]


def _find_jobs(
    session: Session, need: Need, condition: ColumnElement[bool], *, may_be_queued: bool = False
) -> list[AbandonedJob]:
    rows = session.execute(select(JobRun.job_id, JobRun.epoch).where(condition)).all()
    return [AbandonedJob(job_id, need, epoch, may_be_queued) for job_id, epoch in rows]


def _is_at(stage: Stage) -> ColumnElement[bool]:
    return JobRun.stage == stage


def _has_turn(session: Session) -> ColumnElement[bool]:
    if not settings().max_concurrent_jobs:
        return true()
    return JobRun.job_id.in_(admission.find_startable_jobs(session))


def _is_dispatch_late() -> ColumnElement[bool]:
    return or_(
        JobRun.dispatched_at.is_(None), JobRun.dispatched_at < clock.now() - MESSAGE_TIMEOUT_SECONDS
    )


def _is_lease_expired(stage: Stage) -> ColumnElement[bool]:
    return and_(_is_at(stage), JobRun.lease_until < clock.now())


def _is_owner_gone(stage: Stage) -> ColumnElement[bool]:
    """Return whether the lease expired, and the job was neither sent nor handed back since then."""
    is_unsent = or_(JobRun.dispatched_at.is_(None), JobRun.dispatched_at < JobRun.lease_until)
    return and_(_is_lease_expired(stage), is_unsent)


def _is_waiting_for(previous_stage: Stage, stage: Stage) -> ColumnElement[bool]:
    """Return whether a job was sent long ago to enter a stage, or to restart it."""
    return and_(or_(_is_at(previous_stage), _is_lease_expired(stage)), _is_dispatch_late())


def _has_part(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    return exists().where(JobPart.job_id == JobRun.job_id, condition)


def _is_open() -> ColumnElement[bool]:
    return JobPart.state.in_(OPEN_PART_STATES)

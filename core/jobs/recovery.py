"""Finds the jobs that nobody works on although there is work: what housekeeping sends again.

Sending again is harmless, since every step may run twice, but it must not flood the queues. So only
what has no message any more is sent again. A message is gone when the worker that had it is, and
when its queue is empty although it should wait there; sending is noted, so nothing is sent again
because it still waits. Neither needs to look at what lies in a queue.
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
    """What a job needs now."""

    PREPARE = "prepare"
    #: Its parts were not sent yet.
    FAN_OUT = "fan_out"
    #: The messages of some of its parts are gone.
    RESEND = "resend"
    MERGE = "merge"


@dataclass(frozen=True, slots=True)
class AbandonedJob:
    """A job that must be sent again; *epoch* is as it was when this was found."""

    job_id: str
    need: Need
    epoch: int
    #: True: its messages may only be waiting in a long queue. Look before sending.
    may_be_queued: bool


def find_abandoned(session: Session) -> list[AbandonedJob]:
    """The jobs whose worker is gone, and those whose message may be."""
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
    """Every job that is not over: what must be sent again when the broker lost its memory."""
    return [
        *_find_jobs(
            session, Need.PREPARE, or_(_is_at(Stage.QUEUED), _is_lease_expired(Stage.PREPARE))
        ),
        *_find_jobs(session, Need.FAN_OUT, _is_at(Stage.LISTEN)),
        *_find_jobs(session, Need.MERGE, _is_lease_expired(Stage.MERGE)),
    ]


def list_unreported(session: Session) -> Sequence[str]:
    """The jobs that are over and of which nobody was told: who ended them was killed before."""
    is_late = and_(JobRun.lease_until > 0, JobRun.lease_until < clock.now())
    return session.scalars(select(JobRun.job_id).where(_is_at(Stage.OVER), is_late)).all()


def mark_reported(session: Session, job_id: str) -> None:
    """Note that all who are to hear of the end of a job were told."""
    session.execute(
        update(JobRun)
        .where(JobRun.job_id == job_id, _is_at(Stage.OVER))
        .values(lease_until=0.0)
        .execution_options(synchronize_session=False)
    )


def find_stale_messages(session: Session) -> Sequence[str]:
    """The messages of parts that a living worker goes on with although their job is over."""
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
    """Whether its lease ran out, and it was neither sent since then nor handed back."""
    is_unsent = or_(JobRun.dispatched_at.is_(None), JobRun.dispatched_at < JobRun.lease_until)
    return and_(_is_lease_expired(stage), is_unsent)


def _is_waiting_for(previous_stage: Stage, stage: Stage) -> ColumnElement[bool]:
    """Whether a job was sent long ago to come to a stage, or to be begun anew with it."""
    return and_(or_(_is_at(previous_stage), _is_lease_expired(stage)), _is_dispatch_late())


def _has_part(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    return exists().where(JobPart.job_id == JobRun.job_id, condition)


def _is_open() -> ColumnElement[bool]:
    return JobPart.state.in_(OPEN_PART_STATES)

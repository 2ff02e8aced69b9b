"""Finds the jobs that nobody works on although there is work: what housekeeping sends again.

Sending again is harmless, since every step may run twice, so these rules need not be exact: they
must find every abandoned job, and must not flood the queues.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import ColumnElement, and_, exists, or_, select, true
from sqlalchemy.orm import Session

from core import admission, clock, parts
from core.models import JobPart, JobRun
from core.settings import settings
from core.states import PARTS_OPEN, PartState, Stage

#: Seconds that a message may be under way before it counts as lost, if its queue is empty.
MESSAGE_SECONDS = 20.0


class Need(StrEnum):
    """What a job needs now."""

    PREPARE = "prepare"
    FAN_OUT = "fan_out"
    MERGE = "merge"


@dataclass(frozen=True, slots=True)
class Abandoned:
    """A job that must be sent again; *epoch* is as it was when this was found."""

    job_id: str
    need: Need
    epoch: int
    #: True: its messages may only be waiting in a long queue. Look before sending.
    may_be_queued: bool


def abandoned(session: Session) -> list[Abandoned]:
    """The jobs whose worker is gone, and those whose message may be."""
    found = [
        *_find(session, Need.PREPARE, _lease_ran_out(Stage.PREPARE)),
        *_find(session, Need.MERGE, _lease_ran_out(Stage.MERGE)),
        *_find(session, Need.FAN_OUT, and_(_at(Stage.LISTEN), _has_part(parts.lease_ran_out()))),
        *_find(session, Need.MERGE, and_(_at(Stage.LISTEN), ~_has_part(_unfinished()), _is_late())),
        *_find(
            session,
            Need.PREPARE,
            and_(_at(Stage.QUEUED), _is_late(), _its_turn(session)),
            may_be_queued=True,
        ),
        *_find(
            session,
            Need.FAN_OUT,
            and_(_at(Stage.LISTEN), _has_part(_waiting()), ~_has_part(parts.alive()), _is_late()),
            may_be_queued=True,
        ),
    ]
    return list({one.job_id: one for one in reversed(found)}.values())


def unfinished(session: Session) -> list[Abandoned]:
    """Every job that is not over: what must be sent again when the broker lost its memory."""
    return [
        *_find(session, Need.PREPARE, or_(_at(Stage.QUEUED), _lease_ran_out(Stage.PREPARE))),
        *_find(session, Need.FAN_OUT, _at(Stage.LISTEN)),
        *_find(session, Need.MERGE, _lease_ran_out(Stage.MERGE)),
    ]


def stragglers(session: Session) -> Sequence[str]:
    """The messages of parts that a living worker goes on with although their job is over."""
    of_run = JobRun.job_id == JobPart.job_id
    query = select(JobPart.owner).join(JobRun, of_run).where(parts.alive(), _at(Stage.OVER))
    return [owner for owner in session.scalars(query) if owner]


def _find(
    session: Session, need: Need, condition: ColumnElement[bool], *, may_be_queued: bool = False
) -> list[Abandoned]:
    rows = session.execute(select(JobRun.job_id, JobRun.epoch).where(condition)).all()
    return [Abandoned(job_id, need, epoch, may_be_queued) for job_id, epoch in rows]


def _at(stage: Stage) -> ColumnElement[bool]:
    return JobRun.stage == stage


def _its_turn(session: Session) -> ColumnElement[bool]:
    if not settings().max_concurrent_jobs:
        return true()
    return JobRun.job_id.in_(admission.next_in_line(session))


def _is_late() -> ColumnElement[bool]:
    return or_(JobRun.dispatched_at.is_(None), JobRun.dispatched_at < clock.now() - MESSAGE_SECONDS)


def _lease_ran_out(stage: Stage) -> ColumnElement[bool]:
    return and_(_at(stage), JobRun.lease_until < clock.now())


def _has_part(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    return exists().where(JobPart.job_id == JobRun.job_id, condition)


def _waiting() -> ColumnElement[bool]:
    # A part that is to be tried again says when; until then its message is under way.
    return and_(JobPart.state == PartState.WAITING, JobPart.lease_until < clock.now())


def _unfinished() -> ColumnElement[bool]:
    return JobPart.state.in_(PARTS_OPEN)

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

from core import admission, clock, parts
from core.models import JobPart, JobRun
from core.parts import MESSAGE_SECONDS
from core.settings import settings
from core.states import PARTS_OPEN, Stage


class Need(StrEnum):
    """What a job needs now."""

    PREPARE = "prepare"
    #: Its parts were not sent yet.
    FAN_OUT = "fan_out"
    #: The messages of some of its parts are gone.
    RESEND = "resend"
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
    its_turn = or_(JobRun.stage != Stage.QUEUED, _its_turn(session))
    found = [
        *_find(session, Need.PREPARE, _owner_is_gone(Stage.PREPARE)),
        *_find(session, Need.MERGE, _owner_is_gone(Stage.MERGE)),
        *_find(session, Need.RESEND, and_(_at(Stage.LISTEN), _has_part(parts.lease_ran_out()))),
        *_find(
            session,
            Need.FAN_OUT,
            and_(_at(Stage.LISTEN), _has_part(parts.is_unsent()), _is_late()),
        ),
        *_find(
            session,
            Need.PREPARE,
            and_(_waits_for(Stage.QUEUED, Stage.PREPARE), its_turn),
            may_be_queued=True,
        ),
        *_find(
            session,
            Need.RESEND,
            and_(
                _at(Stage.LISTEN),
                _has_part(parts.message_is_late()),
                ~_has_part(parts.alive()),
            ),
            may_be_queued=True,
        ),
        *_find(
            session,
            Need.MERGE,
            and_(_waits_for(Stage.LISTEN, Stage.MERGE), ~_has_part(_unfinished())),
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


def untold(session: Session) -> Sequence[str]:
    """The jobs that are over and of which nobody was told: who ended them was killed before."""
    is_late = and_(JobRun.lease_until > 0, JobRun.lease_until < clock.now())
    return session.scalars(select(JobRun.job_id).where(_at(Stage.OVER), is_late)).all()


def note_told(session: Session, job_id: str) -> None:
    """Note that all who are to hear of the end of a job were told."""
    session.execute(
        update(JobRun)
        .where(JobRun.job_id == job_id, _at(Stage.OVER))
        .values(lease_until=0.0)
        .execution_options(synchronize_session=False)
    )


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


def _owner_is_gone(stage: Stage) -> ColumnElement[bool]:
    """Whether its lease ran out, and it was neither sent since then nor handed back."""
    unsent = or_(JobRun.dispatched_at.is_(None), JobRun.dispatched_at < JobRun.lease_until)
    return and_(_lease_ran_out(stage), unsent)


def _waits_for(before: Stage, stage: Stage) -> ColumnElement[bool]:
    """Whether a job was sent long ago to come to a stage, or to be begun anew with it."""
    return and_(or_(_at(before), _lease_ran_out(stage)), _is_late())


def _has_part(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    return exists().where(JobPart.job_id == JobRun.job_id, condition)


def _unfinished() -> ColumnElement[bool]:
    return JobPart.state.in_(PARTS_OPEN)

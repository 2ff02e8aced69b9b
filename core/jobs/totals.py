"""Totals over all jobs from the database; cheap even with a million jobs."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core import clock
from core.db.models import JobRun, Transcript, TranscriptJob
from core.states import JobStatus, Stage

#: Number of the newest completed jobs in the average.
AVERAGED_JOBS = 1000


@dataclass(frozen=True, slots=True)
class Totals:
    """Counts of all jobs ever."""

    by_status: dict[JobStatus, int]
    #: Seconds from the first work on a job to its end; None before any job is completed.
    average_seconds: float | None

    @property
    def active(self) -> int:
        return self.by_status[JobStatus.QUEUED] + self.by_status[JobStatus.PROCESSING]

    @property
    def over(self) -> int:
        return sum(count for status, count in self.by_status.items() if status.is_over)


def count_by_stage(session: Session) -> dict[Stage, int]:
    """Count the jobs that are not over by stage, with the index over stage and lease."""
    active_stages = [stage for stage in Stage if stage is not Stage.OVER]
    rows = session.execute(
        select(JobRun.stage, func.count())
        .where(JobRun.stage.in_(active_stages))
        .group_by(JobRun.stage)
    )
    return {**dict.fromkeys(active_stages, 0), **{Stage(stage): count for stage, count in rows}}


def compute_totals(session: Session) -> Totals:
    """Return all jobs by status, and the average time of the newest completed jobs.

    Ended jobs are counted by the index over status and time of the transcripts, unless the database
    finds a table scan faster. With a million jobs this takes a quarter of a second, so
    `transcribe_api.system_status` rarely calls it.
    """
    stages = count_by_stage(session)
    queued = stages.pop(Stage.QUEUED)
    return Totals(
        {
            JobStatus.QUEUED: queued,
            JobStatus.PROCESSING: sum(stages.values()),
            **_count_ended(session),
        },
        _average_seconds(session),
    )


def _count_ended(session: Session) -> dict[JobStatus, int]:
    final_statuses = [status for status in JobStatus if status.is_over]
    return {
        status: session.scalar(select(func.count()).where(Transcript.status == status)) or 0
        for status in final_statuses
    }


def _average_seconds(session: Session) -> float | None:
    newest = (
        select(Transcript.id)
        .where(Transcript.status == JobStatus.COMPLETED)
        .order_by(Transcript.created_at.desc(), Transcript.id.desc())
        .limit(AVERAGED_JOBS)
    )
    times = session.execute(
        select(TranscriptJob.started_at, TranscriptJob.completed_at).where(
            TranscriptJob.transcript_id.in_(newest)
        )
    )
    durations = [
        (clock.to_utc(end) - clock.to_utc(begin)).total_seconds()
        for begin, end in times
        if begin and end
    ]
    return sum(durations) / len(durations) if durations else None

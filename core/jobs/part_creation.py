"""What a recording was cut into, as rows: while it is still decoded, and when it is done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from core.db.models import JobPart
from core.states import PartKind
from transcripts.types import ChannelInterval


def write_parts(
    session: Session,
    job_id: str,
    kind: PartKind,
    intervals: Sequence[ChannelInterval],
    *,
    is_complete: bool = True,
) -> None:
    """Have a part for each interval, in this order. *is_complete*: and no others of their kind.

    A part that is there already stays as it is, for it may have been worked on: whoever prepares a
    job may have begun before. If intervals are others now, because a setting was changed
    meanwhile, their parts begin anew.
    """
    conditions = (JobPart.job_id == job_id, JobPart.kind == kind)
    query = select(JobPart.position, JobPart.start, JobPart.end, JobPart.channel).where(*conditions)
    existing = {
        row.position: ChannelInterval(row.start, row.end, row.channel)
        for row in session.execute(query)
    }
    requested = dict(enumerate(intervals))
    stale_positions = [
        position
        for position, old_interval in existing.items()
        if requested.get(position, None if is_complete else old_interval) != old_interval
    ]
    if stale_positions:
        session.execute(delete(JobPart).where(*conditions, JobPart.position.in_(stale_positions)))
    rows = [
        {"job_id": job_id, "kind": kind, "position": position, **asdict(interval)}
        for position, interval in requested.items()
        if existing.get(position) != interval
    ]
    if rows:
        session.execute(insert(JobPart), rows)

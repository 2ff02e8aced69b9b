"""Create the parts of a recording, while it is being decoded and afterwards."""

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
    """Store a part for each interval, in order. *is_complete*: there are no others of this kind.

    An existing part is kept, since it may have been processed: an earlier preparation may have been
    interrupted. If an interval has changed, because a setting was changed meanwhile, its part
    starts anew.
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

"""What a recording was cut into, as rows: while it is still decoded, and when it is done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from core.models import JobPart
from core.states import PartKind
from transcripts.types import Stretch


def write_down(
    session: Session,
    job_id: str,
    kind: PartKind,
    pieces: Sequence[Stretch],
    *,
    are_all: bool = True,
) -> None:
    """Have a part for each piece, in this order. *are_all*: and no others of their kind.

    A part that is there already stays as it is, for it may have been worked on: whoever prepares a
    job may have begun before. If pieces lie elsewhere now, because a setting was changed meanwhile,
    their parts begin anew.
    """
    mine = (JobPart.job_id == job_id, JobPart.kind == kind)
    places = select(JobPart.position, JobPart.start, JobPart.end, JobPart.channel).where(*mine)
    known = {
        row.position: Stretch(row.start, row.end, row.channel) for row in session.execute(places)
    }
    wanted = dict(enumerate(pieces))
    others = [
        position
        for position, place in known.items()
        if wanted.get(position, None if are_all else place) != place
    ]
    if others:
        session.execute(delete(JobPart).where(*mine, JobPart.position.in_(others)))
    rows = [
        {"job_id": job_id, "kind": kind, "position": position, **asdict(piece)}
        for position, piece in wanted.items()
        if known.get(position) != piece
    ]
    if rows:
        session.execute(insert(JobPart), rows)

"""Transcripts that are there to be changed by their callers."""

from __future__ import annotations

import uuid

from sqlalchemy.orm import Session

from core.db.models import Transcript
from core.errors import Conflict, NotFound
from core.states import JobStatus


def lock_transcript(
    session: Session, transcript_id: uuid.UUID, *, owner_id: uuid.UUID | None, problem: str
) -> Transcript:
    """The transcript of a completed job, locked for the caller's transaction.

    Raises `NotFound`, also when *owner_id* is not its owner (None stands for whoever may see
    everything), and `Conflict` with the sentence *problem* while the job is not completed.
    """
    # Locked, so that of two callers who change different things neither undoes the other's.
    row = session.get(Transcript, transcript_id, with_for_update=True)
    if row is None or (owner_id is not None and row.owner_id != owner_id):
        raise NotFound(f"there is no transcript {transcript_id}")
    if row.status != JobStatus.COMPLETED:
        raise Conflict(f"{problem}: the job is {row.status}", job_status=row.status)
    return row

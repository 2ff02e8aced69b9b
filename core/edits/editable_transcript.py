"""Access to transcripts that callers may edit."""

from __future__ import annotations

import uuid

from sqlalchemy.orm import Session

from core.db.models import Transcript
from core.errors import Conflict, NotFound
from core.states import JobStatus


def lock_transcript(
    session: Session, transcript_id: uuid.UUID, *, owner_id: uuid.UUID | None, problem: str
) -> Transcript:
    """Return the transcript of a completed job, locked for the caller's transaction.

    Raises `NotFound`, also if *owner_id* is not its owner (None for callers who may see
    everything), and `Conflict` with the sentence *problem* if the job is not completed.
    """
    # Locked, so that concurrent changes of different fields do not overwrite each other.
    row = session.get(Transcript, transcript_id, with_for_update=True)
    if row is None or (owner_id is not None and row.owner_id != owner_id):
        raise NotFound(f"there is no transcript {transcript_id}")
    if row.status != JobStatus.COMPLETED:
        raise Conflict(f"{problem}: the job is {row.status}", job_status=row.status)
    return row

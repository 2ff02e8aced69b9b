"""Transcripts that are there to be changed by their callers."""

from __future__ import annotations

import uuid

from sqlalchemy.orm import Session

from core.errors import Conflict, NotFound
from core.models import Transcript
from core.states import JobStatus


def transcript(
    session: Session, transcript_id: uuid.UUID, *, of: uuid.UUID | None, else_: str
) -> Transcript:
    """The transcript of a completed job, locked for the caller's transaction.

    Raises `NotFound`, also when *of* is not its owner (None stands for whoever may see
    everything), and `Conflict` with the sentence *else_* while the job is not completed.
    """
    # Locked, so that of two callers who change different things neither undoes the other's.
    found = session.get(Transcript, transcript_id, with_for_update=True)
    if found is None or (of is not None and found.owner_id != of):
        raise NotFound(f"there is no transcript {transcript_id}")
    if found.status != JobStatus.COMPLETED:
        raise Conflict(f"{else_}: the job is {found.status}", job_status=found.status)
    return found

"""Lists of jobs, newest first: each filter has its own index."""

from __future__ import annotations

import uuid

from sqlalchemy import ColumnElement, and_
from sqlalchemy.orm import Session, joinedload

from core.db.models import JobRun, Transcript, TranscriptJob
from core.db.pages import Page, PageCursor, fetch_page
from core.states import JobStatus


def list_transcripts(
    session: Session,
    limit: int,
    after: PageCursor | None,
    *,
    owner_id: uuid.UUID | None = None,
    status: JobStatus | None = None,
    engine: str | None = None,
    session_id: str | None = None,
) -> Page[Transcript]:
    """Return a page of transcripts that match the filters, with their jobs, newest first."""
    conditions: list[ColumnElement[bool]] = []
    if owner_id is not None:
        conditions.append(Transcript.owner_id == owner_id)
    if status is not None:
        conditions.append(_has_status(status))
    if engine is not None:
        conditions.append(Transcript.engine == engine)
    if session_id is not None:
        conditions.append(Transcript.session_id == uuid.UUID(session_id))
    # Each job's transcript is the row itself, so it needs no second join.
    with_jobs = joinedload(Transcript.job, innerjoin=True).lazyload(TranscriptJob.transcript)
    return fetch_page(session, Transcript, limit, after, *conditions, options=(with_jobs,))


def _has_status(status: JobStatus) -> ColumnElement[bool]:
    # A transcript is "processing" until its job is over. These few rows have their own index, and
    # only they need the join.
    if status.is_over:
        return Transcript.status == status
    has_run_status = TranscriptJob.run.has(JobRun.status == status)
    return and_(Transcript.status == JobStatus.PROCESSING, Transcript.job.has(has_run_status))

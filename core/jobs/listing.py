"""Which jobs there are, newest first: each way to choose among them has an index of its own."""

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
    """Some transcripts, with their jobs, that are as asked for; newest first."""
    conditions: list[ColumnElement[bool]] = []
    if owner_id is not None:
        conditions.append(Transcript.owner_id == owner_id)
    if status is not None:
        conditions.append(_has_status(status))
    if engine is not None:
        conditions.append(Transcript.engine == engine)
    if session_id is not None:
        conditions.append(Transcript.session_id == uuid.UUID(session_id))
    # Each job's transcript is the row itself: nothing to join a second time.
    with_jobs = joinedload(Transcript.job, innerjoin=True).lazyload(TranscriptJob.transcript)
    return fetch_page(session, Transcript, limit, after, *conditions, options=(with_jobs,))


def _has_status(status: JobStatus) -> ColumnElement[bool]:
    # A transcript is "processing" until its job is over; the few that are have an index of their
    # own, and only among them must be looked further.
    if status.is_over:
        return Transcript.status == status
    has_run_status = TranscriptJob.run.has(JobRun.status == status)
    return and_(Transcript.status == JobStatus.PROCESSING, Transcript.job.has(has_run_status))

"""Expired audio, for housekeeping to remove."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from core import clock
from core.db.models import JobRun, Transcript, TranscriptJob
from core.settings import settings
from core.states import Stage


def find_expired_audio(session: Session) -> Sequence[str]:
    """Return the jobs that still have audio and ended more than RETENTION_HOURS ago."""
    cutoff = clock.utc_now() - timedelta(hours=settings().retention_hours)
    return session.scalars(
        select(TranscriptJob.job_id)
        .join(TranscriptJob.run)
        .join(TranscriptJob.transcript)
        .where(
            JobRun.stage == Stage.OVER,
            TranscriptJob.completed_at < cutoff,
            # A job ends after it was created; with this condition the index selects the old ones.
            Transcript.created_at < cutoff,
            Transcript.audio_key.is_not(None),
        )
    ).all()

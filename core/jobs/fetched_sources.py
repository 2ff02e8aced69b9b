"""Data about downloaded recordings, once they are stored."""

from __future__ import annotations

from sqlalchemy.orm import Session

from core.jobs import lifecycle


def record_source(session: Session, job_id: str, owner: str, *, size: int, sha256: str) -> bool:
    """Record that a job's recording is stored. False if the job was taken from this owner."""
    job = lifecycle.get_job(session, job_id)
    if job.run.owner != owner:
        return False
    job.transcript.audio_bytes, job.transcript.audio_sha256 = size, sha256
    # The URL may contain a token, and is not needed any more.
    job.engine_params = {**job.engine_params, "source_url": None}
    return True

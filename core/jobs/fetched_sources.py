"""Recordings that were fetched from elsewhere: what is known of them once they are here."""

from __future__ import annotations

from sqlalchemy.orm import Session

from core.jobs import lifecycle


def record_source(session: Session, job_id: str, owner: str, *, size: int, sha256: str) -> bool:
    """Note that the recording of a job is stored. False when the job was taken from this owner."""
    job = lifecycle.get_job(session, job_id)
    if job.run.owner != owner:
        return False
    job.transcript.audio_bytes, job.transcript.audio_sha256 = size, sha256
    # The address may carry a token, and nobody needs it any more.
    job.engine_params = {**job.engine_params, "source_url": None}
    return True

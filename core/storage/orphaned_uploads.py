"""Uploads without a job, because the API server was killed before it recorded the job."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import timedelta

from sqlalchemy import select

from core import clock
from core.db.models import TranscriptJob
from core.db.transactions import read_session
from core.errors import NotFound
from core.storage import layout, storage

#: An upload without a recorded job after this time has no job: the job is recorded at once, and
#: clocks differ by less.
MIN_AGE = timedelta(days=1)


def remove_orphans() -> list[str]:
    """Remove these uploads, and return the ids planned for their jobs. Safe to run at any time.

    This only removes what a killed submission can leave, so jobs in another database that shares
    the storage keep their results. Raises `Unavailable`.
    """
    return [
        job_id for job_id in _list_unrecorded() if _is_orphan(job_id) and _remove_orphan(job_id)
    ]


def _list_unrecorded() -> Iterator[str]:
    """Yield the names of folders that look like job ids and belong to no job."""
    for names in storage().list_folders(layout.JOBS_PREFIX):
        job_ids = [name for name in names if _is_job_id(name)]
        # Read after listing the objects: a row is written after its object.
        recorded = _list_recorded(job_ids)
        yield from (job_id for job_id in job_ids if job_id not in recorded)


def _list_recorded(job_ids: Sequence[str]) -> set[str]:
    with read_session() as session:
        query = select(TranscriptJob.job_id).where(TranscriptJob.job_id.in_(job_ids))
        return set(session.scalars(query))


def _is_job_id(name: str) -> bool:
    with suppress(ValueError):
        return str(uuid.UUID(name)) == name
    return False


def _is_orphan(job_id: str) -> bool:
    """Return whether the folder contains only an upload, and the upload is old."""
    source = layout.source(job_id)
    if storage().list_keys(layout.job_prefix(job_id)) != [source]:
        return False
    with suppress(NotFound):
        return storage().get_modified_at(source) < clock.utc_now() - MIN_AGE
    return False


def _remove_orphan(job_id: str) -> bool:
    storage().delete(layout.job_prefix(job_id))
    return True

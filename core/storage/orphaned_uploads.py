"""Uploads whose service was killed before it had written down their job: nobody asks for them."""

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

#: An upload whose job is not written down after so long has none: that is done at once, and clocks
#: do not differ by so much.
MIN_AGE = timedelta(days=1)


def remove_orphans() -> list[str]:
    """Remove them, and give the ids that their jobs would have had. Safe to run at any time.

    Only what a killed submission can have left is touched, so jobs of another database that shares
    the storage keep what was made of them. Raises `Unavailable`.
    """
    return [
        job_id for job_id in _list_unrecorded() if _is_orphan(job_id) and _remove_orphan(job_id)
    ]


def _list_unrecorded() -> Iterator[str]:
    """Folders that are named as a job's is and belong to none."""
    for names in storage().list_folders(layout.JOBS_PREFIX):
        job_ids = [name for name in names if _is_job_id(name)]
        # Asked after the objects were seen: a row is written after its object.
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
    """Whether there is an upload and nothing else, and it is old."""
    source = layout.source(job_id)
    if storage().list_keys(layout.job_prefix(job_id)) != [source]:
        return False
    with suppress(NotFound):
        return storage().get_modified_at(source) < clock.utc_now() - MIN_AGE
    return False


def _remove_orphan(job_id: str) -> bool:
    storage().delete(layout.job_prefix(job_id))
    return True

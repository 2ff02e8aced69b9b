"""Uploads whose service was killed before it had written down their job: nobody asks for them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import timedelta

from sqlalchemy import select

from core import clock, layout
from core.db import reading
from core.errors import NotFound
from core.models import TranscriptJob
from core.storage import storage

#: An upload whose job is not written down after so long has none: that is done at once, and clocks
#: do not differ by so much.
AGE = timedelta(days=1)


def remove() -> list[str]:
    """Remove them, and give the ids that their jobs would have had. Safe to run at any time.

    Only what a killed submission can have left is touched, so jobs of another database that shares
    the storage keep what was made of them. Raises `Unavailable`.
    """
    return [job_id for job_id in _without_a_row() if _is_stray(job_id) and _removed(job_id)]


def _without_a_row() -> Iterator[str]:
    """Folders that are named as a job's is and belong to none."""
    for names in storage().folders(layout.JOBS):
        job_ids = [name for name in names if _is_job_id(name)]
        # Asked after the objects were seen: a row is written after its object.
        known = _known(job_ids)
        yield from (job_id for job_id in job_ids if job_id not in known)


def _known(job_ids: Sequence[str]) -> set[str]:
    with reading() as session:
        query = select(TranscriptJob.job_id).where(TranscriptJob.job_id.in_(job_ids))
        return set(session.scalars(query))


def _is_job_id(name: str) -> bool:
    with suppress(ValueError):
        return str(uuid.UUID(name)) == name
    return False


def _is_stray(job_id: str) -> bool:
    """Whether there is an upload and nothing else, and it is old."""
    source = layout.source(job_id)
    if storage().keys(layout.root(job_id)) != [source]:
        return False
    with suppress(NotFound):
        return storage().written_at(source) < clock.utc_now() - AGE
    return False


def _removed(job_id: str) -> bool:
    storage().delete(layout.root(job_id))
    return True

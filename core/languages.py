"""The language of a recording that nobody named: found once, then the same for every chunk."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from core.models import JobPart, Transcript, TranscriptJob

#: Places of a recording that are listened to; one alone may be music, a name or a greeting.
PLACES = 5


def places(chunks: Sequence[JobPart], most: int = PLACES) -> list[int]:
    """The positions of the chunks to know the language by: the longest of each fifth of them."""
    count = min(most, len(chunks))
    bounds = [number * len(chunks) // count for number in range(count + 1)] if count else []
    groups = [chunks[first:end] for first, end in itertools.pairwise(bounds)]
    return [max(group, key=lambda part: part.end - part.start).position for group in groups]


def settle(session: Session, job: TranscriptJob, language: str) -> str | None:
    """Give the job's transcript its language, unless another chunk did so; returns what holds."""
    mine = Transcript.id == job.transcript_id
    session.execute(
        update(Transcript)
        .where(mine, Transcript.language.is_(None))
        .values(language=language)
        .execution_options(synchronize_session=False)
    )
    return session.scalar(select(Transcript.language).where(mine))

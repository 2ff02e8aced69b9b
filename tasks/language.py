"""Find out, before the first chunk of a job is heard, what language it is in."""

from __future__ import annotations

from contextlib import ExitStack

import structlog

from core import jobs, languages, layout
from core.db import transaction
from core.models import TranscriptJob
from core.states import PartKind
from engines.base import FindsLanguage, Hints, Recognizer
from tasks.piece_sound import local_sound
from transcripts.types import Stretch

log = structlog.get_logger(__name__)


def of(job: TranscriptJob, engine: Recognizer, hints: Hints) -> str | None:
    """The job's language: as asked for, as settled by an earlier chunk, or found now.

    None when the engine is to find out for itself. Chunks that ask at the same time get one answer.
    """
    known = hints.language or job.transcript.language
    if known or not isinstance(engine, FindsLanguage):
        return known
    with transaction() as session:
        chunks = jobs.parts(session, job.job_id, PartKind.CHUNK)
    places = {chunk.position: Stretch(chunk.start, chunk.end, chunk.channel) for chunk in chunks}
    with ExitStack() as files:
        audio = [
            files.enter_context(
                local_sound(job.job_id, layout.chunk_audio(job.job_id, position), places[position])
            )
            for position in languages.places(chunks)
        ]
        found = engine.detect_language(audio, hints)
    log.info("language found", language=found)
    with transaction() as session:
        return languages.settle(session, job, found)

"""Detect the language of a job before its first chunk is transcribed."""

from __future__ import annotations

from contextlib import ExitStack

import structlog

from core.db.models import TranscriptJob
from core.db.transactions import transaction
from core.jobs import languages, lifecycle
from core.states import PartKind
from core.storage import layout
from engines.base import Hints, LanguageDetector, Recognizer
from tasks.steps.part_audio import open_audio
from transcripts.types import ChannelInterval

log = structlog.get_logger(__name__)


def detect_language(job: TranscriptJob, engine: Recognizer, hints: Hints) -> str | None:
    """Return the job's language: requested, set by an earlier chunk, or detected now.

    Return None if the engine must detect it itself. Chunks that run at the same time get one
    result.
    """
    language = hints.language or job.transcript.language
    if language or not isinstance(engine, LanguageDetector):
        return language
    with transaction() as session:
        chunks = lifecycle.list_parts(session, job.job_id, PartKind.CHUNK)
    intervals = {
        chunk.position: ChannelInterval(chunk.start, chunk.end, chunk.channel) for chunk in chunks
    }
    with ExitStack() as files:
        audio = [
            files.enter_context(
                open_audio(
                    job.job_id, layout.chunk_audio(job.job_id, position), intervals[position]
                )
            )
            for position in languages.choose_chunks(chunks)
        ]
        detected = engine.detect_language(audio, hints)
    log.info("language found", language=detected)
    with transaction() as session:
        return languages.set_language(session, job, detected)

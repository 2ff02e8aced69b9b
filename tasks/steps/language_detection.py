"""Detect the language of a job before its first chunk is transcribed."""

from __future__ import annotations

from contextlib import ExitStack

import structlog

from core.db.transactions import transaction
from core.jobs import languages, records
from core.jobs.records import JobRecord
from core.states import PartKind
from core.storage import layout
from engines.base import Hints, LanguageDetector, Recognizer
from tasks.steps.part_audio import open_audio

log = structlog.get_logger(__name__)


def detect_language(job: JobRecord, engine: Recognizer, hints: Hints) -> str | None:
    """Return the job's language: the requested one, that of an earlier chunk, or detect it now.

    None when the engine detects it by itself. Chunks that run at the same time get one answer.
    """
    language = hints.language or job.language
    if language or not isinstance(engine, LanguageDetector):
        return language
    with transaction() as session:
        chunks = records.read_parts(session, job.job_id, PartKind.CHUNK)
    with ExitStack() as files:
        audio = [
            files.enter_context(
                open_audio(
                    job.job_id, layout.chunk_audio(job.job_id, chunk.position), chunk.interval
                )
            )
            for chunk in languages.choose_chunks(chunks)
        ]
        detected = engine.detect_language(audio, hints)
    log.info("language found", language=detected)
    with transaction() as session:
        return languages.set_language(session, job.job_id, detected)

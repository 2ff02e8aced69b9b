"""Transcribe one chunk of a job."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from functools import partial

from core import metrics
from core.access import user_resources
from core.db.transactions import transaction
from core.jobs import parts, records
from core.jobs.parts import PartId
from core.states import PartKind
from core.storage import layout, storage
from engines import catalog
from engines.base import Hints
from tasks.reporting import progress
from tasks.steps import coverage_retry, language_detection, loaded_engines
from tasks.steps.base import ChunkStep, step
from tasks.steps.part_audio import open_audio
from transcripts.serialization import chunk_to_json
from transcripts.stitch import shift_words
from transcripts.types import ChunkResult, Transcription


@step("transcribe_chunk", ChunkStep)
def transcribe_chunk(self: ChunkStep, job_id: str, position: int) -> None:
    """Store the words of one chunk.

    Safe to run twice: a chunk that is stored, or leased by a live worker, is skipped.
    """
    part = PartId(job_id, PartKind.CHUNK, position)
    with transaction() as session:
        interval = parts.lease_part(session, part, self.owner, self.worker)
        job = records.read_job(session, job_id)
        phrases = user_resources.find_phrases(session, job.context_id, job.owner_id)
    if interval is None:
        return

    # No transaction is open while the engine works: that may take minutes.
    spec = job.spec
    engine = loaded_engines.load_recognizer(spec.engine, spec.model)
    hints = Hints(spec.language, spec.model, phrases, spec.initial_prompt)
    hints = replace(hints, language=language_detection.detect_language(job, engine, hints))
    with (
        open_audio(job_id, layout.chunk_audio(job_id, position), interval) as audio,
        metrics.measure_audio(spec.engine, interval.end - interval.start),
    ):
        transcription = _shift_to_recording(engine.transcribe(audio, hints), interval.start)
        if catalog.recognizer(spec.engine).reheard:
            transcription = coverage_retry.retry_gaps(
                part, interval, transcription, audio, partial(engine.transcribe, hints=hints)
            )
    result = ChunkResult(interval, transcription)
    content = json.dumps(chunk_to_json(result)).encode()
    storage().put_bytes(layout.chunk_transcription(job_id, position), content)

    with transaction() as session:
        parts.mark_stored(session, part, interval, hashlib.sha256(content).hexdigest())
    progress.publish_transcription(job_id, position, result)


def _shift_to_recording(transcription: Transcription, start: float) -> Transcription:
    """Return the transcription in times of the recording."""
    return replace(
        transcription,
        words=shift_words(transcription.words, start),
        notes=tuple(
            replace(note, start=note.start + start, end=note.end + start)
            for note in transcription.notes
        ),
    )

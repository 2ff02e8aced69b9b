"""Transcribe one chunk of a job."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from functools import partial
from typing import Any

from core import metrics
from core.access import user_resources
from core.db.transactions import transaction
from core.jobs import lifecycle, parts
from core.jobs.parts import PartId
from core.live import progress
from core.settings import settings
from core.states import PartKind
from core.storage import layout, storage
from engines import catalog
from engines.base import Hints
from tasks.steps import coverage_retry, language_detection, loaded_engines
from tasks.steps.base import ChunkStep, step
from tasks.steps.part_audio import open_audio
from transcripts.serialization import notes_to_json, words_to_json
from transcripts.spacing import join_words
from transcripts.stitch import shift_words
from transcripts.types import ChannelInterval, Transcription

_TIME_LIMIT_SECONDS = settings().chunk_time_limit


@step(
    "transcribe_chunk",
    ChunkStep,
    soft_time_limit=_TIME_LIMIT_SECONDS,
    time_limit=_TIME_LIMIT_SECONDS + 30,
)
def transcribe_chunk(self: ChunkStep, job_id: str, position: int) -> None:
    """Store the words of one chunk.

    Safe to run twice: a chunk that is stored, or leased by a live worker, is skipped.
    """
    part = PartId(job_id, PartKind.CHUNK, position)
    with transaction() as session:
        interval = parts.lease_part(session, part, self.owner, self.worker)
        job = lifecycle.get_job(session, job_id)
        phrases = user_resources.find_phrases(session, job.transcript)
    if interval is None:
        return

    # No transaction is open while the engine works: that may take minutes.
    spec = lifecycle.read_spec(job)
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
    payload = _to_payload(transcription, interval)
    content = json.dumps(payload).encode()
    storage().put_bytes(layout.chunk_transcription(job_id, position), content)

    with transaction() as session:
        parts.mark_stored(session, part, interval, hashlib.sha256(content).hexdigest())
    progress.publish_transcription(job_id, position, {"chunk": position, **payload})


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


def _to_payload(transcription: Transcription, interval: ChannelInterval) -> dict[str, Any]:
    return {
        "channel": interval.channel,
        "start": round(interval.start, 3),
        "end": round(interval.end, 3),
        "language": transcription.language,
        "text": join_words(transcription.words),
        "words": words_to_json(transcription.words),
        "notes": notes_to_json(transcription.notes),
    }

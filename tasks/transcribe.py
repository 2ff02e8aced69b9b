"""Hear what is said in one chunk of a job."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from functools import partial
from typing import Any

from core import jobs, layout, metrics, named, parts, progress
from core.db import transaction
from core.parts import PartId
from core.settings import settings
from core.states import PartKind
from core.storage import storage
from engines import catalog
from engines.base import Hints
from tasks import holes, language, loading
from tasks.piece_sound import local_sound
from tasks.steps import ChunkStep, step
from transcripts.spacing import join_words
from transcripts.stitch import shift
from transcripts.stored import notes_to_json, words_to_json
from transcripts.types import Heard, Stretch

_SECONDS = settings().chunk_time_limit


@step("transcribe_chunk", ChunkStep, soft_time_limit=_SECONDS, time_limit=_SECONDS + 30)
def transcribe_chunk(self: ChunkStep, job_id: str, position: int) -> None:
    """Write down the words of one chunk.

    Safe to run twice: a chunk whose words are stored, or that a living worker has, is left alone.
    """
    part = PartId(job_id, PartKind.CHUNK, position)
    with transaction() as session:
        place = parts.lease(session, part, self.owner, self.worker)
        job = jobs.get(session, job_id)
        phrases = named.phrases(session, job.transcript)
    if place is None:
        return

    # No transaction is open while the engine listens: that may take minutes.
    spec = jobs.spec_of(job)
    engine = loading.recognizer(spec.engine, spec.model)
    hints = Hints(spec.language, spec.model, phrases, spec.initial_prompt)
    hints = replace(hints, language=language.of(job, engine, hints))
    with (
        local_sound(job_id, layout.chunk_audio(job_id, position), place) as audio,
        metrics.heard(spec.engine, place.end - place.start),
    ):
        heard = _in_recording(engine.transcribe(audio, hints), place.start)
        if catalog.recognizer(spec.engine).reheard:
            heard = holes.heard_again(
                part, place, heard, audio, partial(engine.transcribe, hints=hints)
            )
    written = _write_down(heard, place)
    data = json.dumps(written).encode()
    storage().put_bytes(layout.chunk_words(job_id, position), data)

    with transaction() as session:
        parts.store(session, part, place, hashlib.sha256(data).hexdigest())
    progress.tell_heard(job_id, position, {"chunk": position, **written})


def _in_recording(heard: Heard, start: float) -> Heard:
    """The same in times of the recording."""
    return replace(
        heard,
        words=shift(heard.words, start),
        notes=tuple(
            replace(note, start=note.start + start, end=note.end + start) for note in heard.notes
        ),
    )


def _write_down(heard: Heard, place: Stretch) -> dict[str, Any]:
    return {
        "channel": place.channel,
        "start": round(place.start, 3),
        "end": round(place.end, 3),
        "language": heard.language,
        "text": join_words(heard.words),
        "words": words_to_json(heard.words),
        "notes": notes_to_json(heard.notes),
    }

"""Steps: run one in this process, and store what others would have brought."""

from __future__ import annotations

import hashlib
import json

from core.db.models import JobPart
from core.db.transactions import read_session, transaction
from core.errors import EngineError
from core.jobs import lifecycle, parts
from core.jobs.parts import PartId
from core.states import PartKind
from core.storage import layout, storage
from tasks.celery import app
from tests.factories.jobs import accept_job, begin_preparation, finish_preparation
from transcripts.serialization import diarization_to_json, words_to_json
from transcripts.types import Diarization, Interval, Turn, Word


def run_step(step: str, *args: object) -> None:
    """Run the task of this name here and now; what it raises is raised."""
    app.tasks[step].apply(args=args, throw=True)


def create_english_job(chunks: int = 2, shards: int = 1) -> str:
    """Accept a job in English and prepare it; return its id."""
    job_id = accept_job(language="en-US")
    begin_preparation(job_id)
    finish_preparation(job_id, chunks=chunks, shards=shards)
    return job_id


def store_chunk(job_id: str, position: int, text: str) -> None:
    """Store a transcription of a chunk, a word for each second."""
    start = 30.0 * position
    words = [
        Word(word, start + index, start + index + 0.5, 0.9)
        for index, word in enumerate(text.split())
    ]
    written = {
        "start": start, "end": start + 30, "language": "en-US", "text": text,
        "words": words_to_json(words),
    }  # fmt: skip
    store_result(
        PartId(job_id, PartKind.CHUNK, position),
        layout.chunk_transcription(job_id, position),
        written,
    )


def store_shard(job_id: str, *turns: Turn) -> None:
    """Store a diarization of the only shard."""
    store_result(
        PartId(job_id, PartKind.SHARD, 0),
        layout.shard_diarization(job_id, 0),
        diarization_to_json(
            Diarization(turns, {turn.speaker: (1.0, float(turn.speaker)) for turn in turns})
        ),
    )


def store_result(part: PartId, key: str, value: object) -> None:
    """Write the result of a part under a key, and record that it is stored."""
    data = json.dumps(value).encode()
    storage().put_bytes(key, data)
    with transaction() as session:
        row = session.get(JobPart, (part.job_id, part.kind, part.position))
        parts.mark_stored(
            session, part, Interval(row.start, row.end), hashlib.sha256(data).hexdigest()
        )


def fail_part(job_id: str, kind: PartKind, position: int, reason: str) -> None:
    """Record that an engine failed at a part for good."""
    part = PartId(job_id, kind, position)
    with transaction() as session:
        parts.lease_part(session, part, "me")
        parts.fail_part(session, part, "me", EngineError(reason))


def read_segments(job_id: str) -> list[tuple[str, int | None]]:
    """Read text and speaker of each segment of a job."""
    with read_session() as session:
        rows = lifecycle.get_job(session, job_id).transcript.segments
        return [(row.text, row.speaker_tag) for row in rows]

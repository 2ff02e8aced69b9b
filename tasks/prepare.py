"""Take a recording apart: decode it, find speech, cut it, and send the pieces out."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from core import jobs, layout, progress
from core.db import transaction
from core.errors import Unavailable
from core.models import TranscriptJob
from core.settings import settings
from core.specs import JobSpec
from core.storage import storage
from engines import catalog
from tasks import pipeline
from tasks.steps import JobStep, step, worker_id
from transcripts.types import Span

if TYPE_CHECKING:
    from chunking.cut import AudioChunker, Cutting
    from chunking.plan import Window

#: Seconds in which a day of sound is decoded on a slow machine.
_SECONDS = 3600


@step("prepare", JobStep, soft_time_limit=_SECONDS, time_limit=_SECONDS + 60)
def prepare(self: JobStep, job_id: str) -> None:
    """Cut a job's recording into chunks and shards, and have them worked on. Safe to run twice."""
    with transaction() as session:
        if not jobs.begin_prepare(session, job_id, self.owner, worker_id()):
            return
        job = jobs.get(session, job_id)
    progress.tell(job_id)

    spec = jobs.spec_of(job)
    with _scratch() as folder, storage().local(layout.source(job_id)) as source:
        cutting = _chunker(spec).take_apart(source, folder)
        shards = cutting.shards if spec.diarizer else ()
        _store(job, cutting, shards, folder)

    with transaction() as session:
        taken = jobs.prepared(
            session,
            job_id,
            self.owner,
            duration=cutting.duration,
            chunks=_spans(cutting.windows),
            shards=_spans(shards),
            warnings=cutting.warnings,
        )
    if taken:
        progress.tell(job_id)
        pipeline.fan_out(job_id)


@contextmanager
def _scratch() -> Iterator[Path]:
    """A folder for decoded sound, which may fill the disk."""
    try:
        settings().scratch_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="prepare-", dir=settings().scratch_dir) as folder:
            yield Path(folder)
    except OSError as error:
        raise Unavailable(f"the recording cannot be unpacked: {error.strerror}") from error


def _chunker(spec: JobSpec) -> AudioChunker:
    # Imported only here: every worker imports every step, but only this one needs numpy.
    from chunking.cut import AudioChunker, ChunkingConfig
    from chunking.decode import Limits

    now = settings()
    config = ChunkingConfig(
        chunk_duration=now.chunk_duration or catalog.recognizer(spec.engine).chunk_seconds,
        overlap_duration=now.chunk_overlap,
        min_silence_duration=now.min_silence_duration,
        silence_threshold=now.silence_threshold,
        vad_aggressiveness=now.vad_aggressiveness,
    )
    if spec.diarizer:
        config = replace(config, shard_duration=catalog.diarizer(spec.diarizer).shard_seconds)
    return AudioChunker(config, Limits(max_seconds=now.max_recording_seconds))


def _store(job: TranscriptJob, cutting: Cutting, shards: Sequence[Window], folder: Path) -> None:
    for index, window in enumerate(cutting.windows):
        _store_piece(cutting, window, layout.chunk_audio(job.job_id, index), folder)
    for index, window in enumerate(shards):
        _store_piece(cutting, window, layout.shard_audio(job.job_id, index), folder)
    metadata = cutting.metadata(job.transcript.filename)
    storage().put_bytes(
        layout.artefact(job.job_id, layout.CHUNKS_METADATA), json.dumps(metadata, indent=1).encode()
    )


def _store_piece(cutting: Cutting, window: Window, key: str, folder: Path) -> None:
    piece = folder / "piece.wav"
    cutting.write_wav(window, piece)
    storage().put_file(key, piece)


def _spans(windows: Sequence[Window]) -> list[Span]:
    return [Span(window.start, window.end) for window in windows]

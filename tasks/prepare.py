"""Take a recording apart: decode it, find speech, cut it, and send the pieces out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from core import free_space, jobs, layout, progress, scratch
from core.db import transaction
from core.models import TranscriptJob
from core.settings import settings
from core.specs import JobSpec
from core.states import Channels
from core.storage import storage
from engines import catalog
from tasks import fetch, needed_space, pipeline
from tasks.steps import JobStep, step
from tasks.uploads import Uploads
from tasks.vanguard import Vanguard

if TYPE_CHECKING:
    from chunking.cut import AudioChunker
    from chunking.tracks import Pieces

#: Seconds in which a day of sound is decoded on a slow machine, after it was fetched.
_SECONDS = 3600 + int(fetch.SECONDS)


@step("prepare", JobStep, soft_time_limit=_SECONDS, time_limit=_SECONDS + 60)
def prepare(self: JobStep, job_id: str) -> None:
    """Cut a job's recording into chunks and shards, and have them worked on. Safe to run twice.

    The first chunks of a long one are worked on before it is cut to its end.
    """
    with transaction() as session:
        if not jobs.begin_prepare(session, job_id, self.owner, self.worker):
            return
        job = jobs.get(session, job_id)
    progress.tell(job_id)

    spec = jobs.spec_of(job)
    with _scratch() as folder, Uploads(folder) as uploads:
        if spec.source_url and not _fetched(job_id, self.owner, spec.source_url, folder):
            return
        vanguard = Vanguard(job_id, self.owner, uploads)
        with storage().local(layout.source(job_id)) as source:
            needed_space.require(spec, source)
            pieces = _take_apart(spec, source, folder, vanguard)
        shards = pieces.shards if spec.diarizer else ()
        vanguard.store_rest(pieces.chunks)
        for index, piece in enumerate(shards):
            uploads.store(piece, layout.shard_audio(job_id, index))
        _store_texts(job, pieces)
        uploads.wait()

    with transaction() as session:
        taken = jobs.prepared(
            session,
            job_id,
            self.owner,
            duration=pieces.duration,
            chunks=[piece.stretch for piece in pieces.chunks],
            shards=[piece.stretch for piece in shards],
            warnings=pieces.warnings,
        )
    if taken:
        progress.tell(job_id)
        pipeline.fan_out(job_id)


def _fetched(job_id: str, owner: str, url: str, folder: Path) -> bool:
    """Have the recording in storage. False when another worker has the job now."""
    is_ours = fetch.fetch(job_id, owner, url, folder)
    progress.tell(job_id)
    return is_ours


@contextmanager
def _scratch() -> Iterator[Path]:
    """A folder for decoded sound, which may fill the disk."""
    free_space.require()
    try:
        with scratch.folder("prepare-") as folder:
            yield folder
    except OSError as error:
        raise free_space.explain(error, "the recording cannot be unpacked") from error


def _take_apart(spec: JobSpec, source: Path, folder: Path, vanguard: Vanguard) -> Pieces:
    # Imported only here: every worker imports every step, but only this one needs numpy.
    from chunking import tracks

    if spec.channels is Channels.SEPARATE:
        return tracks.separate(_chunker(spec), source, folder)
    return tracks.mix(_chunker(spec), source, folder, vanguard.take)


def _chunker(spec: JobSpec) -> AudioChunker:
    from chunking.cut import AudioChunker, ChunkingConfig
    from chunking.decode import Limits

    now = settings()
    length = now.chunk_duration or catalog.recognizer(spec.engine).chunk_seconds
    config = ChunkingConfig(
        chunk_duration=length,
        # More would have some sound heard three times.
        overlap_duration=min(now.chunk_overlap, length / 2),
        min_silence_duration=now.min_silence_duration,
        silence_threshold=now.silence_threshold,
        vad_aggressiveness=now.vad_aggressiveness,
    )
    if spec.diarizer:
        config = replace(config, shard_duration=catalog.diarizer(spec.diarizer).shard_seconds)
    return AudioChunker(config, Limits(max_seconds=now.max_recording_seconds))


def _store_texts(job: TranscriptJob, pieces: Pieces) -> None:
    metadata = pieces.metadata(job.transcript.filename)
    _store_text(job, layout.CHUNKS_METADATA, json.dumps(metadata, indent=1))
    _store_text(job, layout.WAVEFORM, json.dumps(pieces.waveform, separators=(",", ":")))


def _store_text(job: TranscriptJob, name: str, text: str) -> None:
    storage().put_bytes(layout.artefact(job.job_id, name), text.encode())

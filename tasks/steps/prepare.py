"""Decode a recording, detect speech, cut it, and send the parts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from core import scratch
from core.db.transactions import transaction
from core.filesystem import free_space
from core.jobs import lifecycle, records
from core.jobs.records import JobRecord
from core.jobs.spec import JobSpec
from core.settings import settings
from core.states import Channels
from core.storage import layout, storage
from engines import catalog
from tasks import pipeline
from tasks.reporting import progress
from tasks.steps import disk_space, fetch
from tasks.steps.base import JobStep, step
from tasks.steps.early_dispatch import EarlyDispatch
from tasks.steps.part_uploads import PartUploads
from transcripts.warning import TranscriptWarning

if TYPE_CHECKING:
    from chunking.audio_parts import AudioParts
    from chunking.cut import AudioChunker

#: Seconds for decoding a day of audio on a slow machine, after the download.
_TIME_LIMIT_SECONDS = 3600 + int(fetch.TIMEOUT_SECONDS)


@step("prepare", JobStep, soft_time_limit=_TIME_LIMIT_SECONDS, time_limit=_TIME_LIMIT_SECONDS + 60)
def prepare(self: JobStep, job_id: str) -> None:
    """Cut a job's recording into chunks and shards, and send them. Safe to run twice.

    The first chunks of a long recording are processed before the cut is complete.
    """
    with transaction() as session:
        if not lifecycle.begin_preparation(session, job_id, self.owner, self.worker):
            return
        job = records.read_job(session, job_id)
    progress.publish_status(job_id)

    spec = job.spec
    with _open_scratch_folder() as folder, PartUploads(folder) as uploads:
        if spec.source_url and not _fetch_recording(job_id, self.owner, spec.source_url, folder):
            return
        early_dispatch = EarlyDispatch(job_id, self.owner, uploads)
        with storage().open_local(layout.source(job_id)) as source:
            disk_space.require_space(spec, source)
            spec, parts = _cut_recording(spec, source, folder, early_dispatch)
        shards = parts.shards if spec.diarizer else ()
        early_dispatch.store_remaining(parts.chunks)
        for index, part in enumerate(shards):
            uploads.store_part(part, layout.shard_audio(job_id, index))
        _store_metadata(job, parts)
        uploads.wait()

    with transaction() as session:
        is_prepared = lifecycle.finish_preparation(
            session,
            job_id,
            self.owner,
            channels=spec.channels,
            duration=parts.duration,
            chunks=[part.interval for part in parts.chunks],
            shards=[part.interval for part in shards],
            warnings=parts.warnings,
        )
    if is_prepared:
        progress.publish_status(job_id)
        pipeline.fan_out(job_id)


def _fetch_recording(job_id: str, owner: str, url: str, folder: Path) -> bool:
    """Download the recording into storage. Return False if another worker has the job now."""
    is_owner = fetch.fetch_source(job_id, owner, url, folder)
    progress.publish_status(job_id)
    return is_owner


@contextmanager
def _open_scratch_folder() -> Iterator[Path]:
    """Yield a folder for decoded audio, which may fill the disk."""
    free_space.require_space()
    try:
        with scratch.temporary_folder("prepare-") as folder:
            yield folder
    except OSError as error:
        raise free_space.convert_error(error, "the recording cannot be decoded") from error


def _cut_recording(
    spec: JobSpec, source: Path, folder: Path, early_dispatch: EarlyDispatch
) -> tuple[JobSpec, AudioParts]:
    """Return the parts, and the request as it was followed: channels may turn out to be alike."""
    # Imported only here: every worker imports every step, but only this one needs numpy.
    from chunking import tracks

    warnings: tuple[TranscriptWarning, ...] = ()
    if spec.channels is Channels.SEPARATE:
        try:
            chunker = _build_chunker(spec)
            return spec, tracks.cut_channels(chunker, source, folder, track=spec.track)
        except tracks.ChannelsAlike as alike:
            spec, warnings = replace(spec.as_mix(), track=alike.track), (alike.warning,)
    parts = tracks.cut_mix(
        _build_chunker(spec), source, folder, early_dispatch.add_chunks, track=spec.track
    )
    return spec, replace(parts, warnings=(*parts.warnings, *warnings))


def _build_chunker(spec: JobSpec) -> AudioChunker:
    from chunking.cut import AudioChunker, ChunkingConfig
    from chunking.decode.decoder import Limits

    current_settings = settings()
    length = current_settings.chunk_duration or catalog.recognizer(spec.engine).chunk_seconds
    config = ChunkingConfig(
        chunk_duration=length,
        # With more overlap, some audio would be transcribed three times.
        overlap_duration=min(current_settings.chunk_overlap, length / 2),
        min_silence_duration=current_settings.min_silence_duration,
        silence_threshold=current_settings.silence_threshold,
        vad_aggressiveness=current_settings.vad_aggressiveness,
    )
    if spec.diarizer:
        config = replace(config, shard_duration=catalog.diarizer(spec.diarizer).shard_seconds)
    return AudioChunker(config, Limits(max_seconds=current_settings.max_recording_seconds))


def _store_metadata(job: JobRecord, parts: AudioParts) -> None:
    metadata = parts.metadata(job.filename)
    _store_text(job, layout.CHUNKS_METADATA, json.dumps(metadata, indent=1))
    _store_text(job, layout.WAVEFORM, json.dumps(parts.waveform, separators=(",", ":")))


def _store_text(job: JobRecord, name: str, text: str) -> None:
    storage().put_bytes(layout.artefact(job.job_id, name), text.encode())

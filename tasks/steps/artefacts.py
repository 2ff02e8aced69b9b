"""Stores the files of a finished job: engine results, speaker turns, transcript and subtitles."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from core.jobs.records import JobRecord
from core.storage import layout, storage
from engines import catalog
from tasks.steps.assembly import AssembledTranscript
from tasks.steps.stored_parts import StoredPart
from transcripts import coverage, formats
from transcripts.formats import Layout
from transcripts.serialization import chunk_to_json
from transcripts.speakers.assignment import label
from transcripts.types import ChunkResult


def store_artefacts(
    job: JobRecord, chunks: Sequence[StoredPart[ChunkResult]], transcript: AssembledTranscript
) -> None:
    """Store the artefacts of a job. Safe to run twice: the names follow from the job alone."""
    subtitle_layout = Layout()
    texts = {
        "whisper_results.json": _encode_json(_describe_transcription(job, chunks, transcript)),
        "diarization_results.json": _encode_json(_describe_diarization(job, transcript)),
        "final_transcription.json": _encode_json(
            formats.final_transcription(job.filename, job.duration or 0.0, transcript.segments)
        ),
        "transcription.srt": formats.srt(transcript.segments, subtitle_layout),
        "transcription.vtt": formats.vtt(transcript.segments, subtitle_layout),
        "transcription.txt": formats.txt(transcript.segments),
    }
    for name, text in texts.items():
        storage().put_bytes(layout.artefact(job.job_id, name), text.encode())


def _describe_transcription(
    job: JobRecord, chunks: Sequence[StoredPart[ChunkResult]], transcript: AssembledTranscript
) -> dict[str, Any]:
    """The engine's results chunk by chunk, and how much of the speech they cover."""
    engine = catalog.recognizer(job.spec.engine)
    return {
        "engine": engine.name,
        "model": job.spec.model or catalog.default_model(engine),
        "language": transcript.language,
        "chunks": [
            {"index": stored.position, **_describe_chunk(stored, transcript)} for stored in chunks
        ],
    }


def _describe_chunk(
    stored: StoredPart[ChunkResult], transcript: AssembledTranscript
) -> dict[str, Any]:
    if stored.result is None:
        return {"error": stored.part.error}
    covered = coverage.to_json(transcript.coverage[stored.position])
    return {**chunk_to_json(stored.result), "coverage": covered}


def _describe_diarization(job: JobRecord, transcript: AssembledTranscript) -> dict[str, Any]:
    """The speaker turns; a number means the same speaker in the whole recording."""
    role_by_speaker = {label(speaker): role.name for speaker, role in transcript.roles.items()}
    return {
        "diarizer": job.spec.diarizer,
        "speakers": sorted({label(turn.speaker) for turn in transcript.turns}),
        "turns": [
            {
                "speaker_id": label(turn.speaker),
                "start_time": round(turn.start, 3),
                "end_time": round(turn.end, 3),
            }
            for turn in transcript.turns
        ],
        **({"speaker_roles": role_by_speaker} if role_by_speaker else {}),
    }


def _encode_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1)

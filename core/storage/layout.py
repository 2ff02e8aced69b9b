"""Names of a job's objects in storage; each follows from the job's id alone.

Deterministic names make a step safe to run twice: the second writer writes the same object.
"""

from __future__ import annotations

#: Loudness of the recording over time; written when it is prepared.
WAVEFORM = "waveform.json"
#: Files of a finished job that callers may download, with their media types.
ARTEFACTS = {
    "whisper_results.json": "application/json",
    "diarization_results.json": "application/json",
    "final_transcription.json": "application/json",
    "transcription.srt": "application/x-subrip",
    "transcription.vtt": "text/vtt",
    "transcription.txt": "text/plain",
    WAVEFORM: "application/json",
}

#: Prefix of the objects of all jobs.
JOBS_PREFIX = "jobs/"
CHUNKS_METADATA = "chunks/chunks_metadata.json"


def job_prefix(job_id: str) -> str:
    return f"{JOBS_PREFIX}{job_id}/"


def source(job_id: str) -> str:
    """Return the key of the uploaded bytes. No key contains the uploader's file name."""
    return job_prefix(job_id) + "source"


def chunk_name(index: int) -> str:
    return f"chunk_{index:04d}.wav"


def chunk_audio(job_id: str, index: int) -> str:
    return f"{job_prefix(job_id)}chunks/{chunk_name(index)}"


def chunk_transcription(job_id: str, index: int) -> str:
    """Return the key of a chunk's transcription."""
    return f"{job_prefix(job_id)}parts/chunk_{index:04d}.json"


def shard_audio(job_id: str, index: int) -> str:
    return f"{job_prefix(job_id)}shards/shard_{index:04d}.wav"


def shard_diarization(job_id: str, index: int) -> str:
    """Return the key of a shard's diarization."""
    return f"{job_prefix(job_id)}parts/shard_{index:04d}.json"


def artefact(job_id: str, name: str) -> str:
    return job_prefix(job_id) + name


def is_artefact(name: str) -> bool:
    """Return whether callers may download a file of a job, by its name under `job_prefix`."""
    return name in ARTEFACTS or name.startswith("chunks/")


def audio_prefixes(job_id: str) -> tuple[str, ...]:
    """Return the prefixes of a job's audio of chunks and shards."""
    return job_prefix(job_id) + "chunks/", job_prefix(job_id) + "shards/"

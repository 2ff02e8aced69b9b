"""Where the objects of a job lie in storage; every name follows from the job's id alone.

Deterministic names are what makes a step safe to run twice: the second writer writes the same
object.
"""

from __future__ import annotations

#: How loud the recording is from moment to moment; written when it is taken apart.
WAVEFORM = "waveform.json"
#: The files of a finished job that a caller may fetch, with their media types.
ARTEFACTS = {
    "whisper_results.json": "application/json",
    "diarization_results.json": "application/json",
    "final_transcription.json": "application/json",
    "transcription.srt": "application/x-subrip",
    "transcription.vtt": "text/vtt",
    "transcription.txt": "text/plain",
    WAVEFORM: "application/json",
}

#: Under which the objects of all jobs lie.
JOBS_PREFIX = "jobs/"
CHUNKS_METADATA = "chunks/chunks_metadata.json"


def job_prefix(job_id: str) -> str:
    return f"{JOBS_PREFIX}{job_id}/"


def source(job_id: str) -> str:
    """The bytes as they were uploaded. The uploader's file name is no part of any key."""
    return job_prefix(job_id) + "source"


def chunk_name(index: int) -> str:
    return f"chunk_{index:04d}.wav"


def chunk_audio(job_id: str, index: int) -> str:
    return f"{job_prefix(job_id)}chunks/{chunk_name(index)}"


def chunk_transcription(job_id: str, index: int) -> str:
    """What the engine heard in a chunk."""
    return f"{job_prefix(job_id)}parts/chunk_{index:04d}.json"


def shard_audio(job_id: str, index: int) -> str:
    return f"{job_prefix(job_id)}shards/shard_{index:04d}.wav"


def shard_diarization(job_id: str, index: int) -> str:
    """What the diarizer heard in a shard."""
    return f"{job_prefix(job_id)}parts/shard_{index:04d}.json"


def artefact(job_id: str, name: str) -> str:
    return job_prefix(job_id) + name


def is_artefact(name: str) -> bool:
    """Whether a file of a job is for its caller, by its name under `job_prefix`."""
    return name in ARTEFACTS or name.startswith("chunks/")


def audio_prefixes(job_id: str) -> tuple[str, ...]:
    """The folders of a job that hold the audio of its parts."""
    return job_prefix(job_id) + "chunks/", job_prefix(job_id) + "shards/"

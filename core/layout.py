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
JOBS = "jobs/"
CHUNKS_METADATA = "chunks/chunks_metadata.json"


def root(job_id: str) -> str:
    return f"{JOBS}{job_id}/"


def source(job_id: str) -> str:
    """The bytes as they were uploaded. The uploader's file name is no part of any key."""
    return root(job_id) + "source"


def chunk_name(index: int) -> str:
    return f"chunk_{index:04d}.wav"


def chunk_audio(job_id: str, index: int) -> str:
    return f"{root(job_id)}chunks/{chunk_name(index)}"


def chunk_words(job_id: str, index: int) -> str:
    """What the engine heard in a chunk."""
    return f"{root(job_id)}parts/chunk_{index:04d}.json"


def shard_audio(job_id: str, index: int) -> str:
    return f"{root(job_id)}shards/shard_{index:04d}.wav"


def shard_voices(job_id: str, index: int) -> str:
    """What the diarizer heard in a shard."""
    return f"{root(job_id)}parts/shard_{index:04d}.json"


def artefact(job_id: str, name: str) -> str:
    return root(job_id) + name


def is_artefact(name: str) -> bool:
    """Whether a file of a job is for its caller, by its name under `root`."""
    return name in ARTEFACTS or name.startswith("chunks/")


def audio_folders(job_id: str) -> tuple[str, ...]:
    """The folders of a job that hold its recording in pieces."""
    return root(job_id) + "chunks/", root(job_id) + "shards/"

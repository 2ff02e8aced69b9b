"""faster-whisper alone on a whole file, in both its ways: window after window, and in batches."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from faster_whisper import BatchedInferencePipeline, WhisperModel

from core.settings import settings


@lru_cache(maxsize=1)
def _model(threads: int) -> WhisperModel:
    name = settings().whisper_default_model
    folder = settings().model_dir / name
    source = str(folder) if folder.is_dir() else name
    return WhisperModel(source, device="cpu", compute_type="int8", cpu_threads=threads)


def hear_in_sequence(
    recording: Path, *, language: str | None = None, threads: int = 1, word_times: bool = False
) -> str:
    """Its words; each window is told the text of the one before."""
    segments, _ = _model(threads).transcribe(
        str(recording), language=language, word_timestamps=word_times
    )
    return " ".join(segment.text for segment in segments)


def hear_in_batches(
    recording: Path, *, language: str | None = None, threads: int = 1, word_times: bool = False
) -> str:
    """Its words; windows of the speech that its own detector finds, eight at once."""
    segments, _ = BatchedInferencePipeline(_model(threads)).transcribe(
        str(recording), language=language, word_timestamps=word_times
    )
    return " ".join(segment.text for segment in segments)

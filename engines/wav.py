"""Read the only audio format of the engines: 16 kHz mono 16-bit WAV."""

from __future__ import annotations

import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import EngineError
from transcripts.deprecated_names import find_renamed

#: Sampling rate (Hz).
RATE = 16_000


def read_pcm(audio: Path) -> bytes:
    """Return the samples as little-endian 16-bit integers.

    Raises `EngineError` if the file cannot be read or has another format, as do the other
    functions.
    """
    with _open_wav(audio) as file:
        return file.readframes(file.getnframes())


def read_blocks(audio: Path, seconds: float) -> Iterator[bytes]:
    """Yield the samples in pieces of *seconds*, with one at a time in memory."""
    with _open_wav(audio) as file:
        while block := file.readframes(int(seconds * RATE)):
            yield block


def read_duration(audio: Path) -> float:
    """Return the duration in seconds."""
    with _open_wav(audio) as file:
        return file.getnframes() / RATE


@contextmanager
def _open_wav(audio: Path) -> Iterator[wave.Wave_read]:
    try:
        with wave.open(str(audio)) as file:
            if (file.getframerate(), file.getnchannels(), file.getsampwidth()) != (RATE, 1, 2):
                raise EngineError(f"{audio.name} is not 16 kHz mono 16-bit WAV.")
            yield file
    except (OSError, EOFError, wave.Error) as error:
        raise EngineError(f"{audio.name} cannot be read as WAV: {error}") from error


if not TYPE_CHECKING:  # a type checker would not report missing names otherwise

    def __getattr__(name: str) -> object:
        return find_renamed(__name__, name)

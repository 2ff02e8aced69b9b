"""Reads the one kind of audio that engines are given: 16 kHz mono 16-bit WAV."""

from __future__ import annotations

import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.errors import EngineError

#: Samples a second.
RATE = 16_000


def samples(audio: Path) -> bytes:
    """Give the samples as little-endian 16-bit integers.

    Raises `EngineError` when the file cannot be read or is of another kind; so do the others.
    """
    with _opened(audio) as file:
        return file.readframes(file.getnframes())


def blocks(audio: Path, seconds: float) -> Iterator[bytes]:
    """Give the samples in pieces of this length, one at a time in memory."""
    with _opened(audio) as file:
        while block := file.readframes(int(seconds * RATE)):
            yield block


def seconds(audio: Path) -> float:
    """Give the duration."""
    with _opened(audio) as file:
        return file.getnframes() / RATE


@contextmanager
def _opened(audio: Path) -> Iterator[wave.Wave_read]:
    try:
        with wave.open(str(audio)) as file:
            if (file.getframerate(), file.getnchannels(), file.getsampwidth()) != (RATE, 1, 2):
                raise EngineError(f"{audio.name} is not 16 kHz mono 16-bit WAV.")
            yield file
    except (OSError, EOFError, wave.Error) as error:
        raise EngineError(f"{audio.name} cannot be read as WAV: {error}") from error

"""Reads the one kind of audio that engines are given: 16 kHz mono 16-bit WAV."""

from __future__ import annotations

import wave
from pathlib import Path

from core.errors import EngineError

#: Samples a second.
RATE = 16_000


def samples(audio: Path) -> bytes:
    """Give the samples as little-endian 16-bit integers.

    Raises `EngineError` when the file cannot be read or is of another kind.
    """
    try:
        with wave.open(str(audio)) as file:
            kind = (file.getframerate(), file.getnchannels(), file.getsampwidth())
            pcm = file.readframes(file.getnframes())
    except (OSError, EOFError, wave.Error) as error:
        raise EngineError(f"{audio.name} cannot be read as WAV: {error}") from error

    if kind != (RATE, 1, 2):
        raise EngineError(f"{audio.name} is not 16 kHz mono 16-bit WAV.")
    return pcm

"""Sound that is made up: pieces as they lie in storage."""

from __future__ import annotations

import io
import wave

import numpy as np

RATE = 16_000


def piece(number: int = 0, seconds: float = 30.0) -> bytes:
    """A WAV file of so many seconds, all of whose samples are *number*."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(np.full(round(seconds * RATE), number, "<i2").tobytes())
    return buffer.getvalue()

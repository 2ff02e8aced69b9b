"""Small recordings to be sent."""

from __future__ import annotations

import io
import wave


def build_recording(seconds: float = 0.5) -> io.BytesIO:
    """Build a WAV file of one steady value."""
    return io.BytesIO(_build_wav(b"\x01\x00" * int(seconds * 16_000)))


def build_silence(seconds: float) -> bytes:
    """Build the content of a WAV file of digital silence."""
    return _build_wav(bytes(int(seconds * 32_000)))


def _build_wav(samples: bytes) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(samples)
    return buffer.getvalue()

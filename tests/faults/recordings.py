"""Recordings of which no two seconds are the same, so that no two chunks are."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np

from tests.integration.conftest import write_sample


def write(path: Path, *, sample: int | None = None, times: int = 1) -> Path:
    """The first seconds of the sample, or all of it, so many times, with a whisper of noise."""
    write_sample(path, seconds=sample, times=times)
    with wave.open(str(path)) as file:
        told, frames = file.getparams(), file.readframes(file.getnframes())
    samples = np.frombuffer(frames, np.int16)
    noise = np.random.default_rng(list(path.name.encode())).integers(-2, 3, len(samples), np.int16)
    with wave.open(str(path), "wb") as file:
        file.setparams(told)
        file.writeframes((np.clip(samples, -32000, 32000) + noise).astype(np.int16).tobytes())
    return path

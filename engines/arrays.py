"""The arrays that engines and diarizers compute with, and audio read into one of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engines import wav

#: Audio at 16 kHz, mono, between -1 and 1: what neural models take.
Samples = NDArray[np.float32]
#: Numbers of frames, counted from the start of a piece of audio.
FrameIndices = NDArray[np.intp]
#: One vector of features a frame, shape (frames, features).
Frames = NDArray[np.float32]
Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]


def read_samples(audio: Path) -> Samples:
    """Read a 16 kHz mono 16-bit WAV file. Raises `EngineError` as `engines.wav` does."""
    return np.frombuffer(wav.read_pcm(audio), "<i2").astype(np.float32) / np.float32(32768)

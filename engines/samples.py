"""Read audio as numbers between -1 and 1, the input of neural models."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engines import wav

Samples = NDArray[np.float32]


def read_samples(audio: Path) -> Samples:
    """Return all samples. Raises `EngineError` as `engines.wav` does."""
    return np.frombuffer(wav.read_pcm(audio), "<i2").astype(np.float32) / np.float32(32768)

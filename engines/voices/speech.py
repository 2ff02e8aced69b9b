"""Finds where anybody speaks."""

from __future__ import annotations

import numpy as np
import webrtcvad
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from engines.voices.cepstra import FRAMES_PER_SECOND
from engines.wav import RATE

#: Of WebRTC's 0 to 3. The strictest clips quiet speakers: a quarter of the speech in far-field
#: meetings, against two percent of false speech less in clean recordings.
STRICTNESS = 2
#: Shorter speech and shorter pauses are overlooked, in frames.
SMOOTHING = 15

_BLOCK = 3  # frames: WebRTC judges 30 ms at once
_SAMPLES = _BLOCK * RATE // FRAMES_PER_SECOND


def spoken(pcm: NDArray[np.int16], frames: int) -> NDArray[np.intp]:
    """Give the numbers of the frames, of so many, in which there is speech."""
    detector = webrtcvad.Vad(STRICTNESS)
    blocks = range(0, len(pcm) - _SAMPLES + 1, _SAMPLES)
    heard = [detector.is_speech(pcm[at : at + _SAMPLES].tobytes(), RATE) for at in blocks]
    flags = np.repeat(np.array(heard, np.uint8), _BLOCK)[:frames]
    return np.flatnonzero(median_filter(flags, SMOOTHING)) if len(flags) else np.empty(0, np.intp)


def runs(frames: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    """Split where frames are missing in between; give the places in *frames* of each run."""
    places = np.arange(len(frames))
    return np.split(places, np.flatnonzero(np.diff(frames) > 1) + 1)

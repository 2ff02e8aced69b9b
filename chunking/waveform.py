"""Loudness of a recording as a waveform to draw, with a limited number of values."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chunking.vad.speech import FRAME_SECONDS

#: Loudness of frames of `chunking.vad.speech.FRAME_SECONDS` seconds, from 0 (silence) to 100 (full
#: scale).
Loudness = NDArray[np.uint8]

#: More than the columns of a screen.
MAX_VALUES = 4000


def build_waveform(channels: Sequence[Loudness], duration: float) -> dict[str, Any]:
    """Return ``waveform.json``: the loudest frame of any channel in each of equal intervals.

    *duration* in seconds. There are at most `MAX_VALUES` values, each for ``seconds_per_value``.
    """
    frames = max((len(channel) for channel in channels), default=0)
    size = max(1, -(-frames // MAX_VALUES))
    peaks = [_find_peaks(channel, size) for channel in channels]
    return {
        "duration": round(duration, 3),
        "seconds_per_value": round(size * FRAME_SECONDS, 3),
        "values": [max(values) for values in zip_longest(*peaks, fillvalue=0)],
    }


def _find_peaks(loudness: Loudness, size: int) -> list[int]:
    if not len(loudness):
        return []
    peaks: list[int] = np.maximum.reduceat(loudness, range(0, len(loudness), size)).tolist()
    return peaks

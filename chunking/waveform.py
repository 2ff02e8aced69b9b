"""The loudness of a recording as a line to draw, of a size that does not grow with it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chunking.speech import FRAME

#: Loudness of frames of `chunking.vad.FRAME` seconds, from 0 (silence) to 100 (full scale).
Loudness = NDArray[np.uint8]

#: More than a screen has columns.
MOST_VALUES = 4000


def waveform(tracks: Sequence[Loudness], duration: float) -> dict[str, Any]:
    """Return ``waveform.json``: the loudest frame of any track in each of equal stretches.

    *duration* in seconds. Each of `MOST_VALUES` values at most stands for ``seconds_per_value``.
    """
    frames = max((len(track) for track in tracks), default=0)
    size = max(1, -(-frames // MOST_VALUES))
    drawn = [_loudest(track, size) for track in tracks]
    return {
        "duration": round(duration, 3),
        "seconds_per_value": round(size * FRAME, 3),
        "values": [max(values) for values in zip_longest(*drawn, fillvalue=0)],
    }


def _loudest(track: Loudness, size: int) -> list[int]:
    if not len(track):
        return []
    loudest: list[int] = np.maximum.reduceat(track, range(0, len(track), size)).tolist()
    return loudest
